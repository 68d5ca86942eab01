"""Folios enter and leave the page cache: what ->fault of a file system does, and read-ahead.

Kernel: mm/filemap.c: filemap_fault() (v6.18); mm/shmem.c: shmem_fault() (v6.18)
"""

from __future__ import annotations

from folioshell.facts import Event
from folioshell.model import vma as vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.vma import Vma
from folioshell.paths import rmap
from folioshell.paths.anon_fault import suitable_block
from folioshell.paths.step import Path

#: pages that a miss reads around it (128K)
RA_PAGES = 32

#: what a fault returns that has read from disk: locks were dropped, everything must be looked at again
RETRY = "RETRY"


def get_folio(k: Kernel, vma: Vma, vpn: int) -> Path[Folio | str]:
    """The folio for a page of a file's VMA, locked; in shared memory it is allocated if there is none.

    Returns: SIGBUS beyond the end of the file; RETRY if it was not cached and has been read now, with others around it.

    Kernel: mm/memory.c: __do_fault() (v6.18)
    """
    assert vma.file is not None
    file, index = vma.file, vma.pgoff_of(vpn)
    if index >= file.size:
        return "SIGBUS"
    folio = file.find(index)
    if folio is None and file.is_shmem:
        folio = yield from _shmem_alloc(k, vma, vpn)
    elif folio is None:
        yield from _sync_mmap_readahead(k, vma, index)
        return RETRY
    assert folio is not None
    yield folio.lock.acquire("__do_fault")
    return folio


def add_folio(k: Kernel, file: AddressSpace, index: int, order: int) -> Path[Folio]:
    """A new folio in the page cache."""
    folio = k.new_folio(order, file, index, anon=False)
    yield file.xa_lock.acquire("__filemap_add_folio")
    k.add_to_cache(file, folio)
    yield file.xa_lock.release()
    yield rmap.folio_new(folio)
    return folio


def _sync_mmap_readahead(k: Kernel, vma: Vma, index: int) -> Path[None]:
    """Read the pages around a miss: the window starts half of it before the page, and what is cached stays.

    Kernel: mm/filemap.c: do_sync_mmap_readahead() (v6.18)
    """
    assert vma.file is not None
    file = vma.file
    yield file.invalidate_lock.acquire("page_cache_ra_unbounded", "R")
    if vma.flags & vm.HUGEPAGE:
        order = k.geometry.pmd_order
        first = index >> order << order
        last = min(first + (1 << order), file.size)
    else:
        order = 0
        first = max(0, index - RA_PAGES // 2)
        last = min(first + RA_PAGES, file.size)
    position = first
    while position < last:
        if file.find(position) is None:
            fits = order
            while fits and not _fits(file, position, fits, last):
                fits -= 1
            folio = yield from add_folio(k, file, position, fits)
            folio.nonzero = (1 << folio.nr_pages) - 1
            position += folio.nr_pages
        else:
            position += 1
    yield file.invalidate_lock.release("R")
    yield Event(f"pages {first}-{last - 1} of {file} read ahead", "pgmajfault")


def _fits(file: AddressSpace, index: int, order: int, last: int) -> bool:
    """May a folio of this order go to ``index``: aligned, not beyond ``last``, and nothing cached in its way?"""
    nr = 1 << order
    return not index % nr and index + nr <= last and not file.any_in(index, nr)


def _shmem_alloc(k: Kernel, vma: Vma, vpn: int) -> Path[Folio]:
    """Fill a hole of shared memory with zeros, by a huge folio where the mount says so.

    Kernel: mm/shmem.c: shmem_alloc_and_add_folio() (v6.18)
    """
    assert vma.file is not None
    file, index = vma.file, vma.pgoff_of(vpn)
    order = k.geometry.pmd_order
    first = index >> order << order
    if not _huge_allowed(k, vma, vpn, first) or file.any_in(first, 1 << order):
        first, order = index, 0
    folio = yield from add_folio(k, file, first, order)
    return folio


def _huge_allowed(k: Kernel, vma: Vma, vpn: int, first: int) -> bool:
    """Kernel: mm/shmem.c: shmem_huge_global_enabled() (v6.18)"""
    assert vma.file is not None
    file, size = vma.file, k.geometry.pmd_pages
    aligned = not (vma.start - vma.pgoff) % size and suitable_block(vma, vpn, size)
    if vma.flags & vm.NOHUGEPAGE or not aligned:
        return False
    return file.fs == "tmpfs-huge" or (file.fs == "tmpfs-within" and first + size <= file.size)
