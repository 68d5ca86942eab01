"""Swap slots and the swap cache: entries that refer to a slot, the folio that still holds its contents, and swap-in.

Kernel: mm/swapfile.c: free_swap_and_cache_nr() (v6.18); mm/swap_state.c: swapin_readahead() (v6.18)
"""

from __future__ import annotations

from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable
from folioshell.paths import rmap
from folioshell.paths.anon_fault import new_anon_folio
from folioshell.paths.step import Path
from folioshell.paths.vm_fault import Fault


def free_entry(k: Kernel, slot: int) -> Path[None]:
    """Drop one entry's use of a slot; with the last one the slot is freed, and its swap cache if no one has locked it.

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


def swapin(k: Kernel, fault: Fault, slot: int) -> Path[Folio | None]:
    """The folio that holds the contents of a slot, with a reference: from the swap cache, else read into a new one.

    Returns: None if the slot was freed meanwhile.
    Kernel: mm/swap_state.c: __read_swap_cache_async() (v6.18)
    """
    while True:
        folio = yield from swap_cache_get_folio(k, slot)
        if folio is not None:
            return folio
        folio = yield from new_anon_folio(k, fault.vma, 0, fault.vpn)
        folio.ref = 1
        # Into the swap cache before it is mapped: a second process that faults must find it there and not read another
        # copy.
        yield k.swap_lock.acquire("swapcache_prepare")
        is_used, is_free = slot in k.swap_counts, slot not in k.swap_cache
        if is_used and is_free:
            folio.nonzero = int(k.swap_nonzero.get(slot, False))
            folio.ref += 1
            folio.cached = True
            folio.swap_slot = slot
            k.swap_cache[slot] = folio
            k.count("pgmajfault")
        yield k.swap_lock.release()
        if is_used and is_free:
            return folio
        yield from rmap.put(k, folio)
        if not is_used:
            return None


def map_swapped(k: Kernel, fault: Fault, table: PageTable, folio: Folio) -> Path[None]:
    """Replace a swap entry by a present one, and drop its use of the slot. Called with the PTL and the folio lock held.

    The caller's reference becomes that of the entry.
    Kernel: mm/memory.c: do_swap_page() (v6.18)
    """
    vma, index = fault.vma, fault.index
    entry = table.entries[index]
    slot = pte.swap_slot(entry)
    assert folio.swap_slot is not None
    page = slot - folio.swap_slot
    exclusive = pte.swap_is_exclusive(entry)
    vma.mm.rss.swap -= 1
    rmap.rss_add(vma, folio, 1)
    # The bit survives in the swap entry, since the page has no flags while it is out; fork() clears it there.
    if exclusive:
        folio.anon_exclusive |= 1 << page
    yield from rmap.add_ptes(k, folio, page, 1, vma, table, fault.vpn, "folio_add_anon_rmap_ptes")
    # A page that may be shared is mapped read-only, also for a write: do_wp_page() decides then whether to copy.
    writable = exclusive and vma.flags & vm.WRITE
    table.entries[index] = pte.make(folio.pfn + page, pte.YOUNG | (pte.WRITE if writable else 0))
    yield from _put_entry(k, slot, "swap_free_nr")
    if not k.swap_counts.get(slot):
        yield from try_to_free(k, folio)
