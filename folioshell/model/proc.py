"""What user space sees of memory under /proc: smaps, the bits of pagemap, kpagecount, and the counters of vmstat.

Every figure is a function of what maps the folios now, as a running counter would be: each way to count adds on mapping
what it subtracts on unmapping. Only what the sketch in the mail does if ``nr == HPAGE_PMD_NR``, its PMD counters and
mlock, depends on how entries came and went.

Kernel: fs/proc/task_mmu.c: smaps_pte_range(), pagemap_pmd_range() (v6.18); fs/proc/page.c: kpagecount_read() (v6.18);
    mm/rmap.c: __folio_add_rmap(), __folio_remove_rmap(), __folio_mod_stat() (v6.18)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from folioshell.events import Event, FolioNew, Level, Mlocked, Rmap
from folioshell.intervals import ranges
from folioshell.model import pte, vm
from folioshell.model.folio import Folio, FolioLooks
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable
from folioshell.model.policy import SharingQuestion
from folioshell.model.truth import truth
from folioshell.model.vm import Mm, Vma
from folioshell.records import NamedTuple
from folioshell.units import PAGE_SIZE

#: rows of smaps that the model fills, in kB and in the order in which the kernel prints them
SMAPS_ROWS = (
    *("Rss", "Pss", "Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty", "Anonymous", "LazyFree"),
    *("AnonHugePages", "ShmemPmdMapped", "FilePmdMapped", "Swap", "Locked"),
)

_PSS_SHIFT = 12
_KB = PAGE_SIZE // 1024


class PresentRun(NamedTuple):
    """Consecutive present pages of a VMA, in one page table, that are alike in all that user space can see of them.

    They are consecutive physical pages: of one large folio, or of order-0 folios with consecutive numbers. Plain data:
    runs that are equal look the same.

    Args:
        vpn, nr: first virtual page, and number of pages.
        pfn: the first physical page; that of the zero page for the (huge) zero page.
        number: of the folio of the first page; 0 for the (huge) zero page.
        folio: what each folio looks like; None for the (huge) zero page.
        mapcount: entries that map each page, as /proc/kpagecount prints them; 0 for the zero page. Without
            CONFIG_PAGE_MAPCOUNT it is the average of the folio's pages.
        exclusive: /proc says that no other mm maps them.
        flags: flags of the entries.
        pmd: a PMD entry maps them.
        other: ``swap`` or ``guard`` if they are not present but in swap, or in a guard region; then there is no folio.
    """

    vpn: int
    nr: int
    pfn: int
    number: int
    folio: FolioLooks | None
    mapcount: int
    exclusive: bool
    flags: int
    pmd: bool
    other: str = ""

    def part(self, first: int, nr: int) -> PresentRun:
        """``nr`` pages of it, from the one at ``first`` on."""
        pfn, number = self.pfn, self.number
        if self.folio is not None:
            pfn += first
            number += (pfn >> self.folio.order) - (self.pfn >> self.folio.order)
        return self._replace(vpn=self.vpn + first, nr=nr, pfn=pfn, number=number)


def present_runs(k: Kernel, vma: Vma) -> list[PresentRun]:
    """The present pages of a VMA in runs, ascending."""
    runs: list[PresentRun] = []
    size = k.geometry.pmd_pages
    for block, _, found in vma.mm.tables.blocks_in(vma.start, vma.end):
        low, high = max(vma.start, block), min(vma.end, block + size)
        if isinstance(found, PageTable):
            for index, nr, entry in pte.ramps(found.entries[low - block : high - block]):
                _add_runs(runs, k, vma.mm, low + index, nr, entry)
        elif found > 0:
            entry = found + (low - block << pte.PFN_SHIFT) if pte.maps_folio(found) else found
            _add_runs(runs, k, vma.mm, low, high - low, entry, pmd=True)
    return runs


def _add_runs(runs: list[PresentRun], k: Kernel, mm: Mm, vpn: int, nr: int, entry: int, *, pmd: bool = False) -> None:
    """Add the runs of pages that entries with the same flags map, which are consecutive; ``entry`` is the first."""
    flags, pfn = entry & pte.FLAGS, entry >> pte.PFN_SHIFT
    if pfn == pte.ZERO_PFN:
        runs.append(PresentRun(vpn, nr, pfn, 0, None, 0, False, flags, pmd))
        return
    end, distance = pfn + nr, vpn - pfn
    while pfn < end:
        folio = k.physmem.at(pfn).first
        if folio.order:
            looks, limit, base = folio.looks, min(end, folio.pfn + folio.nr_pages), folio.pfn
            counts = kpagecounts(k, folio)
        else:
            # Without CONFIG_PAGE_MAPCOUNT a scheme answers for each folio.
            looks, limit = k.physmem.alike(pfn, end if k.config.page_mapcount else pfn + 1)
            base = folio.pfn - folio.id
            counts = k.counts.mapcount_pieces(pfn - base, limit - pfn)
        for first, length, count in counts:
            low, high = max(base + first, pfn), min(base + first + length, limit)
            if low < high:
                number = folio.id if folio.order else low - base
                exclusive = is_exclusive(k, mm, number, count)
                runs.append(PresentRun(low + distance, high - low, low, number, looks, count, exclusive, flags, pmd))
        pfn = limit


#: kinds of entries that are not present, and their bits in pagemap
_OTHER_BITS = {"swap": "s", "guard": "sg"}


def other_runs(k: Kernel, vma: Vma) -> list[PresentRun]:
    """The pages of a VMA whose entries are swap entries or guard markers, in runs within one page table.

    Ascending, but in each table the swap entries come first.
    """
    runs: list[PresentRun] = []
    if not vma.mm.rss.swap and not vma.mm.has_guards:
        return runs
    size = k.geometry.pmd_pages
    for block, _, found in vma.mm.tables.blocks_in(vma.start, vma.end):
        if not isinstance(found, PageTable):
            continue
        low, high = max(vma.start, block) - block, min(vma.end, block + size) - block
        swapped = [index for index in range(low, high) if pte.is_swap(found.entries[index])]
        guarded = [index for index in range(low, high) if found.entries[index] == pte.GUARD]
        for indexes, other in ((swapped, "swap"), (guarded, "guard")):
            for first, nr in ranges(indexes):
                runs.append(PresentRun(block + first, nr, pte.ZERO_PFN, 0, None, 0, False, 0, False, other))
    return runs


def kpagecounts(k: Kernel, folio: Folio) -> list[tuple[int, int, int]]:
    """(first page, pages, count) of runs of pages with one mapcount, as /proc/kpagecount has it."""
    if not k.config.page_mapcount:
        return [(0, folio.nr_pages, average_mapcount(k, folio))]
    return k.counts.page_mapcounts(folio.id) or [(0, folio.nr_pages, 0)]


def average_mapcount(k: Kernel, folio: Folio) -> int:
    """Average mapcount of the pages of a folio, rounded; at least 1 if any page is mapped.

    Kernel: fs/proc/internal.h: folio_average_page_mapcount() (v6.18)
    """
    entries, entire = k.counts.mapcount(folio.id), k.counts.entire(folio.id)
    if entries <= entire:
        return entire
    return max(entire + (entries - entire + folio.nr_pages // 2 >> folio.order), 1)


def is_exclusive(k: Kernel, mm: Mm, folio: int, mapcount: int) -> bool:
    """Does /proc say that only this mm maps a page?

    With CONFIG_PAGE_MAPCOUNT it does if the page has one entry (``SharingQuestion.SMAPS`` and ``PAGEMAP_PMD``).
    Without, a scheme answers for the folio (``SMAPS_AVERAGE``), and on ``maybe`` the page tables do.

    Args:
        folio: number of its folio.
        mapcount: entries that map the page.
    Kernel: fs/proc/task_mmu.c: __folio_page_mapped_exclusively() (v6.18)
    """
    if k.config.page_mapcount:
        return mapcount == 1
    decider = k.deciders[SharingQuestion.SMAPS_AVERAGE]
    assert decider is not None
    answer = str(decider.shared(folio, mm.mm_id).value)
    return answer == "no" or (answer == "maybe" and not truth(k, k.folios[folio]).shared)


def pagemap_bits(k: Kernel, run: PresentRun) -> str:
    """Bits of pagemap for present pages: ``p`` present, ``f`` file or shared, ``x`` exclusive, ``h`` by a PMD.

    Most releases look at the first page of a PMD mapping and report its bits for all pages.
    """
    if run.other:
        return _OTHER_BITS[run.other]
    tells = not run.pmd or k.release.pagemap_tells_file_pmds
    if run.folio is None:
        return f"p{'f' if run.pmd and k.release.huge_zero_page_looks_like_file else ''}{'h' if run.pmd else ''}"
    exclusive = run.exclusive
    if run.pmd and k.config.page_mapcount and not k.release.pagemap_looks_at_each_page:
        exclusive = k.counts.page_mapcount(run.number, 0) == 1
    return f"p{'f' if tells and not run.folio.anon else ''}{'x' if exclusive else ''}{'h' if run.pmd else ''}"


def smaps(k: Kernel, vma: Vma, runs: Iterable[PresentRun] | None = None, in_swap: int | None = None) -> dict[str, int]:
    """Figures of a VMA in kB, those that are not 0.

    A page is private if one entry maps it, or if its folio has one reference; its part of Pss is 4 kB divided by its
    mapcount. Without CONFIG_PAGE_MAPCOUNT it is private if the folio is exclusive, and the average mapcount divides.

    Args:
        runs, in_swap: its present pages, and kB of it that are in swap, if the caller has them.
    """
    in_swap = swapped_kb(k, vma, other_runs(k, vma)) if in_swap is None else in_swap
    runs = present_runs(k, vma) if runs is None else runs
    if not in_swap and not runs:
        return {}
    sums = dict.fromkeys(SMAPS_ROWS, 0)
    pss = 0
    for run in runs:
        folio = run.folio
        if folio is None or (run.pmd and run.flags & pte.PROTNONE and k.release.smaps_misses_none_pmds):
            continue
        kb = run.nr * _KB
        count = 1 if folio.ref == 1 else max(1, run.mapcount)
        private = folio.ref == 1 or run.exclusive
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
    sums["Swap"] = in_swap
    if vma.flags & vm.LOCKED:
        sums["Locked"] = sums["Pss"]
    return {name: value for name, value in sums.items() if value}


def swapped_kb(k: Kernel, vma: Vma, others: Iterable[PresentRun]) -> int:
    """KB of a VMA that are in swap, with those of shared memory; ``others`` are the runs of ``other_runs``."""
    return _KB * (sum([run.nr for run in others if run.other == "swap"]) + _swapped_shmem(k, vma))


def _swapped_shmem(k: Kernel, vma: Vma) -> int:
    """Pages of shared memory in swap that the VMA covers; of a private writable one those without an entry.

    Kernel: fs/proc/task_mmu.c: smap_gather_stats(), smaps_pte_hole() (v6.18)
    """
    if vma.file is None or not vma.file.swapped:
        return 0
    end = vma.pgoff + vma.nr_pages
    pages = [index for index in vma.file.swapped if vma.pgoff <= index < end]
    if vma.flags & vm.SHARED or not vma.flags & vm.WRITE:
        return len(pages)
    return sum(not k.entry(vma.mm, vma.start + index - vma.pgoff) for index in pages)


# Counters of mapped and of mlocked pages.

#: the counters, as /proc/vmstat names them, in its order -> the names that the kernel's source gives them
SYMBOLS = {
    "nr_mlock": "NR_MLOCK",
    "nr_anon_pages": "NR_ANON_MAPPED",
    "nr_mapped": "NR_FILE_MAPPED",
    "nr_shmem_pmdmapped": "NR_SHMEM_PMDMAPPED",
    "nr_file_pmdmapped": "NR_FILE_PMDMAPPED",
    "nr_anon_transparent_hugepages": "NR_ANON_THPS",
}


def _precise(k: Kernel, folio: Folio) -> int:
    """Pages with any mapping: a page counts from its first mapping to its last."""
    counts = k.counts
    if not folio.order:
        return 1 if counts.mapcount(folio.id) else 0
    return folio.nr_pages if counts.entire(folio.id) else counts.pages_mapped(folio.id)


def _whole(k: Kernel, folio: Folio) -> int:
    """All pages of a folio with any mapping."""
    return folio.nr_pages if k.counts.mapcount(folio.id) else 0


def _as_mailed(k: Kernel, folio: Folio) -> int:
    """NR_FILE_MAPPED += nr at every mapping: a page counts once a mapping. Anonymous pages as in the kernel."""
    if folio.anon:
        return _precise(k, folio)
    entire = k.counts.entire(folio.id)
    return k.counts.mapcount(folio.id) + entire * (folio.nr_pages - 1)


#: the way of the sketch in the mail, whose PMD counters and mlock depend on the calls that were made
AS_MAILED = "as-mailed"
#: name -> (what it is, the pages of a folio that it counts as mapped)
WAYS: dict[str, tuple[str, Callable[[Kernel, Folio], int]]] = {
    "precise": ("CONFIG_PAGE_MAPCOUNT: pages with any mapping", _precise),
    "no-page-mapcount": ("CONFIG_NO_PAGE_MAPCOUNT: all pages of folios with any mapping", _whole),
    AS_MAILED: ("the sketch of February 2023: NR_FILE_MAPPED += nr, mapped before or not", _as_mailed),
}


def statistics(k: Kernel, way: str, events: Iterable[Event] = ()) -> dict[str, int]:
    """The counters, in pages, kept in one of the ``WAYS``.

    Args:
        events: all that paths announced so far; only ``AS_MAILED`` looks at them.
    Raises:
        KeyError: there is no such way.
    """
    pages = WAYS[way][1]
    sums = dict.fromkeys(SYMBOLS, 0)
    for folio in k.folios.values():
        sums["nr_anon_pages" if folio.anon else "nr_mapped"] += pages(k, folio)
        if k.counts.entire(folio.id) and (folio.anon or way != AS_MAILED):
            sums[_pmd_counter(folio)] += folio.nr_pages
    if way == AS_MAILED:
        for counter, nr in _pmd_sized_calls(k, events):
            sums[counter] += nr
    for folio, nr, *mlock_count in mlocked_folios(k, events if way == AS_MAILED else ()):
        if mlock_count[way == AS_MAILED] is not None:
            sums["nr_mlock"] += nr * folio.nr_pages
    return sums


def _pmd_sized_calls(k: Kernel, events: Iterable[Event]) -> Iterator[tuple[str, int]]:
    """(counter, pages to add) of each rmap call that the sketch takes for one of a PMD entry.

    Its folio_add_file_rmap_range() tests ``nr == HPAGE_PMD_NR`` instead of asking for the level: a call for as many
    PTEs counts as PMD-mapped, and those pages stay counted if their entries are removed in smaller batches.
    """
    for event in events:
        if isinstance(event, Rmap) and not event.anon and event.nr == k.geometry.pmd_pages:
            file = k.files.get(event.file)
            shared_memory = file is None or file.is_shmem
            yield ("nr_shmem_pmdmapped" if shared_memory else "nr_file_pmdmapped"), event.sign * event.nr


def mlocked_folios(k: Kernel, events: Iterable[Event]) -> Iterator[tuple[Folio, int, int | None, int | None]]:
    """(first folio, number of folios alike, mlock_count in the kernel, in the sketch) of what is PG_mlocked in either.

    A count is None without PG_mlocked. The sketch is about files: anonymous memory is as in the kernel. ``events`` as
    in ``statistics``.
    """
    sketched = mlock_counts(events, lambda event: _sketch_mlocks(k, event))
    for folio, nr in k.folios.groups():
        kept = folio.mlock_count if folio.mlocked else None
        as_mailed = kept if folio.anon else sketched.get(folio.id)
        if kept is not None or as_mailed is not None:
            yield folio, nr, kept, as_mailed


def mlock_counts(events: Iterable[Event], calls: Callable[[Rmap | Mlocked], bool]) -> dict[int, int]:
    """Number -> mlock_count of the folios that are PG_mlocked, and of those that were when they were freed.

    Args:
        events: all that paths announced so far.
        calls: does this one, of a locked VMA or of mlock(2) and munlock(2), mlock or munlock its folios?
    Kernel: mm/mlock.c: __mlock_folio(), __munlock_folio() (v6.12); mm/huge_memory.c: __split_huge_page_tail() (v6.12)
    """
    counts: dict[int, int] = {}
    for event in events:
        if isinstance(event, FolioNew) and event.origin is not None and event.origin[0] in counts:
            # Every piece of a split folio is PG_mlocked, but only the head keeps the count.
            counts[event.folio] = 0 if event.origin[1] else counts[event.origin[0]]
        elif (isinstance(event, Mlocked) or (isinstance(event, Rmap) and event.locked)) and calls(event):
            for folio in event.folios:
                count = counts.get(folio, 0) + event.sign
                if count > 0:
                    counts[folio] = count
                else:
                    counts.pop(folio, None)
    return counts


def _sketch_mlocks(k: Kernel, event: Rmap | Mlocked) -> bool:
    """Does the sketch mlock the folios of a file when they are mapped, and munlock them when they are unmapped?

    mlock_vma_folio() of its time skips a large folio unless ``compound``, since PTEs cannot be counted consistently:
    some may be unmapped without the rest. The sketch says ``nr == HPAGE_PMD_NR`` for it, which 512 PTEs are, too.
    Kernel: mm/internal.h: mlock_vma_folio(), munlock_vma_folio() (v6.3); mm/mlock.c: mlock_pte_range() (v6.3)
    """
    compound = event.level is Level.PMD if isinstance(event, Mlocked) else event.nr == k.geometry.pmd_pages
    return not event.anon and (compound or not event.order)


def native_way(k: Kernel) -> str:
    """The one of the ``WAYS`` that the simulated kernel keeps."""
    return "precise" if k.config.page_mapcount else "no-page-mapcount"


def _pmd_counter(folio: Folio) -> str:
    """Kernel: mm/rmap.c: __folio_mod_stat() (v6.18)"""
    if folio.anon:
        return "nr_anon_transparent_hugepages"
    return "nr_shmem_pmdmapped" if folio.swapbacked else "nr_file_pmdmapped"
