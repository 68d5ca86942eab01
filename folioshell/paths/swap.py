"""Swap slots and the swap cache: entries that refer to a slot, the folio that still holds its contents, and swap-in.

Kernel: mm/swapfile.c: free_swap_and_cache_nr() (v6.18); mm/swap_state.c: swapin_readahead() (v6.18)
"""

from __future__ import annotations

from folioshell.events import SWAP_CACHE, Held, Tracepoint
from folioshell.model import pte, vm
from folioshell.model.folio import Folio, FolioRun, page_bits
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace, AnonVma
from folioshell.model.pagetable import PageTable
from folioshell.model.policy import ANON_EXCLUSIVE, PAGE_MAPCOUNT, REFERENCES, SharingQuestion
from folioshell.paths import Path, rmap
from folioshell.paths.anon_fault import huge_fault_allowed, new_anon_folio
from folioshell.paths.vm_fault import Fault, suitable_block
from folioshell.units import align_down


def free_entry(k: Kernel, slot: int) -> Path[None]:
    """Drop one entry's use of a slot; with the last it is freed, and its swap cache unless that is mapped or locked.

    Kernel: mm/swapfile.c: free_swap_and_cache_nr(), __try_to_reclaim_swap() (v6.18)
    """
    yield from _put_entry(k, slot, "free_swap_and_cache_nr")
    # After the swap lock. Who maps the page again, or writes it to swap, has it locked, and frees the cache itself; a
    # trylock, for the caller holds the PTL.
    if k.swap_counts.get(slot):
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


def _put_entry(k: Kernel, slot: int, function: str) -> Path[None]:
    yield k.swap_lock.acquire(function)
    k.swap_counts[slot] -= 1
    if not k.swap_counts[slot]:
        del k.swap_counts[slot]
        k.swap_nonzero.pop(slot, None)
    yield k.swap_lock.release()


def swap_cache_get_folio(k: Kernel, slot: int) -> Path[Folio | None]:
    """The folio that the swap cache has for a slot, with a reference.

    Kernel: mm/swap_state.c: swap_cache_get_folio() (v6.18)
    """
    # As in the page cache: who froze the folio holds the lock until it is out of the cache.
    while (folio := k.swap_cache.get(slot)) is not None and not folio.try_get():
        yield k.swap_lock.wait("swap_cache_get_folio")
    return folio


def delete_from_cache(k: Kernel, folio: Folio) -> Path[None]:
    """Take a folio out of the swap cache: its references to it are dropped.

    Kernel: mm/swap_state.c: delete_from_swap_cache() (v6.18)
    """
    assert folio.swap_slot is not None
    for slot in range(folio.swap_slot, folio.swap_slot + folio.nr_pages):
        k.swap_cache.pop(slot, None)
    folio.swap_slot = None
    folio.cached = False
    # The copy in swap is gone, so reclaim has to write the page again before it may drop it.
    folio.dirty = True
    if folio.anon:
        yield Held((folio.id,), -folio.nr_pages, SWAP_CACHE)
    yield from rmap.put(k, folio, folio.nr_pages)


def try_to_free(k: Kernel, folio: Folio) -> Path[bool]:
    """Take a folio out of the swap cache if no entry refers to its slots any more.

    Kernel: mm/swapfile.c: folio_free_swap() (v6.18)
    """
    if folio.swap_slot is None:
        return False
    # Another process still has a swap entry: it must find this folio, or the two would read different copies.
    if any(k.swap_counts.get(slot) for slot in range(folio.swap_slot, folio.swap_slot + folio.nr_pages)):
        return False
    yield from delete_from_cache(k, folio)
    return True


def put_unmapped(k: Kernel, folio: Folio | FolioRun, nr: int = 1) -> Path[None]:
    """Drop ``nr`` references that entries held, and what keeps a page that nothing maps any more in the swap cache.

    No page-table lock is held.
    Kernel: mm/swap_state.c: free_swap_cache(), free_page_and_swap_cache() (v6.12)
    """
    first = folio.first
    # Before the references are dropped. Who has the folio locked frees the cache itself, or maps the page again.
    is_unused = first.swap_slot is not None and not k.counts.mapcount(first.id)
    if is_unused and not (yield first.lock.trylock("free_swap_cache")):
        yield from try_to_free(k, first)
        yield first.lock.release()
    yield from rmap.put(k, folio, nr)


