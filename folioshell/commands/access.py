"""Touching memory and advising the kernel about it."""

from __future__ import annotations

from typing import Any

from folioshell.commands.call import Call, Range, admit_pages
from folioshell.commands.grammar import MODEL, Arg, Form, command, flags
from folioshell.commands.operands import Choice
from folioshell.commands.places import own_place
from folioshell.model.kernel import Kernel
from folioshell.model.vm import Mm
from folioshell.paths import Path
from folioshell.paths.fault import touch
from folioshell.paths.madvise import ADVICES, do_madvise
from folioshell.session.history import Ending

TOPIC = "memory"
#: advice that maps pages
_POPULATING = ("collapse", "populate_read", "populate_write", "willneed")


def _fault_subject(call: Call) -> str:
    writes = {write_access for _, _, write_access in accesses(call, call.own_range("PLACE"), call.word("access"))}
    done = "touched" if len(writes) > 1 else "wrote" if True in writes else "read"
    return f"{call.process} {done} {call.place_text('PLACE')}"


@command(
    "fault",
    Form(
        args=(own_place("the pages touched"),), flags=flags("access", read="load a byte", write="store a non-zero byte")
    ),
    kind=MODEL,
    topic=TOPIC,
    subject=_fault_subject,
    host=True,
    races=True,
)
def fault(call: Call) -> Path[Ending]:
    """Touch each page once, in order.

    One access to each page. The default is a write for anonymous memory, private or shared, and a read for files. An
    access that is not allowed raises SIGSEGV or SIGBUS; the others are done.

    Example:
        mmap buf 16 ; fault buf
        file lib 32 ; mmap win 16 file=lib ; fault win[0]

    Kernel: mm/memory.c: handle_mm_fault() (v6.18)
    """
    return _touch(call, call.word("access"))


@command(
    "read",
    Form(args=(own_place("the pages read"),)),
    kind=MODEL,
    topic=TOPIC,
    subject=lambda call: f"{call.process} read {call.place_text('PLACE')}",
    host=True,
    races=True,
)
def read(call: Call) -> Path[Ending]:
    """Load a byte from each page, in order.

    Same as `fault PLACE read`.

    Example:
        mmap buf 16 ; read buf[0]

    Kernel: mm/memory.c: handle_mm_fault() (v6.18)
    """
    return _touch(call, "read")


@command(
    "write",
    Form(args=(own_place("the pages written"),)),
    kind=MODEL,
    topic=TOPIC,
    subject=lambda call: f"{call.process} wrote {call.place_text('PLACE')}",
    host=True,
    races=True,
)
def write(call: Call) -> Path[Ending]:
    """Store a byte to each page, in order.

    Same as `fault PLACE write`; the byte is not zero.

    Example:
        mmap buf 16 ; write buf[0..3]

    Kernel: mm/memory.c: handle_mm_fault() (v6.18)
    """
    return _touch(call, "write")


def _touch(call: Call, access: str) -> Path[Ending]:
    found = call.own_range("PLACE")
    admit_pages(call, "PLACE", found.nr, found)
    pieces = accesses(call, found, access)
    if len(pieces) == 1:
        return touch(call.kernel, found.mm, *pieces[0])
    return _touch_pieces(call.kernel, found.mm, pieces)


def _touch_pieces(k: Kernel, mm: Mm, pieces: list[tuple[int, int, bool]]) -> Path[list[list[Any]]]:
    """Touch one piece after another; accesses are counted from the first one of all."""
    signals: list[list[Any]] = []
    for start, nr, write_access in pieces:
        failed: list[list[Any]] = yield from touch(k, mm, start, nr, write_access)
        for first, count, signal in failed:
            _append(signals, start - pieces[0][0] + first, count, signal)
    return signals


def _append(signals: list[list[Any]], first: int, count: int, signal: str) -> None:
    last = signals[-1] if signals else None
    if last and last[0] + last[1] == first and last[2] == signal:
        last[1] += count
    else:
        signals.append([first, count, signal])


def accesses(call: Call, found: Range, access: str) -> list[tuple[int, int, bool]]:
    """(start, nr, write) of the pieces that are touched alike: as the user said, or else by the kind of the VMA."""
    if access:
        return [(found.start, found.nr, access == "write")]
    pieces: list[tuple[int, int, bool]] = []
    at = found.start
    for vma in found.mm.vmas.overlapping(found.start, found.end):
        end = min(vma.end, found.end)
        write_access = vma.file is None or vma.file.name not in call.kernel.files
        # A hole is touched with the mapping that follows it: it is SIGSEGV either way.
        if pieces and pieces[-1][2] == write_access:
            pieces[-1] = (pieces[-1][0], end - pieces[-1][0], write_access)
        else:
            pieces.append((at, end - at, write_access))
        at = end
    if at < found.end:
        pieces.append((at, found.end - at, True))
    return pieces


@command(
    "madvise",
    Form(args=(Arg("ADVICE", Choice(ADVICES, "advice", show=False), "as in madvise(2)"), own_place())),
    kind=MODEL,
    topic=TOPIC,
    subject=lambda call: call.syscall(call.place_text("PLACE"), f"MADV_{call.word('ADVICE').upper()}"),
    host=True,
    races=True,
)
def madvise(call: Call) -> Path[Ending]:
    """Advise the kernel about pages.

    Does what madvise(2) does with that advice. `cold` on part of a large folio queries the deciding scheme whether the
    folio is shared, and splits it only if it is not.

    Example:
        mmap buf 16 ; fault buf ; madvise dontneed buf[0..3]

    Kernel: mm/madvise.c: do_madvise() (v6.18)
    """
    found = call.own_range("PLACE")
    if call.word("ADVICE") in _POPULATING:
        admit_pages(call, "PLACE", found.nr, found)
    return do_madvise(call.kernel, found.mm, found.start, found.nr, call.word("ADVICE"))
