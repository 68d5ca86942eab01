"""Faults on files and shared memory.

Kernel: mm/memory.c: do_fault() (v6.18); mm/filemap.c: filemap_map_pages() (v6.18)
"""

from __future__ import annotations

from collections.abc import Iterable

from folioshell.events import Tracepoint
from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.pagetable import PageTable
from folioshell.model.vm import Vma
from folioshell.paths import anon_fault, page_cache, rmap, tables
from folioshell.paths import vma as vma_paths
from folioshell.paths.step import Path


def do_fault(k: Kernel, vma: Vma, vpn: int, write: bool, vma_locked: bool, tried: bool) -> Path[str | None]:
    """A fault where a file's VMA has no entry. Returns SIGBUS beyond the end of the file, RETRY after a read from disk.

    Kernel: mm/memory.c: do_fault() (v6.18)
    """
    assert vma.file is not None
    if not tried:
        vma.file.readahead.complete()
    if not write:
        return (yield from _do_read_fault(k, vma, vpn, tried))
    if not vma.flags & vm.SHARED:
        return (yield from _do_cow_fault(k, vma, vpn, vma_locked, tried))
    return (yield from _do_shared_fault(k, vma, vpn, tried))


def _do_read_fault(k: Kernel, vma: Vma, vpn: int, tried: bool) -> Path[str | None]:
    """Kernel: mm/memory.c: do_read_fault() (v6.18)"""
    if k.config.fault_around > 1 and (yield from _do_fault_around(k, vma, vpn)):
        return None
    assert vma.file is not None
    folio = yield from page_cache.get_folio(k, vma, vpn, tried)
    if isinstance(folio, str):
        return folio
    yield from _finish_fault(k, vma, vpn, folio, write=False)
    yield folio.lock.release()
    return None


def _do_cow_fault(k: Kernel, vma: Vma, vpn: int, vma_locked: bool, tried: bool) -> Path[str | None]:
    """Kernel: mm/memory.c: do_cow_fault() (v6.18)"""
    if not (yield from anon_fault.anon_prepare(k, vma, vma_locked)):
        return anon_fault.UNDER_MMAP_LOCK
    cached = yield from page_cache.get_folio(k, vma, vpn, tried)
    if isinstance(cached, str):
        return cached
    copy = yield from anon_fault.new_anon_folio(k, vma, 0, vpn)
    copy.nonzero = cached.nonzero >> (vma.pgoff_of(vpn) - cached.index) & 1
    pmd = yield from tables.pmd_alloc(k, vma.mm, vpn)
    yield from tables.pte_alloc(k, vma.mm, pmd, vpn)
    table = vma.mm.tables.leaf(vpn)
    index = vpn & k.geometry.pmd_pages - 1
    if table is not None:
        yield table.ptl.acquire("finish_fault")
    if table is None or table.entries[index]:
        if table is not None:
            yield table.ptl.release()
        yield from rmap.free(k, copy)
    else:
        copy.ref += 1
        vma.mm.rss.anon += 1
        yield rmap.new_anon(k, copy, vma, table, vpn)
        table.entries[index] = pte.make(copy.pfn, pte.YOUNG | pte.DIRTY | (pte.WRITE if vma.flags & vm.WRITE else 0))
        yield table.ptl.release()
    yield cached.lock.release()
    return None


def _do_shared_fault(k: Kernel, vma: Vma, vpn: int, tried: bool) -> Path[str | None]:
    """Kernel: mm/memory.c: do_shared_fault() (v6.18)"""
    assert vma.file is not None
    folio = yield from page_cache.get_folio(k, vma, vpn, tried)
    if isinstance(folio, str):
        return folio
    if vma.file.needs_mkwrite:
        yield from _page_mkwrite(folio)
    yield from _finish_fault(k, vma, vpn, folio, write=True)
    folio.mark_dirty()
    yield folio.lock.release()
    return None


def _page_mkwrite(folio: Folio) -> Path[None]:
    """Tell the file system that a page is about to be written. Called and left with the folio locked.

    Kernel: mm/memory.c: do_page_mkwrite() (v6.18)
    """
    yield folio.lock.release()
    yield folio.lock.acquire("do_page_mkwrite")
    folio.mark_dirty()


