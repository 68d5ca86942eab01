"""Pins: references to pages that are no mappings."""

from __future__ import annotations

from folioshell.commands.build import command, own_place
from folioshell.commands.call import Call
from folioshell.commands.grammar import MODEL, Form
from folioshell.commands.limits_check import admit_pages
from folioshell.paths.gup import do_pin, do_unpin
from folioshell.session.language import Ending

TOPIC = "reclaim"


@command(
    "pin",
    Form(args=(own_place("the pages that a device gets"),)),
    kind=MODEL,
    topic=TOPIC,
    summary="pin pages for a device that writes to them",
    explained="Faults the pages in by writing and takes a reference of each that is no mapping, as direct I/O does. A "
    "fork copies pinned pages at once; split, migration, collapse and reclaim leave them alone. EFAULT over a hole or "
    "where memory may not be written; then none is pinned. The pins stay when the pages are unmapped, and go with the "
    "process.",
    examples=("mmap buf 16 ; pin buf[3] ; fork B", "mmap buf 4 ; pin buf ; munmap buf ; unpin buf"),
    subject=lambda call: f"{call.process} pinned {call.place_text('PLACE')}",
    kernel="mm/gup.c: pin_user_pages()",
)
def pin(call: Call) -> Ending:
    """Pin pages for a device that writes to them."""
    found = call.own_range("PLACE")
    admit_pages(call, "PLACE", found.nr, found)
    return call.workspace.machine.run(do_pin(call.kernel, found.mm, found.start, found.nr))


@command(
    "unpin",
    Form(args=(own_place("where the pages were pinned"),)),
    kind=MODEL,
    topic=TOPIC,
    summary="let go of the last pin of each page",
    explained="The place is where the pages were when they were pinned; nothing need be mapped there any more. EINVAL "
    "if one of them is not pinned; then all pins stay.",
    examples=("mmap buf 16 ; pin buf[3..5] ; unpin buf[4]",),
    subject=lambda call: f"{call.process} unpinned {call.place_text('PLACE')}",
    kernel="mm/gup.c: unpin_user_pages()",
)
def unpin(call: Call) -> Ending:
    """Let go of the last pin of each page."""
    found = call.own_range("PLACE")
    return call.workspace.machine.run(do_unpin(call.kernel, found.mm, found.start, found.nr))
