"""The truth: who maps a folio, computed from the page tables and VMAs alone. No scheme is asked, no count is read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from folioshell.model import pte
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mm import Mm
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vma import Vma


@dataclass(slots=True, frozen=True)
class Mapping:
    """A run of consecutive entries that map consecutive pages of a folio, in one VMA and one page table.

    Args:
        mm, vma, table: where; a PMD table for a PMD entry.
        vpn: virtual page of the first entry.
        first, nr: pages of the folio.
        pmd: one PMD entry maps all of them.
    """

    mm: Mm
    vma: Vma
    table: PageTable | PmdTable
    vpn: int
    first: int
    nr: int
    pmd: bool


@dataclass(slots=True, frozen=True)
class TruthCounts:
    """Numbers of address spaces, VMAs, (VMA, table) tuples and entries that map a folio, and of its pages mapped."""

    mms: int
    vmas: int
    tuples: int
    entries: int
    pages: int
    pmds: int

    @property
    def shared(self) -> bool:
        """More than one address space maps a page of it."""
        return self.mms > 1


def mappings(k: Kernel, folio: Folio) -> list[Mapping]:
    """Every run of entries that maps pages of the folio: address spaces in order of creation, addresses ascending."""
    return [mapping for mm in k.mms.values() for mapping in mappings_in(k, mm, folio)]


def mappings_in(k: Kernel, mm: Mm, folio: Folio) -> Iterator[Mapping]:
    """The runs of one address space."""
    low = folio.pfn << pte.PFN_SHIFT
    high = (folio.pfn + folio.nr_pages) << pte.PFN_SHIFT
    for block, pmd, entry in mm.tables.blocks():
        if isinstance(entry, PageTable):
            if max(entry.entries) < low:
                continue
            indexes = [index for index, value in enumerate(entry.entries) if low <= value < high]
            if indexes:
                yield from _runs(mm, entry, block, indexes, folio)
        elif low <= entry < high:
            vma = mm.vmas.find(block)
            assert vma is not None
            first = pte.pfn_of(entry) - folio.pfn
            yield Mapping(mm, vma, pmd, block, first, k.geometry.pmd_pages, True)


def _runs(mm: Mm, table: PageTable, block: int, indexes: list[int], folio: Folio) -> Iterator[Mapping]:
    """Cut the entries at ``indexes`` of a leaf table into runs of consecutive pages within one VMA."""
    entries = table.entries
    position = 0
    while position < len(indexes):
        index = indexes[position]
        first = pte.pfn_of(entries[index]) - folio.pfn
        vma = mm.vmas.find(block + index)
        assert vma is not None
        nr = 1
        while (
            position + nr < len(indexes)
            and indexes[position + nr] == index + nr
            and pte.pfn_of(entries[index + nr]) - folio.pfn == first + nr
            and block + index + nr < vma.end
        ):
            nr += 1
        yield Mapping(mm, vma, table, block + index, first, nr, False)
        position += nr


def truth(k: Kernel, folio: Folio) -> TruthCounts:
    """What the page tables say about a folio."""
    found = mappings(k, folio)
    pages = 0
    for mapping in found:
        pages |= ((1 << mapping.nr) - 1) << mapping.first
    return TruthCounts(
        mms=len({mapping.mm.name for mapping in found}),
        vmas=len({mapping.vma.id for mapping in found}),
        tuples=len({(mapping.vma.id, str(mapping.table)) for mapping in found}),
        entries=sum(1 if mapping.pmd else mapping.nr for mapping in found),
        pages=pages.bit_count(),
        pmds=sum(mapping.pmd for mapping in found),
    )
