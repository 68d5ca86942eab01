"""What keeps pages in memory, drives them out and moves them: mlock, pins, reclaim, split, migration, khugepaged…"""

from __future__ import annotations

from folioshell.commands.call import Call, admit_file, admit_pages
from folioshell.commands.grammar import MODEL, Arg, Form, command, flags
from folioshell.commands.operands import Size
from folioshell.commands.places import FILE, FOLIO, PROCESS, FolioRef, own_place
from folioshell.paths import Path
from folioshell.paths.gup import do_pin, do_unpin
from folioshell.paths.khugepaged import do_khugepaged
from folioshell.paths.reclaim import do_reclaim
from folioshell.paths.split import do_split
from folioshell.paths.truncate import do_truncate
from folioshell.paths.unmap import do_migrate
from folioshell.paths.vma_flags import do_mlock, do_munlock
from folioshell.session.history import Ending
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
    Form(args=(own_place("the pages to lock"),)),
    kind=MODEL,
    topic=TOPIC,
    subject=lambda call: call.syscall(call.place_text("PLACE")),
    host=True,
    races=True,
)
def mlock(call: Call) -> Path[Ending]:
    """Lock pages into memory and fault them in.

    Marks the VMAs locked, splitting and merging them, and faults the pages in: private writable ones with a write. Over
    a hole it fails with ENOMEM after locking the part before the hole.

    Example:
        mmap buf 16 ; mlock buf[0..3]

    Kernel: mm/mlock.c: do_mlock() (v6.18)
    """
    found = call.own_range("PLACE")
    admit_pages(call, "PLACE", found.nr, found)
    return do_mlock(call.kernel, found.mm, found.start, found.nr)


@command(
    "munlock",
    Form(args=(own_place("the pages to unlock"),)),
    kind=MODEL,
    topic=TOPIC,
    subject=lambda call: call.syscall(call.place_text("PLACE")),
    host=True,
    races=True,
)
def munlock(call: Call) -> Path[Ending]:
    """Undo mlock.

    Clears VM_LOCKED of the VMAs; the pages stay mapped.

    Example:
        mmap buf 16 ; mlock buf ; munlock buf[0..3]

    Kernel: mm/mlock.c: apply_vma_lock_flags() (v6.18)
    """
    found = call.own_range("PLACE")
    return do_munlock(call.kernel, found.mm, found.start, found.nr)


@command(
    "reclaim",
    Form(args=(Arg("FOLIO", FOLIO, "the folio to reclaim"),)),
    kind=MODEL,
    topic=TOPIC,
    subject=lambda call: f"Reclaim of {_folio_text(call)}",
    races=True,
)
def reclaim(call: Call) -> Path[Ending]:
    """Reclaim one folio, as under memory pressure.

    Walks the rmap to clear the accessed bits, then unmaps the folio everywhere and frees it. Without swap (`set swap
    on`) anonymous folios stay, and large ones are split. Locked pages stay.

    Example:
        file lib 32 order=4 ; mmap win 32 file=lib ; fault win[0] ; reclaim f1

    Kernel: mm/vmscan.c: shrink_folio_list() (v6.18)
    """
    return do_reclaim(call.kernel, call.living_folio("FOLIO"))


@command(
    "split",
    Form(args=(Arg("FOLIO", FOLIO, "the folio"),)),
    kind=MODEL,
    topic=TOPIC,
    subject=lambda call: f"Split of {_folio_text(call)}",
    races=True,
)
def split(call: Call) -> Path[Ending]:
    """Split a large folio into single pages.

    Anonymous pages are mapped again, those that hold only zeros by the zero page; file pages will be refaulted. EINVAL
    for a single page, EAGAIN while the folio has references other than its mappings.

    Example:
        set thp.64K always ; mmap buf 16 ; write buf ; split f1

    Kernel: mm/huge_memory.c: split_huge_page_to_list_to_order() (v6.18)
    """
    return do_split(call.kernel, call.living_folio("FOLIO"))


@command(
    "migrate",
    Form(args=(Arg("FOLIO", FOLIO, "the folio"),)),
    kind=MODEL,
    topic=TOPIC,
    subject=lambda call: f"Migration of {_folio_text(call)}",
    races=True,
)
def migrate(call: Call) -> Path[Ending]:
    """Move a folio to other physical pages.

    Replaces every entry with a migration entry, copies the folio, and maps the copy. The copy gets a new id. EAGAIN
    while the folio has references other than its mappings.

    Example:
        mmap buf 16 ; write buf[0] ; migrate f1

    Kernel: mm/migrate.c: migrate_pages() (v6.18)
    """
    return do_migrate(call.kernel, call.living_folio("FOLIO"))


