"""What kernel paths announce about folios, VMAs and address spaces: all that a scheme ever learns.

Rules:
- ``Mapped`` is announced right before its entries are set, ``Unmapped`` right after they were cleared, as the kernel
  calls its rmap functions.
- One event stands for a run, not for a page: pages of one folio, or order-0 folios, in one page table.
- Folios, VMAs, anon_vmas and page tables are named by their numbers (``f3`` is 3), an address space by its MM-ID.
- Every event has a callback of the same name: ``FolioNew`` calls ``on_folio_new``. ``CALLBACKS`` lists them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum
from itertools import count
from typing import ClassVar, get_args

from folioshell.records import dataclass, field


class Level(Enum):
    """The level of the page table whose entries change. Kernel: include/linux/pgtable.h: enum pgtable_level (v6.18)"""

    PTE = "pt"
    PMD = "pmd"


@dataclass(slots=True)
class FolioNew:
    """A folio exists: allocated, or a piece of ``origin``.

    Args:
        folio, order, anon: its number, order, and whether it is anonymous memory.
        origin: (folio, index of the first page in it) for a piece of a split folio.
        nr: number of order-0 folios with consecutive numbers, ``folio`` the first; 1 for a large folio.
    """

    folio: int
    order: int
    anon: bool
    origin: tuple[int, int] | None = None
    nr: int = 1

    @property
    def folios(self) -> Sequence[int]:
        """The numbers of all these folios."""
        return range(self.folio, self.folio + self.nr)


@dataclass(slots=True)
class FolioFreed:
    """The folio's last reference was dropped, or it was split into others. Arguments as in FolioNew."""

    folio: int
    order: int
    nr: int = 1

    @property
    def folios(self) -> Sequence[int]:
        """The numbers of all these folios."""
        return range(self.folio, self.folio + self.nr)


@dataclass(slots=True)
class Entries:
    """Entries of one page table, or one PMD entry, that map a folio: where they are. The fields are those of Rmap."""

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


@dataclass(slots=True)
class Rmap(Entries):
    """Entries of one page table: what ``Mapped`` and ``Unmapped`` have in common.

    Either a run of pages of one large folio, or one page each of some order-0 folios.

    Args:
        folio, order, anon: the folio; the first one of ``folios``.
        first, nr: pages ``[first, first + nr)`` of each folio; 0 and 1 for order 0, all pages for a PMD entry.
        mm: MM-ID of the address space.
        vma, table: numbers of the VMA, and of the page table of this level (``pt1`` and ``pmd1`` are both 1).
        vpn: virtual page of the first entry; those of order-0 folios follow in ascending order, perhaps with gaps.
        low, high: the pages ``[low, high)`` of the folio that this VMA could map: where in the folio the VMA begins and
            ends.
        call: the rmap function of the kernel.
        level: PTE or PMD.
        new: new anonymous memory, exclusive to this mm.
        folios: numbers of the folios in the order of the entries, none twice; ``(folio,)`` for a large one.
        anon_vma, root: numbers of the VMA's anon_vma and of the root of its tree; 0 without one.
        file: name of the file that the VMA maps; empty for anonymous memory.
        locked: the VMA is mlocked (VM_LOCKED).
        exclusive: the pages are PageAnonExclusive after the call: set for new memory, clear after a fork.
        entries: number of entries that map each folio: 1 at the PMD level, else one a page.
        change: by how much the number of entries of each folio changes: ``entries`` with the sign.
    """

    #: 1 for entries that were added, -1 for entries that were removed
    sign: ClassVar[int]

    call: str
    level: Level = Level.PTE
    new: bool = False
    folios: Sequence[int] = ()
    anon_vma: int = 0
    root: int = 0
    file: str = ""
    locked: bool = False
    exclusive: bool = False
    entries: int = field(init=False)
    change: int = field(init=False)

    def __post_init__(self) -> None:
        if not self.folios:
            self.folios = (self.folio,)
        self.entries = self.nr if self.level is Level.PTE else 1
        self.change = self.sign * self.entries


