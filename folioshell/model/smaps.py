"""What user space sees of memory: /proc/PID/smaps, the bits of /proc/PID/pagemap, /proc/kpagecount.

Kernel: fs/proc/task_mmu.c: smaps_pte_range(), pagemap_pmd_range() (v6.18); fs/proc/page.c: kpagecount_read() (v6.18)
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from folioshell.model import pte
from folioshell.model import vma as vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mm import Mm
from folioshell.model.pagetable import PageTable
from folioshell.model.truth import truth
from folioshell.model.vma import Vma
from folioshell.units import PAGE_SIZE

#: rows of smaps that the model fills, in kB and in the order in which the kernel prints them
SMAPS_ROWS = (
    "Rss",
    "Pss",
    "Shared_Clean",
    "Shared_Dirty",
    "Private_Clean",
    "Private_Dirty",
    "Anonymous",
    "LazyFree",
    "AnonHugePages",
    "ShmemPmdMapped",
    "FilePmdMapped",
    "Swap",
    "Locked",
)

_PSS_SHIFT = 12
_KB = PAGE_SIZE // 1024


class PresentRun(NamedTuple):
    """Consecutive present pages of a VMA, in one page table, that are alike in all that user space can see.

    Args:
        mm: the address space.
        vpn, nr: first virtual page, and number of pages.
        folio: the folio that they are pages of; None for the (huge) zero page.
        page: index of the first page in the folio.
        mapcount: entries that map each page, as /proc/kpagecount prints them; 0 for the zero page. Without
            CONFIG_PAGE_MAPCOUNT it is the average of the folio's pages.
        flags: flags of the entries.
        pmd: a PMD entry maps them.
    """

    mm: Mm
    vpn: int
    nr: int
    folio: Folio | None
    page: int
    mapcount: int
    flags: int
    pmd: bool

    @property
    def pfn(self) -> int:
        """The first physical page."""
        return pte.ZERO_PFN if self.folio is None else self.folio.pfn + self.page


def present_runs(k: Kernel, vma: Vma) -> Iterator[PresentRun]:
    """The present pages of a VMA in runs, ascending."""
    size = k.geometry.pmd_pages
    for block, _, found in vma.mm.tables.blocks_in(vma.start, vma.end):
        low, high = max(vma.start, block), min(vma.end, block + size)
        if isinstance(found, PageTable):
            yield from _leaf_runs(k, vma.mm, found.entries, block, low - block, high - block)
        elif pte.maps_folio(found):
            folio = k.physmem.folio(pte.pfn_of(found))
            yield from _by_count(k, vma.mm, folio, low - block, low, high - low, found & pte.FLAGS, True)
        elif found > 0:
            yield PresentRun(vma.mm, low, high - low, None, 0, 0, found & pte.FLAGS, True)


def _leaf_runs(k: Kernel, mm: Mm, entries: array[int], block: int, index: int, limit: int) -> Iterator[PresentRun]:
    folio_of, page_mapcount = k.physmem.look, k.counts.page_mapcount
    while index < limit:
        entry = entries[index]
        if entry <= 0:
            index += 1
            continue
        first = index
        index += 1
        if entry <= pte.FLAGS:
            while index < limit and entries[index] == entry:
                index += 1
            yield PresentRun(mm, block + first, index - first, None, 0, 0, entry, False)
            continue
        pfn = entry >> pte.PFN_SHIFT
        folio = folio_of(pfn)
        if folio.order == 0:
            yield PresentRun(mm, block + first, 1, folio, 0, page_mapcount(folio.id, 0), entry & pte.FLAGS, False)
            continue
        last = min(limit, first + folio.nr_pages - (pfn - folio.pfn))
        expected = entry + (1 << pte.PFN_SHIFT)
        while index < last and entries[index] == expected:
            index += 1
            expected += 1 << pte.PFN_SHIFT
        yield from _by_count(k, mm, folio, pfn - folio.pfn, block + first, index - first, entry & pte.FLAGS, False)


def _by_count(
    k: Kernel, mm: Mm, folio: Folio, page: int, vpn: int, nr: int, flags: int, pmd: bool
) -> Iterator[PresentRun]:
    """Cut pages ``[page, page + nr)`` of a large folio where the number of entries that map them changes."""
    for first, length, count in kpagecounts(k, folio):
        low, high = max(first, page), min(first + length, page + nr)
        if low < high:
            yield PresentRun(mm, vpn + low - page, high - low, folio, low, count, flags, pmd)


def kpagecounts(k: Kernel, folio: Folio) -> list[tuple[int, int, int]]:
    """(first page, pages, count) of runs of pages of a folio that equally many entries map, as /proc/kpagecount."""
    if not k.config.page_mapcount:
        return [(0, folio.nr_pages, average_mapcount(k, folio))]
    return k.counts.page_mapcounts(folio.id) or [(0, folio.nr_pages, 0)]


def average_mapcount(k: Kernel, folio: Folio) -> int:
    """How often each page of a folio is mapped on average, to the nearest number, but 1 at the least if one is.

    Kernel: fs/proc/internal.h: folio_average_page_mapcount() (v6.18)
    """
    entries, entire = k.counts.mapcount(folio.id), k.counts.entire(folio.id)
    if entries <= entire:
        return entire
    return max(entire + (entries - entire + folio.nr_pages // 2 >> folio.order), 1)


def is_exclusive(k: Kernel, mm: Mm, folio: Folio, mapcount: int) -> bool:
    """Does user space learn that nobody else maps a page that this address space maps?

    With CONFIG_PAGE_MAPCOUNT the page is asked: one entry. Without, the folio: the deciding scheme answers, and on
    ``maybe`` what a walk finds.

    Args:
        mapcount: entries that map the page.
    Kernel: fs/proc/task_mmu.c: __folio_page_mapped_exclusively() (v6.18)
    """
    if k.config.page_mapcount:
        return mapcount == 1
    answer = str(k.decider.shared(folio.id, mm.mm_id).value)
    return answer == "no" or (answer == "maybe" and not truth(k, folio).shared)


def pagemap_bits(k: Kernel, run: PresentRun) -> str:
    """Bits of pagemap for present pages: ``p`` present, ``f`` file or shared, ``x`` exclusive, ``h`` by a PMD.

    A PMD entry asks for its first page only, and 512 times the same.
    """
    if run.folio is None:
        return "pfh" if run.pmd else "p"
    count = run.mapcount
    if run.pmd and not k.release.pagemap_looks_at_each_page:
        count = k.counts.page_mapcount(run.folio.id, 0)
    exclusive = is_exclusive(k, run.mm, run.folio, count)
    return f"p{'' if run.folio.anon else 'f'}{'x' if exclusive else ''}{'h' if run.pmd else ''}"


def smaps(k: Kernel, vma: Vma, runs: Iterable[PresentRun] | None = None) -> dict[str, int]:
    """Figures of a VMA in kB, those that are not 0.

    A page is private if one entry maps it, or if its folio has one reference; its share of Pss is 4 kB by the number
    of entries. Without CONFIG_PAGE_MAPCOUNT it is private if the folio is called exclusive, and its share goes by the
    average number of entries.

    Args:
        runs: its present pages, if they are at hand.
    """
    sums = dict.fromkeys(SMAPS_ROWS, 0)
    pss = 0
    for run in present_runs(k, vma) if runs is None else runs:
        folio = run.folio
        if folio is None:
            continue
        kb = run.nr * _KB
        count = 1 if folio.ref == 1 else max(1, run.mapcount)
        private = folio.ref == 1 or is_exclusive(k, run.mm, folio, count)
        dirty = bool(run.flags & pte.DIRTY) or folio.dirty
        sums["Rss"] += kb
        pss += run.nr * ((PAGE_SIZE << _PSS_SHIFT) // count)
        sums[f"{'Private' if private else 'Shared'}_{'Dirty' if dirty else 'Clean'}"] += kb
        if folio.anon:
            sums["Anonymous"] += kb
            if not folio.swapbacked and not dirty:
                sums["LazyFree"] += kb
        if run.pmd:
            sums["AnonHugePages" if folio.anon else "ShmemPmdMapped" if folio.swapbacked else "FilePmdMapped"] += kb
    sums["Pss"] = pss >> (10 + _PSS_SHIFT)
    sums["Swap"] = _KB * _swap_entries(k, vma)
    if vma.flags & vm.LOCKED:
        sums["Locked"] = sums["Pss"]
    return {name: value for name, value in sums.items() if value}


def _swap_entries(k: Kernel, vma: Vma) -> int:
    if not vma.mm.rss.swap:
        return 0
    size = k.geometry.pmd_pages
    number = 0
    for block, _, found in vma.mm.tables.blocks_in(vma.start, vma.end):
        if isinstance(found, PageTable):
            low, high = max(vma.start, block), min(vma.end, block + size)
            number += sum(1 for entry in found.entries[low - block : high - block] if pte.is_swap(entry))
    return number