@command(
    "khugepaged",
    Form(args=(Arg("PROCESS", PROCESS, "process to scan (default: the current one)", optional=True),)),
    kind=MODEL,
    topic=TOPIC,
    subject=lambda call: f"khugepaged scanned {call.word('PROCESS', call.process)}",
    races=True,
)
def khugepaged(call: Call) -> Path[Ending]:
    """Let khugepaged scan a process once.

    Looks at every block of PMD size that a VMA covers, and collapses those that are worth it: each is copied into a new
    huge folio, or gets one in the page cache of tmpfs. For each block the kernel's result is shown, with the reason. It
    takes only memory for which huge pages are enabled (`set thp.pmd`, `madvise hugepage`, fs=tmpfs-huge), and no block
    with too many pages that are not mapped, shared or in swap (`set khugepaged.max_ptes_none` …), or of which no page
    was accessed. Profile 7.3 also collapses parts of a block to each size that `set thp.SIZE` enables.

    Example:
        mmap win 512 align=512 ; madvise hugepage win ; write win[0..9] ; khugepaged
        set thp.pmd always ; mmap win 512 align=512 ; read win ; khugepaged A

    Kernel: mm/khugepaged.c: khugepaged_scan_mm_slot() (v6.18)
    """
    mm = call.process_named("PROCESS") if "PROCESS" in call.arguments else call.mm
    return do_khugepaged(call.kernel, mm)


@command(
    "truncate",
    Form(args=(Arg("FILE", FILE, "the file"), Arg("SIZE", Size(least=0), "its new size"))),
    kind=MODEL,
    topic=TOPIC,
    subject=lambda call: call.syscall(call.word("FILE"), format_pages(call.number("SIZE"))),
    races=True,
    host=True,
)
def truncate(call: Call) -> Path[Ending]:
    """Change the size of a file.

    Pages beyond the new EOF are unmapped everywhere, private copies included, and a folio that straddles it is split.
    Accesses beyond EOF raise SIGBUS.

    Example:
        file lib 32 order=4 ; mmap win 32 file=lib ; fault win[0] ; truncate lib 8

    Kernel: mm/truncate.c: truncate_pagecache() (v6.18)
    """
    file, size = call.file("FILE"), call.number("SIZE")
    admit_file(call, "SIZE", size - file.size)
    return do_truncate(call.kernel, file, size)


@command(
    "pin",
    Form(
        args=(own_place("the pages to pin"),),
        flags=flags("longterm", longterm="FOLL_LONGTERM: as RDMA and io_uring buffers, not as direct I/O"),
    ),
    kind=MODEL,
    topic=TOPIC,
    subject=lambda call: call.calling(
        "pin_user_pages", call.place_text("PLACE"), *(["FOLL_LONGTERM"] if "longterm" in call.arguments else [])
    ),
    races=True,
    host=True,
)
def pin(call: Call) -> Path[Ending]:
    """Pin pages for a device that writes to them.

    Faults the pages in with writes and takes a reference to each that is not a mapping, as direct I/O does. A fork
    copies pinned pages at once; split, migration, collapse and reclaim skip them. EFAULT over a hole or where memory is
    not writable; then no page is pinned. Pins outlive munmap and are dropped when the process exits.

    A long-term pin of a shared mapping of an ext4 file fails with EFAULT: the file system would not be notified of
    writes. Linux also migrates pages out of ZONE_MOVABLE and CMA before it pins them for long; zones are not modeled.

    Example:
        mmap buf 16 ; pin buf[3] ; fork B
        mmap buf 4 ; pin buf ; munmap buf ; unpin buf
        mmap buf 4 ; pin buf longterm

    Kernel: mm/gup.c: pin_user_pages() (v6.18)
    """
    found = call.own_range("PLACE")
    admit_pages(call, "PLACE", found.nr, found)
    return do_pin(call.kernel, found.mm, found.start, found.nr, "longterm" in call.arguments)


@command(
    "unpin",
    Form(args=(own_place("where the pages were pinned"),)),
    kind=MODEL,
    topic=TOPIC,
    subject=lambda call: call.calling("unpin_user_pages", call.place_text("PLACE")),
    races=True,
    host=True,
)
def unpin(call: Call) -> Path[Ending]:
    """Drop the most recent pin of each page.

    PLACE is where the pages were when they were pinned; nothing need be mapped there any more. EINVAL if one of them is
    not pinned; then all pins stay.

    Example:
        mmap buf 16 ; pin buf[3..5] ; unpin buf[4]

    Kernel: mm/gup.c: unpin_user_pages() (v6.18)
    """
    found = call.own_range("PLACE")
    return do_unpin(call.kernel, found.mm, found.start, found.nr)
