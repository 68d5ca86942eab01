"""Who collapses: khugepaged, which scans a process, and madvise; and the PMD mapping of a folio that is collapsed.

Anonymous memory is copied page by page into a new folio (collapse.py). For files the page cache gets the large folio
first (collapse_file.py); madvise maps it by a PMD entry then, khugepaged leaves that to the next fault.

Kernel: mm/khugepaged.c: khugepaged_scan_mm_slot(), madvise_collapse() (v6.18)
"""

from __future__ import annotations

from collections.abc import Sequence

from folioshell.events import Scanned, Tracepoint
from folioshell.model import pte
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace, AnonVma
from folioshell.model.pagetable import PageTable
from folioshell.model.vm import Mm, Vma
from folioshell.paths import Path, file_fault, rmap, tables
from folioshell.paths.anon_fault import collapse_orders, collapse_refusal
from folioshell.paths.collapse import BlockScan, collapse_huge_page, revalidate, scan_pmd
from folioshell.paths.collapse_file import (
    CollapseControl,
    Scan,
    collapse_file,
    find_table,
    is_collapsed,
    scan_file,
)
from folioshell.paths.page_cache import filemap_lock_folio
from folioshell.paths.vm_fault import Fault
from folioshell.units import align_down, align_up

_KHUGEPAGED, _MADVISE = CollapseControl.KHUGEPAGED, CollapseControl.MADVISE


# khugepaged.


def is_running(k: Kernel) -> bool:
    """Is there anything that khugepaged could make? Before mTHP that was the PMD's order alone, even for tmpfs.

    Kernel: mm/khugepaged.c: hugepage_pmd_enabled() (v6.12); mm/khugepaged.c: hugepage_enabled() (v7.3)
    """
    orders = k.geometry.thp_orders if k.release.khugepaged_makes_mthp else (k.geometry.pmd_order,)
    return any(k.config.thp.get(order, "never") != "never" for order in orders)


def do_khugepaged(k: Kernel, mm: Mm) -> Path[None]:
    """Scan all blocks of a process once, each for itself: mmap_lock is dropped for every one that is worth the work.

    As many pages are scanned as it takes (pages_to_scan); folios wait in no per-CPU batch (lru_add_drain_all()).
    Kernel: mm/khugepaged.c: khugepaged_do_scan(), khugepaged_scan_mm_slot() (v6.18)
    """
    if not is_running(k):
        yield Tracepoint("asleep, as no huge pages are enabled")
        return
    mm.scans += 1
    address: int | None = 0
    while address is not None:
        yield from _collapse_pte_mapped_thps(k, mm)
        # Not waited for: other processes have blocks as well.
        if (yield mm.mmap_lock.trylock("khugepaged_scan_mm_slot", "R")):
            yield Tracepoint("mmap_lock is taken: the rest is left for the next scan")
            break
        address = yield from _scan_mm_slot(k, mm, address)
    mm.scans -= 1


def _scan_mm_slot(k: Kernel, mm: Mm, address: int) -> Path[int | None]:
    """Scan VMAs from ``address`` on, with mmap_lock held, which is released.

    Returns: where to continue, if mmap_lock had to be dropped for a block; None at the end of the address space.
    Kernel: mm/khugepaged.c: khugepaged_scan_mm_slot() (v6.18)
    """
    size = k.geometry.pmd_pages
    for vma in mm.vmas if mm.users else ():
        if vma.end <= address:
            continue
        why = collapse_refusal(k, vma, khugepaged=True)
        if why:
            if vma.start >= address:
                yield Scanned(mm.mm_id, vma.id, vma.start, vma.nr_pages, "", why)
            continue
        for block in range(align_up(max(address, vma.start), size), align_down(vma.end, size), size):
            result, dropped = yield from _collapse_single_pmd(k, vma, block, _KHUGEPAGED)
            yield Scanned(mm.mm_id, vma.id, block, size, *_told(k, result), result is Scan.SUCCEED)
            if dropped:
                return block + size
    yield mm.mmap_lock.release("R")
    return None


#: result -> the limit that was exceeded
_LIMITS = {
    Scan.EXCEED_NONE_PTE: "max_ptes_none",
    Scan.EXCEED_SHARED_PTE: "max_ptes_shared",
    Scan.EXCEED_SWAP_PTE: "max_ptes_swap",
}


