"""MADV_COLLAPSE of private anonymous memory: always a copy into a new folio.

Kernel: mm/khugepaged.c: madvise_collapse() (v6.18)
"""

from __future__ import annotations

from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable
from folioshell.model.vm import Vma
from folioshell.paths import anon_fault, collapse_file, rmap, swap, tables
from folioshell.paths import vma as vma_paths
from folioshell.paths.batch import folio_pte_batch
from folioshell.paths.collapse_file import Scan
from folioshell.paths.step import Path
from folioshell.units import align_down, align_up


def madvise_collapse(k: Kernel, vma: Vma, start: int, end: int) -> Path[str | None]:
    """Make every aligned block of ``[start, end)``, part of one VMA, a PMD mapping. mmap_lock is held for reading.

    Returns: None if all of them are PMD-mapped now, else the errno of the last that is not.
    """
    size = k.geometry.pmd_pages
    if not _allowable(k, vma):
        return "EINVAL"
    low, high = align_up(start, size), align_down(end, size)
    if low > high:
        return "EINVAL"
    failed = None
    for block in range(low, high, size):
        result = yield from _collapse_block(k, vma, block)
        failed = failed if result.errno is None else result
        if result.stops:
            break
    return None if failed is None else failed.errno


def _allowable(k: Kernel, vma: Vma) -> bool:
    """May the VMA be collapsed at all, whatever the THP settings say?

    Kernel: mm/huge_memory.c: __thp_vma_allowable_orders() (v6.18)
    """
    size = k.geometry.pmd_pages
    if vma.flags & vm.NOHUGEPAGE:
        return False
    if vma.file is not None and ((vma.start - vma.pgoff) % size or not vma.file.is_shmem):
        return False
    last = align_down(vma.end - size, size)
    if last < vma.start:
        return False
    return vma.file is not None or vma.anon_vma is not None


def _collapse_block(k: Kernel, vma: Vma, block: int) -> Path[Scan]:
    if vma.file is not None:
        return (yield from collapse_file.collapse_block(k, vma, block))
    entry = vma.mm.tables.pmd_entry(block)
    if not isinstance(entry, PageTable):
        return Scan.PMD_MAPPED if entry > 0 else Scan.PMD_NONE
    result = yield from _scan_pmd(k, entry)
    if result is Scan.SUCCEED:
        yield from _collapse_huge_page(k, vma, entry, block)
    return result


def _scan_pmd(k: Kernel, table: PageTable) -> Path[Scan]:
    """Look whether nothing speaks against a collapse: folios that somebody else holds, in 6.12 no writable page.

    Kernel: mm/khugepaged.c: hpage_collapse_scan_pmd() (v6.18)
    """
    yield table.ptl.acquire("hpage_collapse_scan_pmd")
    result = Scan.SUCCEED
    writable = False
    for entry in table.entries:
        if pte.maps_folio(entry):
            writable = writable or bool(entry & pte.WRITE)
            if not _is_refcount_suitable(k, k.physmem.folio(pte.pfn_of(entry))):
                result = Scan.PAGE_COUNT
                break
    yield table.ptl.release()
    if result is Scan.SUCCEED and not k.release.collapses_read_only_range and not writable:
        result = Scan.PAGE_RO
    return result


def _is_refcount_suitable(k: Kernel, folio: Folio) -> bool:
    """Kernel: mm/khugepaged.c: is_refcount_suitable() (v6.18)"""
    return folio.ref == k.counts.mapcount(folio.id) + (folio.nr_pages if folio.cached else 0)


def _collapse_huge_page(k: Kernel, vma: Vma, table: PageTable, block: int) -> Path[None]:
    """Kernel: mm/khugepaged.c: collapse_huge_page() (v6.18)"""
    mm, function = vma.mm, "collapse_huge_page"
    pmd = mm.tables.pmd_table(block)
    assert pmd is not None and vma.anon_vma is not None
    yield mm.mmap_lock.release("R")
    folio = yield from anon_fault.new_anon_folio(k, vma, k.geometry.pmd_order, block)
    k.count("thp_collapse_alloc")
    yield mm.mmap_lock.acquire(function, "R")
    yield mm.mmap_lock.release("R")
    yield mm.mmap_lock.acquire(function, "W")
    yield from vma_paths.start_write(vma)
    yield vma.anon_vma.rwsem.acquire(function, "W")
    yield pmd.lock.acquire(function)
    del pmd.entries[mm.tables.pmd_index(block)]
    yield pmd.lock.release()
    yield table.ptl.acquire(function)
    isolated = yield from _isolate(k, table)
    yield table.ptl.release()
    yield vma.anon_vma.rwsem.release("W")
    yield from _copy(k, vma, table, block, folio)
    for old in isolated:
        yield old.lock.release()
        yield from rmap.put(k, old)
    yield pmd.lock.acquire(function)
    folio.ref += 1
    yield rmap.new_anon(k, folio, vma, pmd, block)
    yield k.lru_lock.acquire("folio_add_lru_vma")
    yield k.lru_lock.release()
    tables.deposit(pmd, table)
    flags = pte.YOUNG | pte.DIRTY | (pte.WRITE if vma.flags & vm.WRITE else 0)
    if not vma.flags & (vm.READ | vm.WRITE):
        flags |= pte.PROTNONE
    pmd.entries[mm.tables.pmd_index(block)] = pte.make(folio.pfn, flags)
    yield from rmap.deferred_split(k, folio, partially_mapped=False)
    yield pmd.lock.release()
    yield mm.write_unlock()
    yield mm.mmap_lock.acquire("madvise_collapse", "R")


def _isolate(k: Kernel, table: PageTable) -> Path[list[Folio]]:
    """Lock every folio that the table maps and take a reference of it.

    Kernel: mm/khugepaged.c: __collapse_huge_page_isolate() (v6.18)
    """
    isolated: dict[int, Folio] = {}
    for entry in table.entries:
        if pte.maps_folio(entry):
            folio = k.physmem.folio(pte.pfn_of(entry))
            if folio.id not in isolated:
                yield folio.lock.trylock("__collapse_huge_page_isolate")
                folio.ref += 1
                isolated[folio.id] = folio
    return list(isolated.values())


def _copy(k: Kernel, vma: Vma, table: PageTable, block: int, new: Folio) -> Path[None]:
    """Copy the contents of all pages and clear the entries; what was none or zero is zero in the copy.

    Kernel: mm/khugepaged.c: __collapse_huge_page_copy() (v6.18)
    """
    rss = vma.mm.rss
    function = "__collapse_huge_page_copy_succeeded"
    index, size = 0, k.geometry.pmd_pages
    while index < size:
        entry = table.entries[index]
        nr = 1
        if pte.maps_folio(entry):
            folio = k.physmem.folio(pte.pfn_of(entry))
            if folio.order and k.release.collapse_batches:
                nr = folio_pte_batch(table, index, size, folio)
            page = pte.pfn_of(entry) - folio.pfn
            new.nonzero |= (folio.nonzero >> page & (1 << nr) - 1) << index
            yield table.ptl.acquire(function)
            table.entries[index : index + nr] = pte.packed([pte.NONE] * nr)
            yield from rmap.remove_ptes(k, folio, page, nr, vma, table, block + index)
            yield table.ptl.release()
            folio.ref -= nr
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
            rss.anon += 1
            if entry:
                yield table.ptl.acquire(function)
                table.entries[index] = pte.NONE
                yield table.ptl.release()
        index += nr
