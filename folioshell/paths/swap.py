"""Swap slots and the swap cache: entries that refer to a slot, the folio that still holds its contents, and swap-in.

Kernel: mm/swapfile.c: free_swap_and_cache_nr() (v6.18); mm/swap_state.c: swapin_readahead() (v6.18)
"""

from __future__ import annotations

from folioshell.events import SWAP_CACHE, AddedToSwap, Held
from folioshell.model import pte, vm
from folioshell.model.folio import Folio, page_bits
from folioshell.model.folios import FolioRun
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.pagetable import PageTable
from folioshell.model.physmem import FolioSpan
from folioshell.model.policy import ANON_EXCLUSIVE, PAGE_MAPCOUNT, REFERENCES, SharingQuestion
from folioshell.model.vm import Vma
from folioshell.paths import Path, rmap
from folioshell.paths.anon_fault import huge_fault_allowed, new_anon_folio
from folioshell.paths.batch import swap_pte_batch
from folioshell.paths.vm_fault import Fault, suitable_block
from folioshell.units import align_down


def free_entry(k: Kernel, slot: int) -> Path[None]:
    """Drop one entry's use of a slot; with the last it is freed, and its swap cache unless that is mapped or locked.

    Kernel: mm/swapfile.c: free_swap_and_cache_nr(), __try_to_reclaim_swap() (v6.18)
    """
    yield from _put_entry(k, slot, "free_swap_and_cache_nr")
    # After the swap lock. Who maps the page again, or writes it to swap, has it locked, and frees the cache itself; a
    # trylock, for the caller holds the PTL.
    if k.slots.counts[slot]:
        return
    folio = yield from swap_cache_get_folio(k, slot)
    if folio is None:
        return
    if not (yield folio.lock.trylock("__try_to_reclaim_swap")):
        # A page that is still mapped stays in the swap cache, clean: it need not be written again.
        if not k.counts.mapcount(folio.id):
            yield from try_to_free(k, folio)
        yield folio.lock.release()
    yield from rmap.put(k, folio)


def _put_entry(k: Kernel, slot: int, function: str, times: int = 1) -> Path[None]:
    """Count one entry fewer that refers to a slot, or to each of ``times`` slots in a row."""
    yield k.swap_lock.acquire(function, times=times)
    k.slots.refer(slot, -1, times)
    yield k.swap_lock.release(times=times)


def in_cache(k: Kernel, slot: int) -> Folio | None:
    """The folio that the swap cache has for a slot, to be changed."""
    pfn = k.slots.cache[slot]
    return k.physmem.single_out(pfn) if pfn else None


def is_in_cache(k: Kernel, folio: Folio, slot: int) -> bool:
    """Is the folio the one that the swap cache has for a slot?"""
    return folio.pfn <= k.slots.cache[slot] < folio.pfn + folio.nr_pages


def swap_cache_get_folio(k: Kernel, slot: int) -> Path[Folio | None]:
    """The folio that the swap cache has for a slot, with a reference.

    Kernel: mm/swap_state.c: swap_cache_get_folio() (v6.18)
    """
    # As in the page cache: who froze the folio holds the lock until it is out of the cache.
    while (folio := in_cache(k, slot)) is not None and not folio.try_get():
        yield k.swap_lock.wait("swap_cache_get_folio")
    return folio


def delete_from_cache(k: Kernel, folios: Folio | FolioRun) -> Path[None]:
    """Take a folio, or each folio of a run, out of the swap cache: its references to it are dropped.

    Kernel: mm/swap_state.c: delete_from_swap_cache() (v6.18)
    """
    folio = folios.first
    k.slots.remove_from_cache(folios)
    # The copy in swap is gone, so reclaim has to write the page again before it may drop it.
    folio.dirty = True
    if folio.anon:
        yield Held(folios.numbers, -folio.nr_pages, SWAP_CACHE)
    yield from rmap.put(k, folios, folio.nr_pages)


