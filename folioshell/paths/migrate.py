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
_CARRIED = ("nonzero", "swapbacked", "uptodate", "dirty", "dirty_buffers", "active", "referenced", "partially_mapped")


def do_migrate(k: Kernel, folio: Folio) -> Path[str | None]:
    """Copy a folio to a new one of the same order, and map that in its place.

    Returns: EAGAIN if it has references besides those of entries and cache.
    """
    folio = k.folios.single_out(folio.id)
    folio.ref += 1
    if (yield folio.lock.trylock("migrate_folio_unmap")):
        yield from rmap.put(k, folio)
        return "EAGAIN"
    new = k.new_folio(folio.order, folio.mapping, folio.index, folio.anon)
    yield rmap.folio_new(new)
    yield new.lock.trylock("migrate_folio_unmap")
    lock = rmap_lock(folio)
    if k.counts.mapcount(folio.id):
        yield lock.acquire("try_to_migrate", "R")
        yield from try_to_migrate(k, folio, split_pmd=False)
        yield lock.release("R")
    # Only now, without entries, can a reference be distinguished from a mapping. It may be GUP's, which
    # would keep using the old pages: then the entries are restored to the old folio.
    moved = folio.ref == rmap.expected_references(k, folio) + 1
    if moved:
        yield from _move(k, folio, new)
    # Both folios stay locked until the entries are back: a fault on a migration entry waits for that.
    holder = new if moved else folio
    yield lock.acquire("remove_migration_ptes", "R")
    yield from remove_migration_ptes(k, holder, folio)
    yield lock.release("R")
    yield new.lock.release()
    yield folio.lock.release()
    if moved:
        yield Tracepoint(f"{folio} migrated to {new}", "pgmigrate_success")
        yield from rmap.put(k, folio)
        return None
    yield from rmap.free(k, new)
    yield from rmap.put(k, folio)
    return "EAGAIN"


def _move(k: Kernel, folio: Folio, new: Folio) -> Path[None]:
    """Give the new folio the old one's place in its cache and in the deferred-split queue, and its flags.

    Kernel: mm/migrate.c: folio_migrate_mapping(), folio_migrate_flags() (v6.18)
    """
    for flag in _CARRIED:
        setattr(new, flag, getattr(folio, flag))
    if isinstance(folio.mapping, AddressSpace) and folio.cached:
        yield folio.mapping.xa_lock.acquire("folio_migrate_mapping")
        folio.mapping.remove(folio)
        folio.cached = False
        folio.ref -= folio.nr_pages
        k.add_to_cache(folio.mapping, new)
        yield folio.mapping.xa_lock.release()
    elif folio.swap_slot is not None:
        new.swap_slot, folio.swap_slot = folio.swap_slot, None
        new.cached, folio.cached = True, False
        folio.ref -= folio.nr_pages
        new.ref += new.nr_pages
        for page in range(new.nr_pages):
            k.swap_cache[new.swap_slot + page] = new
    if folio.deferred:
        yield k.deferred_lock.acquire("folio_migrate_mapping")
        folio.deferred, new.deferred = False, True
        k.deferred.pop(folio.id, None)
        k.deferred[new.id] = new
        yield k.deferred_lock.release()