def reuse(k: Kernel, folio: Folio) -> Path[bool]:
    """May the only user of a locked page write to it in place? It is taken out of the swap cache for that.

    Kernel: mm/swapfile.c: reuse_swap_page() (v5.10)
    """
    slot = folio.swap_slot
    if slot is None:
        return True
    users = k.counts.mapcount(folio.id) + sum(k.swap_counts.get(slot + page, 0) for page in range(folio.nr_pages))
    if users > 1:
        return False
    yield from try_to_free(k, folio)
    return True


def swapin(k: Kernel, fault: Fault, table: PageTable, slot: int) -> Path[Folio | None]:
    """The folio that holds the contents of a slot, with a reference: from the swap cache, else read into a new one.

    A device that is read at once needed no swap cache for a page that no one else refers to; that folio comes locked.

    Returns: None if the slot was freed meanwhile, or is being read so by another fault.
    Kernel: mm/memory.c: do_swap_page() (v6.18); mm/swap_state.c: __read_swap_cache_async() (v6.18)
    """
    while True:
        folio = yield from swap_cache_get_folio(k, slot)
        if folio is not None:
            return folio
        order = 0
        if k.config.sync_swap and not k.release.bypasses_swap_cache:
            order = _swapin_order(k, fault, table, slot)
        elif k.config.sync_swap and k.swap_counts.get(slot) == 1:
            return (yield from _read_without_cache(k, fault, table, slot))
        nr = 1 << order
        slots = range(align_down(slot, nr), align_down(slot, nr) + nr)
        folio = yield from new_anon_folio(k, fault.vma, order, align_down(fault.vpn, nr))
        # Not known yet who else will map it: all that may do so are found from the root (__folio_set_anon()).
        assert isinstance(folio.mapping, AnonVma)
        folio.mapping = folio.mapping.root
        folio.ref = 1
        # Into the swap cache before it is mapped: a second process that faults must find it there and not read another
        # copy.
        yield k.swap_lock.acquire("swapcache_prepare")
        is_there = slot in k.swap_counts
        usable = all(one in k.swap_counts and one not in k.swap_cache for one in slots)
        if usable:
            for page, one in enumerate(slots):
                folio.nonzero |= int(k.swap_nonzero.get(one, False)) << page
                k.swap_cache[one] = folio
            folio.ref += nr
            folio.cached = True
            folio.swap_slot = slots[0]
            k.count("pgmajfault")
        yield k.swap_lock.release()
        if usable:
            yield Held((folio.id,), nr, SWAP_CACHE)
            return folio
        yield from rmap.put(k, folio)
        if not is_there:
            return None


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
    usable = other is None and all(one in k.swap_counts and one not in k.swap_cache for one in slots)
    if usable:
        for page, one in enumerate(slots):
            k.swap_prepared[one] = folio
            folio.nonzero |= int(k.swap_nonzero.get(one, False)) << page
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
        slots = range(slot - offset, slot - offset + nr)
        if _refer_in_a_row(table, fault.index, offset, nr) and not any(one in k.swap_cache for one in slots):
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
    """Are the ``nr`` entries from ``index - offset`` on swap entries of slots in a row, all exclusive or none?

    Kernel: mm/internal.h: swap_pte_batch() (v6.18)
    """
    entries = table.entries[index - offset : index - offset + nr]
    if not all(map(pte.is_swap, entries)):
        return False
    first, exclusive = pte.swap_slot(entries[0]), pte.swap_is_exclusive(entries[0])
    return all(
        pte.swap_slot(entry) == first + page and pte.swap_is_exclusive(entry) == exclusive
        for page, entry in enumerate(entries)
    )


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


