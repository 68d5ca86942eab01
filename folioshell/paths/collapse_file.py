"""The page cache of shared memory gets one large folio for a block, which is mapped by a PMD entry then.

Kernel: mm/khugepaged.c: hpage_collapse_scan_file(), collapse_file(), collapse_pte_mapped_thp() (v6.18)
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from folioshell.events import Tracepoint
from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.pagetable import PageTable
from folioshell.model.policy import SharingQuestion
from folioshell.model.vm import Mm, Vma
from folioshell.paths import file_fault, rmap, sharing, swap, tables
from folioshell.paths.page_cache import filemap_lock_folio
from folioshell.paths.step import Path
from folioshell.paths.unmap import try_to_unmap
from folioshell.paths.vm_fault import Fault


class Scan(Enum):
    """The result for one block, in words.

    Attributes:
        errno: what madvise returns for it; None for a block that is PMD-mapped now.
        stops: later blocks are not tried.
    Kernel: mm/khugepaged.c: madvise_collapse(), madvise_collapse_errno() (v6.18)
    """

    SUCCEED = ("collapsed", None, False)
    PMD_MAPPED = ("mapped by a PMD already", None, False)
    PTE_MAPPED_HUGEPAGE = ("in the page cache as one folio", None, False)
    PMD_NONE = ("no page table", "EINVAL", True)
    PMD_NULL = ("the page table is gone", "EINVAL", False)
    VMA_CHECK = ("the VMA is another one", "EINVAL", True)
    PTE_NON_PRESENT = ("a page is swapped out, guarded or being migrated", "EINVAL", False)
    PAGE_RO = ("no writable page", "EINVAL", False)
    PAGE_COUNT = ("a folio has other references", "EAGAIN", False)
    PAGE_LOCK = ("a folio is locked", "EAGAIN", False)
    DEL_PAGE_LRU = ("a folio is isolated", "EAGAIN", False)
    PAGE_FILLED = ("a hole was filled", "EAGAIN", True)
    PAGE_NULL = ("the folio is gone from the page cache", "EINVAL", False)
    PAGE_COMPOUND = ("the folio was split", "EINVAL", False)
    PAGE_DIRTY_OR_WRITEBACK = ("a folio is dirty", "EAGAIN", False)
    TRUNCATED = ("nothing in the page cache", "EINVAL", True)
    FAIL = ("pages of other folios, or a guard region", "EINVAL", True)

    def __init__(self, words: str, errno: str | None, stops: bool) -> None:
        self.words = words
        self.errno = errno
        self.stops = stops


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


def _is_collapsed(k: Kernel, folio: Folio, first: int) -> bool:
    return folio.order == k.geometry.pmd_order and folio.index == first


def scan_file(k: Kernel, file: AddressSpace, first: int) -> Scan:
    """Look for reasons against a collapse, without a lock.

    Kernel: mm/khugepaged.c: hpage_collapse_scan_file() (v6.18)
    """
    old = list(file.next_from(first, first + k.geometry.pmd_pages - 1))
    if old and _is_collapsed(k, old[0], first):
        return Scan.PTE_MAPPED_HUGEPAGE
    _write_back(k, file, first)
    if any(sharing.has_other_references(k, folio, SharingQuestion.COLLAPSE_REFERENCES) for folio in old):
        return Scan.PAGE_COUNT
    return Scan.SUCCEED if file.any_in(first, k.geometry.pmd_pages) else Scan.TRUNCATED


def _write_back(k: Kernel, file: AddressSpace, first: int) -> None:
    """Write the dirty folios of a file on a disk, which a collapse does not take.

    Kernel: mm/khugepaged.c: collapse_single_pmd() (v7.1)
    """
    if not file.is_shmem:
        for folio in file.next_from(first, first + k.geometry.pmd_pages - 1):
            folio.dirty = False
            folio.dirty_buffers = 0


def collapse_file(k: Kernel, mm: Mm, block: int, file: AddressSpace, first: int) -> Path[Scan]:
    """Replace the small folios of a range of the file, and its holes, by one large folio.

    Args:
        mm, block: where the caller has it mapped.
    Returns: PTE_MAPPED_HUGEPAGE if there is one now, which is still to be mapped.
    Kernel: mm/khugepaged.c: collapse_file() (v6.18)
    """
    # Pages in swap are read first: the new folio must have what they hold.
    for index in range(first, first + k.geometry.pmd_pages):
        folio = (yield from swap.shmem_swapin(k, file, index)) if index in file.swapped else None
        if folio is not None:
            yield folio.lock.release()
            yield from rmap.put(k, folio)
    new = k.new_folio(k.geometry.pmd_order, file, first, anon=False)
    new.ref = 1
    yield rmap.folio_new(new)
    yield new.lock.set_locked()
    old: list[Folio] = []
    result = yield from _lock_old(k, file, first, old)
    if result is Scan.SUCCEED:
        result = yield from _replace(k, file, new, old)
    if result is Scan.SUCCEED:
        yield Tracepoint(f"{len(old)} folios of {file} copied into {new}", "thp_collapse_alloc")
        # Faults wait for the lock of the new folio: the tables that are removed stay empty.
        only = None if k.release.collapse_retracts_tables_of_others else (mm, block)
        yield from _retract_page_tables(k, only, file, first)
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


def _lock_old(k: Kernel, file: AddressSpace, first: int, old: list[Folio]) -> Path[Scan]:
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
            index += 1
            continue
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
    if _is_collapsed(k, folio, first):
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


def _retract_page_tables(k: Kernel, only: tuple[Mm, int] | None, file: AddressSpace, first: int) -> Path[None]:
    """Free the empty PTE tables of every VMA that maps the block and has no anonymous pages; one of them if given.

    Other mms are not locked: i_mmap_rwsem keeps the VMA, and both table locks are enough to remove an empty table.
    Kernel: mm/khugepaged.c: retract_page_tables() (v6.18)
    """
    size = k.geometry.pmd_pages
    yield file.i_mmap_rwsem.acquire("retract_page_tables", "R")
    for vma in file.i_mmap.overlapping(first, first):
        mm, vpn = vma.mm, vma.start + first - vma.pgoff
        if only not in (None, (mm, vpn)):
            continue
        if not _is_retractable(vma) or vpn % size or vpn < vma.start or vpn + size > vma.end:
            continue
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


def _is_retractable(vma: Vma) -> bool:
    """Does a table of the VMA hold nothing but pages of the file? A PMD entry would hide copies and guard regions.

    Kernel: mm/khugepaged.c: file_backed_vma_is_retractable() (v6.19)
    """
    return vma.anon_vma is None and not vma.flags & vm.MAYBE_GUARD


def collapse_pte_mapped_thp(k: Kernel, vma: Vma, block: int) -> Path[Scan]:
    """Map the large folio that the page cache has for the block by a PMD entry, in the place of a PTE table if any.

    Kernel: mm/khugepaged.c: collapse_pte_mapped_thp() (v6.18)
    """
    mm, file, first = vma.mm, vma.file, vma.pgoff_of(block)
    assert file is not None
    if find_table(mm, block) is Scan.PMD_MAPPED:
        return Scan.PMD_MAPPED
    # Looked up again: nothing has kept the folio in the page cache.
    folio = yield from filemap_lock_folio(k, file, first)
    if folio is None:
        return Scan.PAGE_NULL
    result = Scan.PAGE_COMPOUND
    if _is_collapsed(k, folio, first):
        table = find_table(mm, block)
        result = Scan.SUCCEED
        if isinstance(table, PageTable):
            result = yield from _clear_table(k, vma, block, table, folio)
        elif table is Scan.PMD_MAPPED:
            result = table
    if result is Scan.SUCCEED:
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
