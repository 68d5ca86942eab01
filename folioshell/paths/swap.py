"""Swap slots: how many entries refer to one, and the folio that still holds its contents."""

from __future__ import annotations

from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.paths import rmap
from folioshell.paths.step import Path


def free_entry(k: Kernel, slot: int) -> Path[None]:
    """One entry that referred to the slot is gone; without any left, the slot and its swap cache go too.

    Kernel: mm/swapfile.c: free_swap_and_cache_nr() (v6.18)
    """
    yield k.swap_lock.acquire("free_swap_and_cache_nr")
    k.swap_counts[slot] -= 1
    unused = not k.swap_counts[slot]
    if unused:
        del k.swap_counts[slot]
        k.swap_nonzero.pop(slot, None)
    yield k.swap_lock.release()
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
    folio.dirty = True
    yield from rmap.put(k, folio, folio.nr_pages)


def try_to_free(k: Kernel, folio: Folio) -> Path[bool]:
    """Take a folio out of the swap cache if no entry refers to its slots any more.

    Kernel: mm/swapfile.c: folio_free_swap() (v6.18)
    """
    if folio.swap_slot is None:
        return False
    if any(k.swap_counts.get(slot) for slot in range(folio.swap_slot, folio.swap_slot + folio.nr_pages)):
        return False
    yield from delete_from_cache(k, folio)
    return True
