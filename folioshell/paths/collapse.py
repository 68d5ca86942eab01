"""The collapse of anonymous memory: what the entries of a block map is copied page by page into a new folio.

Kernel: mm/khugepaged.c: hpage_collapse_scan_pmd(), collapse_huge_page() (v6.18)
"""

from __future__ import annotations

from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AnonVma
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.policy import SharingQuestion
from folioshell.model.vm import Mm, Vma
from folioshell.paths import Path, fault, rmap, sharing, swap, tables
from folioshell.paths import vma as vma_paths
from folioshell.paths.anon_fault import collapse_orders, collapse_refusal
from folioshell.paths.batch import folio_pte_batch
from folioshell.paths.collapse_file import CollapseControl, Scan, find_table
from folioshell.paths.vm_fault import RETRY, Fault, suitable_block
from folioshell.records import dataclass
from folioshell.units import align_down

_SHARED, _REFERENCES = SharingQuestion.COLLAPSE_SHARED, SharingQuestion.COLLAPSE_REFERENCES


def revalidate(k: Kernel, mm: Mm, block: int, cc: CollapseControl, order: int | None = None) -> Vma | Scan:
    """The VMA whose block may be collapsed, looked up again after mmap_lock was dropped.

    Args:
        order: anonymous memory is to be collapsed to folios of this order; None: to the PMD's, or it is a file.
    Kernel: mm/khugepaged.c: hugepage_vma_revalidate() (v6.18)
    """
    if not mm.users:
        return Scan.ANY_PROCESS
    vma, khugepaged = mm.vmas.find(block), cc.is_khugepaged
    if vma is None:
        return Scan.VMA_NULL
    if not suitable_block(vma, block, k.geometry.pmd_pages):
        return Scan.ADDRESS_RANGE
    if collapse_refusal(k, vma, khugepaged):
        return Scan.VMA_CHECK
    if order is None:
        return vma
    if vma.file is not None:
        return Scan.PAGE_ANON
    return vma if order in collapse_orders(k, vma, khugepaged) else Scan.VMA_CHECK


# Looking at a block.


@dataclass(slots=True)
class BlockScan:
    """What a scan has found in the entries of a block.

    Attributes:
        none: entries that are none or map the zero page. unmapped: those that are not present.
        shared: entries whose pages others map too, as far as that was asked.
        referenced: entries whose pages were accessed.
        writable: one of them is.
        present: bit i: entry i maps a folio.
    """

    none: int = 0
    unmapped: int = 0
    shared: int = 0
    referenced: int = 0
    writable: bool = False
    present: int = 0

    def add_page(self, entry: int) -> None:
        """Note an entry that maps a page. (PG_referenced, which counts as well, is not modeled.)

        Kernel: mm/khugepaged.c: folio_pte_referenced() (v7.3)
        """
        self.writable = self.writable or bool(entry & pte.WRITE)
        self.referenced += bool(entry & pte.YOUNG)

    def judge(self, k: Kernel, cc: CollapseControl) -> Scan:
        """Is the whole worth a collapse?"""
        # Right after a fork no entry is writable, so such a range could not be collapsed.
        if not self.writable and not k.release.collapses_read_only_range:
            return Scan.PAGE_RO
        enough = self.referenced >= k.geometry.pmd_pages // 2 if self.unmapped else self.referenced > 0
        return Scan.SUCCEED if enough or not cc.is_khugepaged else Scan.LACK_REFERENCED_PAGE


def scan_pmd(k: Kernel, vma: Vma, table: PageTable, block: int, cc: CollapseControl, seen: BlockScan) -> Path[Scan]:
    """Look for reasons against a collapse of a block.

    Args:
        seen: gets what was found.
    Kernel: mm/khugepaged.c: hpage_collapse_scan_pmd() (v6.18)
    """
    pmd_order = k.geometry.pmd_order
    # If parts may be collapsed, the whole block is looked at for them.
    is_whole = collapse_orders(k, vma, cc.is_khugepaged) == [pmd_order]
    most = cc.max_ptes_none(k, pmd_order) if is_whole else k.geometry.pmd_pages - 1
    if not (yield from tables.pte_offset_map_lock(vma.mm, block, table, "hpage_collapse_scan_pmd")):
        return Scan.PMD_NULL
    result: Scan | None = None
    for index, entry in enumerate(table.entries):
        if pte.maps_folio(entry):
            result = yield from _scan_page(k, vma.mm, block, table, index, cc, seen)
        elif entry < 0:
            seen.unmapped += 1
            result = Scan.EXCEED_SWAP_PTE if seen.unmapped > cc.max_ptes_swap(k) else None
        else:
            seen.none += 1
            result = Scan.EXCEED_NONE_PTE if seen.none > most else None
        if result is not None:
            break
    yield table.ptl.release()
    return result or seen.judge(k, cc)


