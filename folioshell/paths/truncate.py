"""Punching holes into files, and truncating them.

Kernel: mm/truncate.c: truncate_inode_pages_range() (v6.18); mm/shmem.c: shmem_undo_range() (v6.18)
"""

from __future__ import annotations

from folioshell.model import vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.vm import Vma
from folioshell.paths import rmap
from folioshell.paths.split import non_uniform, split_folio, uniform
from folioshell.paths.step import Path
from folioshell.paths.unmap import try_to_unmap
from folioshell.paths.zap import ZapDetails, zap_range


def madvise_remove(k: Kernel, vma: Vma, start: int, end: int) -> Path[str | None]:
    """Punch a hole where ``[start, end)`` of the VMA maps the file. The caller holds mmap_lock for reading.

    Returns: EINVAL for a locked VMA or without a file, EACCES unless the mapping is shared and may be written.
    Kernel: mm/madvise.c: madvise_remove() (v6.18)
    """
    if vma.flags & vm.LOCKED or vma.file is None:
        return "EINVAL"
    if vma.flags & (vm.SHARED | vm.MAYWRITE) != vm.SHARED | vm.MAYWRITE:
        return "EACCES"
    file, first = vma.file, vma.pgoff_of(start)
    # The inode lock is the outer one, so mmap_lock is dropped; the VMA may be another one afterwards.
    yield vma.mm.mmap_lock.release("R")
    yield from punch_hole(k, file, first, first + end - start)
    yield vma.mm.mmap_lock.acquire("madvise_remove", "R")
    return None


def punch_hole(k: Kernel, file: AddressSpace, first: int, last: int) -> Path[None]:
    """Remove pages ``[first, last)`` of a file from all mappings and the page cache; private copies stay.

    Kernel: mm/shmem.c: shmem_fallocate() (v6.18); fs/ext4/inode.c: ext4_punch_hole() (v6.18)
    """
    yield file.inode_lock.acquire("vfs_fallocate", "W")
    # ext4 ends the hole at the page of i_size: a folio that reaches beyond EOF keeps its buffers there.
    if not file.is_shmem:
        last = min(last, file.size)
    # All at once and without folio locks first; what is faulted in meanwhile is unmapped folio by folio, under them.
    yield from unmap_mapping_range(k, file, first, last, even_cows=False)
    yield from _drop_pages(k, file, first, last)
    yield file.inode_lock.release("W")


def do_truncate(k: Kernel, file: AddressSpace, size: int) -> Path[None]:
    """Set the size of a file; pages beyond the new EOF are unmapped everywhere, private copies included.

    Kernel: mm/truncate.c: truncate_pagecache() (v6.18)
    """
    old = file.size
    yield file.inode_lock.acquire("do_truncate", "W")
    # The size before the entries: a fault beyond the new EOF must fail from now on, or it would map a page again.
    file.size = size
    if size < old:
        yield from unmap_mapping_range(k, file, size, old, even_cows=True)
        yield from _drop_pages(k, file, size, max(old, size + 1))
    yield file.inode_lock.release("W")


def unmap_mapping_range(k: Kernel, file: AddressSpace, first: int, last: int, even_cows: bool) -> Path[None]:
    """Clear the entries for pages ``[first, last)`` of a file in every VMA.

    Args:
        even_cows: private copies too.
    Kernel: mm/memory.c: unmap_mapping_range() (v6.18)
    """
    yield file.i_mmap_rwsem.acquire("unmap_mapping_pages", "R")
    for vma in file.i_mmap.overlapping(first, last - 1):
        start = max(vma.start, vma.start + first - vma.pgoff)
        end = min(vma.end, vma.start + last - vma.pgoff)
        yield from zap_range(k, vma, start, end, ZapDetails(even_cows=even_cows))
    yield file.i_mmap_rwsem.release("R")