def wp_page_shared(k: Kernel, vma: Vma, table: PageTable, vpn: int, folio: Folio) -> Path[None]:
    """The first write to a page that is mapped read-only and shared. Called with the PTL held.

    Kernel: mm/memory.c: wp_page_shared() (v6.18)
    """
    assert vma.file is not None
    index = vpn & k.geometry.pmd_pages - 1
    entry = table.entries[index]
    if vma.file.needs_mkwrite:
        folio.ref += 1
        yield table.ptl.release()
        yield folio.lock.acquire("do_page_mkwrite")
        folio.mark_dirty()
        yield table.ptl.acquire("finish_mkwrite_fault")
        folio.ref -= 1
    if table.entries[index] == entry:
        table.entries[index] = entry | pte.YOUNG | pte.DIRTY | pte.WRITE
    yield table.ptl.release()
    if not vma.file.needs_mkwrite:
        yield folio.lock.acquire("fault_dirty_shared_page")
        folio.mark_dirty()
    yield folio.lock.release()


def _finish_fault(k: Kernel, vma: Vma, vpn: int, folio: Folio, write: bool) -> Path[None]:
    """Map the folio that ->fault brought: all of it if it fits, else one page. Called with the folio locked.

    Kernel: mm/memory.c: finish_fault() (v6.18)
    """
    assert vma.file is not None
    file, mm, size = vma.file, vma.mm, k.geometry.pmd_pages
    crosses_end = not file.is_shmem and file.size < folio.index + folio.nr_pages
    if mm.tables.pmd_entry(vpn) == pte.NONE:
        if not crosses_end and (yield from do_set_pmd(k, vma, vpn, folio, write)):
            return
        pmd = yield from tables.pmd_alloc(k, mm, vpn)
        yield from tables.pte_alloc(k, mm, pmd, vpn)
    table = mm.tables.leaf(vpn)
    if table is None:
        return
    page = vma.pgoff_of(vpn) - folio.index
    first, nr, start = page, 1, vpn
    maps_whole = k.release.fault_maps_whole_file_folio
    whole_folio = not crosses_end if maps_whole else file.is_shmem and _is_anonymous_shmem(file)
    base = vpn - page
    if whole_folio and vma.start <= base and base + folio.nr_pages <= vma.end and _in_one_table(base, folio, size):
        first, nr, start = 0, folio.nr_pages, base
    yield table.ptl.acquire("finish_fault")
    index = start & size - 1
    if nr > 1 and any(table.entries[index : index + nr]):
        yield table.ptl.release()
        first, nr, start, index = page, 1, vpn, vpn & size - 1
        yield table.ptl.acquire("finish_fault")
    if nr > 1 or not table.entries[index]:
        yield from _set_pte_range(k, vma, table, folio, first, nr, start, write)
    yield table.ptl.release()


def _is_anonymous_shmem(file: AddressSpace) -> bool:
    return file.name.startswith("shm:")


def _in_one_table(base: int, folio: Folio, size: int) -> bool:
    return base // size == (base + folio.nr_pages - 1) // size


def _set_pte_range(
    k: Kernel, vma: Vma, table: PageTable, folio: Folio, first: int, nr: int, vpn: int, write: bool
) -> Path[None]:
    """Map pages ``[first, first + nr)`` of a page-cache folio at ``vpn``.

    Kernel: mm/memory.c: set_pte_range() (v6.18)
    """
    flags = vma_paths.prot_entry_flags(vma)
    if write:
        flags |= pte.DIRTY | (pte.WRITE if vma.flags & vm.WRITE else 0)
    elif flags & pte.WRITE and folio.dirty and k.release.inherits_dirty_of_folio:
        flags |= pte.DIRTY
    folio.ref += nr
    entry = pte.make(folio.pfn + first, flags)
    index = vpn & k.geometry.pmd_pages - 1

    def install() -> None:
        rmap.rss_add(vma, folio, nr)
        table.entries[index : index + nr] = pte.ramp(entry, nr)

    if not (yield from rmap.add_ptes(k, folio, first, nr, vma, table, vpn, "folio_add_file_rmap_ptes", install)):
        folio.ref -= nr


def do_set_pmd(k: Kernel, vma: Vma, vpn: int, folio: Folio, write: bool) -> Path[bool]:
    """Map a folio of PMD order by one entry, if file and addresses are aligned alike and the VMA covers it.

    Kernel: mm/memory.c: do_set_pmd() (v6.18)
    """
    size = k.geometry.pmd_pages
    if folio.order != k.geometry.pmd_order or vma.flags & vm.NOHUGEPAGE:
        return False
    if (vma.start - vma.pgoff) % size or not anon_fault.suitable_block(vma, vpn, size):
        return False
    pmd = yield from tables.pmd_alloc(k, vma.mm, vpn)
    yield pmd.lock.acquire("do_set_pmd")
    index = vma.mm.tables.pmd_index(vpn)
    mapped = index not in pmd.entries
    if mapped:
        flags = vma_paths.prot_entry_flags(vma)
        if write:
            flags |= pte.DIRTY | (pte.WRITE if vma.flags & vm.WRITE else 0)
        folio.ref += 1
        rmap.rss_add(vma, folio, folio.nr_pages)
        block = vpn - vpn % size
        yield from rmap.add_pmd(k, folio, vma, pmd, block, "folio_add_file_rmap_pmd")
        pmd.entries[index] = pte.make(folio.pfn, flags)
        yield Tracepoint(f"{folio} mapped by a PMD entry", "thp_file_mapped")
    yield pmd.lock.release()
    return mapped


