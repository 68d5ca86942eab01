"""MADV_COLLAPSE: a block of a VMA gets one PMD-mapped folio, by a copy.

Anonymous memory is copied page by page into a new folio. For shared memory the page cache gets the large folio first
(collapse_file.py), and the caller maps it by a PMD entry.

Kernel: mm/khugepaged.c: madvise_collapse(), hpage_collapse_scan_pmd(), collapse_huge_page() (v6.18)
"""

from __future__ import annotations

from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.pagetable import PageTable
from folioshell.model.policy import SharingQuestion
from folioshell.model.vm import Mm, Vma
from folioshell.paths import rmap, sharing, swap, tables
from folioshell.paths import vma as vma_paths
from folioshell.paths.batch import folio_pte_batch
from folioshell.paths.collapse_file import Scan, collapse_file, collapse_pte_mapped_thp, find_table, scan_file
from folioshell.paths.step import Path
from folioshell.paths.vm_fault import suitable_block
from folioshell.units import align_down, align_up


def madvise_collapse(k: Kernel, vma: Vma, start: int, end: int) -> Path[str | None]:
    """PMD-map every aligned block of ``[start, end)``, part of one VMA. mmap_lock is held for reading.

    Returns: None if all blocks are PMD-mapped now, else the errno of the last one that is not.
    """
    mm, size = vma.mm, k.geometry.pmd_pages
    if not _allowable(k, vma):
        return "EINVAL"
    low, high = align_up(start, size), align_down(end, size)
    if low > high:
        return None if k.release.collapse_without_block_succeeds else "EINVAL"
    failed = None
    for block in range(low, high, size):
        # Most of the work is done without mmap_lock: the VMA that was looked up for one block may be gone for the next.
        found = _revalidate(k, mm, block)
        result = Scan.VMA_CHECK if found is None else (yield from _collapse_block(k, found, block))
        failed = failed if result.errno is None else result
        if result.stops:
            break
    return None if failed is None else failed.errno


def _allowable(k: Kernel, vma: Vma) -> bool:
    """May blocks of the VMA be collapsed? The THP settings do not matter for an explicit request.

    Kernel: mm/huge_memory.c: __thp_vma_allowable_orders() (v6.18)
    """
    size = k.geometry.pmd_pages
    if vma.flags & vm.NOHUGEPAGE:
        return False
    if vma.file is not None and not (vma.file.is_shmem or k.release.collapses_any_file):
        return False
    if vma.file is not None and (vma.start - vma.pgoff) % size:
        return False
    last = align_down(vma.end - size, size)
    if last < vma.start:
        return False
    return vma.file is not None or vma.anon_vma is not None


def _revalidate(k: Kernel, mm: Mm, block: int) -> Vma | None:
    """The VMA whose block may be collapsed, looked up again after mmap_lock was dropped.

    Kernel: mm/khugepaged.c: hugepage_vma_revalidate() (v6.18)
    """
    vma = mm.vmas.find(block)
    if vma is None or not suitable_block(vma, block, k.geometry.pmd_pages) or not _allowable(k, vma):
        return None
    return vma


def _collapse_block(k: Kernel, vma: Vma, block: int) -> Path[Scan]:
    """Collapse one block; mmap_lock may be dropped, and is held again afterwards."""
    if vma.file is not None:
        return (yield from _collapse_file_block(k, vma.mm, vma.file, vma.pgoff_of(block), block))
    table = find_table(vma.mm, block)
    if isinstance(table, Scan):
        return table
    result = yield from _scan_pmd(k, vma.mm, table, block)
    if result is Scan.SUCCEED:
        result = yield from _collapse_huge_page(k, vma, block)
    return result


def _collapse_file_block(k: Kernel, mm: Mm, file: AddressSpace, first: int, block: int) -> Path[Scan]:
    # The page cache is collapsed for all who map it, so the caller's mmap_lock is of no use meanwhile.
    yield mm.mmap_lock.release("R")
    result = scan_file(k, file, first)
    if result is Scan.SUCCEED:
        result = yield from collapse_file(k, mm, block, file, first)
    is_writer = result is Scan.PTE_MAPPED_HUGEPAGE and not k.release.collapse_shares_mmap_lock
    yield mm.mmap_lock.acquire("madvise_collapse", "W" if is_writer else "R")
    if result is Scan.PTE_MAPPED_HUGEPAGE:
        vma = mm.vmas.find(block)
        if vma is None or vma.file is not file or vma.pgoff_of(block) != first or _revalidate(k, mm, block) is None:
            result = Scan.VMA_CHECK
        else:
            result = yield from collapse_pte_mapped_thp(k, vma, block)
    if is_writer:
        yield mm.write_unlock()
        yield mm.mmap_lock.acquire("madvise_collapse", "R")
    return result