def _scan_page(
    k: Kernel, mm: Mm, block: int, table: PageTable, index: int, cc: CollapseControl, seen: BlockScan
) -> Path[Scan | None]:
    """Look at the page that an entry maps. Returns: a reason against a collapse, if any.

    The kernel tests here as well whether the folio is locked; who isolates it tries the lock.
    """
    entry = table.entries[index]
    pfn = pte.pfn_of(entry)
    folio = k.physmem.folio(pfn)
    if cc.is_khugepaged:
        if _is_spared_lazyfree(k, folio, entry):
            return Scan.PAGE_LAZYFREE
        folio = k.physmem.single_out(pfn)
        seen.shared += yield from sharing.is_shared(k, mm, folio, _SHARED, table.ptl, pfn - folio.pfn)
        # Who asked by a walk dropped the PTL.
        if table.entries[index] != entry or tables.is_detached(mm, block, table):
            return Scan.FAIL
        if seen.shared > cc.max_ptes_shared(k, k.geometry.pmd_order):
            return Scan.EXCEED_SHARED_PTE
    seen.present |= 1 << index
    if folio.isolated:
        return Scan.PAGE_LRU
    if sharing.has_other_references(k, folio, _REFERENCES):
        return Scan.PAGE_COUNT
    seen.add_page(entry)
    return None


def _is_spared_lazyfree(k: Kernel, folio: Folio, entry: int) -> bool:
    return k.release.khugepaged_spares_lazyfree and not folio.swapbacked and not (folio.dirty or entry & pte.DIRTY)


# Collapsing it, or a part of it.


def collapse_huge_page(
    k: Kernel, mm: Mm, anon_vma: AnonVma, start: int, pgoff: int, order: int, unmapped: int, cc: CollapseControl
) -> Path[Scan]:
    """Collapse an aligned range. mmap_lock is not held, for allocation may take long, nor when it returns.

    Args:
        anon_vma, start, pgoff, order: of the new folio, as long as the VMA does not change meanwhile.
        unmapped: entries of the block that are not present.
    Kernel: mm/khugepaged.c: collapse_huge_page() (v7.3)
    """
    function, block = "collapse_huge_page", align_down(start, k.geometry.pmd_pages)
    folio = k.new_folio(order, anon_vma, pgoff, anon=True)
    yield rmap.folio_new(folio)
    if order == k.geometry.pmd_order:
        k.count("thp_collapse_alloc")
    # The VMA is looked up again under mmap_lock, for reading, and once more for writing.
    yield mm.mmap_lock.acquire(function, "R")
    found = _look_again(k, mm, block, cc, order)
    is_locked = isinstance(found, Scan) or not unmapped
    if not isinstance(found, Scan) and unmapped:
        result = yield from _swap_in(k, found, start, order)
        found, is_locked = (found, True) if result is Scan.SUCCEED else (result, False)
    if is_locked:
        yield mm.mmap_lock.release("R")
    if not isinstance(found, Scan):
        yield mm.mmap_lock.acquire(function, "W")
        found = _look_again(k, mm, block, cc, order)
        if not isinstance(found, Scan):
            found = yield from _collapse_locked(k, found, start, folio, cc)
        yield mm.write_unlock()
    if found is not Scan.SUCCEED:
        yield from rmap.free(k, folio)
    return found


def _look_again(k: Kernel, mm: Mm, block: int, cc: CollapseControl, order: int) -> Vma | Scan:
    """The VMA of anonymous memory whose block has a PTE table, or what is there instead."""
    vma = revalidate(k, mm, block, cc, order)
    if isinstance(vma, Scan):
        return vma
    table = find_table(mm, block)
    return table if isinstance(table, Scan) else vma


def _swap_in(k: Kernel, vma: Vma, start: int, order: int) -> Path[Scan]:
    """Bring the pages of a block back from swap, by faults. Unless it succeeds, mmap_lock is dropped.

    Kernel: mm/khugepaged.c: __collapse_huge_page_swapin() (v6.18)
    """
    mm = vma.mm
    result = Scan.SUCCEED
    for vpn in range(start, start + (1 << order)):
        table = mm.tables.leaf(vpn)
        if table is None:
            result = Scan.PMD_NULL
            break
        if table.entries[vpn & mm.tables.last] >= 0:
            continue
        # A part that is filled from swap now would be part of a larger one at the next scan.
        if order != k.geometry.pmd_order:
            result = Scan.EXCEED_SWAP_PTE
            break
        ending = yield from fault.do_swap_page(k, Fault(vma, vpn, write=False), table)
        if ending == RETRY:
            return Scan.PAGE_LOCK
        if ending is not None:
            result = Scan.FAIL
            break
    if result is not Scan.SUCCEED:
        yield mm.mmap_lock.release("R")
    return result


