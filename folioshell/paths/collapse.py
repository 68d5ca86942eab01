"""MADV_COLLAPSE: a block of a VMA gets one PMD-mapped folio, by a copy.

Anonymous memory is copied page by page into a new folio. For shared memory the page cache gets the large folio first,
and the caller maps it by a PMD entry.

Kernel: mm/khugepaged.c: madvise_collapse(), hpage_collapse_scan_file(), collapse_file() (v6.18)
"""

from __future__ import annotations

from enum import Enum

from folioshell.events import Tracepoint
from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vm import Mm, Vma
from folioshell.paths import anon_fault, file_fault, rmap, swap, tables
from folioshell.paths import vma as vma_paths
from folioshell.paths.batch import folio_pte_batch
from folioshell.paths.page_cache import add_folio
from folioshell.paths.step import Path
from folioshell.paths.unmap import try_to_unmap
from folioshell.paths.vm_fault import Fault
from folioshell.units import align_down, align_up


class Scan(Enum):
    """The result for one block, in words.

    Attributes:
        errno: what madvise returns for it; None for a block that is PMD-mapped now.
        stops: later blocks are not tried.
    Kernel: mm/khugepaged.c: madvise_collapse_errno() (v6.18)
    """

    SUCCEED = ("collapsed", None, False)
    PMD_MAPPED = ("mapped by a PMD already", None, False)
    PMD_NONE = ("no page table", "EINVAL", True)
    PAGE_RO = ("no writable page", "EINVAL", False)
    PAGE_COUNT = ("a folio has other references", "EAGAIN", False)
    TRUNCATED = ("nothing in the page cache", "EINVAL", True)
    FAIL = ("pages of other folios", "EINVAL", True)

    def __init__(self, words: str, errno: str | None, stops: bool) -> None:
        self.words = words
        self.errno = errno
        self.stops = stops


def _collapse_file_block(k: Kernel, vma: Vma, block: int) -> Path[Scan]:
    assert vma.file is not None
    file, mm = vma.file, vma.mm
    first = vma.pgoff_of(block)
    # The page cache is collapsed for all who map it, so the caller's mmap_lock is of no use meanwhile.
    yield mm.mmap_lock.release("R")
    result = Scan.SUCCEED
    folio = file.find(first)
    if folio is None or folio.order != k.geometry.pmd_order:
        folio = None
        result = _scan_file(k, file, first)
        _write_back(k, file, first)
        if result is Scan.SUCCEED:
            folio = yield from _collapse_file(k, file, first)
            yield from _retract_page_tables(
                k, None if k.release.collapse_retracts_tables_of_others else mm, file, first
            )
    yield mm.mmap_lock.acquire("madvise_collapse", "R")
    if folio is None:
        return result
    return (yield from _collapse_pte_mapped_thp(k, vma, block, folio))


def _scan_file(k: Kernel, file: AddressSpace, first: int) -> Scan:
    """Look for reasons against a collapse.

    Kernel: mm/khugepaged.c: hpage_collapse_scan_file() (v6.18)
    """
    old = list(file.next_from(first, first + k.geometry.pmd_pages - 1))
    if any(folio.ref != rmap.expected_references(k, folio) for folio in old):
        return Scan.PAGE_COUNT
    return Scan.SUCCEED if old else Scan.TRUNCATED


def _write_back(k: Kernel, file: AddressSpace, first: int) -> None:
    """Write the dirty folios of a file on a disk, which a collapse does not take.

    Kernel: mm/khugepaged.c: collapse_single_pmd() (v7.1)
    """
    if not file.is_shmem:
        for folio in file.next_from(first, first + k.geometry.pmd_pages - 1):
            folio.dirty = False
            folio.dirty_buffers = 0


def _collapse_file(k: Kernel, file: AddressSpace, first: int) -> Path[Folio]:
    """Replace the small folios of a range of the file, and its holes, by one large folio."""
    nonzero = 0
    old = list(file.next_from(first, first + k.geometry.pmd_pages - 1))
    for folio in old:
        # The folio locks are held to the end: a fault that finds an old folio waits, then finds the new one.
        yield folio.lock.acquire("collapse_file")
        if k.counts.mapcount(folio.id):
            # A locked VMA does not stop it: its pages stay in memory, in the new folio.
            yield from try_to_unmap(k, folio, ignore_mlock=True)
        nonzero |= folio.nonzero << folio.index - first
    for folio in old:
        yield file.xa_lock.acquire("collapse_file")
        file.remove(folio)
        folio.cached = False
        yield file.xa_lock.release()
    new = yield from add_folio(k, file, first, k.geometry.pmd_order)
    assert new is not None
    new.ref -= 1
    new.nonzero = nonzero
    # Shared memory has no copy elsewhere, unlike a file, whose folios are clean.
    new.dirty = file.is_shmem
    yield Tracepoint(f"{len(old)} folios of {file} copied into {new}", "thp_collapse_alloc")
    for folio in old:
        yield folio.lock.release()
        yield from rmap.put(k, folio, folio.nr_pages)
    return new