def _told(k: Kernel, result: Scan) -> tuple[str, str]:
    """A result by the release's name, and in words."""
    name, words = result.name, result.words
    if result in _LIMITS:
        words += f" ({_LIMITS[result]} {getattr(k.config, _LIMITS[result])})"
    if not k.release.khugepaged_knows_huge_blocks:
        name = {"PMD_MAPPED": "PMD_NULL", "PMD_NONE": "PMD_NULL", "PTE_MAPPED_HUGEPAGE": "PAGE_COMPOUND"}.get(
            name, name
        )
    elif k.release.collapse_passes_blocks_without_table and result in (Scan.PMD_NONE, Scan.PMD_NULL):
        name = "NO_PTE_TABLE"
    return f"SCAN_{name}", words


def _collapse_pte_mapped_thps(k: Kernel, mm: Mm) -> Path[None]:
    """Remove the PTE tables of blocks that were noted for it, before v6.6.

    Kernel: mm/khugepaged.c: khugepaged_collapse_pte_mapped_thps() (v6.1)
    """
    if not mm.pte_mapped_thp or (yield mm.mmap_lock.trylock("khugepaged_collapse_pte_mapped_thps", "W")):
        return
    blocks = mm.pte_mapped_thp if mm.users else []
    mm.pte_mapped_thp = []
    for block in blocks:
        yield from collapse_pte_mapped_thp(k, mm, block, _KHUGEPAGED)
    yield mm.write_unlock()


# madvise.


def madvise_collapse(k: Kernel, vma: Vma, start: int, end: int) -> Path[str | None]:
    """PMD-map every aligned block of ``[start, end)``, part of one VMA. mmap_lock is held for reading.

    Returns: None if all blocks are PMD-mapped now, else the errno of the last one that is not.
    Kernel: mm/khugepaged.c: madvise_collapse() (v6.18)
    """
    mm, size = vma.mm, k.geometry.pmd_pages
    if collapse_refusal(k, vma, khugepaged=False):
        return "EINVAL"
    low, high = align_up(start, size), align_down(end, size)
    if low > high:
        return None if k.release.collapse_without_block_succeeds else "EINVAL"
    failed = None
    for block in range(low, high, size):
        # Most of the work is done without mmap_lock: the VMA that was looked up for one block may be gone for the next.
        result = found = revalidate(k, mm, block, _MADVISE)
        if not isinstance(found, Scan):
            result, dropped = yield from _collapse_single_pmd(k, found, block, _MADVISE)
            if dropped:
                yield mm.mmap_lock.acquire("madvise_collapse", "R")
        assert isinstance(result, Scan)
        failed = failed if result.errno is None else result
        if result.stops and not (result is Scan.PMD_NONE and k.release.collapse_passes_blocks_without_table):
            break
    return None if failed is None else failed.errno


def _collapse_single_pmd(k: Kernel, vma: Vma, block: int, cc: CollapseControl) -> Path[tuple[Scan, bool]]:
    """Collapse one block, with mmap_lock held for reading.

    Returns: the result; mmap_lock was dropped for it.
    Kernel: mm/khugepaged.c: collapse_single_pmd() (v7.3)
    """
    if vma.file is None:
        return (yield from _collapse_anon(k, vma, block, cc))
    mm, file, first = vma.mm, vma.file, vma.pgoff_of(block)
    # The page cache is collapsed for all who map it, so the caller's mmap_lock is of no use meanwhile.
    yield mm.mmap_lock.release("R")
    result = scan_file(k, file, first, cc)
    if result is Scan.SUCCEED:
        result = yield from collapse_file(k, mm, block, file, first, cc)
    if result is Scan.PTE_MAPPED_HUGEPAGE:
        result = yield from _map_collapsed(k, mm, file, first, block, cc)
    return result, True


def _collapse_anon(k: Kernel, vma: Vma, block: int, cc: CollapseControl) -> Path[tuple[Scan, bool]]:
    """As _collapse_single_pmd, of anonymous memory."""
    table = find_table(vma.mm, block)
    if isinstance(table, Scan):
        return table, False
    seen = BlockScan()
    result = yield from scan_pmd(k, vma, table, block, cc, seen)
    if result is not Scan.SUCCEED:
        return result, False
    # The VMA may change from here on.
    assert vma.anon_vma is not None
    place, orders = (vma.mm, vma.anon_vma, vma.anon_pgoff_of(block)), collapse_orders(k, vma, cc.is_khugepaged)
    yield vma.mm.mmap_lock.release("R")
    return (yield from _mthp_collapse(k, *place, block, orders, seen, cc)), True