def _collapse_locked(k: Kernel, vma: Vma, start: int, folio: Folio, cc: CollapseControl) -> Path[Scan]:
    """Copy what entries of the PTE table map into a new folio, and map that. mmap_lock is held for writing."""
    mm, function, block = vma.mm, "collapse_huge_page", align_down(start, k.geometry.pmd_pages)
    pmd, index = mm.tables.pmd_table(block), mm.tables.pmd_index(block)
    assert pmd is not None and vma.anon_vma is not None
    # mmap_lock, the VMA's mark and the anon_vma keep out faults and rmap walks, the two ways to the table's entries.
    yield from vma_paths.start_write(vma)
    # MADV_DONTNEED, which holds the VMA lock alone, may have freed the table until now.
    table = find_table(mm, block)
    if isinstance(table, Scan):
        return table
    rwsem = vma.anon_vma.rwsem
    yield rwsem.acquire(function, "W")
    yield pmd.lock.acquire(function)
    del pmd.entries[index]
    yield pmd.lock.release()
    isolated: dict[int, Folio] = {}
    yield table.ptl.acquire(function)
    result = yield from _isolate(k, mm, table, start - block, folio.order, isolated, cc)
    yield table.ptl.release()
    if result is not Scan.SUCCEED:
        yield pmd.lock.acquire(function)
        pmd.entries[index] = table
        yield pmd.lock.release()
        yield rwsem.release("W")
        return result
    # Every old folio of a whole block is locked now, which stops rmap walks as well. Of a part, the other folios of the
    # table are not, and their walks must not miss the table.
    is_whole = folio.order == k.geometry.pmd_order
    if is_whole:
        yield rwsem.release("W")
    yield from _copy(k, vma, table, block, start - block, folio, isolated)
    yield pmd.lock.acquire(function)
    if is_whole:
        yield from _map_whole(k, vma, pmd, table, block, folio)
    else:
        yield from _map_part(k, vma, pmd, table, start, folio)
    yield pmd.lock.release()
    if not is_whole:
        yield rwsem.release("W")
    return Scan.SUCCEED


def _map_whole(k: Kernel, vma: Vma, pmd: PmdTable, table: PageTable, block: int, folio: Folio) -> Path[None]:
    """Map a folio by a PMD entry.

    Kernel: mm/huge_memory.c: map_anon_folio_pmd_nopf() (v7.3)
    """
    folio.ref += 1
    yield rmap.new_anon(k, folio, vma, pmd, block)
    yield k.lru_lock.acquire("folio_add_lru_vma")
    yield k.lru_lock.release()
    # The emptied table is kept for the day when the PMD entry is split.
    tables.deposit(pmd, table)
    pmd.entries[vma.mm.tables.pmd_index(block)] = pte.make(folio.pfn, _flags(vma) | pte.DIRTY)
    if k.release.queues_fresh_thp:
        yield from rmap.deferred_split(k, folio, partially_mapped=False)


def _map_part(k: Kernel, vma: Vma, pmd: PmdTable, table: PageTable, start: int, folio: Folio) -> Path[None]:
    """Map a folio by entries of the PTE table, which is put back.

    Kernel: mm/memory.c: map_anon_folio_pte_nopf() (v7.3)
    """
    tree = vma.mm.tables
    # A thread that finds the table by the PMD entry waits for its entries.
    yield table.ptl.acquire("collapse_huge_page", nested=True)
    pmd.entries[tree.pmd_index(start)] = table
    folio.ref += folio.nr_pages
    yield rmap.new_anon(k, folio, vma, table, start)
    yield k.lru_lock.acquire("folio_add_lru_vma")
    yield k.lru_lock.release()
    first, flags = start & tree.last, _flags(vma)
    flags |= pte.DIRTY if flags & pte.WRITE else 0
    table.entries[first : first + folio.nr_pages] = pte.ramp(pte.make(folio.pfn, flags), folio.nr_pages)
    yield table.ptl.release()


def _flags(vma: Vma) -> int:
    """Flags of the new entry, but whether it is dirty."""
    protnone = 0 if vma.flags & (vm.READ | vm.WRITE) else pte.PROTNONE
    return pte.YOUNG | (pte.WRITE if vma.flags & vm.WRITE else 0) | protnone