@dataclass(slots=True)
class Mapped(Rmap):
    """Entries map folios now.

    Kernel: mm/rmap.c: __folio_add_rmap(), folio_add_new_anon_rmap() (v6.18);
        include/linux/rmap.h: __folio_try_dup_anon_rmap(), __folio_dup_file_rmap() (v6.18)
    """

    sign: ClassVar[int] = 1


@dataclass(slots=True)
class Unmapped(Rmap):
    """Entries that mapped folios are gone.

    Kernel: mm/rmap.c: __folio_remove_rmap() (v6.18)
    """

    sign: ClassVar[int] = -1


@dataclass(slots=True)
class VmaSplit:
    """A VMA was split in two at ``vpn``. No rmap function is called for this.

    Args:
        mm: MM-ID.
        vma, new: the VMA that was split, and the new one (which side it took does not matter to a count).
        vpn: first virtual page of the upper part.
        straddling: (folio, index of its page at ``vpn``) of every large folio with entries in both parts; one with
            entries on one side only may be listed too, and one mapped at two addresses once for each across ``vpn``.
    Kernel: mm/vma.c: __split_vma() (v6.18)
    """

    mm: int
    vma: int
    new: int
    vpn: int
    straddling: tuple[tuple[int, int], ...] = ()


@dataclass(slots=True)
class VmaMerged:
    """The boundary between two VMAs at ``vpn`` is gone: they are one. Arguments as in VmaSplit.

    Also announced for a VMA that grows over free addresses. A boundary that moves, as when an mprotect lets a VMA grow
    into its neighbor, is a split at the new place and then a merge at the old one.

    Args:
        start, end: the virtual pages ``[start, end)`` of the merged VMA; 0, 0 if only ``vpn`` is known.
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
class Moved(Entries):
    """mremap moved entries of a folio to another address. No rmap function is called for this.

    Args:
        first, nr: pages of the folio whose entries moved (all pages for a PMD entry).
        vma, table, vpn, low, high: the old place, as in Rmap.
        to_vma, to_table, to_vpn, to_low, to_high: the new place.
        level: PTE or PMD.
    Kernel: mm/mremap.c: move_ptes(), move_normal_pmd(), move_huge_pmd() (v6.18)
    """

    to_vma: int
    to_table: int
    to_vpn: int
    to_low: int
    to_high: int
    level: Level = Level.PTE


@dataclass(slots=True)
class Mlocked:
    """mlock(2) or munlock(2) found folios that are mapped already, and mlocked or munlocked each.

    The rmap calls mlock and munlock folios too: their events have ``locked``.

    Args:
        folios, order, anon: numbers of the folios, and as in FolioNew.
        level: of the entries that map them.
        mm: MM-ID of the address space.
        sign: 1 if they were mlocked, -1 if munlocked.
    Kernel: mm/mlock.c: mlock_pte_range() (v6.18)
    """

    call: ClassVar[str] = "mlock_pte_range"

    folios: Sequence[int]
    order: int
    anon: bool
    level: Level
    mm: int
    sign: int


@dataclass(slots=True)
class Forked:
    """The address space of MM-ID ``mm`` was duplicated as ``child``. What the child maps is announced after this.

    Kernel: kernel/fork.c: dup_mm() (v6.18)
    """

    mm: int
    child: int


@dataclass(slots=True)
class MmGone:
    """An address space ended, after all its entries; its MM-ID is free.

    Kernel: kernel/fork.c: __mmdrop() (v6.18)
    """

    mm: int


@dataclass(slots=True)
class Walked:
    """The reverse map of a folio was walked.

    Args:
        folio: the folio.
        reason: the function that walked it.
        visits: one row a VMA visited: (mm, vma, [(table name, number of entries found)]), misses with an empty list.
        nr: number of order-0 folios with consecutive numbers, ``folio`` the first, that were walked one after the
            other, each with these visits.
    Kernel: mm/rmap.c: rmap_walk() (v6.18)
    """

    folio: int
    reason: str
    visits: tuple[tuple[int, int, tuple[tuple[str, int], ...]], ...]
    nr: int = 1

    @property
    def folios(self) -> Sequence[int]:
        """The numbers of all these folios."""
        return range(self.folio, self.folio + self.nr)

    @property
    def singly(self) -> list[Walked]:
        """A walk for each."""
        return [Walked(folio, self.reason, self.visits) for folio in self.folios]


@dataclass(slots=True)
class Asked:
    """A path of ``mm`` (an MM-ID) asked the deciding scheme, at page ``page`` of a folio, who else maps it."""

    folio: int
    scheme: str
    answer: str
    caller: str
    mm: int = 0
    page: int = 0


@dataclass(slots=True)
class Reused:
    """A write fault made an entry writable, without a copy: no one else maps the page, which is PageAnonExclusive.

    Args:
        folio, order: the folio.
        first, nr: page index within the folio, and number of pages: all of them for a PMD entry.
        mm, vpn: MM-ID of the address space, and virtual page of the first entry.
    Kernel: mm/memory.c: wp_page_reuse() (v6.18)
    """

    folio: int
    order: int
    first: int
    nr: int
    mm: int
    vpn: int


#: who may hold references besides entries, the page cache, and paths for a moment
SWAP_CACHE, PINS = "swap cache", "pins"


@dataclass(slots=True)
class Held:
    """The swap cache, or pins, took references of folios or dropped them. An entry's reference is announced by Rmap.

    The page cache has one a page of every folio of a file. Those that a path holds for a moment are not announced.

    Args:
        folios: numbers of the folios.
        change: by how much the number of references of each changes.
        holder: ``SWAP_CACHE`` or ``PINS``.
    Kernel: mm/swap_state.c: add_to_swap_cache() (v6.12); mm/gup.c: try_grab_folio() (v6.18)
    """

    folios: Sequence[int]
    change: int
    holder: str


@dataclass(slots=True)
class AddedToSwap:
    """Folios were given slots of the swap device, a page each, and are in the swap cache: they will be written there.

    Args:
        folios, order: numbers of the folios, and as in FolioNew.
        slot: the first slot of the first one; those of the others follow.
    Kernel: mm/swapfile.c: folio_alloc_swap() (v6.18)
    """

    folios: Sequence[int]
    order: int
    slot: int

    @property
    def singly(self) -> list[Tracepoint]:
        """What is said of each."""
        places = zip(self.folios, count(self.slot, 1 << self.order), strict=False)
        return [Tracepoint(f"f{folio} added to swap at slot {slot}", "swpout") for folio, slot in places]


@dataclass(slots=True)
class Finding:
    """The simulated kernel violated a rule of memory management because the deciding scheme answered wrongly.

    Args:
        text: what happened; names folio and scheme.
    """

    folio: int
    scheme: str
    text: str


@dataclass(slots=True)
class Scanned:
    """khugepaged looked at a block, or at a VMA that it does not take.

    Args:
        mm, vma: MM-ID of the address space, and number of the VMA.
        vpn, nr: the virtual pages of the block, or of the VMA.
        result: the kernel's word for it, ``SCAN_…``; empty for a VMA that is passed over.
        reason: the same in words.
        collapsed: there is a new large folio for it, or for parts of it.
    Kernel: include/trace/events/huge_memory.h: SCAN_STATUS (v6.12)
    """

    mm: int
    vma: int
    vpn: int
    nr: int
    result: str
    reason: str
    collapsed: bool = False


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
    | VmaSplit
    | VmaMerged
    | Moved
    | Mlocked
    | Forked
    | MmGone
    | Walked
    | Asked
    | Reused
    | Held
    | AddedToSwap
    | Finding
    | Scanned
    | Tracepoint
)

#: event class -> name of the method of a scheme that it calls
CALLBACKS: dict[type, str] = {kind: "on" + re.sub(r"(?=[A-Z])", "_", kind.__name__).lower() for kind in get_args(Event)}
