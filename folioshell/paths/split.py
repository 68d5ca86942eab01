"""Splitting a folio into smaller ones.

Kernel: mm/huge_memory.c: __folio_split() (v6.18)
"""

from __future__ import annotations

from collections.abc import Sequence

from folioshell.events import FolioFreed, Tracepoint
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.policy import SharingQuestion
from folioshell.paths import Path, rmap, sharing, swap
from folioshell.paths.unmap import remove_migration_ptes, try_to_migrate, try_to_unmap
from folioshell.paths.walk import rmap_lock


def uniform(folio: Folio, order: int = 0) -> list[tuple[int, int]]:
    """(first page, order) of pieces of equal order."""
    return [(first, order) for first in range(0, folio.nr_pages, 1 << order)]


def non_uniform(folio: Folio, page: int) -> list[tuple[int, int]]:
    """(first page, order) of the pieces when a folio is halved repeatedly towards one page.

    Kernel: mm/huge_memory.c: __split_unmapped_folio() (v6.18)
    """
    first, order, pieces = 0, folio.order, []
    while order:
        order -= 1
        middle = first + (1 << order)
        if page < middle:
            pieces.append((middle, order))
        else:
            pieces.append((first, order))
            first = middle
    pieces.append((first, 0))
    return sorted(pieces)


def split_folio(k: Kernel, folio: Folio, layout: Sequence[tuple[int, int]] | None = None) -> Path[list[Folio]]:
    """Split a folio that the caller has locked, with a reference.

    Args:
        layout: (first page, order) of the pieces, ascending; all of order 0 if None.
    Returns: the pieces, or the folio alone if it cannot be split now (EAGAIN, EBUSY). The first of them is locked and
        has the caller's reference; of the others those that nothing used are freed.
    Kernel: mm/huge_memory.c: split_huge_page_to_list_to_order() (v6.18)
    """
    # Truncated while the folio lock was waited for; or unmapped, and without an entry the anon_vma may be freed.
    if not (k.counts.mapcount(folio.id) if folio.anon else folio.cached):
        return [folio]
    # Before anything else is tried: a folio whose buffers are all clean is clean from here on, even if the split fails.
    if not folio.release_buffers():
        return [folio]
    # For writing: other splits and collapses of the same anonymous memory wait. For a file its mappings need only stay.
    lock, mode = rmap_lock(folio), "W" if folio.anon else "R"
    yield lock.acquire("__folio_split", mode)
    pieces = [folio]
    # Checked before anything is unmapped, so that a failure leaves all entries (can_split_folio()).
    if not sharing.has_other_references(k, folio, SharingQuestion.SPLIT, held=1):
        if folio.anon:
            yield from try_to_migrate(k, folio, split_pmd=True)
        else:
            # Entries of a file need not be kept: a fault brings them back from the page cache.
            yield from try_to_unmap(k, folio, locked=True, sync=True, ignore_mlock=True)
        pieces = yield from _split_unmapped(k, folio, layout or uniform(folio))
        if folio.anon:
            # A THP that was written in part is mostly zeros: those pages are freed here.
            drops = k.release.split_drops_zero_pages and pieces != [folio]
            for piece in pieces:
                yield from remove_migration_ptes(k, piece, piece, use_shared_zeropage=drops)
    drops_first = not folio.anon and k.release.split_drops_i_mmap_first
    if drops_first:
        yield lock.release(mode)
    for piece in pieces[1:]:
        if not k.batches:
            yield piece.lock.release()
        # The last reference of a piece that got no entry and is in no cache, or in that of swap without need.
        put = rmap.put if piece.swap_slot is None else swap.put_unmapped
        yield from put(k, piece)
    if not drops_first:
        yield lock.release(mode)
    return pieces