def try_to_free(k: Kernel, folios: Folio | FolioRun) -> Path[bool]:
    """Take a folio out of the swap cache if no entry refers to its slots any more; or each folio of a run.

    As many entries refer to the slots of each folio of a run.
    Kernel: mm/swapfile.c: folio_free_swap() (v6.18)
    """
    folio = folios.first
    slot = folio.swap_slot
    if slot is None:
        return False
    # Another process still has a swap entry: it must find this folio, or the two would read different copies.
    if any(k.slots.counts[slot : slot + folio.nr_pages]):
        return False
    yield from delete_from_cache(k, folios)
    return True


def put_unmapped(k: Kernel, folios: Folio | FolioRun | FolioSpan, nr: int = 1) -> Path[None]:
    """Drop ``nr`` references that entries held, and what keeps a page that nothing maps any more in the swap cache.

    No page-table lock is held.
    Kernel: mm/swap_state.c: free_swap_cache(), free_page_and_swap_cache() (v6.12)
    """
    if folios.first.swap_slot is None:
        yield from rmap.put(k, folios, nr)
        return
    for one in k.physmem.single_out_all(folios.first.pfn, folios.nr):
        # Before the references are dropped. Who has the folio locked frees the cache itself, or maps the page again.
        if not k.counts.mapcount(one.id) and not (yield one.lock.trylock("free_swap_cache")):
            yield from try_to_free(k, one)
            yield one.lock.release()
        yield from rmap.put(k, one, nr)


def reuse(k: Kernel, folio: Folio) -> Path[bool]:
    """May the only user of a locked page write to it in place? It is taken out of the swap cache for that.

    Kernel: mm/swapfile.c: reuse_swap_page() (v5.10)
    """
    slot = folio.swap_slot
    if slot is None:
        return True
    if k.counts.mapcount(folio.id) + sum(k.slots.counts[slot : slot + folio.nr_pages]) > 1:
        return False
    yield from try_to_free(k, folio)
    return True


def equal_swapins(k: Kernel, vma: Vma, table: PageTable, index: int, limit: int, write: bool) -> int:
    """Number of entries from ``index`` on, below ``limit``, whose faults differ only in page and slot.

    Each page is read into a new folio of order 0 in the swap cache, and stays there or not as the others.
    """
    entry = table.entries[index]
    if not pte.is_swap(entry) or k.config.sync_swap or vma.anon_vma is None:
        return 1
    # A write that maps the page read-only, and then copies it or not, goes alone.
    writable = pte.swap_is_exclusive(entry) and bool(vma.flags & vm.WRITE)
    if write and not (writable and k.looks_at(SharingQuestion.SWAP_IN, ANON_EXCLUSIVE)):
        return 1
    slot = pte.swap_slot(entry)
    if k.slots.cache[slot]:
        return 1
    return k.slots.alike(slot, min(swap_pte_batch(table, index, limit), k.physmem.free_in_a_row))


def swapin(k: Kernel, fault: Fault, table: PageTable, slot: int) -> Path[Folio | FolioRun | None]:
    """The folio that holds the contents of a slot, with a reference: from the swap cache, else read into a new one.

    A device that is read at once needed no swap cache for a page that no one else refers to; that folio comes locked.

    Returns: a run for as many faults; None if the slot was freed meanwhile, or is being read so by another fault.
    Kernel: mm/memory.c: do_swap_page() (v6.18); mm/swap_state.c: __read_swap_cache_async() (v6.18)
    """
    while True:
        folio = (yield from swap_cache_get_folio(k, slot)) if k.slots.cache[slot] else None
        if folio is not None:
            return folio
        order = 0
        if k.config.sync_swap and not k.release.bypasses_swap_cache:
            order = _swapin_order(k, fault, table, slot)
        elif k.config.sync_swap and k.slots.counts[slot] == 1:
            return (yield from _read_without_cache(k, fault, table, slot))
        nr, times = 1 << order, fault.times
        folios = _new_folios(k, fault, order)
        yield rmap.folio_new(folios.first, nr=folios.nr)
        # Into the swap cache before it is mapped: a second process that faults must find it there and not read another
        # copy.
        yield k.swap_lock.acquire("swapcache_prepare", times=times)
        is_there = bool(k.slots.counts[slot])
        first = align_down(slot, nr)
        usable = _can_be_read(k, first, nr)
        if usable:
            folios.first.nonzero = k.slots.contents(first, nr)
            k.slots.add_to_cache(folios, first)
            k.count("pgmajfault", times)
        yield k.swap_lock.release(times=times)
        if usable:
            yield Held(folios.numbers, nr, SWAP_CACHE)
            return folios
        yield from rmap.put(k, folios)
        if not is_there:
            return None