def _scan_pmd(k: Kernel, mm: Mm, table: PageTable, block: int) -> Path[Scan]:
    """Look for reasons against a collapse: a folio with other references, and in older releases no writable entry.

    Kernel: mm/khugepaged.c: hpage_collapse_scan_pmd() (v6.18)
    """
    if not (yield from tables.pte_offset_map_lock(mm, block, table, "hpage_collapse_scan_pmd")):
        return Scan.PMD_NULL
    result = Scan.SUCCEED
    writable = False
    for entry in table.entries:
        if pte.maps_folio(entry):
            writable = writable or bool(entry & pte.WRITE)
            folio = k.physmem.folio(pte.pfn_of(entry))
            if sharing.has_other_references(k, folio, SharingQuestion.COLLAPSE_REFERENCES):
                result = Scan.PAGE_COUNT
                break
        elif entry == pte.GUARD and k.release.collapse_scan_sees_guards:
            result = Scan.PTE_NON_PRESENT
            break
    yield table.ptl.release()
    # Right after a fork no entry is writable, so such a range could not be collapsed.
    if result is Scan.SUCCEED and not k.release.collapses_read_only_range and not writable:
        result = Scan.PAGE_RO
    return result


def _collapse_huge_page(k: Kernel, vma: Vma, block: int) -> Path[Scan]:
    """Kernel: mm/khugepaged.c: collapse_huge_page() (v6.18)"""
    mm, function = vma.mm, "collapse_huge_page"
    anon_vma, offset = vma.anon_vma, vma.pgoff_of(block)
    assert anon_vma is not None
    # Allocation may take long, so it is done without mmap_lock; the VMA is looked up again under it, for reading, and
    # once more for writing.
    yield mm.mmap_lock.release("R")
    folio = k.new_folio(k.geometry.pmd_order, anon_vma, offset, anon=True)
    yield rmap.folio_new(folio)
    k.count("thp_collapse_alloc")
    yield mm.mmap_lock.acquire(function, "R")
    found = _look_again(k, mm, block)
    table = mm.tables.leaf(block)
    # Before v6.19 a guard marker is taken for a swap entry until here, where its page cannot be swapped in.
    if not isinstance(found, Scan) and table is not None and pte.GUARD in table.entries:
        found = Scan.FAIL
    yield mm.mmap_lock.release("R")
    if not isinstance(found, Scan):
        yield mm.mmap_lock.acquire(function, "W")
        found = _look_again(k, mm, block)
        if not isinstance(found, Scan):
            found = yield from _collapse_locked(k, found, block, folio)
        yield mm.write_unlock()
    if found is not Scan.SUCCEED:
        yield from rmap.free(k, folio)
    yield mm.mmap_lock.acquire("madvise_collapse", "R")
    return found


def _look_again(k: Kernel, mm: Mm, block: int) -> Vma | Scan:
    """The VMA of anonymous memory whose block has a PTE table, or what is there instead."""
    vma = _revalidate(k, mm, block)
    if vma is None or vma.file is not None:
        return Scan.VMA_CHECK
    table = find_table(mm, block)
    return table if isinstance(table, Scan) else vma


def _collapse_locked(k: Kernel, vma: Vma, block: int, folio: Folio) -> Path[Scan]:
    """Copy what the PTE table maps into a new folio, and map that. mmap_lock is held for writing."""
    mm, function = vma.mm, "collapse_huge_page"
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
    result = yield from _isolate(k, table, isolated)
    yield table.ptl.release()
    if result is not Scan.SUCCEED:
        yield pmd.lock.acquire(function)
        pmd.entries[index] = table
        yield pmd.lock.release()
        yield rwsem.release("W")
        return result
    # Every old folio is locked now, which stops rmap walks as well.
    yield rwsem.release("W")
    yield from _copy(k, vma, table, block, folio, isolated)
    yield pmd.lock.acquire(function)
    folio.ref += 1
    yield rmap.new_anon(k, folio, vma, pmd, block)
    yield k.lru_lock.acquire("folio_add_lru_vma")
    yield k.lru_lock.release()
    # The emptied table is kept for the day when the PMD entry is split.
    tables.deposit(pmd, table)
    flags = pte.YOUNG | pte.DIRTY | (pte.WRITE if vma.flags & vm.WRITE else 0)
    if not vma.flags & (vm.READ | vm.WRITE):
        flags |= pte.PROTNONE
    pmd.entries[index] = pte.make(folio.pfn, flags)
    if k.release.queues_fresh_thp:
        yield from rmap.deferred_split(k, folio, partially_mapped=False)
    yield pmd.lock.release()
    return Scan.SUCCEED