def _drop_pages(k: Kernel, file: AddressSpace, first: int, last: int) -> Path[None]:
    """Remove pages ``[first, last)`` from the page cache; a folio that extends beyond them is split first."""
    for folio in list(file.next_from(first, last - 1)):
        if first <= folio.index and folio.index + folio.nr_pages <= last:
            yield from _truncate_folio(k, file, folio)
    for folio in list(file.next_from(first, last - 1)):
        if folio.order and not (first <= folio.index and folio.index + folio.nr_pages <= last):
            yield from _truncate_partial(k, file, folio, first, last)
    for folio in list(file.next_from(first, last - 1)):
        for page in range(max(0, first - folio.index), min(folio.nr_pages, last - folio.index)):
            folio.nonzero &= ~(1 << page)


def _truncate_partial(k: Kernel, file: AddressSpace, folio: Folio, first: int, last: int) -> Path[None]:
    """Split a folio that extends beyond the hole ``[first, last)``, and remove the pieces inside.

    The folio is halved towards the first page of the hole, then the piece at the end of the hole towards its end. If it
    cannot be split, it stays whole if it is dirty.
    Kernel: mm/truncate.c: truncate_inode_partial_folio() (v6.18)
    """
    start, end = folio.index, folio.index + folio.nr_pages
    low, high = max(first, start), min(last, end)
    yield folio.lock.acquire("truncate_inode_partial_folio")
    folio.ref += 1
    # Pages of the hole are zeroed in memory. That is all shared memory has (shmem_undo_range()), while ext4 need not
    # write the blocks that it frees.
    if file.is_shmem:
        folio.mark_dirty()
    else:
        folio.invalidate(low - start, high - low)
    left = yield from _split_or_unmap(k, folio, low)
    # Clean, it is removed whole: what lies outside the hole can be read again from the disk.
    is_removed = left is folio and not folio.dirty
    if is_removed:
        yield from _remove(k, file, folio)
    yield left.lock.release()
    yield from rmap.put(k, left, 1 + folio.nr_pages if is_removed else 1)
    if left is folio:
        return
    piece = file.find(high) if high < end else None
    # Best effort, unlike the first split: it only frees memory.
    if piece is not None and piece.order and not (yield piece.lock.trylock("truncate_inode_partial_folio")):
        piece.ref += 1
        piece = yield from _split_or_unmap(k, piece, high)
        yield piece.lock.release()
        yield from rmap.put(k, piece)
    for piece in list(file.next_from(start, end - 1)):
        if first <= piece.index and piece.index + piece.nr_pages <= last:
            yield from _truncate_folio(k, file, piece)


def _split_or_unmap(k: Kernel, folio: Folio, index: int) -> Path[Folio]:
    """Split a locked folio so that page ``index`` of the file is in a folio of its own.

    If that fails a file's folio is unmapped, so that accesses beyond EOF fault again; shared memory is left mapped.

    Returns: what has the lock and the caller's reference now: the first piece, or the folio if it cannot be split.
    Kernel: mm/truncate.c: try_folio_split_or_unmap() (v6.18)
    """
    layout = non_uniform(folio, index - folio.index) if k.release.splits_around_hole else uniform(folio)
    first, *_ = yield from split_folio(k, folio, layout)
    if first is folio and not folio.swapbacked and k.release.unmaps_unsplit_folio:
        yield from try_to_unmap(k, folio, sync=True, ignore_mlock=True)
    return first


def _truncate_folio(k: Kernel, file: AddressSpace, folio: Folio) -> Path[None]:
    """Remove a folio that lies in the hole.

    Kernel: mm/truncate.c: truncate_inode_pages_range() (v6.18)
    """
    yield folio.lock.acquire("truncate_inode_folio")
    yield from _remove(k, file, folio)
    yield folio.lock.release()
    yield from rmap.put(k, folio, folio.nr_pages)


def _remove(k: Kernel, file: AddressSpace, folio: Folio) -> Path[None]:
    """Unmap a locked folio, and remove it from the page cache, whose references the caller drops.

    Kernel: mm/truncate.c: truncate_inode_folio() (v6.18)
    """
    if k.counts.mapcount(folio.id):
        yield from unmap_mapping_range(k, file, folio.index, folio.index + folio.nr_pages, even_cows=False)
    yield file.xa_lock.acquire("truncate_inode_folio")
    file.remove(folio)
    folio.cached = False
    yield file.xa_lock.release()