def _split_unmapped(k: Kernel, folio: Folio, layout: Sequence[tuple[int, int]]) -> Path[list[Folio]]:
    """Replace a folio without entries by its pieces. Returns the folio alone if a reference was taken meanwhile.

    Kernel: mm/huge_memory.c: __folio_split(), __split_unmapped_folio() (v6.18)
    """
    # Look-ups in the page cache find the whole folio before, and the pieces after. Linux takes the lock of the swap
    # cache when the folio is frozen, and look-ups there spin meanwhile.
    cache = k.swap_lock if folio.swap_slot is not None else None
    if isinstance(folio.mapping, AddressSpace):
        cache = folio.mapping.xa_lock
    if cache is not None:
        yield cache.acquire("__folio_split")
    # Before the pieces exist: the deferred-split shrinker takes references on folios that it finds on the queue.
    locks_queue = (folio.anon and folio.order > 1) or not k.release.split_locks_queue_of_anon
    if locks_queue:
        yield k.deferred_lock.acquire("__folio_split")
    # A look-up in the page cache, or GUP in another process before its entry went, may have taken a reference; from
    # here on it finds none to take, and looks again.
    frozen = folio.freeze(1 + (folio.nr_pages if folio.cached else 0))
    if frozen:
        folio.deferred = False
        k.deferred.pop(folio.id, None)
    if locks_queue:
        yield k.deferred_lock.release()
    pieces = [folio]
    if frozen:
        yield k.lru_lock.acquire("__folio_split")
        pieces = yield from _replace(k, folio, layout)
        yield k.lru_lock.release()
    if cache is not None:
        yield cache.release()
    return pieces


def _replace(k: Kernel, folio: Folio, layout: Sequence[tuple[int, int]]) -> Path[list[Folio]]:
    pieces = _make_pieces(k, folio, layout)
    k.count("thp_split_page" if folio.order == k.geometry.pmd_order else "split")
    yield Tracepoint(f"{folio} split into {_named(pieces)}")
    for piece in pieces:
        yield rmap.folio_new(piece, (folio.id, piece.pfn - folio.pfn))
    yield FolioFreed(folio.id, folio.order)
    # Pieces of a locked folio are born locked: no one maps them before the split is over.
    for piece in pieces[:1] if k.batches else pieces:
        yield piece.lock.set_locked()
    yield folio.lock.release()
    return pieces


def do_split(k: Kernel, folio: Folio) -> Path[str | None]:
    """Split a folio to order 0. Returns EINVAL for one page, EAGAIN if it cannot be split now.

    Kernel: mm/huge_memory.c: split_huge_pages_in_file() (v6.18)
    """
    if not folio.order:
        return "EINVAL"
    if not folio.try_get():
        return "EAGAIN"
    error: str | None = "EAGAIN"
    if not (yield folio.lock.trylock("split_huge_pages_write")):
        pieces = yield from split_folio(k, folio)
        error = "EAGAIN" if pieces[0] is folio else None
        folio = pieces[0]
        yield folio.lock.release()
    yield from rmap.put(k, folio)
    return error


def _named(pieces: Sequence[Folio]) -> str:
    return str(pieces[0]) if len(pieces) == 1 else f"{pieces[0]}..{pieces[-1]}"


def _make_pieces(k: Kernel, folio: Folio, layout: Sequence[tuple[int, int]]) -> list[Folio]:
    """The pieces, each with one reference for the split, those of its cache, and one of the isolation.

    That of the first is the caller's, as is the folio's isolation, if it is isolated.
    """
    file = folio.mapping if folio.cached and isinstance(folio.mapping, AddressSpace) else None
    if file is not None:
        file.remove(folio)
        folio.cached = False
    slot = folio.swap_slot
    if slot is not None:
        k.slots.remove_from_cache(folio)
    pieces = []
    for first, order in layout:
        piece = k.new_piece(folio, first, order)
        piece.isolated = folio.isolated
        piece.ref = 2 if first and folio.isolated else 1
        piece.nonzero = folio.nonzero >> first & (1 << piece.nr_pages) - 1
        for flag in ("swapbacked", "uptodate", "dirty", "active", "mlocked"):
            setattr(piece, flag, getattr(folio, flag))
        # Only the head keeps the count; the others are mlocked until their next munlock.
        piece.mlock_count = folio.mlock_count if not first else 0
        # Pieces beyond EOF leave the page cache, and are freed with the caller's reference.
        if file is not None and piece.index < file.size:
            k.add_to_cache(file, piece)
        elif slot is not None:
            k.slots.add_to_cache(piece, slot + first)
        pieces.append(piece)
    k.forget_folio(folio)
    return pieces
