"""Reclaim of isolated folios.

Kernel: mm/vmscan.c: shrink_folio_list() (v6.18)
"""

from __future__ import annotations

from folioshell.events import Tracepoint
from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.vm import Vma
from folioshell.paths import rmap, swap
from folioshell.paths.split import split_folio
from folioshell.paths.step import Path
from folioshell.paths.unmap import try_to_unmap
from folioshell.paths.walk import Hit, rmap_walk


def do_reclaim(k: Kernel, folio: Folio) -> Path[None]:
    """Reclaim one folio as if memory were short. Its accessed bits are cleared first, but do not save it.

    Kernel: mm/vmscan.c: shrink_folio_list() (v6.18)
    """
    folio = k.folios.single_out(folio.id)
    folio.ref += 1
    if k.counts.mapcount(folio.id):
        yield from _folio_referenced(k, folio)
    yield from reclaim_pages(k, [folio])


def _folio_referenced(k: Kernel, folio: Folio) -> Path[None]:
    """Clear the accessed bit of every entry that maps the folio.

    Kernel: mm/rmap.c: folio_referenced() (v6.18)
    """
    left = k.counts.mapcount(folio.id)

    def visit(vma: Vma, hit: Hit) -> Path[bool]:
        nonlocal left
        left -= 1
        entry = hit.table.entries[hit.index]
        assert isinstance(entry, int)
        hit.table.entries[hit.index] = entry & ~pte.YOUNG
        yield from ()
        # One locked VMA decides that the folio stays: the walk ends.
        return bool(vma.flags & vm.LOCKED)

    yield from rmap_walk(k, folio, "folio_referenced", visit, done=lambda: not left)
    folio.referenced = False


def reclaim_pages(k: Kernel, folios: list[Folio]) -> Path[None]:
    """Reclaim isolated folios, each with the isolation's reference, whether recently used or not.

    Kernel: mm/vmscan.c: reclaim_pages() (v6.18)
    """
    todo = list(folios)
    while todo:
        folio = todo.pop(0)
        pieces = yield from _shrink_folio(k, folio)
        # The pieces of a split folio come next, in order.
        todo[:0] = pieces


def _shrink_folio(k: Kernel, folio: Folio) -> Path[list[Folio]]:
    """Reclaim one isolated folio. Returns the isolated pieces if it was split, to be reclaimed in turn."""
    # Only tried: reclaim runs inside allocations, whose callers may hold the folio lock.
    if (yield folio.lock.trylock("shrink_folio_list")):
        yield from _putback(k, folio)
        return []
    if folio.mlocked:
        yield from _activate(k, folio)
        return []
    if folio.anon and folio.swapbacked and folio.swap_slot is None:
        # A device may write to a pinned page at any time; it is not even given a swap slot.
        if folio.pins:
            yield folio.lock.release()
            yield from _putback(k, folio)
            return []
        if folio.order and (folio.partially_mapped or not k.config.swap):
            return (yield from _split_for_swap(k, folio))
        if not k.config.swap:
            yield from _activate(k, folio)
            return []
        # In the swap cache before it is unmapped: a fault on the swap entry must find the page.
        yield from _add_to_swap(k, folio)
    if not (yield from _unmapped(k, folio)):
        yield from _activate(k, folio)
        return []
    yield from _remove(k, folio)
    return []


def _split_for_swap(k: Kernel, folio: Folio) -> Path[list[Folio]]:
    """Split a folio that is partially mapped, or that swap has no room for; its pieces are reclaimed one by one.

    Pages that nothing maps are freed by the split, and need no swap slot.
    """
    pieces = yield from split_folio(k, folio)
    yield folio.lock.release()
    if pieces is None:
        folio.active = True
        yield from rmap.put(k, folio)
        return []
    for piece in pieces:
        piece.ref += 1
    return pieces


def _unmapped(k: Kernel, folio: Folio) -> Path[bool]:
    if not k.counts.mapcount(folio.id):
        return True
    return (yield from try_to_unmap(k, folio, sync=bool(folio.order)))


def _add_to_swap(k: Kernel, folio: Folio) -> Path[None]:
    """Allocate swap slots for the folio and add it to the swap cache.

    Kernel: mm/swapfile.c: folio_alloc_swap() (v6.18)
    """
    yield k.swap_lock.acquire("folio_alloc_swap")
    folio.swap_slot = k.next_number("swap slot")
    for page in range(1, folio.nr_pages):
        k.next_number("swap slot")
        k.swap_cache[folio.swap_slot + page] = folio
    k.swap_cache[folio.swap_slot] = folio
    yield k.swap_lock.release()
    folio.cached = True
    folio.ref += folio.nr_pages
    # The slots hold nothing yet: it has to be written.
    folio.dirty = True
    yield Tracepoint(f"{folio} added to swap at slot {folio.swap_slot}", "swpout")


def _remove(k: Kernel, folio: Folio) -> Path[None]:
    """Write an unmapped folio to swap if it is dirty, and free it. A dirty file folio stays.

    Kernel: mm/vmscan.c: __remove_mapping() (v6.18)
    """
    if folio.swap_slot is not None:
        folio.dirty = False
        for slot in range(folio.swap_slot, folio.swap_slot + folio.nr_pages):
            k.swap_nonzero.setdefault(slot, bool(folio.nonzero >> slot - folio.swap_slot & 1))
        yield folio.lock.release()
        yield from swap.delete_from_cache(k, folio)
        yield from rmap.put(k, folio)
        return
    file = folio.mapping
    if folio.anon:
        k.count("pglazyfreed", folio.nr_pages)
    elif isinstance(file, AddressSpace):
        # A dirty file folio is left to writeback, marked PG_reclaim (the same bit as PG_readahead).
        if folio.dirty or folio.ref != 1 + folio.nr_pages:
            folio.readahead = folio.readahead or (folio.dirty and not folio.swapbacked)
            yield from _activate(k, folio)
            return
        yield file.xa_lock.acquire("__remove_mapping")
        file.remove(folio)
        folio.cached = False
        folio.ref -= folio.nr_pages
        yield file.xa_lock.release()
    yield folio.lock.release()
    yield from rmap.put(k, folio)


def _activate(k: Kernel, folio: Folio) -> Path[None]:
    folio.active = not folio.mlocked
    yield folio.lock.release()
    yield from rmap.put(k, folio)


def _putback(k: Kernel, folio: Folio) -> Path[None]:
    yield from rmap.put(k, folio)
