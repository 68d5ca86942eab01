"""Consecutive entries of consecutive pages: batches that the kernel handles at once, and spans that protocols count."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from itertools import chain

from folioshell.model import pte
from folioshell.model.folio import Folio
from folioshell.model.folios import FolioRun
from folioshell.model.kernel import Kernel
from folioshell.model.lock import Lock
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.physmem import FolioSpan
from folioshell.model.vm import Vma
from folioshell.paths import Path
from folioshell.records import dataclass, field


def folio_pte_batch(table: PageTable, index: int, limit: int, folio: Folio, significant: int = 0) -> int:
    """Number of entries from ``index`` on, below ``limit``, that map consecutive pages of ``folio`` and agree.

    Args:
        table: the PTE table; ``index`` and ``limit`` are entries in it.
        significant: flags (WRITE, DIRTY) in which the entries must agree; others may differ.
    Kernel: mm/util.c: folio_pte_batch_flags() (v6.18)
    """
    entries = table.entries
    mask = ~(pte.FLAGS ^ (significant | pte.PRESENT | pte.PROTNONE))
    # Young never ends a batch; write and dirty do where the caller could not merge them.
    expected = entries[index] & mask
    last = min(limit, index + folio.nr_pages - (pte.pfn_of(entries[index]) - folio.pfn))
    step = 1 << pte.PFN_SHIFT
    position = index + 1
    expected += step
    while position < last and entries[position] & mask == expected and entries[position] > 0:
        position += 1
        expected += step
    return position - index


def small_pte_batch(table: PageTable, index: int, limit: int, owner: Folio | FolioRun) -> int:
    """Number of entries from ``index`` on, below ``limit``, that map consecutive folios of one run with equal flags.

    Args:
        owner: the folio, or the run, that holds the page which the first entry maps.
    """
    if owner.nr == 1 or limit - index == 1:
        return 1
    entries = table.entries
    entry = entries[index]
    most = min(limit - index, owner.first.pfn + owner.nr - pte.pfn_of(entry))
    end, step = index + most, 1 << pte.PFN_SHIFT
    # Usually all of them do, and comparing them at once is cheap.
    if entries[end - 1] == entry + (most - 1) * step and pte.is_ramp(entries[index:end]):
        return most
    return next(nr for nr in range(1, most) if entries[index + nr] != entry + nr * step)


def small_folios(
    k: Kernel, table: PageTable, index: int, limit: int, changes: bool = True
) -> Folio | FolioRun | FolioSpan:
    """The order-0 folios that ``small_pte_batch`` entries from ``index`` on map.

    Args:
        changes: they are to be changed, not only their references, and leave their run.
    """
    pfn = pte.pfn_of(table.entries[index])
    nr = small_pte_batch(table, index, limit, k.physmem.at(pfn))
    return k.physmem.part(pfn, nr) if changes else k.physmem.span(pfn, nr)


def same_pte_batch(table: PageTable, index: int, limit: int) -> int:
    """Number of entries from ``index`` on, below ``limit``, that are the same: none, or the zero page."""
    entries = table.entries
    entry = entries[index]
    nr = 1
    while index + nr < limit and entries[index + nr] == entry:
        nr += 1
    return nr


def swap_pte_batch(table: PageTable, index: int, limit: int) -> int:
    """Number of swap entries from ``index`` on, below ``limit``, of slots in a row, all exclusive or none.

    Kernel: mm/internal.h: swap_pte_batch() (v6.18)
    """
    entries, most = table.entries, limit - index
    expected = pte.absent_ramp(entries[index], most)
    if entries[index:limit] == expected:
        return most
    return next(nr for nr in range(1, most) if entries[index + nr] != expected[nr])


@dataclass(slots=True)
class SmallFolios:
    """Order-0 folios that consecutive entries map, collected to be announced by one event.

    Attributes:
        vpn: virtual page of the first.
        anon: they are anonymous.
        nr: number of them.
        parts: their numbers, in the order of the entries.
    """

    vpn: int = 0
    anon: bool = False
    nr: int = 0
    parts: list[range] = field(default_factory=list)

    def continues(self, folios: Folio | FolioRun | FolioSpan, vpn: int) -> bool:
        """May folios that are mapped from ``vpn`` on join these?"""
        return not self.nr or (self.anon == folios.first.anon and self.vpn + self.nr == vpn)

    def add(self, folios: Folio | FolioRun | FolioSpan, vpn: int) -> None:
        """Add folios that are mapped from ``vpn`` on."""
        if not self.nr:
            self.vpn, self.anon = vpn, folios.first.anon
        numbers = folios.numbers
        if self.parts and self.parts[-1].stop == numbers.start:
            self.parts[-1] = range(self.parts[-1].start, numbers.stop)
        else:
            self.parts.append(numbers)
        self.nr += folios.nr

    def numbers(self) -> Sequence[int]:
        """The numbers of all folios, which are removed."""
        numbers = self.parts[0] if len(self.parts) == 1 else tuple(chain.from_iterable(self.parts))
        self.parts, self.nr = [], 0
        return numbers


#: what the kernel function that looks for other entries is called, and the one that skips none entries on its way
LOOK = "folio_mapped_in_vma"
SKIP = "map_pte"
#: the functions that change the entries of a span
SET, CLEAR = "set_ptes", "get_and_clear_full_ptes"


@dataclass(slots=True)
class MappedSpan:
    """Entries of one page table that are about to map pages of a folio, or mapped them until now.

    Args:
        folio, first, nr: pages ``[first, first + nr)`` of the folio.
        vma, table, vpn: the VMA, the page table whose lock is held, the virtual page of the first entry.
        size: entries of a table.

    Attributes:
        held: locks that ``before`` took, in this order.
    """

    folio: Folio
    first: int
    nr: int
    vma: Vma
    table: PageTable | PmdTable
    vpn: int
    size: int
    held: Sequence[Lock] = ()

    @property
    def mm(self) -> int:
        """The MM-ID of the address space."""
        return self.vma.mm.mm_id

    @property
    def lock(self) -> Lock:
        """The lock of its own table."""
        return self.table.ptl if isinstance(self.table, PageTable) else self.table.lock

    @property
    def nr_entries(self) -> int:
        """Entries: one a page, or one PMD entry."""
        return self.nr if isinstance(self.table, PageTable) else 1

    @property
    def is_whole(self) -> bool:
        """All pages of the folio are mapped, or were."""
        return self.nr == self.folio.nr_pages

    def window(self) -> tuple[int, int]:
        """Virtual pages ``[start, end)`` of the VMA that the folio's pages would occupy."""
        base = self.vpn - self.first
        return max(self.vma.start, base), min(self.vma.end, base + self.folio.nr_pages)

    def tables(self) -> Iterator[tuple[PageTable, int, int]]:
        """(PTE table, first entry, last entry + 1) of the window, ascending; where there is no table, nothing is."""
        start, end = self.window()
        block = start - start % self.size
        while block < end:
            table = self.vma.mm.tables.leaf(block)
            if table is not None:
                yield table, max(start, block) - block, min(end, block + self.size) - block
            block += self.size

    def others(self) -> list[tuple[PageTable, int, int]]:
        """The tables of the window except its own."""
        return [row for row in self.tables() if row[0] is not self.table]

    def maps(self, entry: int) -> bool:
        """Does an entry map a page of the folio?"""
        return entry > 0 and self.folio.pfn <= entry >> pte.PFN_SHIFT < self.folio.pfn + self.folio.nr_pages

    def found_in(self, table: PageTable, first: int, last: int) -> bool:
        """Does any of the entries ``[first, last)`` map a page of the folio?"""
        return any(self.maps(entry) for entry in table.entries[first:last])

    def found_in_own(self) -> bool:
        """Does its own table map a page of the folio in this VMA?"""
        return any(self.found_in(*row) for row in self.tables() if row[0] is self.table)

    def found_besides(self) -> bool:
        """Does any other entry of the window map a page of the folio?"""
        own = range(self.vpn % self.size, self.vpn % self.size + self.nr)
        return any(
            self.maps(table.entries[index])
            for table, first, last in self.tables()
            for index in range(first, last)
            if table is not self.table or index not in own
        )

    def entries(self) -> array[int]:
        """A copy of the entries that the span speaks of, as they are now."""
        assert isinstance(self.table, PageTable)
        index = self.vpn % self.size
        return self.table.entries[index : index + self.nr]

    def __str__(self) -> str:
        pages = f"{self.first}..{self.first + self.nr - 1}" if self.nr > 1 else str(self.first)
        return f"{self.folio}[{pages}] in {self.table} of {self.vma.mm}"


def read_unlocked(table: PageTable, first: int, last: int, function: str = LOOK) -> Path[array[int]]:
    """Read entries ``[first, last)`` of a table without its lock: others may change them just before, or just after."""
    yield table.ptl.peek(function)
    return table.entries[first:last]
