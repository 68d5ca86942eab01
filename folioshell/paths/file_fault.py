"""Faults on files and shared memory.

Kernel: mm/memory.c: do_fault() (v6.18); mm/filemap.c: filemap_map_pages() (v6.18)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from folioshell.events import Tracepoint
from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.pagetable import PageTable
from folioshell.model.vm import Vma
from folioshell.paths import Path, anon_fault, page_cache, rmap, tables
from folioshell.paths import vma as vma_paths
from folioshell.paths.batch import same_pte_batch
from folioshell.paths.vm_fault import UNDER_MMAP_LOCK, Fault, anon_prepare, suitable_block, written


def do_fault(k: Kernel, fault: Fault) -> Path[str | None]:
    """A fault where a file's VMA has no entry. Returns SIGBUS beyond EOF, RETRY after a read from disk.

    Kernel: mm/memory.c: do_fault() (v6.18)
    """
    vma = fault.vma
    assert vma.file is not None
    # A retry comes at once, before the window that the first try read ahead has arrived; any other fault comes after
    # it.
    if not fault.tried:
        vma.file.readahead.complete()
    if not fault.write:
        return _do_read_fault(k, fault)
    return _do_shared_fault(k, fault) if vma.flags & vm.SHARED else _do_cow_fault(k, fault)


def _do_read_fault(k: Kernel, fault: Fault) -> Path[str | None]:
    """Kernel: mm/memory.c: do_read_fault() (v6.18)"""
    # Before ->fault, for it never sleeps: it maps what is cached and takes only locks that are free.
    if k.config.fault_around > 1 and (yield from _do_fault_around(k, fault)):
        return None
    folio = yield from page_cache.get_folio(k, fault)
    if isinstance(folio, str):
        return folio
    mapped = yield from _finish_fault(k, fault, folio)
    yield folio.lock.run(fault.times).release(times=fault.times)
    if not mapped:
        yield from rmap.put(k, folio)
    return None


def _do_cow_fault(k: Kernel, fault: Fault) -> Path[str | None]:
    """Kernel: mm/memory.c: do_cow_fault() (v6.18)"""
    vma, vpn, index = fault.vma, fault.vpn, fault.index
    if vma.anon_vma is None and not (yield from anon_prepare(k, fault)):
        return UNDER_MMAP_LOCK
    # The folio stays locked until its copy is mapped. Truncation wants that lock, so it finds either no copy yet, or
    # one that it can unmap; a copy mapped after it would keep a page beyond EOF.
    cached = yield from page_cache.get_folio(k, fault)
    if isinstance(cached, str):
        return cached
    copy = yield from anon_fault.new_anon_folio(k, vma, 0, vpn)
    copy.nonzero = cached.nonzero >> (fault.pgoff - cached.index) & 1
    table = vma.mm.tables.leaf(vpn) or (yield from tables.pte_table_alloc(k, vma.mm, vpn))
    if table is not None:
        yield table.ptl.acquire("finish_fault")
    # Another thread may have mapped its own copy: that one stays, for it may have been written to.
    if table is None or table.entries[index] or tables.is_detached(vma.mm, vpn, table):
        if table is not None:
            yield table.ptl.release()
        yield from rmap.free(k, copy)
    else:
        copy.ref += 1
        vma.mm.rss.anon += 1
        yield rmap.new_anon(k, copy, vma, table, vpn)
        table.entries[index] = pte.make(copy.pfn, written(vma))
        yield table.ptl.release()
    yield cached.lock.release()
    yield from rmap.put(k, cached)
    return None


def _do_shared_fault(k: Kernel, fault: Fault) -> Path[str | None]:
    """Kernel: mm/memory.c: do_shared_fault() (v6.18)"""
    assert fault.vma.file is not None
    folio = yield from page_cache.get_folio(k, fault)
    if isinstance(folio, str):
        return folio
    times = fault.times
    lock = folio.lock.run(times)
    if fault.vma.file.needs_mkwrite:
        # ->page_mkwrite takes the folio lock itself, after locks of the file system that rank before it.
        yield lock.release(times=times)
        # Otherwise mapping it would bring back a page that the file no longer has. The access faults again.
        if not (yield from _page_mkwrite(k, fault, folio)):
            yield lock.release(times=times)
            yield from rmap.put(k, folio)
            return None
    mapped = yield from _finish_fault(k, fault, folio)
    if mapped:
        for one in page_cache.alike(k, folio, fault):
            one.mark_dirty()
    yield lock.release(times=times)
    if not mapped:
        yield from rmap.put(k, folio)
    return None


def _page_mkwrite(k: Kernel, fault: Fault, folio: Folio) -> Path[bool]:
    """->page_mkwrite: the file system makes room on disk for a write. Called with a reference, left with the lock.

    Returns: False if the folio was truncated, migrated or reclaimed meanwhile.
    Kernel: mm/memory.c: do_page_mkwrite() (v6.18); fs/ext4/inode.c: ext4_page_mkwrite() (v6.18)
    """
    yield folio.lock.run(fault.times).acquire("do_page_mkwrite", times=fault.times)
    if folio.cached:
        for one in page_cache.alike(k, folio, fault):
            one.create_buffers()
            one.mark_dirty()
    return folio.cached


def wp_page_shared(k: Kernel, fault: Fault, table: PageTable, folio: Folio) -> Path[None]:
    """The first write to a page that is mapped read-only and shared. Called with the PTL held.

    Kernel: mm/memory.c: wp_page_shared() (v6.18)
    """
    file, index, times = fault.vma.file, fault.index, fault.times
    assert file is not None
    entry = table.entries[index]
    writable = entry | pte.YOUNG | pte.DIRTY | pte.WRITE
    folios, lock = [*page_cache.alike(k, folio, fault)], folio.lock.run(times)
    # The PTL is dropped before the folio lock is taken; the reference keeps the folio from being freed and reused for
    # another page, which the comparison of entries could not tell.
    for one in folios:
        one.ref += 1
    if file.needs_mkwrite:
        yield table.ptl.release(times=times)
        if (yield from _page_mkwrite(k, fault, folio)):
            yield table.ptl.acquire("finish_mkwrite_fault", times=times)
            # Otherwise the page was unmapped or another thread made it writable meanwhile.
            if table.entries[index] == entry:
                table.entries[index : index + times] = pte.ramp(writable, times)
            yield table.ptl.release(times=times)
    else:
        table.entries[index : index + times] = pte.ramp(writable, times)
        yield table.ptl.release(times=times)
        yield lock.acquire("fault_dirty_shared_page", times=times)
        for one in folios:
            one.mark_dirty()
    yield lock.release(times=times)
    for one in folios:
        yield from rmap.put(k, one)


def _finish_fault(k: Kernel, fault: Fault, folio: Folio) -> Path[bool]:
    """Map the folio that ->fault brought: all of it if it fits, else one page. Called with the folio locked.

    Returns: True if it is mapped; then the caller's reference is that of an entry.

    Kernel: mm/memory.c: finish_fault() (v6.18)
    """
    vma, vpn = fault.vma, fault.vpn
    assert vma.file is not None
    file, mm, size = vma.file, vma.mm, k.geometry.pmd_pages
    # Pages beyond EOF must raise SIGBUS, so a folio across EOF is mapped page by page. shmem has always mapped huge
    # folios across EOF and still does.
    crosses_end = not file.is_shmem and file.size < folio.index + folio.nr_pages
    table = mm.tables.leaf(vpn)
    if table is None and mm.tables.pmd_entry(vpn) == pte.NONE:
        if not crosses_end and (yield from do_set_pmd(k, fault, folio)):
            return True
        table = yield from tables.pte_table_alloc(k, mm, vpn)
    if table is None:
        return False
    page = fault.pgoff - folio.index
    first, nr, index, times = page, 1, fault.index, fault.times
    # 6.12 maps all of the folio for shared anonymous memory only, so as not to inflate the RSS of file mappings.
    maps_whole = k.release.fault_maps_whole_file_folio
    whole_folio = folio.order and (not crosses_end if maps_whole else file.is_shmem and _is_anonymous_shmem(file))
    base = vpn - page
    if whole_folio and vma.start <= base and base + folio.nr_pages <= vma.end and _in_one_table(base, folio, size):
        first, nr, index = 0, folio.nr_pages, base % size
    yield table.ptl.acquire("finish_fault", times=times)
    # The rest of the folio was only a bonus: if part of it is mapped, map the one page that was asked for. Linux starts
    # over for that, so it takes the PTL twice.
    if nr > 1 and any(table.entries[index : index + nr]):
        yield table.ptl.release()
        first, nr, index = page, 1, fault.index
        yield table.ptl.acquire("finish_fault")
    mapped = (nr > 1 or not table.entries[index]) and not tables.is_detached(mm, vpn, table)
    if mapped:
        mapped = yield from _set_pte_range(k, fault, table, folio, first, nr, 1, times)
    yield table.ptl.release(times=times)
    return mapped


def _is_anonymous_shmem(file: AddressSpace) -> bool:
    return file.name.startswith("shm:")


def _in_one_table(base: int, folio: Folio, size: int) -> bool:
    return base // size == (base + folio.nr_pages - 1) // size


def _set_pte_range(
    k: Kernel, fault: Fault, table: PageTable, folio: Folio, first: int, nr: int, from_caller: int, times: int = 1
) -> Path[bool]:
    """Map pages ``[first, first + nr)`` of a page-cache folio by entries of ``table``.

    Args:
        from_caller: references of the caller that become those of entries, 0 or 1.
        times: number of consecutive order-0 folios that are mapped so; ``folio`` is the first.
    Returns: False if nothing was mapped, because a protocol under test dropped the PTL and found other entries.
    Kernel: mm/memory.c: set_pte_range() (v6.18)
    """
    vma = fault.vma
    flags = vma_paths.prot_entry_flags(vma)
    if fault.write:
        flags |= written(vma)
    # A writable clean entry makes the CPU set the dirty bit at the first write; a folio that is dirty anyway is spared
    # it.
    elif flags & pte.WRITE and folio.dirty and k.release.inherits_dirty_of_folio:
        flags |= pte.DIRTY
    vpn = fault.vpn + folio.index + first - fault.pgoff
    folio.ref += nr - from_caller
    entry = pte.make(folio.pfn + first, flags)
    index = vpn & k.geometry.pmd_pages - 1

    if not folio.order:
        numbers = (folio.id,) if times == 1 else range(folio.id, folio.id + times)
        yield rmap.add_small(numbers, folio.anon, vma, table, vpn, "folio_add_file_rmap_ptes")
        if vma.mlocks_new:
            folio.mlock()
        rmap.rss_add(vma, folio, times)
        table.entries[index : index + times] = pte.ramp(entry, times)
        return True

    # A reference an entry, and before the rmap call: the mapcount never exceeds the references.
    def install() -> None:
        rmap.rss_add(vma, folio, nr)
        table.entries[index : index + nr] = pte.ramp(entry, nr)

    if (yield from rmap.add_ptes(k, folio, first, nr, vma, table, vpn, "folio_add_file_rmap_ptes", install)):
        return True
    folio.ref -= nr - from_caller
    return False


def do_set_pmd(k: Kernel, fault: Fault, folio: Folio) -> Path[bool]:
    """Map a folio of PMD order by one entry, if file and addresses are aligned alike and the VMA covers it.

    Returns: True if it is mapped; then the caller's reference is that of the entry.
    Kernel: mm/memory.c: do_set_pmd() (v6.18)
    """
    vma, vpn, size = fault.vma, fault.vpn, k.geometry.pmd_pages
    # MADV_NOHUGEPAGE forbids the PMD entry even though the huge folio is there already.
    if folio.order != k.geometry.pmd_order or vma.flags & vm.NOHUGEPAGE:
        return False
    if (vma.start - vma.pgoff) % size or not suitable_block(vma, vpn, size):
        return False
    pmd = yield from tables.pmd_alloc(k, vma.mm, vpn)
    yield pmd.lock.acquire("do_set_pmd")
    index = vma.mm.tables.pmd_index(vpn)
    # Another thread's fault may have put in a PTE table or mapped the folio.
    mapped = index not in pmd.entries
    if mapped:
        flags = vma_paths.prot_entry_flags(vma)
        if fault.write:
            flags |= written(vma)
        rmap.rss_add(vma, folio, folio.nr_pages)
        yield from rmap.add_pmd(k, folio, vma, pmd, vpn - fault.index, "folio_add_file_rmap_pmd")
        pmd.entries[index] = pte.make(folio.pfn, flags)
        yield Tracepoint(f"{folio} mapped by a PMD entry", "thp_file_mapped")
    yield pmd.lock.release()
    return mapped


def _do_fault_around(k: Kernel, fault: Fault) -> Path[bool]:
    """Map what is cached in the window around the fault. True: the page itself is mapped now.

    The window is aligned in addresses, not in the file, and clipped to the VMA and to the page table.
    Kernel: mm/memory.c: do_fault_around() (v6.18)
    """
    vma, vpn = fault.vma, fault.vpn
    nr, block = k.config.fault_around, vpn - fault.index
    first = max(vpn - vpn % nr, vma.start, block)
    last = min(first + nr, vma.end, block + k.geometry.pmd_pages) - 1
    return (yield from _filemap_map_pages(k, fault, first, last))


def _filemap_map_pages(k: Kernel, fault: Fault, first: int, last: int) -> Path[bool]:
    """Kernel: mm/filemap.c: filemap_map_pages() (v6.18)"""
    vma, vpn = fault.vma, fault.vpn
    assert vma.file is not None
    file, mm = vma.file, vma.mm
    last_index = min(vma.pgoff_of(last), file.size - 1)
    start_index = vma.pgoff_of(first)
    folios = file.next_from(start_index, vma.pgoff_of(last))
    folio = yield from _next_uptodate(k, folios, file, start_index)
    if folio is None:
        return False
    inside_file = file.is_shmem or file.size - 1 >= folio.index + folio.nr_pages
    # The PTE table is put in on the way to mapping a whole folio. Where that is not even tried, and there is no table
    # yet, fault-around maps nothing, and ->fault gets the page.
    may_be_large = inside_file or not k.release.fault_around_spares_last_folio
    if may_be_large:
        if mm.tables.pmd_entry(vpn) == pte.NONE and (yield from do_set_pmd(k, fault, folio)):
            yield folio.lock.release()
            return True
        table = mm.tables.leaf(vpn) or (yield from tables.pte_table_alloc(k, mm, vpn))
    else:
        table = mm.tables.leaf(vpn)
    if table is None:
        yield folio.lock.release()
        yield from rmap.put(k, folio)
        return mm.tables.pmd_entry(vpn) != pte.NONE
    yield table.ptl.acquire("filemap_map_pages")
    if tables.is_detached(mm, vpn, table):
        yield table.ptl.release()
        yield folio.lock.release()
        yield from rmap.put(k, folio)
        return False
    while folio is not None:
        start = max(first, vma.start + folio.index - vma.pgoff)
        end = min(vma.pgoff_of(last), last_index, folio.index + folio.nr_pages - 1)
        others = _alike(k, vma, table, folio, start, last_index + 1 - folio.index)
        yield from _map_folio_range(k, fault, table, folio, start, end + 1 - vma.pgoff_of(start), others)
        yield folio.lock.release()
        if others:
            folios = file.next_from(others[-1].index + 1, vma.pgoff_of(last))
            lock = others[0].lock.run(len(others))
            yield lock.trylock("next_uptodate_folio", times=len(others))
            yield lock.release(times=len(others))
        folio = yield from _next_uptodate(k, folios, file, start_index)
    mapped = table.entries[fault.index] != pte.NONE
    yield table.ptl.release()
    return mapped


def _next_uptodate(k: Kernel, folios: Iterable[Folio], file: AddressSpace, start_index: int) -> Path[Folio | None]:
    """The next cached folio that needs no read-ahead and can be locked without waiting, locked and with a reference.

    Args:
        folios: looks the next folio up when it is asked for it.
        start_index: page offset from which folios are looked for.
    Kernel: mm/filemap.c: next_uptodate_folio() (v6.18)
    """
    for folio in folios:
        # The folio marked for read-ahead is left to ->fault, which starts the next window. One that is frozen is about
        # to be replaced: it is skipped, as is one that someone has locked. A trylock, for the caller holds the PTL
        # except for the first folio, and the folio lock ranks before it.
        if not folio.uptodate or folio.readahead or not folio.try_get():
            continue
        if not (yield folio.lock.trylock("next_uptodate_folio")):
            # It was found without a lock: it may have left the page cache. Pages beyond EOF are not mapped, even if the
            # folio begins before it.
            if folio.cached and max(folio.index, start_index) < file.size:
                return folio
            yield folio.lock.release()
        yield from rmap.put(k, folio)
    return None


def _alike(k: Kernel, vma: Vma, table: PageTable, folio: Folio, vpn: int, most: int) -> list[Folio]:
    """The folios after a locked one that fault-around takes and maps in the same way.

    Args:
        vpn: where the folio is to be mapped.
        most: pages from its own on that may be mapped.
    """
    index = vpn & vma.mm.tables.last
    if folio.order or table.entries[index] or vma.mlocks_new or not k.batches:
        return []
    assert vma.file is not None
    return vma.file.alike_after(folio, same_pte_batch(table, index, index + most))


def _map_folio_range(
    k: Kernel, fault: Fault, table: PageTable, folio: Folio, vpn: int, nr: int, others: Sequence[Folio] = ()
) -> Path[None]:
    """Map the missing ones of ``nr`` pages of a folio at ``vpn``; all of the folio where it fits.

    Consumes the caller's reference.

    Args:
        others: folios after it that are mapped as it is, by entries after its own; their references are taken here.
    Kernel: mm/filemap.c: filemap_map_folio_range() (v6.18)
    """
    vma, size = fault.vma, k.geometry.pmd_pages
    assert vma.file is not None
    page = vma.pgoff_of(vpn) - folio.index
    base = vpn - page
    inside_file = vma.file.is_shmem or vma.file.size - 1 >= folio.index + folio.nr_pages
    fits = vma.start <= base and base + folio.nr_pages <= vma.end and _in_one_table(base, folio, size)
    if k.release.fault_around_maps_whole_folio and folio.order and inside_file and fits:
        page, vpn, nr = 0, base, folio.nr_pages
    index = vpn & size - 1
    # The reference from next_uptodate_folio() is that of the first entry.
    position, from_caller = 0, 1
    # Pages that are mapped, COWed ones among them, stay as they are; each gap between them is a batch of its own.
    while position < nr:
        if table.entries[index + position]:
            position += 1
            continue
        run = 1
        while position + run < nr and not table.entries[index + position + run]:
            run += 1
        for one in others:
            one.ref += 1
        if (yield from _set_pte_range(k, fault, table, folio, page + position, run, from_caller, 1 + len(others))):
            from_caller = 0
        position += run
    # Not the last one: a locked folio cannot leave the page cache.
    folio.ref -= from_caller
