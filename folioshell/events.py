"""Facts: what a kernel path announces about folios and VMAs, and all that a mapcount scheme ever learns.

Rules:
- An event is announced after the entries that it speaks of have changed (unmapping) or right before they change
  (mapping), as the rmap calls of the kernel are.
- One event for a run, not one for a page: ``Mapped`` covers a run of pages of one folio within one page table,
  ``MappedSmall`` a run of order-0 folios within one page table.
- Folios, VMAs and page tables are named by their numbers (``f3`` is 3), an address space by its MM-ID.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(slots=True)
class FolioNew:
    """A folio exists now: allocated, or cut out of ``origin``.

    Args:
        folio, order, anon: its number, order, and whether it is anonymous memory.
        origin: (folio, index of the first page in it) if it is a piece of a split folio.
        nr: as many order-0 folios with consecutive numbers exist now, ``folio`` the first of them; 1 for a large one.
    """

    folio: int
    order: int
    anon: bool
    origin: tuple[int, int] | None = None
    nr: int = 1


@dataclass(slots=True)
class FolioFreed:
    """The folio's last reference went, or it was split into others.

    Args:
        folio, order: its number and order.
        nr: so it is with as many order-0 folios with consecutive numbers, ``folio`` the first; 1 for a large one.
    """

    folio: int
    order: int
    nr: int = 1


@dataclass(slots=True)
class Mapped:
    """Page-table entries map pages ``[first, first + nr)`` of a folio now, in one page table.

    Args:
        folio, order, anon: the folio.
        first, nr: page index within the folio, and number of pages.
        mm: MM-ID of the address space.
        vma, table: numbers of the VMA and of the leaf page table.
        vpn: virtual page of the first entry.
        low, high: the pages ``[low, high)`` of the folio that this VMA could map (clipped to the VMA); they tell
            where in the folio the VMA begins and ends.
        call: the rmap function of the kernel that announces it.
        new: the folio is new anonymous memory, exclusive to this mm.
    Kernel: mm/rmap.c: folio_add_file_rmap_ptes(), folio_add_anon_rmap_ptes(), folio_add_new_anon_rmap() (v6.18);
        include/linux/rmap.h: folio_try_dup_anon_rmap_ptes(), folio_dup_file_rmap_ptes() (v6.18)
    """

    folio: int
    order: int
    anon: bool
    first: int
    nr: int
    mm: int
    vma: int
    table: int
    vpn: int
    low: int
    high: int
    call: str
    new: bool = False


@dataclass(slots=True)
class Unmapped:
    """Page-table entries that mapped pages ``[first, first + nr)`` of a folio are gone. Arguments as in Mapped.

    Kernel: mm/rmap.c: folio_remove_rmap_ptes() (v6.18)
    """

    folio: int
    order: int
    anon: bool
    first: int
    nr: int
    mm: int
    vma: int
    table: int
    vpn: int
    low: int
    high: int
    call: str


@dataclass(slots=True)
class MappedSmall:
    """Consecutive entries of one page table map one order-0 folio each now: one rmap call a folio.

    Args:
        folios: their numbers, in the order of the entries; a folio may not stand twice.
        vpn: virtual page of the first entry; the others follow in ascending order, not necessarily without gaps.
    """

    folios: Sequence[int]
    anon: bool
    mm: int
    vma: int
    table: int
    vpn: int
    call: str
    new: bool = False


@dataclass(slots=True)
class UnmappedSmall:
    """Entries of one page table that mapped one order-0 folio each are gone. Arguments as in MappedSmall."""

    folios: Sequence[int]
    anon: bool
    mm: int
    vma: int
    table: int
    vpn: int
    call: str


@dataclass(slots=True)
class PmdMapped:
    """One PMD entry maps the whole folio now. ``table`` is the number of the PMD table (``pmd1`` is 1).

    Kernel: mm/rmap.c: folio_add_anon_rmap_pmd(), folio_add_file_rmap_pmd(), folio_add_new_anon_rmap() (v6.18)
    """

    folio: int
    order: int
    anon: bool
    mm: int
    vma: int
    table: int
    vpn: int
    call: str
    new: bool = False


@dataclass(slots=True)
class PmdUnmapped:
    """A PMD entry that mapped the whole folio is gone.

    Kernel: mm/rmap.c: folio_remove_rmap_pmd() (v6.18)
    """

    folio: int
    order: int
    anon: bool
    mm: int
    vma: int
    table: int
    vpn: int
    call: str


@dataclass(slots=True)
class VmaSplit:
    """A VMA was cut in two at ``vpn``. No rmap call is made for this.

    Args:
        mm: MM-ID.
        vma, new: the VMA that was cut, and the new one (which side it took does not matter to a count).
        vpn: first virtual page of the upper part.
        straddling: (folio, index of its page at ``vpn``) of every large folio that has entries in both parts; one that
            has entries in this mm on one side only may be among them, and one that is mapped at two addresses stands
            there once for each that ``vpn`` lies in.
    Kernel: mm/vma.c: __split_vma() (v6.18)
    """

    mm: int
    vma: int
    new: int
    vpn: int
    straddling: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class VmaMerged:
    """The boundary between two VMAs at ``vpn`` went: they are one now. Arguments as in VmaSplit.

    A VMA that grows over free addresses is announced as well. A boundary that moves, as when an mprotect lets a VMA
    grow into its neighbour, is a split at the new place and then a merge at the old one.

    Args:
        start, end: the virtual pages ``[start, end)`` of the VMA that they are now; 0, 0 says no more than ``vpn``.
    Kernel: mm/vma.c: vma_merge_existing_range(), vma_merge_new_range() (v6.18)
    """

    mm: int
    vma: int
    gone: int
    vpn: int
    straddling: tuple[tuple[int, int], ...] = ()
    start: int = 0
    end: int = 0


@dataclass(slots=True)
class Moved:
    """mremap moved entries of a folio to another address. No rmap call is made for this.

    Args:
        first, nr: pages of the folio whose entries moved (for a PMD entry the whole folio).
        vma, table, vpn, low, high: where they were.
        to_vma, to_table, to_vpn, to_low, to_high: where they are.
        pmd: the entry is a PMD entry; then the tables are PMD tables.
    Kernel: mm/mremap.c: move_ptes(), move_normal_pmd(), move_huge_pmd() (v6.18)
    """

    folio: int
    order: int
    anon: bool
    first: int
    nr: int
    mm: int
    vma: int
    table: int
    vpn: int
    low: int
    high: int
    to_vma: int
    to_table: int
    to_vpn: int
    to_low: int
    to_high: int
    pmd: bool = False


@dataclass(slots=True)
class Forked:
    """An address space was duplicated; the mappings that the child got are announced one by one.

    Kernel: kernel/fork.c: dup_mm() (v6.18)
    """

    mm: int
    child: int


@dataclass(slots=True)
class MmGone:
    """An address space ended; its MM-ID names nobody any more.

    Kernel: kernel/fork.c: __mmdrop() (v6.18)
    """

    mm: int


@dataclass(slots=True)
class Walked:
    """One reverse-map walk over a folio was made.

    Args:
        folio: the folio.
        reason: the function that wanted the walk.
        visits: one row a VMA visited: (mm, vma, [(table name, number of entries found)]), misses with an empty list.
    Kernel: mm/rmap.c: rmap_walk() (v6.18)
    """

    folio: int
    reason: str
    visits: tuple[tuple[int, int, tuple[tuple[str, int], ...]], ...]


@dataclass(slots=True)
class Asked:
    """A kernel path asked the deciding scheme whether somebody else maps a folio, and got ``answer``.

    Args:
        mm: MM-ID of the address space on whose behalf it asked.
        page: index of the page that it looked at.
    """

    folio: int
    scheme: str
    answer: str
    caller: str
    mm: int = 0
    page: int = 0


@dataclass(slots=True)
class Finding:
    """A rule of memory broke because the deciding scheme answered wrongly: what the shell is for, not a bug of it.

    Args:
        text: what happened, in words that name folio and scheme.
    """

    folio: int
    scheme: str
    text: str


@dataclass(slots=True)
class Tracepoint:
    """Anything else worth a line in the trace: a PMD split, a folio split, an order chosen, a table freed."""

    text: str
    count: str = ""


Event = (
    FolioNew
    | FolioFreed
    | Mapped
    | Unmapped
    | MappedSmall
    | UnmappedSmall
    | PmdMapped
    | PmdUnmapped
    | VmaSplit
    | VmaMerged
    | Moved
    | Forked
    | MmGone
    | Walked
    | Asked
    | Finding
    | Tracepoint
)
