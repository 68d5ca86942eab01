"""Batches: consecutive entries that map consecutive pages with the same flags, which the kernel handles at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

from folioshell.model import pte
from folioshell.model.folio import Folio, FolioRun
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable


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
    Returns: 1 for a single folio.
    """
    if owner.nr == 1:
        return 1
    entries = table.entries
    entry = entries[index]
    most = min(limit - index, owner.first.pfn + owner.nr - pte.pfn_of(entry))
    end, step = index + most, 1 << pte.PFN_SHIFT
    # Usually all of them do, and comparing them at once is cheap.
    if entries[end - 1] == entry + (most - 1) * step and pte.is_ramp(entries[index:end]):
        return most
    return next(nr for nr in range(1, most) if entries[index + nr] != entry + nr * step)


def small_folios(k: Kernel, table: PageTable, index: int, limit: int) -> Folio | FolioRun:
    """The order-0 folios that ``small_pte_batch`` entries from ``index`` on map, split from their run."""
    pfn = pte.pfn_of(table.entries[index])
    return k.physmem.part(pfn, small_pte_batch(table, index, limit, k.physmem.at(pfn)))


def same_pte_batch(table: PageTable, index: int, limit: int) -> int:
    """Number of entries from ``index`` on, below ``limit``, that are the same: none, or the zero page."""
    entries = table.entries
    entry = entries[index]
    nr = 1
    while index + nr < limit and entries[index + nr] == entry:
        nr += 1
    return nr


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

    def continues(self, folios: Folio | FolioRun, vpn: int) -> bool:
        """May folios that are mapped from ``vpn`` on join these?"""
        return not self.nr or (self.anon == folios.first.anon and self.vpn + self.nr == vpn)

    def add(self, folios: Folio | FolioRun, vpn: int) -> None:
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