def map_swapped(k: Kernel, fault: Fault, table: PageTable, folio: Folio) -> Path[None]:
    """Replace a swap entry by a present one, and drop its use of the slot. Called with the PTL and the folio lock held.

    The caller's reference becomes that of the entry. All of a large folio is mapped if all of its entries are here.
    Kernel: mm/memory.c: do_swap_page() (v6.18)
    """
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
        yield from _put_entry(k, one, "swap_free_nr")
    _clear_prepared(k, folio)
    # The bit survives in the swap entry, since the page has no flags while it is out; fork() clears it there. A
    # page that is read without the swap cache has no other entry that refers to it.
    exclusive = fresh or (k.looks_at(SharingQuestion.SWAP_IN, ANON_EXCLUSIVE) and pte.swap_is_exclusive(entry))
    if k.looks_at(SharingQuestion.SWAP_IN, PAGE_MAPCOUNT):
        exclusive = fault.write and not k.counts.mapcount(folio.id) and not k.swap_counts.get(slot)
    if _should_try_to_free(k, folio, fault) or (exclusive and not k.release.has_anon_exclusive):
        yield from try_to_free(k, folio)
    exclusive = exclusive or (k.looks_at(SharingQuestion.SWAP_IN, REFERENCES) and folio.ref == 1)
    vma.mm.rss.swap -= nr
    rmap.rss_add(vma, folio, nr)
    if exclusive:
        folio.anon_exclusive |= page_bits(page, nr)
        assert vma.anon_vma is not None
        folio.mapping = vma.anon_vma
    if fresh:
        yield rmap.new_anon(k, folio, vma, table, vpn)
    else:
        folio.ref += nr - 1
        yield from rmap.add_ptes(k, folio, page, nr, vma, table, vpn, "folio_add_anon_rmap_ptes")
    # A page that may be shared is mapped read-only, also for a write: do_wp_page() decides then whether to copy.
    writable = exclusive and vma.flags & vm.WRITE and (fault.write or k.release.swapin_by_read_is_writable)
    flags = pte.YOUNG | (pte.WRITE if writable else 0) | (pte.DIRTY if writable and fault.write else 0)
    table.entries[index : index + nr] = pte.ramp(pte.make(folio.pfn + page, flags), nr)


def _alloc_slots(k: Kernel, order: int) -> int:
    """The first of ``1 << order`` free slots in a row, aligned. Each order takes them from a cluster of its own.

    Kernel: mm/swapfile.c: cluster_alloc_swap_entry() (v6.18)
    """
    nr, size = 1 << order, k.geometry.pmd_pages
    at = k.swap_clusters.get(order, 0)
    # The device's first slot holds its header.
    while at % size == 0:
        at = (k.next_number("swap cluster") - 1) * size
        if at:
            break
        at = nr
    k.swap_clusters[order] = at + nr
    return at


def add_to_swap(k: Kernel, folio: Folio) -> Path[None]:
    """Allocate swap slots for the folio and add it to the swap cache.

    Kernel: mm/swapfile.c: folio_alloc_swap() (v6.18)
    """
    yield k.swap_lock.acquire("folio_alloc_swap")
    folio.swap_slot = _alloc_slots(k, folio.order)
    for page in range(folio.nr_pages):
        k.swap_cache[folio.swap_slot + page] = folio
    yield k.swap_lock.release()
    folio.cached = True
    folio.ref += folio.nr_pages
    # The slots hold nothing yet: it has to be written.
    folio.dirty = True
    # Those of shared memory take the place of the page cache's.
    if folio.anon:
        yield Held((folio.id,), folio.nr_pages, SWAP_CACHE)
    yield Tracepoint(f"{folio} added to swap at slot {folio.swap_slot}", "swpout")


# Shared memory: swap entries are in its page cache, page tables have none.


def shmem_writeout(k: Kernel, folio: Folio) -> Path[None]:
    """Put swap entries where a locked, unmapped folio was in its page cache; it goes to the swap cache, written.

    Kernel: mm/shmem.c: shmem_writeout(), shmem_delete_from_page_cache() (v6.18)
    """
    file = folio.mapping
    assert isinstance(file, AddressSpace)
    yield from add_to_swap(k, folio)
    yield file.xa_lock.acquire("shmem_delete_from_page_cache")
    file.remove(folio)
    # Its references to the page cache are those to the swap cache now.
    folio.ref -= folio.nr_pages
    assert folio.swap_slot is not None
    for page in range(folio.nr_pages):
        slot = folio.swap_slot + page
        file.swapped[folio.index + page] = (slot, folio.order)
        k.swap_counts[slot] = 1
        k.swap_nonzero[slot] = bool(folio.nonzero >> page & 1)
    folio.dirty = False
    yield file.xa_lock.release()


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
            folio.nonzero |= int(k.swap_nonzero.get(base + page, False)) << page
        if folio.swap_slot is not None:
            for one in range(base, base + folio.nr_pages):
                del k.swap_cache[one]
            folio.swap_slot = None
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


def shmem_free_swap(k: Kernel, file: AddressSpace, first: int, last: int) -> Path[None]:
    """Free the slots of pages ``[first, last)`` of shared memory.

    Kernel: mm/shmem.c: shmem_free_swap() (v6.18)
    """
    for index in sorted(index for index in file.swapped if first <= index < last):
        yield file.xa_lock.acquire("shmem_free_swap")
        # Another path may have brought it back.
        slot, _ = file.swapped.pop(index, (0, 0))
        yield file.xa_lock.release()
        if slot:
            yield from free_entry(k, slot)