def _do_fault_around(k: Kernel, vma: Vma, vpn: int) -> Path[bool]:
    """Map what is cached in the window around the fault. True: the page itself is mapped now.

    The window is aligned in addresses, not in the file, and clipped to the VMA and to the page table.
    Kernel: mm/memory.c: do_fault_around() (v6.18)
    """
    nr, size = k.config.fault_around, k.geometry.pmd_pages
    block = vpn - vpn % size
    first = max(vpn - vpn % nr, vma.start, block)
    last = min(first + nr, vma.end, block + size) - 1
    return (yield from _filemap_map_pages(k, vma, vpn, first, last))


def _filemap_map_pages(k: Kernel, vma: Vma, vpn: int, first: int, last: int) -> Path[bool]:
    """Kernel: mm/filemap.c: filemap_map_pages() (v6.18)"""
    assert vma.file is not None
    file, mm = vma.file, vma.mm
    last_index = min(vma.pgoff_of(last), file.size - 1)
    start_index = vma.pgoff_of(first)
    folios = file.next_from(start_index, vma.pgoff_of(last))
    folio = yield from _next_uptodate(folios, start_index, file.size)
    if folio is None:
        return False
    inside_file = file.is_shmem or file.size - 1 >= folio.index + folio.nr_pages
    may_be_large = inside_file or not k.release.fault_around_spares_last_folio
    if may_be_large:
        if mm.tables.pmd_entry(vpn) == pte.NONE and (yield from do_set_pmd(k, vma, vpn, folio, write=False)):
            yield folio.lock.release()
            return True
        pmd = yield from tables.pmd_alloc(k, mm, vpn)
        yield from tables.pte_alloc(k, mm, pmd, vpn)
    table = mm.tables.leaf(vpn)
    if table is None:
        yield folio.lock.release()
        return mm.tables.pmd_entry(vpn) != pte.NONE
    yield table.ptl.acquire("filemap_map_pages")
    while folio is not None:
        start = max(first, vma.start + folio.index - vma.pgoff)
        end = min(vma.pgoff_of(last), last_index, folio.index + folio.nr_pages - 1)
        yield from _map_folio_range(k, vma, table, folio, start, end + 1 - vma.pgoff_of(start))
        yield folio.lock.release()
        folio = yield from _next_uptodate(folios, start_index, file.size)
    mapped = table.entries[vpn & k.geometry.pmd_pages - 1] != pte.NONE
    yield table.ptl.release()
    return mapped


def _next_uptodate(folios: Iterable[Folio], start_index: int, size: int) -> Path[Folio | None]:
    """The next cached folio that needs no read-ahead and can be locked without waiting, locked.

    Args:
        start_index: page offset from which folios are looked for.
        size: pages of the file; pages beyond EOF are not mapped, even if the folio starts before EOF.
    Kernel: mm/filemap.c: next_uptodate_folio() (v6.18)
    """
    for folio in folios:
        if folio.uptodate and not folio.readahead and not (yield folio.lock.trylock("next_uptodate_folio")):
            if max(folio.index, start_index) < size:
                return folio
            yield folio.lock.release()
    return None


def _map_folio_range(k: Kernel, vma: Vma, table: PageTable, folio: Folio, vpn: int, nr: int) -> Path[None]:
    """Map the missing ones of ``nr`` pages of a folio at ``vpn``; all of the folio where it fits.

    Kernel: mm/filemap.c: filemap_map_folio_range() (v6.18)
    """
    assert vma.file is not None
    size = k.geometry.pmd_pages
    page = vma.pgoff_of(vpn) - folio.index
    base = vpn - page
    inside_file = vma.file.is_shmem or vma.file.size - 1 >= folio.index + folio.nr_pages
    if (
        k.release.fault_around_maps_whole_folio
        and folio.order
        and inside_file
        and vma.start <= base
        and base + folio.nr_pages <= vma.end
        and _in_one_table(base, folio, size)
    ):
        page, vpn, nr = 0, base, folio.nr_pages
    index = vpn & size - 1
    position = 0
    while position < nr:
        if table.entries[index + position]:
            position += 1
            continue
        run = 1
        while position + run < nr and not table.entries[index + position + run]:
            run += 1
        yield from _set_pte_range(k, vma, table, folio, page + position, run, vpn + position, write=False)
        position += run
