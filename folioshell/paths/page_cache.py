"""The page cache: files are created, ->fault finds or reads a folio, read-ahead chooses which pages come with it.

Kernel: mm/filemap.c: filemap_fault() (v6.18); mm/shmem.c: shmem_fault() (v6.18)
"""

from __future__ import annotations

from collections.abc import Iterable

from folioshell.events import Tracepoint
from folioshell.model import vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.vm import Vma
from folioshell.paths import Path, rmap, swap
from folioshell.paths.vm_fault import (
    RETRY,
    Fault,
    folio_lock_drop_mmap,
    maybe_unlock_for_io,
    suitable_block,
)
from folioshell.units import align_down

#: slots of a node of the page cache's tree
_NODE_SLOTS = 64


def do_create_file(k: Kernel, file: AddressSpace, order: int, cached: bool, chunk: int = 0) -> Path[None]:
    """Create a file, written whole and, if ``cached``, still in the page cache.

    Args:
        file: name, size and file system.
        order: order of the folios that hold it; ``tmpfs-huge`` has at least that of a PMD.
        cached: else an ext4 file must be read first, and a tmpfs file is one hole.
        chunk: pages that were written at a time, where that is not ``1 << order``.
    """
    if file.fs == "tmpfs-huge" and not k.release.tmpfs_write_sizes_folio:
        order, chunk = max(order, k.geometry.pmd_order), 0
    k.create_file(file, order, cached, chunk)
    for folio in file.folios:
        yield rmap.folio_new(folio)


def get_folio(k: Kernel, fault: Fault) -> Path[Folio | str]:
    """The folio for a page of a file's VMA, locked and with a reference; shared memory is allocated if there is none.

    Returns: SIGBUS beyond EOF; RETRY if this page was read, or the window after it, or the folio lock was waited for.

    Kernel: mm/memory.c: __do_fault() (v6.18)
    """
    assert fault.vma.file is not None
    return _shmem_get_folio(k, fault) if fault.vma.file.is_shmem else _filemap_fault(k, fault)


def filemap_get_folio(file: AddressSpace, index: int) -> Path[Folio | None]:
    """The folio that holds page ``index`` of the file, with a reference; None if the page is not cached.

    Kernel: mm/filemap.c: filemap_get_entry() (v6.18)
    """
    # Found and referenced without a lock. A folio that is about to be replaced, split or removed has no reference to
    # take; who froze it holds the lock of the tree until that is done, and Linux looks again until then.
    while (folio := file.find(index)) is not None and not folio.try_get():
        yield file.xa_lock.wait("filemap_get_entry")
    return folio


def filemap_lock_folio(k: Kernel, file: AddressSpace, index: int) -> Path[Folio | None]:
    """The folio that holds page ``index`` of the file, locked and with a reference; None if the page is not cached.

    Kernel: include/linux/pagemap.h: filemap_lock_folio() (v6.18); mm/filemap.c: __filemap_get_folio() (v6.18)
    """
    while True:
        folio = yield from filemap_get_folio(file, index)
        if folio is None:
            return None
        yield folio.lock.acquire("filemap_lock_folio")
        if folio.cached:
            return folio
        # Truncated, migrated or replaced while the lock was waited for.
        yield folio.lock.release()
        yield from rmap.put(k, folio)


def _filemap_fault(k: Kernel, fault: Fault) -> Path[Folio | str]:
    """Kernel: mm/filemap.c: filemap_fault() (v6.18)"""
    vma, index = fault.vma, fault.pgoff
    file = vma.file
    assert file is not None
    while index < file.size:
        folio = file.find(index)
        # Frozen: it is about to be replaced or removed.
        if folio is not None and not folio.try_get():
            folio = yield from filemap_get_folio(file, index)
        if folio is None:
            dropped = yield from maybe_unlock_for_io(fault)
            yield from sync_mmap_readahead(k, vma, index)
            yield from _wait_for_read(k, file, index)
            if dropped:
                return RETRY
            continue
        # Only at the first try, or the same fault could start window after window.
        if folio.readahead and (yield from maybe_unlock_for_io(fault)):
            yield from async_mmap_readahead(k, vma, folio, index)
            yield from rmap.put(k, folio)
            return RETRY
        _get_others(k, folio, fault)
        lock, times = folio.lock.run(fault.times), fault.times
        dropped = bool((yield lock.trylock("filemap_fault", times=times))) and (
            yield from folio_lock_drop_mmap(fault, folio)
        )
        # Taking the lock of a folio that is being read waits for the read.
        if not folio.uptodate:
            file.readahead.complete()
        # Truncated, migrated or reclaimed while the lock was waited for: look again, the index may even be beyond EOF.
        # The reference has excluded a split, so a folio of the file still holds the page.
        if folio.cached and index < file.size and not dropped:
            return folio
        yield folio.lock.release()
        yield from rmap.put(k, folio)
        if dropped:
            return RETRY
    return "SIGBUS"


