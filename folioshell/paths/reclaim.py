"""Reclaim of isolated folios.

Kernel: mm/vmscan.c: shrink_folio_list() (v6.18)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.folios import FolioRun
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.pagetable import PmdTable
from folioshell.model.policy import SharingQuestion
from folioshell.model.vm import Vma
from folioshell.paths import Path, rmap, sharing, swap
from folioshell.paths.split import split_folio
from folioshell.paths.unmap import try_to_unmap
from folioshell.paths.walk import Hit, equal_walks, rmap_walk


def do_reclaim(k: Kernel, folio: Folio) -> Path[None]:
    """Reclaim one folio as if memory were short. Its accessed bits are cleared first, but do not save it.

    Nothing happens to a folio that another path has isolated.
    Kernel: mm/vmscan.c: shrink_folio_list() (v6.18)
    """
    folio = k.folios.single_out(folio.id)
    if folio.isolate():
        yield from reclaim_pages(k, [folio], clear_young=True)


def _folio_referenced(k: Kernel, folio: Folio) -> Path[int]:
    """Clear the accessed bit of every entry that maps the folio.

    Returns: the number of those that had it set; -1 if only a process that is ending maps the folio, which will be
        freed anyway.
    Kernel: mm/rmap.c: folio_referenced(), folio_referenced_one() (v6.18)
    """
    left, young = k.counts.mapcount(folio.id), 0
    question = SharingQuestion.EXITING_MM
    asks = folio.anon and k.deciders[question] is not None

    def visit(vma: Vma, hit: Hit) -> Path[bool]:
        nonlocal left, young
        if not vma.mm.users and asks and folio.swapbacked:
            answer = yield from sharing.answer_of(
                k, vma.mm, folio, question, hit.table.lock if isinstance(hit.table, PmdTable) else hit.table.ptl
            )
            if answer == "no":
                young = -1
                return True
        left -= 1
        entry = hit.table.entries[hit.index]
        assert isinstance(entry, int)
        young += bool(entry & pte.YOUNG)
        hit.table.entries[hit.index] = entry & ~pte.YOUNG
        yield from ()
        # One locked VMA decides that the folio stays: the walk ends.
        return bool(vma.flags & vm.LOCKED)

    yield from rmap_walk(k, folio, "folio_referenced", visit, done=lambda: not left)
    return young


def reclaim_pages(k: Kernel, folios: Iterable[Folio | FolioRun], clear_young: bool = False) -> Path[None]:
    """Reclaim isolated folios, whether recently used or not.

    Args:
        clear_young: clear their accessed bits first.
    Kernel: mm/vmscan.c: reclaim_pages() (v6.18)
    """
    # A stack: the other pieces of a split folio come next, in order.
    todo = [*folios][::-1]
    while todo:
        found = todo.pop()
        if isinstance(found, FolioRun):
            pfn, nr = found.first.pfn, _equal_folios(k, found, clear_young)
            if nr < found.nr:
                found = k.physmem.part(pfn, nr) if nr > 1 else k.physmem.single_out(pfn)
                todo.append(k.physmem.at(pfn + nr))
        pieces = yield from _shrink_folio(k, found, clear_young)
        todo += reversed(pieces)


def _equal_folios(k: Kernel, run: FolioRun, clear_young: bool) -> int:
    """Number of folios of an isolated run, from the first on, that are reclaimed alike: written to swap, and freed."""
    folio = run.first
    is_walked = clear_young or not k.release.pageout_ignores_references
    if not k.batches or not k.config.swap or folio.mlocked or is_walked:
        return 1
    # The reference of its only entry, that of the isolation, and that of the swap cache.
    if folio.ref != 2 + folio.cached:
        return 1
    return equal_walks(run, min(run.nr_alike(0), k.slots.free_in_a_row))


def _shrink_folio(k: Kernel, folios: Folio | FolioRun, clear_young: bool) -> Path[Sequence[Folio]]:
    """Reclaim one isolated folio, or a run of equal ones.

    Returns: the isolated pieces if it was split, to be reclaimed in turn.
    """
    folio, pieces = folios.first, list[Folio]()
    # Only tried: reclaim runs inside allocations, whose callers may hold the folio lock.
    if (yield folios.lock.trylock("shrink_folio_list", times=folios.nr)):
        yield from rmap.putback(k, folio)
        return pieces
    if folio.mlocked:
        yield from _activate(k, folio)
        return pieces
    referenced = yield from _check_references(k, folio, clear_young)
    if referenced:
        yield from (_activate if referenced > 1 else _keep)(k, folio)
        return pieces
    if folio.anon and folio.swapbacked and folio.swap_slot is None:
        # A device may write to a pinned page at any time; it is not even given a swap slot.
        if folio.pins:
            yield from _keep(k, folio)
            return pieces
        # Pages that nothing maps are freed by the split, and need no swap slot.
        must_split = folio.order > 0 and (folio.partially_mapped or not k.config.swap)
        if must_split:
            folio, *pieces = yield from split_folio(k, folio)
            folios = folio
        if not k.config.swap or (must_split and not pieces):
            yield from _activate(k, folio)
            return pieces
        # In the swap cache before it is unmapped: a fault on the swap entry must find the page.
        yield from swap.add_to_swap(k, folios)
    sync = folio.order > 0
    unmapped = not k.counts.mapcount(folio.id) or (yield from try_to_unmap(k, folios, sync=sync))
    if unmapped and not folio.pins and not folio.anon and folio.swapbacked and k.config.swap:
        folio, *pieces = yield from _write_out_shmem(k, folio)
        folios = folio
    # A pinned page was unmapped in vain: it stays in its cache.
    if not unmapped or folio.pins:
        yield from _activate(k, folio)
    elif folio.dirty and isinstance(folio.mapping, AddressSpace):
        # A dirty file folio is left to writeback, marked PG_reclaim (the same bit as PG_readahead).
        folio.readahead = folio.readahead or not folio.swapbacked
        yield from _activate(k, folio)
    elif folio.release_buffers() and (yield from _remove_mapping(k, folios)):
        yield folios.lock.release(times=folios.nr)
        yield from rmap.put(k, folios)
    else:
        yield from _keep(k, folio)
    return pieces


def _write_out_shmem(k: Kernel, folio: Folio) -> Path[list[Folio]]:
    """Write dirty shared memory to swap. Returns the folio, or its pieces, of which the first was written.

    Kernel: mm/shmem.c: shmem_writeout() (v6.18)
    """
    file, pieces = folio.mapping, [folio]
    assert isinstance(file, AddressSpace)
    # Pages beyond EOF need no slot.
    if folio.dirty and folio.index < file.size < folio.index + folio.nr_pages:
        pieces = yield from split_folio(k, folio)
    if pieces[0].dirty and pieces[0].cached:
        yield from _shmem_writeout(k, pieces[0])
    return pieces


def _shmem_writeout(k: Kernel, folio: Folio) -> Path[None]:
    """Put swap entries where a locked, unmapped folio was in its page cache; it goes to the swap cache, written.

    Kernel: mm/shmem.c: shmem_writeout(), shmem_delete_from_page_cache() (v6.18)
    """
    file = folio.mapping
    assert isinstance(file, AddressSpace)
    yield from swap.add_to_swap(k, folio)
    yield file.xa_lock.acquire("shmem_delete_from_page_cache")
    file.remove(folio)
    # Its references to the page cache are those to the swap cache now.
    folio.ref -= folio.nr_pages
    assert folio.swap_slot is not None
    for page in range(folio.nr_pages):
        file.swapped[folio.index + page] = (folio.swap_slot + page, folio.order)
        k.slots.refer(folio.swap_slot + page, 1)
        k.slots.write(folio.swap_slot + page, 1, bool(folio.nonzero >> page & 1))
    folio.dirty = False
    yield file.xa_lock.release()


def _check_references(k: Kernel, folio: Folio, clear_young: bool) -> Path[int]:
    """Was the folio accessed, so that it stays? Never if its accessed bits are merely to be cleared.

    Returns: by how many entries; negative if it stays without having been accessed.
    Kernel: mm/vmscan.c: folio_check_references() (v6.12)
    """
    if (not clear_young and k.release.pageout_ignores_references) or not k.counts.mapcount(folio.id):
        return 0
    # madvise() has made its own entries old: any other is young by an access since.
    young = yield from _folio_referenced(k, folio)
    return 0 if clear_young and young > 0 else young


def _remove_mapping(k: Kernel, folios: Folio | FolioRun) -> Path[bool]:
    """Take an unmapped folio out of its cache, written to swap if it is dirty, and freeze it: the caller frees it.

    Args:
        folios: the folio, or a run of folios in the swap cache without other references.
    Returns: False if another path found the folio in the cache and has a reference: then it stays.
    Kernel: mm/vmscan.c: __remove_mapping() (v6.18)
    """
    folio, times = folios.first, folios.nr
    file, slot = folio.mapping, folio.swap_slot
    if isinstance(file, AddressSpace) and slot is None:
        # Truncated before it was locked: the last to have a reference frees it.
        if not folio.cached:
            return False
        yield file.xa_lock.acquire("__remove_mapping")
        frozen = folio.freeze(1 + folio.nr_pages)
        # Under the lock of the cache, and references before the dirty bit: any path with one may have dirtied it.
        if frozen and folio.dirty:
            folio.unfreeze()
            frozen = False
        if frozen:
            file.remove(folio)
            folio.cached = False
            folio.ref -= folio.nr_pages
        yield file.xa_lock.release()
        return frozen
    if slot is None:
        frozen = folio.freeze(1)
        if frozen:
            k.count("pglazyfreed", folio.nr_pages)
        return frozen
    yield k.swap_lock.acquire("__remove_mapping", times=times)
    frozen = folio.freeze(1 + folio.nr_pages)
    if frozen:
        folio.dirty = False
        k.slots.remove_from_cache(folios)
        folios.add_refs(-folio.nr_pages)
    yield k.swap_lock.release(times=times)
    return frozen


def _activate(k: Kernel, folio: Folio) -> Path[None]:
    folio.active = not folio.mlocked
    yield from _keep(k, folio)


def _keep(k: Kernel, folio: Folio) -> Path[None]:
    yield folio.lock.release()
    yield from rmap.putback(k, folio)
