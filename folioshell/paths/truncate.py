"""Punching holes into files, and truncating them.

Kernel: mm/truncate.c: truncate_inode_pages_range() (v6.18); mm/shmem.c: shmem_undo_range() (v6.18)
"""

from __future__ import annotations

from folioshell.model import vm
from folioshell.model.folio import Folio, page_bits
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.vm import Vma
from folioshell.paths import Path, rmap, swap
from folioshell.paths.page_cache import filemap_get_folio
from folioshell.paths.split import non_uniform, split_folio, uniform
from folioshell.paths.unmap import try_to_unmap
from folioshell.paths.zap import ZapDetails, zap_range
from folioshell.records import NamedTuple


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

    Kernel: mm/shmem.c: shmem_fallocate() (v6.18); fs/ext4/extents.c: ext4_fallocate() (v6.18)
    """
    yield file.inode_lock.acquire("vfs_fallocate", "W")
    if not file.is_shmem:
        # No page is read into the hole before it is one.
        yield file.invalidate_lock.acquire("ext4_fallocate", "W")
        # ext4 ends the hole at the page of i_size: a folio that reaches beyond EOF keeps its buffers there.
        last = min(last, file.size)
    # Nor does it punch one that begins beyond EOF.
    if first < last:
        # All at once and without folio locks first; what is faulted in meanwhile is unmapped folio by folio, under
        # them.
        yield from unmap_mapping_range(k, file, first, last, even_cows=False)
        yield from _truncate_range(k, file, first, last)
    if not file.is_shmem:
        yield file.invalidate_lock.release("W")
    yield file.inode_lock.release("W")


def do_truncate(k: Kernel, file: AddressSpace, size: int) -> Path[None]:
    """Set the size of a file; pages beyond the new EOF are unmapped everywhere, private copies included.

    Kernel: mm/truncate.c: truncate_pagecache() (v6.18); mm/shmem.c: shmem_setattr() (v6.18)
    """
    yield file.inode_lock.acquire("do_truncate", "W")
    if not file.is_shmem:
        yield file.invalidate_lock.acquire("ext4_setattr", "W")
    # The size before the entries: a fault beyond the new EOF must fail from now on, or it would map a page again.
    old, file.size = file.size, size
    if size < old:
        yield from unmap_mapping_range(k, file, size, _NO_END, even_cows=True)
    # Shared memory also splits a folio that reaches beyond an EOF that stays.
    if size < old or (size == old and file.is_shmem):
        yield from _truncate_range(k, file, size, _NO_END)
    if size < old:
        # Once more: until its folio was out of the page cache, a page could be copied by a write to a private mapping.
        yield from unmap_mapping_range(k, file, size, _NO_END, even_cows=True)
    if not file.is_shmem:
        yield file.invalidate_lock.release("W")
    yield file.inode_lock.release("W")


#: first page beyond a hole that has no end: pages beyond EOF, of folios that straddle it, belong to it
_NO_END = 1 << 52


def unmap_mapping_range(k: Kernel, file: AddressSpace, first: int, last: int, even_cows: bool) -> Path[None]:
    """Clear the entries for pages ``[first, last)`` of a file in every VMA.

    Args:
        even_cows: private copies too.
    Kernel: mm/memory.c: unmap_mapping_range() (v6.18)
    """
    yield file.i_mmap_rwsem.acquire("unmap_mapping_pages", "R")
    yield from _zap_tree(k, file, first, last, ZapDetails(even_cows=even_cows))
    yield file.i_mmap_rwsem.release("R")


def _unmap_mapping_folio(k: Kernel, file: AddressSpace, folio: Folio) -> Path[None]:
    """Clear the entries that map a folio, which is locked, so that none is added.

    Kernel: mm/memory.c: unmap_mapping_folio() (v6.18)
    """
    yield file.i_mmap_rwsem.acquire("unmap_mapping_folio", "R")
    details = ZapDetails(even_cows=False, single_folio=folio, drop_markers=True)
    yield from _zap_tree(k, file, folio.index, folio.index + folio.nr_pages, details)
    yield file.i_mmap_rwsem.release("R")


def _zap_tree(k: Kernel, file: AddressSpace, first: int, last: int, details: ZapDetails) -> Path[None]:
    """Kernel: mm/memory.c: unmap_mapping_range_tree() (v6.18)"""
    for vma in file.i_mmap.overlapping(first, last - 1):
        start = max(vma.start, vma.start + first - vma.pgoff)
        end = min(vma.end, vma.start + last - vma.pgoff)
        yield from zap_range(k, vma, start, end, details)


def _truncate_range(k: Kernel, file: AddressSpace, first: int, last: int) -> Path[None]:
    """Remove pages ``[first, last)`` from the page cache; a folio that extends beyond them is split first.

    Kernel: mm/truncate.c: truncate_inode_pages_range() (v6.18); mm/shmem.c: shmem_undo_range() (v6.18)
    """
    yield from _shmem_free_swap(k, file, first, last)
    # Most folios can be had at once. The others are waited for at the end.
    for folio in file.next_from(first, _last_page(file, last)):
        if _is_inside(folio, first, last) and folio.try_get():
            if not (yield folio.lock.trylock("find_lock_entries")):
                yield from _truncate_folio(k, file, folio)
                yield folio.lock.release()
            yield from rmap.put(k, folio)
    # At either end of the hole there may be one that extends beyond it: what stays whole is no part of the hole.
    index, end = first, last
    found = yield from _truncate_end(k, file, first, first, last)
    if found is not None and found.stays:
        index, end = found.end, found.start if last <= found.end else end
    if last != _NO_END and (found is None or found.end < last):
        found = yield from _truncate_end(k, file, last - 1, first, last)
        end = found.start if found is not None and found.stays else end
    yield from _truncate_rest(k, file, index, end)


def _truncate_rest(k: Kernel, file: AddressSpace, first: int, last: int) -> Path[None]:
    """Remove the folios of pages ``[first, last)``, waiting for the lock of each."""
    index = first
    while (folio := next(file.next_from(index, _last_page(file, last)), None)) is not None:
        # Frozen: the path that replaces, splits or removes it holds the lock of the tree.
        if not folio.try_get():
            yield file.xa_lock.wait("find_get_entries")
            continue
        index = folio.index + folio.nr_pages
        yield folio.lock.acquire("truncate_inode_pages_range")
        if _is_inside(folio, first, last):
            yield from _truncate_folio(k, file, folio)
        yield folio.lock.release()
        yield from rmap.put(k, folio)


def _last_page(file: AddressSpace, end: int) -> int:
    """The last cached page below ``end``, or the one before it."""
    return end - 1 if end != _NO_END else max([folio.index + folio.nr_pages for folio in file.folios], default=0) - 1


def _is_inside(folio: Folio, first: int, last: int) -> bool:
    return first <= folio.index and folio.index + folio.nr_pages <= last


class _EndFolio(NamedTuple):
    """The folio at an end of a hole: its pages ``[start, end)``, and whether it could not be split nor removed."""

    start: int
    end: int
    stays: bool


def _truncate_end(k: Kernel, file: AddressSpace, index: int, first: int, last: int) -> Path[_EndFolio | None]:
    """Remove the part of the hole ``[first, last)`` that the folio of page ``index`` holds; None if there is none."""
    while (folio := (yield from filemap_get_folio(file, index))) is not None:
        yield folio.lock.acquire("truncate_inode_partial_folio")
        if folio.cached:
            break
        yield folio.lock.release()
        yield from rmap.put(k, folio)
    if folio is None:
        return None
    start, end = folio.index, folio.index + folio.nr_pages
    left = yield from _truncate_partial(k, file, folio, first, last)
    stays = left is folio and folio.cached
    yield left.lock.release()
    yield from rmap.put(k, left)
    return _EndFolio(start, end, stays)


def _truncate_partial(k: Kernel, file: AddressSpace, folio: Folio, first: int, last: int) -> Path[Folio]:
    """Split a locked folio that extends beyond the hole ``[first, last)``; the pieces inside are for the caller.

    The folio is halved towards the first page of the hole, then the piece at the end of the hole towards its end. If it
    cannot be split, it stays whole if it is dirty.

    Returns: what has the lock and the caller's reference now: the first piece, or the folio if it was not split.
    Kernel: mm/truncate.c: truncate_inode_partial_folio() (v6.18)
    """
    start, end = folio.index, folio.index + folio.nr_pages
    low, high = max(first, start), min(last, end)
    if (low, high) == (start, end):
        yield from _truncate_folio(k, file, folio)
        return folio
    # Pages of the hole are zeroed in memory. That is all shared memory has (shmem_undo_range()), while ext4 need not
    # write the blocks that it frees.
    folio.nonzero &= ~page_bits(low - start, high - low)
    if file.is_shmem:
        folio.mark_dirty()
    else:
        folio.invalidate(low - start, high - low)
    left = yield from _split_or_unmap(k, folio, low)
    if left is not folio:
        yield from _split_at_end(k, file, high, end)
    elif not folio.dirty:
        # Clean, it is removed whole: what lies outside the hole can be read again from the disk.
        yield from _truncate_folio(k, file, folio)
    return left


def _split_at_end(k: Kernel, file: AddressSpace, high: int, end: int) -> Path[None]:
    """Split the piece around the end ``high`` of the hole too: best effort, for it only frees memory."""
    piece = file.find(high) if high < end else None
    if piece is None or not piece.try_get():
        return
    if piece.order and not (yield piece.lock.trylock("truncate_inode_partial_folio")):
        if piece.cached:
            piece = yield from _split_or_unmap(k, piece, high)
        yield piece.lock.release()
    yield from rmap.put(k, piece)


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
    """Unmap a locked folio, to which the caller has a reference, and remove it from the page cache.

    Kernel: mm/truncate.c: truncate_inode_folio() (v6.18)
    """
    # Reclaimed, migrated or split while its lock was waited for: what is in the page cache now is found by itself.
    if not folio.cached:
        return
    if k.counts.mapcount(folio.id):
        yield from _unmap_mapping_folio(k, file, folio)
    # What the hole takes away need not be written.
    folio.invalidate(0, folio.nr_pages)
    folio.release_buffers()
    yield file.xa_lock.acquire("truncate_inode_folio")
    k.remove_from_cache(file, folio)
    yield file.xa_lock.release()


def _shmem_free_swap(k: Kernel, file: AddressSpace, first: int, last: int) -> Path[None]:
    """Free the slots of pages ``[first, last)`` of shared memory.

    Kernel: mm/shmem.c: shmem_free_swap() (v6.18)
    """
    for index in sorted(index for index in file.swapped if first <= index < last):
        yield file.xa_lock.acquire("shmem_free_swap")
        # Another path may have brought it back.
        slot, _ = file.swapped.pop(index, (0, 0))
        yield file.xa_lock.release()
        if slot:
            yield from swap.free_entry(k, slot)
