"""Moving a folio to other physical pages.

Kernel: mm/migrate.c: migrate_folio_unmap(), migrate_folio_move() (v6.18)
"""

from __future__ import annotations

from folioshell.events import Tracepoint
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.paths import rmap
from folioshell.paths.step import Path
from folioshell.paths.unmap import remove_migration_ptes, try_to_migrate
from folioshell.paths.walk import rmap_lock

#: attributes that the new folio takes over unchanged
_CARRIED = ("nonzero", "swapbacked", "uptodate", "dirty", "dirty_buffers", "active", "referenced")


def do_migrate(k: Kernel, folio: Folio) -> Path[str | None]:
    """Copy a folio to a new one of the same order, and map that in its place.

    Returns: EAGAIN if it is locked, or has references besides those of entries and cache; EBUSY if it is isolated.
    Kernel: mm/migrate.c: add_folio_for_migration() (v6.18)
    """
    folio = k.folios.single_out(folio.id)
    if not folio.isolate():
        return "EBUSY"
    if (yield folio.lock.trylock("migrate_folio_unmap")):
        yield from rmap.putback(k, folio)
        return "EAGAIN"
    # The isolation's reference is the last: the folio was unmapped or truncated, and is freed.
    if folio.ref == 1:
        yield folio.lock.release()
        yield from rmap.putback(k, folio)
        return None
    new = k.new_folio(folio.order, folio.mapping, folio.index, folio.anon)
    # Restored entries can be zapped before migration is done with the new folio.
    new.ref = 1
    yield rmap.folio_new(new)
    yield new.lock.trylock("migrate_folio_unmap")
    lock, queued, partial = rmap_lock(folio), folio.deferred, folio.partially_mapped
    if k.counts.mapcount(folio.id):
        yield lock.acquire("try_to_migrate", "R")
        yield from try_to_migrate(k, folio, split_pmd=False)
        yield lock.release("R")
    moved = yield from _move(k, folio, new)
    # Both folios stay locked until the entries are back: a fault on a migration entry waits for that.
    holder = new if moved else folio
    yield lock.acquire("remove_migration_ptes", "R")
    yield from remove_migration_ptes(k, holder, folio)
    yield lock.release("R")
    # The old folio left the queue when it was frozen.
    if moved and queued:
        yield from rmap.deferred_split(k, new, partial)
    yield new.lock.release()
    yield from rmap.put(k, new)
    yield folio.lock.release()
    if moved:
        yield Tracepoint(f"{folio} migrated to {new}", "pgmigrate_success")
    yield from rmap.putback(k, folio)
    return None if moved else "EAGAIN"


def _move(k: Kernel, folio: Folio, new: Folio) -> Path[bool]:
    """Give the new folio the old one's place in its cache, and its flags. False: the old one has other references.

    Only now, without entries, can a reference be distinguished from a mapping. It may be GUP's, which would keep using
    the old pages, or a look-up's in the page cache, which would miss the new ones.
    Kernel: mm/migrate.c: __folio_migrate_mapping(), folio_migrate_flags() (v6.18)
    """
    lock = k.swap_lock if folio.swap_slot is not None else None
    if isinstance(folio.mapping, AddressSpace):
        lock = folio.mapping.xa_lock
    if lock is not None:
        yield lock.acquire("__folio_migrate_mapping")
    moved = folio.freeze(rmap.expected_references(k, folio) + 1)
    if moved:
        yield from rmap.unqueue_deferred_split(k, folio)
        for flag in _CARRIED:
            setattr(new, flag, getattr(folio, flag))
        _replace_in_cache(k, folio, new)
        folio.unfreeze()
    if lock is not None:
        yield lock.release()
    return moved


def _replace_in_cache(k: Kernel, folio: Folio, new: Folio) -> None:
    if not folio.cached:
        return
    folio.cached = False
    folio.ref -= folio.nr_pages
    if isinstance(folio.mapping, AddressSpace):
        folio.mapping.remove(folio)
        k.add_to_cache(folio.mapping, new)
    else:
        assert folio.swap_slot is not None
        new.swap_slot, folio.swap_slot = folio.swap_slot, None
        new.cached = True
        new.ref += new.nr_pages
        for page in range(new.nr_pages):
            k.swap_cache[new.swap_slot + page] = new