def _new_folios(k: Kernel, fault: Fault, order: int) -> Folio | FolioRun:
    """A new folio around the page of a fault, with a reference, to be read into; a run for as many faults."""
    vma = fault.vma
    assert vma.anon_vma is not None
    # Not known yet who else will map it: all that may do so are found from the root (__folio_set_anon()).
    root, index = vma.anon_vma.root, vma.anon_pgoff_of(align_down(fault.vpn, 1 << order))
    folios = k.new_folio(order, root, index, True) if order else k.new_folios(fault.times, root, index)
    folios.add_refs(1)
    return folios


def _can_be_read(k: Kernel, slot: int, nr: int) -> bool:
    """Are ``nr`` slots in a row in use, and none in the swap cache?"""
    return all(k.slots.counts[slot : slot + nr]) and not any(k.slots.cache[slot : slot + nr])


def _read_without_cache(k: Kernel, fault: Fault, table: PageTable, slot: int) -> Path[Folio | None]:
    """Read the slot, and those beside it if a large folio fits, into a new folio, which stays out of the swap cache.

    Kernel: mm/memory.c: alloc_swap_folio() (v6.18); mm/swapfile.c: swapcache_prepare() (v6.18)
    """
    order = _swapin_order(k, fault, table, slot)
    nr = 1 << order
    vpn, first = align_down(fault.vpn, nr), align_down(slot, nr)
    folio = yield from new_anon_folio(k, fault.vma, order, vpn)
    folio.ref = nr
    yield folio.lock.trylock("do_swap_page")
    yield k.swap_lock.acquire("swapcache_prepare")
    slots = range(first, first + nr)
    other = next((k.swap_prepared[one] for one in slots if one in k.swap_prepared), None)
    usable = other is None and _can_be_read(k, first, nr)
    if usable:
        k.swap_prepared.update(dict.fromkeys(slots, folio))
        folio.nonzero = k.slots.contents(first, nr)
        k.count("pgmajfault")
    yield k.swap_lock.release()
    if usable:
        return folio
    yield folio.lock.release()
    yield from rmap.put(k, folio, nr)
    if other is not None:
        yield other.lock.wait("swapcache_prepare")
    return None


def _swapin_order(k: Kernel, fault: Fault, table: PageTable, slot: int) -> int:
    """The highest order of which all entries around the fault are swap entries in a row, aligned as the addresses are.

    Kernel: mm/memory.c: alloc_swap_folio(), can_swapin_thp() (v6.18); mm/swapfile.c: thp_swap_suitable_orders() (v6.18)
    """
    if not k.release.swaps_in_large_folios:
        return 0
    for order in range(k.geometry.pmd_order - 1, 0, -1):
        nr = 1 << order
        if not huge_fault_allowed(k, fault.vma, order) or not suitable_block(fault.vma, fault.vpn, nr):
            continue
        offset = fault.vpn % nr
        if slot % nr != offset or fault.index < offset:
            continue
        first = slot - offset
        if _refer_in_a_row(table, fault.index, offset, nr) and not any(k.slots.cache[first : first + nr]):
            return order
    return 0