#: results of a part after which a smaller one may be collapsed
_SMALLER_MAY = frozenset(
    (
        *(Scan.LACK_REFERENCED_PAGE, Scan.EXCEED_NONE_PTE, Scan.EXCEED_SWAP_PTE, Scan.EXCEED_SHARED_PTE),
        *(Scan.PAGE_LOCK, Scan.PAGE_COUNT, Scan.DEL_PAGE_LRU, Scan.PTE_NON_PRESENT, Scan.PAGE_LAZYFREE),
    )
)


def _mthp_collapse(
    k: Kernel,
    mm: Mm,
    anon_vma: AnonVma,
    pgoff: int,
    block: int,
    orders: Sequence[int],
    seen: BlockScan,
    cc: CollapseControl,
) -> Path[Scan]:
    """Collapse a block, or its largest parts that have enough pages, one after the other. mmap_lock is not held.

    Kernel: mm/khugepaged.c: mthp_collapse() (v7.3)
    """
    pmd_order, last, collapsed = k.geometry.pmd_order, Scan.FAIL, False
    offset, order = 0, pmd_order
    while offset < k.geometry.pmd_pages:
        nr, result = 1 << order, None
        if order in orders:
            occupied = (seen.present >> offset & (1 << nr) - 1).bit_count()
            occupied += seen.unmapped if order == pmd_order else 0
            if occupied >= nr - cc.max_ptes_none(k, order):
                result = yield from collapse_huge_page(
                    k, mm, anon_vma, block + offset, pgoff + offset, order, seen.unmapped, cc
                )
        if result in (Scan.SUCCEED, Scan.PTE_MAPPED_HUGEPAGE):
            collapsed = collapsed or result is Scan.SUCCEED
        elif result is not None and result not in _SMALLER_MAY:
            last = result
            break
        else:
            last = result or last
            if any(smaller < order for smaller in orders):
                order -= 1
                continue
        # The next part may be as large as its alignment allows.
        offset += nr
        order = min((offset & -offset).bit_length() - 1, pmd_order)
    return Scan.SUCCEED if collapsed else last


def _map_collapsed(k: Kernel, mm: Mm, file: AddressSpace, first: int, block: int, cc: CollapseControl) -> Path[Scan]:
    """Map a folio that the page cache has as one by a PMD entry, or for khugepaged make room for that."""
    is_writer = not k.release.collapse_shares_mmap_lock
    if is_writer and cc.is_khugepaged:
        # Left to the next scan, which begins before the next block.
        if k.release.khugepaged_knows_huge_blocks and isinstance(find_table(mm, block), PageTable):
            mm.pte_mapped_thp.append(block)
        return Scan.PTE_MAPPED_HUGEPAGE
    yield mm.mmap_lock.acquire("madvise_collapse", "W" if is_writer else "R")
    vma = mm.vmas.find(block)
    result = Scan.VMA_CHECK if mm.users else Scan.ANY_PROCESS
    if mm.users and vma is not None and vma.file is file and vma.pgoff_of(block) == first:
        result = yield from collapse_pte_mapped_thp(k, mm, block, cc)
    yield mm.write_unlock() if is_writer else mm.mmap_lock.release("R")
    return Scan.PTE_MAPPED_HUGEPAGE if cc.is_khugepaged and result is Scan.SUCCEED else result


def collapse_pte_mapped_thp(k: Kernel, mm: Mm, block: int, cc: CollapseControl) -> Path[Scan]:
    """Remove the PTE table of a block that the page cache has one large folio for, and for madvise map that instead.

    Kernel: mm/khugepaged.c: collapse_pte_mapped_thp() (v6.18)
    """
    # The settings do not matter: a fault would map the folio by a PMD entry, whatever they are.
    vma = revalidate(k, mm, block, _MADVISE)
    if isinstance(vma, Scan) or vma.file is None:
        return Scan.VMA_CHECK
    file, first = vma.file, vma.pgoff_of(block)
    if find_table(mm, block) is Scan.PMD_MAPPED:
        return Scan.PMD_MAPPED
    # Looked up again: nothing has kept the folio in the page cache.
    folio = yield from filemap_lock_folio(k, file, first)
    if folio is None:
        return Scan.PAGE_NULL
    result = Scan.PAGE_COMPOUND
    if is_collapsed(k, folio, first):
        table = find_table(mm, block)
        result = Scan.SUCCEED
        if isinstance(table, PageTable):
            result = yield from _clear_table(k, vma, block, table, folio)
        elif table is Scan.PMD_MAPPED:
            result = table
    if result is Scan.SUCCEED and not cc.is_khugepaged:
        # The entry's.
        folio.ref += 1
        if not (yield from file_fault.do_set_pmd(k, Fault(vma, block, write=False), folio)):
            folio.ref -= 1
            result = Scan.FAIL
    yield folio.lock.release()
    yield from rmap.put(k, folio)
    return result