def _wait_for_read(k: Kernel, file: AddressSpace, index: int) -> Path[None]:
    """Wait until a page that was missed has been read: its folio is locked until then.

    Kernel: mm/filemap.c: filemap_fault() (v6.18)
    """
    yield file.invalidate_lock.acquire("filemap_fault", "R")
    folio = yield from filemap_get_folio(file, index)
    # None if it was reclaimed as soon as it had been read: the fault starts over.
    if folio is not None:
        yield folio.lock.acquire("filemap_fault")
        yield folio.lock.release()
        yield from rmap.put(k, folio)
    yield file.invalidate_lock.release("R")


def _shmem_get_folio(k: Kernel, fault: Fault) -> Path[Folio | str]:
    """As get_folio, of shared memory: it never reads ahead, and a hole is filled under the same fault.

    Kernel: mm/shmem.c: shmem_get_folio_gfp() (v6.18)
    """
    file, index = fault.vma.file, fault.pgoff
    assert file is not None
    while index < file.size:
        folio = yield from filemap_get_folio(file, index)
        if folio is None and index in file.swapped:
            folio = yield from swap.shmem_swapin(k, file, index)
            if folio is None:
                continue
            return folio
        if folio is None:
            folio = yield from _shmem_alloc_and_add(k, fault)
            # EEXIST: another thread has filled the hole.
            if folio is None:
                continue
            if index < file.size:
                return folio
            # Truncated since EOF was looked at: truncation may have passed this index already.
            yield file.xa_lock.acquire("filemap_remove_folio")
            k.remove_from_cache(file, folio)
            yield file.xa_lock.release()
        else:
            _get_others(k, folio, fault)
            # Waits with the fault's lock held.
            yield folio.lock.run(fault.times).acquire("__do_fault", times=fault.times)
            # Truncated, migrated or reclaimed while the lock was waited for?
            if folio.cached:
                return folio
        yield folio.lock.release()
        yield from rmap.put(k, folio)
    return "SIGBUS"


def _shmem_alloc_and_add(k: Kernel, fault: Fault) -> Path[Folio | None]:
    """Fill a hole of shared memory with zeros, by a huge folio where the mount says so.

    Returns: the folio, locked and with a reference; None if the hole was filled meanwhile.
    Kernel: mm/shmem.c: shmem_alloc_and_add_folio() (v6.18)
    """
    file, index = fault.vma.file, fault.pgoff
    assert file is not None
    # A huge folio only where the whole block is a hole: pages that are cached already cannot join it.
    order = k.geometry.pmd_order
    first = index >> order << order
    if not _huge_allowed(k, fault, first) or file.any_in(first, 1 << order):
        first, order = index, 0
    return add_folio(k, file, first, order, locked=True, times=fault.times)


def _huge_allowed(k: Kernel, fault: Fault, first: int) -> bool:
    """Kernel: mm/shmem.c: shmem_huge_global_enabled(), shmem_suitable_orders() (v6.18)"""
    vma, size = fault.vma, k.geometry.pmd_pages
    assert vma.file is not None
    file = vma.file
    if file.fs not in ("tmpfs-huge", "tmpfs-within"):
        return False
    aligned = not (vma.start - vma.pgoff) % size and suitable_block(vma, fault.vpn, size)
    aligned = aligned or not k.release.shmem_fault_looks_at_vma
    if vma.flags & vm.NOHUGEPAGE or not aligned:
        return False
    # Where the block reaches beyond EOF, within_size falls back to the advice.
    return file.fs == "tmpfs-huge" or first + size <= file.size or bool(vma.flags & vm.HUGEPAGE)


def alike(k: Kernel, folio: Folio, fault: Fault) -> Iterable[Folio]:
    """The folio of a fault, and those of the others that the fault stands for."""
    return (folio,) if fault.times == 1 else map(k.folios.single_out, range(folio.id, folio.id + fault.times))


def _get_others(k: Kernel, folio: Folio, fault: Fault) -> None:
    """Take references to the folios of the other faults that a fault stands for."""
    for number in range(folio.id + 1, folio.id + fault.times):
        k.folios.single_out(number).ref += 1