def _retract_page_tables(k: Kernel, only: Mm | None, file: AddressSpace, first: int) -> Path[None]:
    """Free the empty PTE tables of every VMA that maps the block and has no anonymous pages; those of one mm if given.

    Other mms are not locked: i_mmap_rwsem keeps the VMA, and both table locks are enough to remove an empty table.
    Kernel: mm/khugepaged.c: retract_page_tables() (v6.18)
    """
    size = k.geometry.pmd_pages
    yield file.i_mmap_rwsem.acquire("retract_page_tables", "R")
    for vma in file.i_mmap.overlapping(first, first):
        vpn = vma.start + first - vma.pgoff
        # With an anon_vma the table may hold copies, which a PMD entry of the file would hide.
        if only not in (None, vma.mm):
            continue
        if vma.anon_vma is not None or vpn % size or vpn < vma.start or vpn + size > vma.end:
            continue
        pmd, table = vma.mm.tables.pmd_table(vpn), vma.mm.tables.leaf(vpn)
        if pmd is not None and table is not None:
            # PMD before PTE, the only vertical order that there is.
            yield pmd.lock.acquire("retract_page_tables")
            yield table.ptl.acquire("retract_page_tables", nested=True)
            _drop_table(vma, pmd, vpn, table)
            yield table.ptl.release()
            yield pmd.lock.release()
    yield file.i_mmap_rwsem.release("R")


def _drop_table(vma: Vma, pmd: PmdTable, vpn: int, table: PageTable) -> None:
    if table.is_empty:
        del pmd.entries[vma.mm.tables.pmd_index(vpn)]
        tables.pte_free(vma.mm)


def _collapse_pte_mapped_thp(k: Kernel, vma: Vma, block: int, folio: Folio) -> Path[Scan]:
    """Replace a PTE table that maps pages of one folio by a PMD entry.

    Kernel: mm/khugepaged.c: collapse_pte_mapped_thp() (v6.18)
    """
    mm, function = vma.mm, "collapse_pte_mapped_thp"
    entry = mm.tables.pmd_entry(block)
    if not isinstance(entry, PageTable) and entry > 0:
        return Scan.PMD_MAPPED
    yield folio.lock.acquire(function)
    if isinstance(entry, PageTable):
        yield entry.ptl.acquire(function)
        # A private mapping may hold copies, which are pages of other folios.
        foreign = any(value and pte.pfn_of(value) != folio.pfn + index for index, value in enumerate(entry.entries))
        yield entry.ptl.release()
        if foreign:
            yield folio.lock.release()
            return Scan.FAIL
        yield from _clear_table(k, vma, block, entry, folio)
    # The entry's.
    folio.ref += 1
    if not (yield from file_fault.do_set_pmd(k, Fault(vma, block, write=False), folio)):
        folio.ref -= 1
    yield folio.lock.release()
    return Scan.SUCCEED


def _clear_table(k: Kernel, vma: Vma, block: int, table: PageTable, folio: Folio) -> Path[None]:
    function = "collapse_pte_mapped_thp"
    pmd = vma.mm.tables.pmd_table(block)
    assert pmd is not None
    # The folio lock kept new entries for the folio out while the PTL was dropped after the check.
    yield table.ptl.acquire(function)
    nr = 0
    for index, entry in enumerate(table.entries):
        if entry:
            table.entries[index] = pte.NONE
            yield from rmap.remove_ptes(k, folio, index, 1, vma, table, block + index)
            nr += 1
    yield table.ptl.release()
    folio.ref -= nr
    rmap.rss_add(vma, folio, -nr)
    # Taken again, under the PMD lock now: a walk that holds the PTL alone must not see its table vanish.
    yield pmd.lock.acquire(function)
    yield table.ptl.acquire(function, nested=True)
    del pmd.entries[vma.mm.tables.pmd_index(block)]
    yield table.ptl.release()
    yield pmd.lock.release()
    tables.pte_free(vma.mm)


def madvise_collapse(k: Kernel, vma: Vma, start: int, end: int) -> Path[str | None]:
    """PMD-map every aligned block of ``[start, end)``, part of one VMA. mmap_lock is held for reading.

    Returns: None if all blocks are PMD-mapped now, else the errno of the last one that is not.
    """
    size = k.geometry.pmd_pages
    if not _allowable(k, vma):
        return "EINVAL"
    low, high = align_up(start, size), align_down(end, size)
    if low > high:
        return None if k.release.collapse_without_block_succeeds else "EINVAL"
    failed = None
    for block in range(low, high, size):
        result = yield from _collapse_block(k, vma, block)
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


