"""What keeps pages in memory and what drives them out: mlock, reclaim, splitting, migration, truncation."""

from __future__ import annotations

from folioshell.commands.build import FOLIO, arg, command, file_operand, own_place
from folioshell.commands.call import Call
from folioshell.commands.grammar import MODEL, Form
from folioshell.commands.limits_check import admit_file, admit_pages
from folioshell.commands.operands import Size
from folioshell.commands.places import FolioRef
from folioshell.paths.migrate import do_migrate
from folioshell.paths.reclaim import do_reclaim
from folioshell.paths.split import do_split
from folioshell.paths.step import Path
from folioshell.paths.truncate import do_truncate
from folioshell.paths.vma_flags import do_mlock, do_munlock
from folioshell.session.language import Ending
from folioshell.units import format_pages

TOPIC = "reclaim"


def _folio_text(call: Call) -> str:
    """A folio as sentences name it, whether it was named by id or by a place."""
    ref = call.arguments.get("FOLIO", object)
    if isinstance(ref, FolioRef):
        return ref.token.text
    return f"the folio at {call.place_text('FOLIO')}"


@command(
    "mlock",
    Form(args=(own_place("the pages that stay in memory"),)),
    kind=MODEL,
    topic=TOPIC,
    summary="lock pages into memory and fault them in",
    explained="Marks the VMAs locked, splitting and merging them, and faults the pages in: private writable ones by "
    "writing. Over a hole it fails with ENOMEM, and what lies before the hole is locked.",
    examples=("mmap buf 16 ; mlock buf[0..3]",),
    subject=lambda call: f"{call.process} locked {call.place_text('PLACE')}",
    host=True,
    kernel="mm/mlock.c: do_mlock()",
    races=True,
)
def mlock(call: Call) -> Path[Ending]:
    """Lock pages into memory and fault them in."""
    found = call.own_range("PLACE")
    admit_pages(call, "PLACE", found.nr, found)
    return do_mlock(call.kernel, found.mm, found.start, found.nr)


@command(
    "munlock",
    Form(args=(own_place("the pages that need not stay"),)),
    kind=MODEL,
    topic=TOPIC,
    summary="undo mlock",
    explained="Takes the mark off the VMAs; the pages stay mapped.",
    examples=("mmap buf 16 ; mlock buf ; munlock buf[0..3]",),
    subject=lambda call: f"{call.process} unlocked {call.place_text('PLACE')}",
    host=True,
    kernel="mm/mlock.c: apply_vma_lock_flags()",
    races=True,
)
def munlock(call: Call) -> Path[Ending]:
    """Undo mlock."""
    found = call.own_range("PLACE")
    return do_munlock(call.kernel, found.mm, found.start, found.nr)


@command(
    "reclaim",
    Form(args=(arg("FOLIO", FOLIO, "the folio that goes"),)),
    kind=MODEL,
    topic=TOPIC,
    summary="reclaim one folio, as if memory were short",
    explained="Walks the reverse map to clear the accessed bits, then unmaps the folio everywhere and frees it. "
    "Without swap (`set swap on`) anonymous folios stay, large ones are split. Locked pages stay.",
    examples=("file lib 32 order=4 ; mmap win 32 file=lib ; fault win[0] ; reclaim f1",),
    subject=lambda call: f"Reclaim of {_folio_text(call)}",
    kernel="mm/vmscan.c: shrink_folio_list()",
    races=True,
)
def reclaim(call: Call) -> Path[Ending]:
    """Reclaim one folio, as if memory were short."""
    return do_reclaim(call.kernel, call.living_folio("FOLIO"))


@command(
    "split",
    Form(args=(arg("FOLIO", FOLIO, "the folio"),)),
    kind=MODEL,
    topic=TOPIC,
    summary="split a large folio into single pages",
    explained="Anonymous pages are mapped again, those that hold only zeros by the zero page; pages of files come back "
    "by faults. EINVAL for a single page, EAGAIN while the folio has references that are no mappings.",
    examples=("set thp.64K always ; mmap buf 16 ; write buf ; split f1",),
    subject=lambda call: f"Split of {_folio_text(call)}",
    kernel="mm/huge_memory.c: split_huge_page_to_list_to_order()",
    races=True,
)
def split(call: Call) -> Path[Ending]:
    """Split a large folio into single pages."""
    return do_split(call.kernel, call.living_folio("FOLIO"))


@command(
    "migrate",
    Form(args=(arg("FOLIO", FOLIO, "the folio"),)),
    kind=MODEL,
    topic=TOPIC,
    summary="move a folio to other physical pages",
    explained="Replaces every entry by a migration entry, copies the folio, and maps the copy. The new folio has a new "
    "name. EAGAIN while the folio has references that are no mappings.",
    examples=("mmap buf 16 ; write buf[0] ; migrate f1",),
    subject=lambda call: f"Migration of {_folio_text(call)}",
    kernel="mm/migrate.c: migrate_pages()",
    races=True,
)
def migrate(call: Call) -> Path[Ending]:
    """Move a folio to other physical pages."""
    return do_migrate(call.kernel, call.living_folio("FOLIO"))


@command(
    "truncate",
    Form(args=(arg("FILE", file_operand(), "the file"), arg("SIZE", Size(least=0), "its new size"))),
    kind=MODEL,
    topic=TOPIC,
    summary="give a file another size",
    explained="What lies behind the new end is unmapped everywhere, private copies included, and a folio across it is "
    "split. Accesses behind the end get SIGBUS.",
    examples=("file lib 32 order=4 ; mmap win 32 file=lib ; fault win[0] ; truncate lib 8",),
    subject=lambda call: f"{call.word('FILE')} truncated to {format_pages(call.number('SIZE'))}",
    kernel="mm/truncate.c: truncate_pagecache()",
)
def truncate(call: Call) -> Ending:
    """Give a file another size."""
    file, size = call.file("FILE"), call.number("SIZE")
    admit_file(call, "SIZE", size - file.size)
    call.workspace.machine.run(do_truncate(call.kernel, file, size))
    return None