def _clear_table(k: Kernel, vma: Vma, block: int, table: PageTable, folio: Folio) -> Path[Scan]:
    """Clear the entries of a PTE table that maps pages of one folio at their places, and remove the table."""
    function, mm = "collapse_pte_mapped_thp", vma.mm
    if not k.release.collapse_shares_mmap_lock:
        return (yield from _clear_table_alone(k, vma, block, table, folio))
    pmd, index = mm.tables.pmd_table(block), mm.tables.pmd_index(block)
    assert pmd is not None
    if not (yield from tables.pte_offset_map_lock(mm, block, table, function)):
        return Scan.FAIL
    result = next(filter(None, (_foreign(entry, folio, page) for page, entry in enumerate(table.entries))), None)
    yield table.ptl.release()
    if result is not None:
        return result
    # The folio lock keeps new entries for the folio out, but a write fault may have copied a page, or migration
    # replaced an entry, while the PTL was dropped.
    if not (yield from tables.pte_offset_map_lock(mm, block, table, function)):
        return Scan.FAIL
    result = yield from _clear_entries(k, vma, block, table, folio)
    yield table.ptl.release()
    if result is not None:
        return result
    # Taken again, under the PMD lock now: a walk that holds the PTL alone must not see its table vanish.
    yield pmd.lock.acquire(function)
    yield table.ptl.acquire(function, nested=True)
    is_there = pmd.entries.get(index) is table
    if is_there:
        del pmd.entries[index]
        tables.pte_free(mm)
    yield table.ptl.release()
    yield pmd.lock.release()
    return Scan.SUCCEED if is_there else Scan.FAIL


def _clear_table_alone(k: Kernel, vma: Vma, block: int, table: PageTable, folio: Folio) -> Path[Scan]:
    """As _clear_table before v6.6: mmap_lock, held for writing, and i_mmap_rwsem keep everyone else from the table."""
    function, mm = "collapse_pte_mapped_thp", vma.mm
    pmd = mm.tables.pmd_table(block)
    assert pmd is not None and vma.file is not None
    yield vma.file.i_mmap_rwsem.acquire(function, "W")
    yield table.ptl.acquire(function)
    # Looked through first: once entries are cleared, there is no way back.
    result = next(filter(None, (_foreign(entry, folio, page) for page, entry in enumerate(table.entries))), None)
    if result is None:
        result = yield from _clear_entries(k, vma, block, table, folio)
    yield table.ptl.release()
    if result is None:
        del pmd.entries[mm.tables.pmd_index(block)]
        tables.pte_free(mm)
    yield vma.file.i_mmap_rwsem.release("W")
    return result or Scan.SUCCEED


def _clear_entries(k: Kernel, vma: Vma, block: int, table: PageTable, folio: Folio) -> Path[Scan | None]:
    """Clear entries, under the PTL, up to the first that maps something other than its page of the folio."""
    nr, result = 0, None
    for page, entry in enumerate(table.entries):
        result = _foreign(entry, folio, page)
        if result is not None:
            break
        if entry:
            table.entries[page] = pte.NONE
            yield from rmap.remove_ptes(k, folio, page, 1, vma, table, block + page)
            nr += 1
    folio.ref -= nr
    rmap.rss_add(vma, folio, -nr)
    return result


def _foreign(entry: int, folio: Folio, page: int) -> Scan | None:
    """The reason against a collapse if an entry maps something other than this page of the folio."""
    if not entry:
        return None
    if entry < 0:
        return Scan.PTE_NON_PRESENT
    return None if pte.pfn_of(entry) == folio.pfn + page else Scan.FAIL