def _isolate(
    k: Kernel, mm: Mm, table: PageTable, first: int, order: int, isolated: dict[int, Folio], cc: CollapseControl
) -> Path[Scan]:
    """Lock and isolate every folio that a range of entries maps; all are released again if that fails for one.

    Everything is counted again: only now can nothing change any more.

    Args:
        isolated: gets them by number.
    Kernel: mm/khugepaged.c: __collapse_huge_page_isolate() (v7.3)
    """
    seen = BlockScan()
    result: Scan | None = None
    for index in range(first, first + (1 << order)):
        entry = table.entries[index]
        if pte.maps_folio(entry):
            result = yield from _isolate_page(k, mm, table, entry, order, isolated, cc, seen)
        elif entry < 0:
            result = Scan.PTE_NON_PRESENT
        else:
            seen.none += 1
            result = Scan.EXCEED_NONE_PTE if seen.none > cc.max_ptes_none(k, order) else None
        if result is not None:
            break
    result = result or seen.judge(k, cc)
    if result is not Scan.SUCCEED:
        for folio in isolated.values():
            yield from _release(k, folio)
    return result


def _isolate_page(
    k: Kernel,
    mm: Mm,
    table: PageTable,
    entry: int,
    order: int,
    isolated: dict[int, Folio],
    cc: CollapseControl,
    seen: BlockScan,
) -> Path[Scan | None]:
    folio = k.physmem.single_out(pte.pfn_of(entry))
    if cc.is_khugepaged:
        if _is_spared_lazyfree(k, folio, entry):
            return Scan.PAGE_LAZYFREE
        # Without a walk: the anon_vma is locked. Who answers "maybe" has been asked by the scan.
        page = pte.pfn_of(entry) - folio.pfn
        seen.shared += (yield from sharing.answer_of(k, mm, folio, _SHARED, table.ptl, page)) == "yes"
        if seen.shared > cc.max_ptes_shared(k, order):
            return Scan.EXCEED_SHARED_PTE
        if order != k.geometry.pmd_order and folio.order >= order:
            return Scan.PTE_MAPPED_HUGEPAGE
    if folio.id not in isolated:
        result = yield from _isolate_folio(k, folio, entry)
        if result is not Scan.SUCCEED:
            return result
        isolated[folio.id] = folio
    seen.add_page(entry)
    return None


def _isolate_folio(k: Kernel, folio: Folio, entry: int) -> Path[Scan]:
    # Only tried, for the PTL is held: a split or migration that has the folio lock waits for the anon_vma.
    if (yield folio.lock.trylock("__collapse_huge_page_isolate")):
        return Scan.PAGE_LOCK
    # Checked again: only now, without the table, can no one in this process take another reference.
    result = Scan.PAGE_COUNT
    if not sharing.has_other_references(k, folio, _REFERENCES):
        result = Scan.SWAP_CACHE_PAGE
        if entry & pte.WRITE or not k.release.collapse_spares_cached_swap or (yield from swap.reuse(k, folio)):
            result = Scan.SUCCEED if folio.isolate() else Scan.DEL_PAGE_LRU
    if result is not Scan.SUCCEED:
        yield folio.lock.release()
    return result


def _release(k: Kernel, folio: Folio) -> Path[None]:
    """Kernel: mm/khugepaged.c: release_pte_folio() (v6.18)"""
    yield folio.lock.release()
    yield from rmap.putback(k, folio)


def _copy(
    k: Kernel, vma: Vma, table: PageTable, block: int, first: int, new: Folio, isolated: dict[int, Folio]
) -> Path[None]:
    """Copy the contents of pages and clear the entries, from ``first`` on; none and zero-page entries become zeros.

    Args:
        isolated: the old folios by number.
    Kernel: mm/khugepaged.c: __collapse_huge_page_copy_succeeded() (v6.18)
    """
    rss = vma.mm.rss
    function = "__collapse_huge_page_copy_succeeded"
    index, end = first, first + new.nr_pages
    while index < end:
        entry = table.entries[index]
        nr = 1
        if pte.maps_folio(entry):
            folio = k.physmem.single_out(pte.pfn_of(entry))
            if folio.order and k.release.collapse_batches:
                nr = folio_pte_batch(table, index, end, folio)
            page = pte.pfn_of(entry) - folio.pfn
            new.nonzero |= (folio.nonzero >> page & (1 << nr) - 1) << index - first
            if not folio.order:
                yield from _release(k, isolated.pop(folio.id))
            # The table is detached, so its lock is hardly needed; the kernel takes it all the same.
            yield table.ptl.acquire(function)
            table.entries[index : index + nr] = pte.packed([pte.NONE] * nr)
            yield from rmap.remove_ptes(k, folio, page, nr, vma, table, block + index)
            yield table.ptl.release()
            yield from swap.put_unmapped(k, folio, nr)
        else:
            # A page that was not there is now: rss grows by the holes.
            rss.anon += 1
            if entry:
                yield table.ptl.acquire(function)
                table.entries[index] = pte.NONE
                yield table.ptl.release()
        index += nr
    for folio in isolated.values():
        yield from _release(k, folio)
