"""What every collapse asks, and the page cache: it gets one large folio for a block, mapped by a PMD entry later.

Kernel: mm/khugepaged.c: struct collapse_control, hpage_collapse_scan_file(), collapse_file() (v6.18)
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from folioshell.events import Tracepoint
from folioshell.model import vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.pagetable import PageTable
from folioshell.model.policy import SharingQuestion
from folioshell.model.vm import Mm, Vma
from folioshell.paths import Path, page_cache, rmap, sharing, swap, tables
from folioshell.paths.unmap import try_to_unmap


class Scan(Enum):
    """The result for one block: ``SCAN_`` and its name in the kernel.

    Attributes:
        words: why, in words.
        errno: what madvise returns for it; None for a block that is PMD-mapped now.
        stops: later blocks of the madvise are not tried.
    Kernel: mm/khugepaged.c: madvise_collapse(), madvise_collapse_errno() (v6.12)
    """

    SUCCEED = ("collapsed", None, False)
    PMD_MAPPED = ("mapped by a PMD already", None, False)
    PTE_MAPPED_HUGEPAGE = ("one folio already", None, False)
    PMD_NONE = ("no page table", "EINVAL", True)
    PMD_NULL = ("no page table any more", "EINVAL", False)
    EXCEED_NONE_PTE = ("too many pages are none or the zero page", "EBUSY", True)
    EXCEED_SWAP_PTE = ("too many pages are in swap", "EINVAL", True)
    EXCEED_SHARED_PTE = ("too many pages are mapped by others too", "EINVAL", True)
    PTE_NON_PRESENT = ("a page is swapped out, guarded or being migrated", "EINVAL", False)
    PAGE_RO = ("no writable page", "EINVAL", False)
    LACK_REFERENCED_PAGE = ("too few pages were accessed", "EINVAL", False)
    PAGE_COUNT = ("a folio has other references", "EAGAIN", False)
    PAGE_LRU = ("a folio is not on the LRU", "EAGAIN", False)
    PAGE_LOCK = ("a folio is locked", "EAGAIN", False)
    PAGE_ANON = ("the memory is not anonymous any more", "EINVAL", True)
    PAGE_LAZYFREE = ("a page is lazyfree", "EINVAL", True)
    DEL_PAGE_LRU = ("a folio is isolated", "EAGAIN", False)
    SWAP_CACHE_PAGE = ("a page in the swap cache has other users", "EINVAL", True)
    PAGE_FILLED = ("a hole was filled", "EAGAIN", True)
    PAGE_NULL = ("the folio is gone from the page cache", "EINVAL", False)
    PAGE_COMPOUND = ("the folio was split", "EINVAL", False)
    PAGE_DIRTY_OR_WRITEBACK = ("a folio is dirty", "EAGAIN", True)
    ANY_PROCESS = ("the process has exited", "EINVAL", True)
    VMA_NULL = ("the VMA is gone", "EINVAL", True)
    VMA_CHECK = ("the VMA does not allow it any more", "EINVAL", True)
    ADDRESS_RANGE = ("the VMA does not cover the block any more", "EINVAL", True)
    TRUNCATED = ("nothing in the page cache", "EINVAL", True)
    FAIL = ("pages of other folios, or a guard region", "EINVAL", True)

    def __init__(self, words: str, errno: str | None, stops: bool) -> None:
        self.words = words
        self.errno = errno
        self.stops = stops


class CollapseControl(Enum):
    """For whom blocks are collapsed: madvise ignores the limits and the THP settings, which khugepaged obeys.

    Kernel: mm/khugepaged.c: struct collapse_control, collapse_max_ptes_none(), collapse_max_ptes_shared() (v7.3)
    """

    MADVISE = "MADV_COLLAPSE"
    KHUGEPAGED = "khugepaged"

    @property
    def is_khugepaged(self) -> bool:
        """Is it for khugepaged?"""
        return self is CollapseControl.KHUGEPAGED

    def max_ptes_none(self, k: Kernel, order: int) -> int:
        """How many entries may be none or map the zero page, for a folio of ``order``."""
        size, most = k.geometry.pmd_pages, k.config.max_ptes_none
        if not self.is_khugepaged:
            return size
        if order == k.geometry.pmd_order:
            return most
        # A part of its own for a smaller order would fill blocks scan by scan: all or none.
        return (1 << order) - 1 if most == size - 1 else 0

    def max_ptes_shared(self, k: Kernel, order: int) -> int:
        """How many entries may map pages that other processes map, too."""
        if not self.is_khugepaged:
            return k.geometry.pmd_pages
        return k.config.max_ptes_shared if order == k.geometry.pmd_order else 0

    def max_ptes_swap(self, k: Kernel) -> int:
        """How many entries of a block may be swap entries, or pages of a file be in swap."""
        return k.config.max_ptes_swap if self.is_khugepaged else k.geometry.pmd_pages


def find_table(mm: Mm, block: int) -> PageTable | Scan:
    """The PTE table of a block, or what is there instead.

    Kernel: mm/khugepaged.c: find_pmd_or_thp_or_none() (v6.18)
    """
    entry = mm.tables.pmd_entry(block)
    if isinstance(entry, PageTable):
        return entry
    if entry > 0:
        return Scan.PMD_MAPPED
    return Scan.PMD_NULL if entry or mm.tables.pmd_table(block) is None else Scan.PMD_NONE


def is_collapsed(k: Kernel, folio: Folio, first: int) -> bool:
    """Is it the large folio of the block that begins at page ``first`` of the file?"""
    return folio.order == k.geometry.pmd_order and folio.index == first


def scan_file(k: Kernel, file: AddressSpace, first: int, cc: CollapseControl) -> Scan:
    """Look for reasons against a collapse, without a lock.

    Kernel: mm/khugepaged.c: hpage_collapse_scan_file() (v6.18)
    """
    size = k.geometry.pmd_pages
    if not cc.is_khugepaged:
        _write_back(file, first, size)
    index, present, swapped = first, 0, 0
    while index < first + size:
        folio = file.find(index)
        if folio is None:
            swapped += index in file.swapped
            if swapped > cc.max_ptes_swap(k):
                return Scan.EXCEED_SWAP_PTE
            index += 1
            continue
        if is_collapsed(k, folio, first):
            return Scan.PTE_MAPPED_HUGEPAGE
        if folio.isolated:
            return Scan.PAGE_LRU
        if sharing.has_other_references(k, folio, SharingQuestion.COLLAPSE_REFERENCES):
            return Scan.PAGE_COUNT
        present += folio.nr_pages
        index = folio.index + folio.nr_pages
    if present < size - cc.max_ptes_none(k, k.geometry.pmd_order):
        return Scan.EXCEED_NONE_PTE
    return Scan.SUCCEED if present or swapped else Scan.TRUNCATED


def _write_back(file: AddressSpace, first: int, nr: int) -> None:
    """Write the dirty folios of ``nr`` pages of a file on a disk, which a collapse does not take.

    Kernel: mm/khugepaged.c: collapse_single_pmd() (v7.3)
    """
    if not file.is_shmem:
        for folio in file.next_from(first, first + nr - 1):
            folio.dirty = False
            folio.dirty_buffers = 0


def collapse_file(k: Kernel, mm: Mm, block: int, file: AddressSpace, first: int, cc: CollapseControl) -> Path[Scan]:
    """Replace the small folios of a range of the file, and its holes, by one large folio.

    Args:
        mm, block: where the caller has it mapped.
    Returns: SUCCEED for khugepaged; for madvise PTE_MAPPED_HUGEPAGE, as the large folio is still to be mapped.
    Kernel: mm/khugepaged.c: collapse_file() (v6.18)
    """
    yield from _read_missing(k, file, first)
    new = k.new_folio(k.geometry.pmd_order, file, first, anon=False)
    new.ref = 1
    yield rmap.folio_new(new)
    yield new.lock.set_locked()
    old: list[Folio] = []
    result = yield from _lock_old(k, file, first, old, cc)
    if result is Scan.SUCCEED:
        result = yield from _replace(k, file, new, old)
    if result is Scan.SUCCEED:
        yield Tracepoint(f"{len(old)} folios of {file} copied into {new}", "thp_collapse_alloc")
        # Faults wait for the lock of the new folio: the tables that are removed stay empty.
        if k.release.collapse_retracts_tables_of_others:
            yield from _retract_page_tables(k, file, first)
        else:
            yield from _retract_by_mmap_lock(k, file, first, None if cc.is_khugepaged else (mm, block))
        if not cc.is_khugepaged:
            result = Scan.PTE_MAPPED_HUGEPAGE
    is_used = new.cached
    yield new.lock.release()
    if not is_used:
        yield from rmap.put(k, new)
    for folio in old:
        # A fault that found an old folio waits for this, sees that it is not in the page cache now, and looks again.
        yield folio.lock.release()
        yield from rmap.putback(k, folio)
        yield from rmap.put(k, folio, 1 + folio.nr_pages if is_used else 1)
    return result


def _read_missing(k: Kernel, file: AddressSpace, first: int) -> Path[None]:
    """Read what the new folio must hold, from swap or from the disk; the kernel does so on its way below."""
    if not file.is_shmem:
        yield from page_cache.read_gaps(k, file, first, k.geometry.pmd_pages)
        return
    for index in range(first, first + k.geometry.pmd_pages):
        folio = (yield from swap.shmem_swapin(k, file, index)) if index in file.swapped else None
        if folio is not None:
            yield folio.lock.release()
            yield from rmap.put(k, folio)


def _lock_old(k: Kernel, file: AddressSpace, first: int, old: list[Folio], cc: CollapseControl) -> Path[Scan]:
    """Lock, isolate and unmap the folios of the range, one after the other.

    Args:
        old: gets the folios, each with a reference besides that of the isolation.
    """
    index, end = first, first + k.geometry.pmd_pages
    yield file.xa_lock.acquire("collapse_file")
    result = Scan.SUCCEED if file.any_in(first, end - first) else Scan.TRUNCATED
    while result is Scan.SUCCEED and index < end:
        folio = file.find(index)
        if folio is None:
            # A hole of shared memory becomes zeros; a file on a disk has none that could be read.
            result = Scan.SUCCEED if file.is_shmem else Scan.FAIL
            index += 1
            continue
        if folio.dirty and not file.is_shmem:
            # Written back for a later scan, unless it may be dirtied again at any time: by shared mappings, as far as
            # is known here.
            if cc.is_khugepaged and not any(vma.flags & vm.SHARED and vma.flags & vm.MAYWRITE for vma in file.i_mmap):
                _write_back(file, 0, file.size)
            result = Scan.PAGE_DIRTY_OR_WRITEBACK
            break
        # Under i_pages, so only tried; the folio lock then keeps out truncation, and i_pages can be unlocked.
        if (yield folio.lock.trylock("collapse_file")):
            result = Scan.PAGE_LOCK
            break
        folio.ref += 1
        yield file.xa_lock.release()
        result = yield from _isolate_cached(k, file, first, folio)
        if result is Scan.SUCCEED:
            old.append(folio)
            index = folio.index + folio.nr_pages
        else:
            yield folio.lock.release()
            yield from rmap.put(k, folio)
            return result
    yield file.xa_lock.release()
    return result


def _isolate_cached(k: Kernel, file: AddressSpace, first: int, folio: Folio) -> Path[Scan]:
    """Isolate and unmap a folio. Returns: SUCCEED with i_pages locked, or a reason against it."""
    if is_collapsed(k, folio, first):
        return Scan.PTE_MAPPED_HUGEPAGE
    # Written to since the write-back. Else its buffers, which hold a reference, can be dropped.
    if folio.dirty and not file.is_shmem:
        return Scan.PAGE_DIRTY_OR_WRITEBACK
    if not folio.isolate():
        return Scan.DEL_PAGE_LRU
    folio.release_buffers()
    if k.counts.mapcount(folio.id):
        # A locked VMA does not stop it: its pages stay in memory, in the new folio.
        yield from try_to_unmap(k, folio, ignore_mlock=True)
    yield file.xa_lock.acquire("collapse_file")
    # The caller's, the isolation's, and those of the page cache: then new users come through the page cache, and wait
    # for the folio lock.
    if folio.ref == 2 + folio.nr_pages:
        return Scan.SUCCEED
    yield file.xa_lock.release()
    yield from rmap.putback(k, folio)
    return Scan.PAGE_COUNT


def _replace(k: Kernel, file: AddressSpace, new: Folio, old: Sequence[Folio]) -> Path[Scan]:
    """Copy the old folios, which are locked, into the new one, and put that in their place in the page cache."""
    nr = sum(folio.nr_pages for folio in old)
    has_holes = nr < new.nr_pages
    if has_holes:
        yield file.i_mmap_rwsem.acquire("collapse_file", "R")
    yield file.xa_lock.acquire("collapse_file")
    # A fault or a write may have filled a hole: no lock kept it out.
    found = file.next_from(new.index, new.index + new.nr_pages - 1)
    is_filled = nr != sum(folio.nr_pages for folio in found)
    if not is_filled:
        for folio in old:
            new.nonzero |= folio.nonzero << folio.index - new.index
            file.remove(folio)
            folio.cached = False
        # Shared memory has no copy elsewhere, unlike a file, whose folios are clean.
        new.dirty = file.is_shmem
        k.add_to_cache(file, new)
        # The reference of the allocation is one of the page cache's now.
        new.ref -= 1
    if has_holes:
        yield file.i_mmap_rwsem.release("R")
    yield file.xa_lock.release()
    return Scan.PAGE_FILLED if is_filled else Scan.SUCCEED


def _retract_page_tables(k: Kernel, file: AddressSpace, first: int) -> Path[None]:
    """Free the empty PTE tables of every VMA that maps the block and has no anonymous pages.

    Other mms are not locked: i_mmap_rwsem keeps the VMA, and both table locks are enough to remove an empty table.
    Kernel: mm/khugepaged.c: retract_page_tables() (v6.18)
    """
    yield file.i_mmap_rwsem.acquire("retract_page_tables", "R")
    for vma, vpn in _retractable(k, file, first):
        mm = vma.mm
        pmd = mm.tables.pmd_table(vpn)
        if pmd is None or mm.tables.leaf(vpn) is None:
            continue
        # PMD before PTE, the only vertical order that there is.
        yield pmd.lock.acquire("retract_page_tables")
        # Another table may have taken its place, but that is as empty.
        table = mm.tables.leaf(vpn)
        if table is not None:
            yield table.ptl.acquire("retract_page_tables", nested=True)
            # The first copy or marker may have come since; without mmap_lock, only the PTL tells.
            if _is_retractable(vma):
                del pmd.entries[mm.tables.pmd_index(vpn)]
                tables.pte_free(mm)
            yield table.ptl.release()
        yield pmd.lock.release()
    yield file.i_mmap_rwsem.release("R")


def _retractable(k: Kernel, file: AddressSpace, first: int) -> list[tuple[Vma, int]]:
    """(VMA, first page in it) of VMAs that map the whole block, and nothing but pages of the file."""
    size = k.geometry.pmd_pages
    found = [(vma, vma.start + first - vma.pgoff) for vma in file.i_mmap.overlapping(first, first)]
    return [
        (vma, vpn)
        for vma, vpn in found
        if _is_retractable(vma) and not vpn % size and vma.start <= vpn and vpn + size <= vma.end
    ]


def _is_retractable(vma: Vma) -> bool:
    """Does a table of the VMA hold nothing but pages of the file? A PMD entry would hide copies and guard regions.

    Kernel: mm/khugepaged.c: file_backed_vma_is_retractable() (v7.3)
    """
    return vma.anon_vma is None and not vma.flags & vm.MAYBE_GUARD


def _retract_by_mmap_lock(k: Kernel, file: AddressSpace, first: int, target: tuple[Mm, int] | None) -> Path[None]:
    """As _retract_page_tables before v6.6: mmap_lock of each mm, which is only tried, in place of the table locks.

    Args:
        target: where madvise has the block mapped: it leaves all others to khugepaged.
    Kernel: mm/khugepaged.c: retract_page_tables(), khugepaged_add_pte_mapped_thp() (v6.1)
    """
    yield file.i_mmap_rwsem.acquire("retract_page_tables", "W")
    for vma, vpn in _retractable(k, file, first):
        mm = vma.mm
        if target not in (None, (mm, vpn)) or mm.tables.leaf(vpn) is None:
            continue
        # Faults take the folio lock, which is held here, inside mmap_lock: it can only be tried.
        if (yield mm.mmap_lock.trylock("retract_page_tables", "W")):
            if target is None:
                mm.pte_mapped_thp.append(vpn)
            continue
        pmd = mm.tables.pmd_table(vpn)
        # The first copy may have come since.
        if mm.users and vma.anon_vma is None and pmd is not None and mm.tables.leaf(vpn) is not None:
            del pmd.entries[mm.tables.pmd_index(vpn)]
            tables.pte_free(mm)
        yield mm.write_unlock()
    yield file.i_mmap_rwsem.release("W")