def _isolate(k: Kernel, table: PageTable, isolated: dict[int, Folio]) -> Path[Scan]:
    """Lock and isolate every folio that the table maps; all are released again if that fails for one.

    Args:
        isolated: gets them by number.
    Kernel: mm/khugepaged.c: __collapse_huge_page_isolate() (v6.18)
    """
    for entry in table.entries:
        result = Scan.SUCCEED
        if pte.is_migration(entry) or entry == pte.GUARD:
            result = Scan.PTE_NON_PRESENT
        elif pte.maps_folio(entry) and k.physmem.folio(pte.pfn_of(entry)).id not in isolated:
            folio = k.physmem.single_out(pte.pfn_of(entry))
            result = yield from _isolate_folio(k, folio)
            if result is Scan.SUCCEED:
                isolated[folio.id] = folio
        if result is not Scan.SUCCEED:
            for folio in isolated.values():
                yield from _release(k, folio)
            return result
    return Scan.SUCCEED


def _isolate_folio(k: Kernel, folio: Folio) -> Path[Scan]:
    # Only tried, for the PTL is held: a split or migration that has the folio lock waits for the anon_vma.
    if (yield folio.lock.trylock("__collapse_huge_page_isolate")):
        return Scan.PAGE_LOCK
    # Checked again: only now, without the table, can no one in this process take another reference.
    if not sharing.has_other_references(k, folio, SharingQuestion.COLLAPSE_REFERENCES) and folio.isolate():
        return Scan.SUCCEED
    yield folio.lock.release()
    return Scan.PAGE_COUNT


def _release(k: Kernel, folio: Folio) -> Path[None]:
    """Kernel: mm/khugepaged.c: release_pte_folio() (v6.18)"""
    yield folio.lock.release()
    yield from rmap.putback(k, folio)


def _copy(k: Kernel, vma: Vma, table: PageTable, block: int, new: Folio, isolated: dict[int, Folio]) -> Path[None]:
    """Copy the contents of all pages and clear the entries; none and zero-page entries become zeros.

    Args:
        isolated: the old folios by number.
    Kernel: mm/khugepaged.c: __collapse_huge_page_copy_succeeded() (v6.18)
    """
    rss = vma.mm.rss
    function = "__collapse_huge_page_copy_succeeded"
    index, size = 0, k.geometry.pmd_pages
    while index < size:
        entry = table.entries[index]
        nr = 1
        if pte.maps_folio(entry):
            folio = k.physmem.single_out(pte.pfn_of(entry))
            if folio.order and k.release.collapse_batches:
                nr = folio_pte_batch(table, index, size, folio)
            page = pte.pfn_of(entry) - folio.pfn
            new.nonzero |= (folio.nonzero >> page & (1 << nr) - 1) << index
            if not folio.order:
                yield from _release(k, isolated.pop(folio.id))
            # The table is detached, so its lock is hardly needed; the kernel takes it all the same.
            yield table.ptl.acquire(function)
            table.entries[index : index + nr] = pte.packed([pte.NONE] * nr)
            yield from rmap.remove_ptes(k, folio, page, nr, vma, table, block + index)
            yield table.ptl.release()
            yield from _put_old(k, folio, nr)
        elif pte.is_swap(entry):
            slot = pte.swap_slot(entry)
            new.nonzero |= int(k.swap_nonzero.get(slot, False)) << index
            yield table.ptl.acquire(function)
            table.entries[index] = pte.NONE
            yield table.ptl.release()
            rss.swap -= 1
            rss.anon += 1
            yield from swap.free_entry(k, slot)
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


def _put_old(k: Kernel, folio: Folio, nr: int) -> Path[None]:
    """Drop the references of ``nr`` entries, and what keeps an unmapped folio in the swap cache.

    Kernel: mm/swap_state.c: free_folio_and_swap_cache() (v6.18)
    """
    unused = folio.swap_slot is not None and not k.counts.mapcount(folio.id)
    if unused and not (yield folio.lock.trylock("free_swap_cache")):
        yield from swap.try_to_free(k, folio)
        yield folio.lock.release()
    yield from rmap.put(k, folio, nr)