def add_folio(
    k: Kernel, file: AddressSpace, index: int, order: int, locked: bool = False, times: int = 1
) -> Path[Folio | None]:
    """A new folio in the page cache, with a reference for the caller; None if a page of it is cached by now (EEXIST).

    Args:
        locked: it is locked before others can find it.
        times: number of consecutive order-0 folios, each added as this one, which is the first.
    Kernel: mm/filemap.c: filemap_add_folio() (v6.18)
    """
    folios = [k.new_folio(order, file, index + at, anon=False) for at in range(times)]
    folio = folios[0]
    for one in folios:
        one.ref = 1
    yield rmap.folio_new(folio, nr=times)
    if locked:
        yield folio.lock.run(times).set_locked(times)
    yield file.xa_lock.acquire("__filemap_add_folio", times=times)
    # The caller found no page without the lock.
    is_free = not file.any_in(index, folio.nr_pages)
    if is_free:
        for one in folios:
            k.add_to_cache(file, one)
    yield file.xa_lock.release(times=times)
    if is_free:
        return folio
    if locked:
        yield folio.lock.run(times).release(times=times)
    yield from rmap.put(k, folio)
    return None


def sync_mmap_readahead(k: Kernel, vma: Vma, index: int) -> Path[None]:
    """Read the window around a page that is missed: half of it lies before the page.

    Where the VMA is advised to be huge it is two huge folios from the block of the page on.
    Kernel: mm/filemap.c: do_sync_mmap_readahead() (v6.18)
    """
    assert vma.file is not None
    file = vma.file
    ra = file.readahead
    if vma.flags & vm.HUGEPAGE:
        # Two PMD folios: with one there would be nothing left to mark for the next window.
        first = align_down(index, k.geometry.pmd_pages)
        ra.size, ra.async_size, ra.order = 2 * k.geometry.pmd_pages, k.geometry.pmd_pages, k.geometry.pmd_order
    else:
        first = ra.start = max(0, index - k.config.read_ahead // 2)
        ra.size, ra.async_size, ra.order = k.config.read_ahead, k.config.read_ahead // 4, 0
    yield from _page_cache_ra_order(k, file, first)
    last = min(first + ra.size, file.size) - 1
    yield Tracepoint(f"pages {first}-{last} of {file} read ahead", "pgmajfault")


def async_mmap_readahead(k: Kernel, vma: Vma, folio: Folio, index: int) -> Path[None]:
    """Read the next window when a fault comes to the folio that the last one marked for it.

    The fault is tried again before the window has been read.

    Args:
        index: page of the file that the fault is for.
    Kernel: mm/readahead.c: page_cache_async_ra() (v6.18)
    """
    if not folio.readahead:
        return
    # Cleared first, so that only one of the threads that come here reads the next window.
    folio.readahead = False
    assert vma.file is not None
    file, window = vma.file, k.config.read_ahead
    ra = file.readahead
    # The mark is hit as expected: sequential access, the window grows. Otherwise another access moved the window, and a
    # new one begins at the next page that is not cached.
    if index == align_down(ra.start + ra.size - ra.async_size, folio.nr_pages):
        ra.start += ra.size
        ra.size = max(ra.size, _next_size(ra.size, window))
    else:
        start = _next_miss(file, index + 1, window)
        if start - index > window:
            return
        ra.start = start
        ra.size = _next_size(start - index + window, window)
    ra.order = ra.order + 2 if k.release.keeps_read_ahead_order else folio.order
    # The window ends where its largest folios end; before v6.17 it ended anywhere, with ever smaller folios.
    if k.release.aligns_read_ahead_window:
        end = ra.start + ra.size
        aligned = align_down(end, min(1 << ra.order, window & -window))
        if aligned > ra.start:
            ra.size -= end - aligned
    ra.async_size = ra.size
    ra.pending.extend((yield from _page_cache_ra_order(k, file, ra.start)))
    for new in ra.pending:
        new.uptodate = False
    yield Tracepoint(f"pages from {ra.start} on of {file} read ahead")


def _next_size(size: int, most: int) -> int:
    """Kernel: mm/readahead.c: get_next_ra_size() (v6.18)"""
    if size < most // 16:
        return 4 * size
    return 2 * size if size <= most // 2 else most


def _next_miss(file: AddressSpace, index: int, most: int) -> int:
    """The first of ``most`` pages from ``index`` on that is not cached; the page after them if all are.

    Inside a folio the walk starts at the folio's first slot but counts from ``index``, so that a gap looks farther away
    than it is; the two agree again in the next node of the tree.
    Kernel: mm/filemap.c: page_cache_next_miss() (v6.18); lib/xarray.c: __xas_next() (v6.18)
    """
    folio = file.find(index)
    lag = index - folio.index if folio is not None and folio.nr_pages < _NODE_SLOTS else 0
    node = (index - lag) // _NODE_SLOTS
    for position in range(index, index + most):
        if (position - lag) // _NODE_SLOTS != node:
            lag = 0
        if file.find(position - lag) is None:
            return position
    return index + most


def _page_cache_ra_order(k: Kernel, file: AddressSpace, first: int) -> Path[list[Folio]]:
    """Fill the window from page ``first`` on with folios of the order that read-ahead has come to.

    From the first page that is cached already, single pages fill the gaps, as they do where ext4 has no large folios.

    Returns: the new folios.
    """
    ra, index = file.readahead, first
    new: list[Folio] = []
    if k.release.ext4_has_large_folios:
        last = min(file.size, first + ra.size) - 1
        mark = first + ra.size - ra.async_size
        if _is_unmarked(k, file, first + ra.size):
            mark = file.size + k.geometry.pmd_pages
        if not k.release.keeps_read_ahead_order:
            ra.order += 2
        ra.order = min(ra.order, k.geometry.pmd_order, ra.size.bit_length() - 1)
        # Truncation and hole punching hold it for writing: no folio is added beyond the EOF that they set.
        yield file.invalidate_lock.acquire("page_cache_ra_order", "R")
        while index <= last:
            order = _order_at(index, ra.order, last)
            if file.any_in(index, 1 << order):
                break
            folio = yield from _read_folio(k, file, index, order, index == align_down(mark, 1 << order))
            if folio is None:
                break
            new.append(folio)
            index += 1 << order
        yield file.invalidate_lock.release("R")
        if index > last:
            return new
    new += yield from _page_cache_ra_unbounded(k, file, index, first + ra.size - index, ra.async_size)
    return new


def _is_unmarked(k: Kernel, file: AddressSpace, end: int) -> bool:
    """Is no folio marked in a window that ends before page ``end``, because no other window follows it?

    Kernel: mm/readahead.c: page_cache_ra_order(), do_page_cache_ra() (v7.1)
    """
    return k.release.marks_no_last_window and end >= file.size


def _order_at(index: int, order: int, last: int) -> int:
    """The largest order up to ``order`` that the alignment of ``index`` and the end of the window allow."""
    if index % (1 << order):
        order = (index & -index).bit_length() - 1
    while index + (1 << order) - 1 > last:
        order -= 1
    return order


def _page_cache_ra_unbounded(k: Kernel, file: AddressSpace, first: int, nr: int, lookahead: int) -> Path[list[Folio]]:
    """Read single pages into the gaps of ``nr`` pages from ``first`` on, up to EOF.

    Args:
        lookahead: distance in pages from the end to the page that is marked for the next window.
    Returns: the new folios.
    Kernel: mm/readahead.c: page_cache_ra_unbounded() (v6.18)
    """
    lookahead = 0 if _is_unmarked(k, file, first + nr) else lookahead
    nr = min(nr, file.size - first)
    mark = first + nr - lookahead
    yield file.invalidate_lock.acquire("page_cache_ra_unbounded", "R")
    new = []
    for index in range(first, first + nr):
        if file.find(index) is None:
            folio = yield from _read_folio(k, file, index, 0, index == mark)
            if folio is not None:
                new.append(folio)
    yield file.invalidate_lock.release("R")
    return new


def read_gaps(k: Kernel, file: AddressSpace, first: int, nr: int) -> Path[None]:
    """Read the pages of ``[first, first + nr)`` that are not cached, up to EOF.

    Kernel: mm/readahead.c: page_cache_sync_ra() (v6.18)
    """
    if any(file.find(index) is None for index in range(first, min(first + nr, file.size))):
        yield from _page_cache_ra_unbounded(k, file, first, nr, 0)


def _read_folio(k: Kernel, file: AddressSpace, index: int, order: int, marked: bool) -> Path[Folio | None]:
    """A folio that was read; None if a page of it is cached by now."""
    folio = yield from add_folio(k, file, index, order)
    if folio is not None:
        folio.nonzero = (1 << folio.nr_pages) - 1
        folio.readahead = marked
        yield from rmap.put(k, folio)
    return folio
