"""MADV_COLLAPSE of shared memory: the page cache gets one large folio, and the caller maps it by a PMD entry.

Kernel: mm/khugepaged.c: hpage_collapse_scan_file(), collapse_file() (v6.18)
"""

from __future__ import annotations

from enum import Enum

from folioshell.events import Tracepoint
from folioshell.model import pte
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vm import Vma
from folioshell.paths import file_fault, rmap, tables
from folioshell.paths.readahead import add_folio
from folioshell.paths.step import Path
from folioshell.paths.unmap import try_to_unmap


class Scan(Enum):
    """What came of the try to collapse one block, in words.

    Attributes:
        errno: what madvise returns for it; None for a block that is mapped by a PMD now.
        stops: the blocks behind it are not tried.
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


def collapse_block(k: Kernel, vma: Vma, block: int) -> Path[Scan]:
    """Collapse what backs one block of a VMA, and map it."""
    assert vma.file is not None
    file, mm = vma.file, vma.mm
    first = vma.pgoff_of(block)
    yield mm.mmap_lock.release("R")
    result = Scan.SUCCEED
    folio = file.find(first)
    if folio is None or folio.order != k.geometry.pmd_order:
        folio = None
        result = _scan_file(k, file, first)
        if result is Scan.SUCCEED:
            folio = yield from _collapse_file(k, file, first)
            yield from _retract_page_tables(k, file, first)
    yield mm.mmap_lock.acquire("madvise_collapse", "R")
    if folio is None:
        return result
    return (yield from _collapse_pte_mapped_thp(k, vma, block, folio))


def _scan_file(k: Kernel, file: AddressSpace, first: int) -> Scan:
    """Look whether nothing speaks against a collapse.

    Kernel: mm/khugepaged.c: hpage_collapse_scan_file() (v6.18)
    """
    old = list(file.next_from(first, first + k.geometry.pmd_pages - 1))
    if any(folio.ref != k.counts.mapcount(folio.id) + folio.nr_pages for folio in old):
        return Scan.PAGE_COUNT
    return Scan.SUCCEED if old else Scan.TRUNCATED


def _collapse_file(k: Kernel, file: AddressSpace, first: int) -> Path[Folio]:
    """Replace the small folios of a range of the file, and its holes, by one large folio."""
    nonzero = 0
    old = list(file.next_from(first, first + k.geometry.pmd_pages - 1))
    for folio in old:
        yield folio.lock.acquire("collapse_file")
        if k.counts.mapcount(folio.id):
            yield from try_to_unmap(k, folio, ignore_mlock=True)
        nonzero |= folio.nonzero << folio.index - first
    for folio in old:
        yield file.xa_lock.acquire("collapse_file")
        file.remove(folio)
        folio.cached = False
        yield file.xa_lock.release()
    new = yield from add_folio(k, file, first, k.geometry.pmd_order)
    new.nonzero = nonzero
    new.dirty = True
    yield Tracepoint(f"{len(old)} folios of {file} copied into {new}", "thp_collapse_alloc")
    for folio in old:
        yield folio.lock.release()
        yield from rmap.put(k, folio, folio.nr_pages)
    return new


def _retract_page_tables(k: Kernel, file: AddressSpace, first: int) -> Path[None]:
    """Free the empty leaf tables of every VMA that maps the block and has no anonymous pages.

    Kernel: mm/khugepaged.c: retract_page_tables() (v6.18)
    """
    size = k.geometry.pmd_pages
    yield file.i_mmap_rwsem.acquire("retract_page_tables", "R")
    for vma in file.i_mmap.overlapping(first, first):
        vpn = vma.start + first - vma.pgoff
        if vma.anon_vma is not None or vpn % size or vpn < vma.start or vpn + size > vma.end:
            continue
        pmd, table = vma.mm.tables.pmd_table(vpn), vma.mm.tables.leaf(vpn)
        if pmd is not None and table is not None:
            yield pmd.lock.acquire("retract_page_tables")
            yield table.ptl.acquire("retract_page_tables", nested=True)
            _drop_table(vma, pmd, vpn, table)
            yield table.ptl.release()
            yield pmd.lock.release()
    yield file.i_mmap_rwsem.release("R")


def _drop_table(vma: Vma, pmd: PmdTable, vpn: int, table: PageTable) -> None:
    if table.is_empty:
        del pmd.entries[vma.mm.tables.pmd_index(vpn)]
        tables.free_leaf(vma.mm)


def _collapse_pte_mapped_thp(k: Kernel, vma: Vma, block: int, folio: Folio) -> Path[Scan]:
    """Replace a leaf table that maps pages of one folio by a PMD entry.

    Kernel: mm/khugepaged.c: collapse_pte_mapped_thp() (v6.18)
    """
    mm, function = vma.mm, "collapse_pte_mapped_thp"
    entry = mm.tables.pmd_entry(block)
    if not isinstance(entry, PageTable) and entry > 0:
        return Scan.PMD_MAPPED
    yield folio.lock.acquire(function)
    if isinstance(entry, PageTable):
        yield entry.ptl.acquire(function)
        foreign = any(value and pte.pfn_of(value) != folio.pfn + index for index, value in enumerate(entry.entries))
        yield entry.ptl.release()
        if foreign:
            yield folio.lock.release()
            return Scan.FAIL
        yield from _clear_table(k, vma, block, entry, folio)
    yield from file_fault.do_set_pmd(k, vma, block, folio, write=False)
    yield folio.lock.release()
    return Scan.SUCCEED


def _clear_table(k: Kernel, vma: Vma, block: int, table: PageTable, folio: Folio) -> Path[None]:
    function = "collapse_pte_mapped_thp"
    pmd = vma.mm.tables.pmd_table(block)
    assert pmd is not None
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
    yield pmd.lock.acquire(function)
    yield table.ptl.acquire(function, nested=True)
    del pmd.entries[vma.mm.tables.pmd_index(block)]
    yield table.ptl.release()
    yield pmd.lock.release()
    tables.free_leaf(vma.mm)
