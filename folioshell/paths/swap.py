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
    """Drop one entry's use of a slot; with the last one the slot and its swap cache are freed.

    Kernel: mm/swapfile.c: free_swap_and_cache_nr() (v6.18)
    """
    yield k.swap_lock.acquire("free_swap_and_cache_nr")
    k.swap_counts[slot] -= 1
    unused = not k.swap_counts[slot]
    if unused:
        del k.swap_counts[slot]
        k.swap_nonzero.pop(slot, None)
    yield k.swap_lock.release()
    # After the swap lock: the swap cache has locks of its own.
    folio = k.swap_cache.get(slot)
    if unused and folio is not None:
        yield from delete_from_cache(k, folio)


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


def swapin(k: Kernel, fault: Fault, slot: int) -> Path[Folio]:
    """The folio that holds the contents of a swap slot: from the swap cache, else read into a new one.

    Kernel: mm/swap_state.c: swapin_readahead() (v6.18)
    """
    folio = k.swap_cache.get(slot)
    if folio is None:
        # Into the swap cache before it is mapped: a second process that faults must find it there and not read another
        # copy.
        folio = yield from new_anon_folio(k, fault.vma, 0, fault.vpn)
        folio.nonzero = int(k.swap_nonzero.get(slot, False))
        folio.ref += 1
        folio.cached = True
        folio.swap_slot = slot
        k.swap_cache[slot] = folio
        k.count("pgmajfault")
    return folio


def map_swapped(k: Kernel, fault: Fault, table: PageTable, folio: Folio) -> Path[None]:
    """Replace a swap entry by a present one, under the PTL, and drop its use of the slot."""
    vma, index = fault.vma, fault.index
    entry = table.entries[index]
    slot = pte.swap_slot(entry)
    assert folio.swap_slot is not None
    page = slot - folio.swap_slot
    exclusive = pte.swap_is_exclusive(entry)
    folio.ref += 1
    vma.mm.rss.swap -= 1
    rmap.rss_add(vma, folio, 1)
    # The bit survives in the swap entry, since the page has no flags while it is out; fork() clears it there.
    if exclusive:
        folio.anon_exclusive |= 1 << page
    yield from rmap.add_ptes(k, folio, page, 1, vma, table, fault.vpn, "folio_add_anon_rmap_ptes")
    # A page that may be shared is mapped read-only, also for a write: do_wp_page() decides then whether to copy.
    writable = exclusive and vma.flags & vm.WRITE
    table.entries[index] = pte.make(folio.pfn + page, pte.YOUNG | (pte.WRITE if writable else 0))
    yield from free_entry(k, slot)