def has_changed(fault: Fault, table: PageTable, folio: Folio) -> bool:
    """Are the entries that a large folio was read for not those swap entries any more? Called with the PTL held."""
    return not _refer_in_a_row(table, fault.index, fault.vpn % folio.nr_pages, folio.nr_pages)


def _all_refer(k: Kernel, fault: Fault, table: PageTable, page: int, folio: Folio) -> bool:
    """Do the entries around the fault, which is for ``page``, refer to all pages of a folio in the swap cache?"""
    nr, base = folio.nr_pages, fault.vpn - page
    if not folio.order or not k.release.maps_cached_swap_whole or page > fault.index:
        return False
    inside = fault.vma.start <= base and base + nr <= fault.vma.end
    return inside and fault.index - page + nr <= len(table.entries) and _refer_in_a_row(table, fault.index, page, nr)


def _refer_in_a_row(table: PageTable, index: int, offset: int, nr: int) -> bool:
    """Are the ``nr`` entries from ``index - offset`` on swap entries of slots in a row, all exclusive or none?"""
    first = index - offset
    return pte.is_swap(table.entries[first]) and swap_pte_batch(table, first, first + nr) == nr


def cancel(k: Kernel, folio: Folio) -> Path[None]:
    """Give up a folio that was read without the swap cache: its entries have changed meanwhile.

    Kernel: mm/swapfile.c: swapcache_clear() (v6.18)
    """
    _clear_prepared(k, folio)
    yield folio.lock.release()
    yield from rmap.put(k, folio, folio.nr_pages)


def _clear_prepared(k: Kernel, folio: Folio) -> None:
    for slot in [slot for slot, reading in k.swap_prepared.items() if reading is folio]:
        del k.swap_prepared[slot]


def _should_try_to_free(k: Kernel, folio: Folio, fault: Fault) -> bool:
    """Is the swap cache of no more use? A page that will be written, or is mlocked, does not need its copy in swap.

    Nor does one that can be written to the device again at once.

    Kernel: mm/memory.c: should_try_to_free_swap() (v6.18)
    """
    if folio.swap_slot is None:
        return False
    is_sync = k.config.sync_swap and not k.release.bypasses_swap_cache
    if is_sync or fault.vma.flags & vm.LOCKED or folio.mlocked:
        return True
    return fault.write and folio.ref == 1 + folio.nr_pages


def map_swapped(k: Kernel, fault: Fault, table: PageTable, folios: Folio | FolioRun) -> Path[None]:
    """Replace a swap entry by a present one, and drop its use of the slot. Called with the PTL and the folio lock held.

    The caller's reference becomes that of the entry. All of a large folio is mapped if all of its entries are here.

    Args:
        folios: a run for as many faults.
    Kernel: mm/memory.c: do_swap_page() (v6.18)
    """
    folio, times = folios.first, fault.times
    vma, index = fault.vma, fault.index
    entry = table.entries[index]
    slot = pte.swap_slot(entry)
    fresh = folio.swap_slot is None
    page = fault.vpn % folio.nr_pages if fresh else slot - (folio.swap_slot or 0)
    nr = 1
    if fresh or _all_refer(k, fault, table, page, folio):
        index, slot, page, nr = index - page, slot - page, 0, folio.nr_pages
    vpn = fault.vpn + index - fault.index
    for one in range(slot, slot + nr):
        yield from _put_entry(k, one, "swap_free_nr", times)
    _clear_prepared(k, folio)
    # The bit survives in the swap entry, since the page has no flags while it is out; fork() clears it there. A
    # page that is read without the swap cache has no other entry that refers to it.
    exclusive = fresh or (k.looks_at(SharingQuestion.SWAP_IN, ANON_EXCLUSIVE) and pte.swap_is_exclusive(entry))
    if k.looks_at(SharingQuestion.SWAP_IN, PAGE_MAPCOUNT):
        exclusive = fault.write and not k.counts.mapcount(folio.id) and not k.slots.counts[slot]
    if _should_try_to_free(k, folio, fault) or (exclusive and not k.release.has_anon_exclusive):
        yield from try_to_free(k, folios)
    exclusive = exclusive or (k.looks_at(SharingQuestion.SWAP_IN, REFERENCES) and folio.ref == 1)
    vma.mm.rss.swap -= nr * times
    rmap.rss_add(vma, folio, nr * times)
    if exclusive:
        folio.anon_exclusive |= page_bits(page, nr)
        assert vma.anon_vma is not None
        folio.mapping = vma.anon_vma
    if fresh:
        yield rmap.new_anon(k, folio, vma, table, vpn)
    else:
        folios.add_refs(nr - 1)
        yield from rmap.add_ptes(k, folios, page, nr, vma, table, vpn, "folio_add_anon_rmap_ptes")
    # A page that may be shared is mapped read-only, also for a write: do_wp_page() decides then whether to copy.
    writable = exclusive and vma.flags & vm.WRITE and (fault.write or k.release.swapin_by_read_is_writable)
    flags = pte.YOUNG | (pte.WRITE if writable else 0) | (pte.DIRTY if writable and fault.write else 0)
    table.entries[index : index + nr * times] = pte.ramp(pte.make(folio.pfn + page, flags), nr * times)


