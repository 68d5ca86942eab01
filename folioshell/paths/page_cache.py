"""Folios enter and leave the page cache: what ->fault of a file system does, and read-ahead.

Kernel: mm/filemap.c: filemap_fault() (v6.18); mm/shmem.c: shmem_fault() (v6.18)
"""

from __future__ import annotations

from folioshell.model import vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.vm import Vma
from folioshell.paths.anon_fault import suitable_block
from folioshell.paths.readahead import add_folio, async_mmap_readahead, sync_mmap_readahead
from folioshell.paths.step import Path

#: what a fault returns that has read from disk: locks were dropped, everything must be looked at again
RETRY = "RETRY"


def get_folio(k: Kernel, vma: Vma, vpn: int, tried: bool) -> Path[Folio | str]:
    """The folio for a page of a file's VMA, locked; in shared memory it is allocated if there is none.

    Args:
        tried: the fault was tried before, and had read from disk.
    Returns: SIGBUS beyond the end of the file; RETRY if pages have been read, its own among them or those to come.

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
        yield from sync_mmap_readahead(k, vma, index)
        yield from _wait_for_read(file, index)
        return RETRY
    elif not tried and (yield from async_mmap_readahead(k, vma, folio, index)):
        return RETRY
    assert folio is not None
    yield folio.lock.acquire("__do_fault")
    if file.find(index) is not folio:
        # It was truncated, split or reclaimed while the lock was waited for.
        yield folio.lock.release()
        return (yield from get_folio(k, vma, vpn, tried))
    if not folio.uptodate:
        file.readahead.complete()
    return folio


def _wait_for_read(file: AddressSpace, index: int) -> Path[None]:
    """Wait until a page that was missed has been read: its folio is locked until then.

    Kernel: mm/filemap.c: filemap_fault() (v6.18)
    """
    folio = file.find(index)
    assert folio is not None
    yield file.invalidate_lock.acquire("filemap_fault", "R")
    yield folio.lock.acquire("filemap_fault")
    yield folio.lock.release()
    yield file.invalidate_lock.release("R")


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