def _collapse_block(k: Kernel, vma: Vma, block: int) -> Path[Scan]:
    if vma.file is not None:
        return (yield from _collapse_file_block(k, vma, block))
    entry = vma.mm.tables.pmd_entry(block)
    if not isinstance(entry, PageTable):
        return Scan.PMD_MAPPED if entry > 0 else Scan.PMD_NONE
    result = yield from _scan_pmd(k, entry)
    if result is Scan.SUCCEED:
        yield from _collapse_huge_page(k, vma, entry, block)
    return result


def _scan_pmd(k: Kernel, table: PageTable) -> Path[Scan]:
    """Look for reasons against a collapse: a folio with other references, and in older releases no writable entry.

    Kernel: mm/khugepaged.c: hpage_collapse_scan_pmd() (v6.18)
    """
    yield table.ptl.acquire("hpage_collapse_scan_pmd")
    result = Scan.SUCCEED
    writable = False
    for entry in table.entries:
        if pte.maps_folio(entry):
            writable = writable or bool(entry & pte.WRITE)
            folio = k.physmem.folio(pte.pfn_of(entry))
            # Kernel: mm/khugepaged.c: is_refcount_suitable() (v6.18)
            if folio.ref != rmap.expected_references(k, folio):
                result = Scan.PAGE_COUNT
                break
    yield table.ptl.release()
    # Right after a fork no entry is writable, so such a range could not be collapsed.
    if result is Scan.SUCCEED and not k.release.collapses_read_only_range and not writable:
        result = Scan.PAGE_RO
    return result


def _collapse_huge_page(k: Kernel, vma: Vma, table: PageTable, block: int) -> Path[None]:
    """Kernel: mm/khugepaged.c: collapse_huge_page() (v6.18)"""
    mm, function = vma.mm, "collapse_huge_page"
    pmd = mm.tables.pmd_table(block)
    assert pmd is not None and vma.anon_vma is not None
    # Allocation may take long, so it is done without mmap_lock; the VMA is looked up again under it, for reading, and
    # once more for writing.
    yield mm.mmap_lock.release("R")
    folio = yield from anon_fault.new_anon_folio(k, vma, k.geometry.pmd_order, block)
    k.count("thp_collapse_alloc")
    yield mm.mmap_lock.acquire(function, "R")
    yield mm.mmap_lock.release("R")
    yield mm.mmap_lock.acquire(function, "W")
    # mmap_lock, the VMA's mark and the anon_vma keep out faults and rmap walks, the two ways to the table's entries.
    yield from vma_paths.start_write(vma)
    yield vma.anon_vma.rwsem.acquire(function, "W")
    yield pmd.lock.acquire(function)
    del pmd.entries[mm.tables.pmd_index(block)]
    yield pmd.lock.release()
    yield table.ptl.acquire(function)
    isolated = yield from _isolate(k, table)
    yield table.ptl.release()
    # Every old folio is locked now, which stops rmap walks as well.
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
    # The emptied table is kept for the day when the PMD entry is split.
    tables.deposit(pmd, table)
    flags = pte.YOUNG | pte.DIRTY | (pte.WRITE if vma.flags & vm.WRITE else 0)
    if not vma.flags & (vm.READ | vm.WRITE):
        flags |= pte.PROTNONE
    pmd.entries[mm.tables.pmd_index(block)] = pte.make(folio.pfn, flags)
    if k.release.queues_fresh_thp:
        yield from rmap.deferred_split(k, folio, partially_mapped=False)
    yield pmd.lock.release()
    yield mm.write_unlock()
    yield mm.mmap_lock.acquire("madvise_collapse", "R")


def _isolate(k: Kernel, table: PageTable) -> Path[list[Folio]]:
    """Lock every folio that the table maps and take a reference on it.

    Kernel: mm/khugepaged.c: __collapse_huge_page_isolate() (v6.18)
    """
    isolated: dict[int, Folio] = {}
    for entry in table.entries:
        if pte.maps_folio(entry):
            folio = k.physmem.single_out(pte.pfn_of(entry))
            if folio.id not in isolated:
                yield folio.lock.trylock("__collapse_huge_page_isolate")
                folio.ref += 1
                isolated[folio.id] = folio
    return list(isolated.values())


def _copy(k: Kernel, vma: Vma, table: PageTable, block: int, new: Folio) -> Path[None]:
    """Copy the contents of all pages and clear the entries; none and zero-page entries become zeros.

    Kernel: mm/khugepaged.c: __collapse_huge_page_copy() (v6.18)
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
            # The table is detached, so its lock is hardly needed; the kernel takes it all the same.
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
            # A page that was not there is now: rss grows by the holes.
            rss.anon += 1
            if entry:
                yield table.ptl.acquire(function)
                table.entries[index] = pte.NONE
                yield table.ptl.release()
        index += nr