def add_to_swap(k: Kernel, folios: Folio | FolioRun) -> Path[None]:
    """Allocate swap slots for the folio, or each folio of a run, and add it to the swap cache.

    Kernel: mm/swapfile.c: folio_alloc_swap() (v6.18)
    """
    folio, times = folios.first, folios.nr
    yield k.swap_lock.acquire("folio_alloc_swap", times=times)
    slot = k.slots.allocate(folio.order, times)
    k.slots.add_to_cache(folios, slot)
    yield k.swap_lock.release(times=times)
    # The slots hold nothing yet: it has to be written.
    folio.dirty = True
    # Those of shared memory take the place of the page cache's.
    if folio.anon:
        yield Held(folios.numbers, folio.nr_pages, SWAP_CACHE)
    yield AddedToSwap(folios.numbers, folio.order, slot)


# Shared memory: swap entries are in its page cache, page tables have none.


def shmem_swapin(k: Kernel, file: AddressSpace, index: int) -> Path[Folio | None]:
    """Bring a page of shared memory back to the page cache, dirty: its slot is freed.

    Returns: its folio, locked and with a reference; None if another path was faster.
    Kernel: mm/shmem.c: shmem_swapin_folio() (v6.18)
    """
    slot, order = file.swapped[index]
    # A hole may have been punched into what was written as one.
    nr = 1 << order
    first = align_down(index, nr)
    if any(file.swapped.get(first + page) != (slot - index + first + page, order) for page in range(nr)):
        order = 0
    folio = yield from swap_cache_get_folio(k, slot)
    if folio is None:
        # A device that is read at once brings back what was written as one.
        order = order if k.config.sync_swap else 0
        folio = k.new_folio(order, file, align_down(index, 1 << order), anon=False)
        folio.ref = 1
        yield rmap.folio_new(folio)
        k.count("pgmajfault")
    yield folio.lock.acquire("shmem_swapin_folio")
    first = folio.index
    yield file.xa_lock.acquire("shmem_add_to_page_cache")
    base = slot - (index - first)
    found = [file.swapped.get(first + page, (0, 0))[0] for page in range(folio.nr_pages)]
    usable = found == list(range(base, base + folio.nr_pages))
    if usable:
        for page in range(folio.nr_pages):
            del file.swapped[first + page]
        folio.nonzero |= k.slots.contents(base, folio.nr_pages)
        if folio.swap_slot is not None:
            k.slots.remove_from_cache(folio)
            folio.ref -= folio.nr_pages
        k.add_to_cache(file, folio)
    yield file.xa_lock.release()
    if not usable:
        yield folio.lock.release()
        yield from rmap.put(k, folio)
        return None
    folio.mark_dirty()
    for one in range(base, base + folio.nr_pages):
        yield from _put_entry(k, one, "swap_free_nr")
    return folio
