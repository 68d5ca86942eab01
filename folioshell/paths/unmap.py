"""Removing all entries of a folio through the rmap: for good, or as migration entries until its pages are in place.

And moving a folio to other physical pages, which is done under such entries.

Kernel: mm/rmap.c: try_to_unmap_one(), try_to_migrate_one() (v6.18); mm/migrate.c: migrate_folio_unmap(),
    migrate_folio_move(), remove_migration_pte() (v6.18)
"""

from __future__ import annotations

from functools import partial

from folioshell.events import SWAP_CACHE, Held, Tracepoint
from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.folios import FolioRun
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vm import Vma
from folioshell.paths import Path, rmap
from folioshell.paths.batch import folio_pte_batch
from folioshell.paths.tables import pte_free, split_huge_pmd_address, split_huge_pmd_locked, withdraw
from folioshell.paths.walk import Hit, VmaWalk, rmap_lock, rmap_walk, vmas_of


def try_to_unmap(
    k: Kernel, folios: Folio | FolioRun, *, locked: bool = False, sync: bool = False, ignore_mlock: bool = False
) -> Path[bool]:
    """Remove all entries of a folio. The caller holds the folio lock.

    Args:
        folios: the folio, or a run of ``equal_walks``.
        locked: the caller holds the rmap lock.
        sync: take the lock of every table (TTU_SYNC).
        ignore_mlock: unmap from locked VMAs too (TTU_IGNORE_MLOCK).
    Returns: no entry is left.
    """
    folio = folios.first

    def visit(vma: Vma, hit: Hit) -> Path[bool]:
        if vma.flags & vm.LOCKED and not ignore_mlock:
            return True
        if isinstance(hit.table, PmdTable):
            if folio.anon and not folio.swapbacked and (yield from _discard_lazyfree_pmd(k, folio, vma, hit)):
                return False
            # The walk enters the PTE table next, or finds nothing where the PMD entry of a file was dropped.
            dropped = yield from split_huge_pmd_locked(k, vma, hit.table, hit.vpn, freeze=False)
            if dropped is not None:
                # The caller's reference keeps the folio, so this one needs no put().
                dropped.ref -= 1
            return False
        if folio.anon and not folio.swapbacked:
            return (yield from _unmap_lazyfree(k, folio, vma, hit))
        return (yield from _unmap_pte(k, folios, vma, hit))

    def unmapped() -> bool:
        return not k.counts.mapcount(folio.id)

    is_early = folio.order == k.geometry.pmd_order and not k.release.unmap_splits_pmd_in_walk
    enter = partial(_split_huge_pmd_of, k, folio) if is_early else None
    yield from rmap_walk(k, folios, "try_to_unmap", visit, enter=enter, done=unmapped, sync=sync, locked=locked)
    return unmapped()


def _split_huge_pmd_of(k: Kernel, folio: Folio, vma: Vma, frozen: Folio | None = None) -> Path[None]:
    """Split the PMD entry by which a VMA may map the folio; the PMD lock is taken even where none does."""
    yield from split_huge_pmd_address(k, vma, max(vma.start, vma.vpn_of(folio)), frozen)


def _discard_lazyfree_pmd(k: Kernel, folio: Folio, vma: Vma, hit: Hit) -> Path[bool]:
    """Clear the PMD entry of a clean lazyfree THP, and free the table deposited with it. False: it must be split.

    Kernel: mm/huge_memory.c: __discard_anon_folio_pmd_locked() (v6.12)
    """
    pmd = hit.table
    assert isinstance(pmd, PmdTable)
    entry = pmd.entries[hit.index]
    assert isinstance(entry, int)
    if not k.release.discards_lazyfree_pmd or folio.dirty or entry & pte.DIRTY:
        return False
    if folio.ref != 1 + k.counts.mapcount(folio.id):
        return False
    del pmd.entries[hit.index]
    yield from rmap.remove_pmd(k, folio, vma, pmd, hit.vpn)
    withdraw(pmd)
    pte_free(vma.mm)
    rmap.rss_add(vma, folio, -folio.nr_pages)
    folio.ref -= 1
    return True


def _batch(k: Kernel, folio: Folio, vma: Vma, hit: Hit) -> int:
    """Number of entries of a folio that are cleared together, from one on.

    Kernel: mm/rmap.c: folio_unmap_pte_batch() (v6.18)
    """
    assert isinstance(hit.table, PageTable)
    limit = min(k.geometry.pmd_pages, hit.index + vma.end - hit.vpn)
    return folio_pte_batch(hit.table, hit.index, limit, folio, pte.WRITE) if folio.order else 1


def _unmap_lazyfree(k: Kernel, folio: Folio, vma: Vma, hit: Hit) -> Path[bool]:
    """Clear the entries of a lazyfree folio from one on, as one batch. True: the folio must stay."""
    table = hit.table
    assert isinstance(table, PageTable)
    page = pte.pfn_of(table.entries[hit.index]) - folio.pfn
    nr = _batch(k, folio, vma, hit) if k.release.unmaps_lazyfree_batches else 1
    entries = table.entries[hit.index : hit.index + nr]
    used = 0
    for entry in entries:
        used |= entry & (pte.YOUNG | pte.DIRTY)
    if used & pte.DIRTY:
        folio.mark_dirty()
    # Only clean folios without other references may be discarded: after a write, or under GUP, the contents count.
    if folio.dirty or folio.ref != 1 + k.counts.mapcount(folio.id):
        # The batch is restored with the flags of all its entries: each is now as young and dirty as any of them was.
        table.entries[hit.index : hit.index + nr] = pte.packed([entry | used for entry in entries])
        # Written to: ordinary anonymous memory again. Merely referenced: lazyfree as before.
        folio.swapbacked = folio.dirty
        return True

    def clear() -> None:
        table.entries[hit.index : hit.index + nr] = pte.packed([pte.NONE] * nr)
        rmap.rss_add(vma, folio, -nr)

    if not (yield from rmap.remove_ptes(k, folio, page, nr, vma, table, hit.vpn, clear)):
        # A protocol under test dropped the PTL, and the entries changed meanwhile.
        return True
    folio.ref -= nr
    return False


def _unmap_pte(k: Kernel, folios: Folio | FolioRun, vma: Vma, hit: Hit) -> Path[bool]:
    """Clear one PTE, or a batch of those of a file, or those of a run. True: this folio cannot be unmapped now."""
    folio, table = folios.first, hit.table
    assert isinstance(table, PageTable)
    nr = _batch(k, folio, vma, hit) if not folio.anon and k.release.unmaps_file_batches else folios.nr
    entries = table.entries[hit.index : hit.index + nr]
    page = pte.pfn_of(entries[0]) - folio.pfn
    if any(entry & pte.DIRTY for entry in entries):
        folio.mark_dirty()
    slot, exclusive = 0, False
    if folio.anon:
        assert folio.swap_slot is not None
        # The swap entry keeps PageAnonExclusive, so that a swap-in by this mm may map the page writable again.
        slot, exclusive = folio.swap_slot + page, bool(folio.anon_exclusive >> page & 1)
        if not rmap.try_share(folio, page):
            return True

    def clear() -> None:
        if folio.anon:
            k.slots.refer(slot, 1, nr)
            k.slots.write(slot, nr, bool(folio.nonzero >> page & 1))
            table.entries[hit.index : hit.index + nr] = pte.absent_ramp(pte.swap(slot, exclusive), nr)
            vma.mm.rss.swap += nr
        else:
            table.entries[hit.index : hit.index + nr] = pte.packed([pte.NONE] * nr)
        rmap.rss_add(vma, folio, -nr)

    if not (yield from rmap.remove_ptes(k, folios, page, nr, vma, table, hit.vpn, clear)):
        # A protocol under test dropped the PTL, and the entry changed meanwhile.
        return True
    folios.add_refs(-nr // folios.nr)
    return False


def try_to_migrate(k: Kernel, folio: Folio, split_pmd: bool) -> Path[None]:
    """Replace every entry that maps a folio by a migration entry. The entry of a pinned page stays and ends it.

    The caller holds the rmap lock.

    Args:
        split_pmd: split PMD entries first, because the folio is about to be split; else they become PMD migration
            entries.
    """
    stuck = False
    split_pmd = split_pmd and folio.order == k.geometry.pmd_order
    in_walk = k.release.migrate_splits_pmd_in_walk

    def visit(vma: Vma, hit: Hit) -> Path[bool]:
        nonlocal stuck
        if split_pmd and isinstance(hit.table, PmdTable):
            # The walk continues with the PTE table, whose entries are migration entries by now. The caller's reference
            # keeps the folio, so that of the entry needs no put().
            dropped = yield from split_huge_pmd_locked(k, vma, hit.table, hit.vpn, freeze=True)
            if dropped is not None:
                dropped.ref -= 1
            return False
        stuck = yield from _set_migration_entry(k, folio, vma, hit)
        return stuck

    for vma in vmas_of(folio):
        if split_pmd and not in_walk:
            yield from _split_huge_pmd_of(k, folio, vma, frozen=folio)
        yield from VmaWalk(k, folio, vma, visit, sync=True).run()
        if stuck or not k.counts.mapcount(folio.id):
            return


def _set_migration_entry(k: Kernel, folio: Folio, vma: Vma, hit: Hit) -> Path[bool]:
    """Replace one PTE or PMD entry. True: it must stay.

    Kernel: mm/huge_memory.c: set_pmd_migration_entry() (v6.18)
    """
    table = hit.table
    entry = table.entries[hit.index]
    assert isinstance(entry, int)
    page = pte.pfn_of(entry) - folio.pfn
    exclusive = bool(folio.anon_exclusive >> page & 1)
    if not rmap.try_share(folio, page):
        return True
    folio.dirty = folio.dirty or bool(entry & pte.DIRTY)

    def clear() -> None:
        table.entries[hit.index] = pte.migration(entry, exclusive)

    if isinstance(table, PmdTable):
        clear()
        yield from rmap.remove_pmd(k, folio, vma, table, hit.vpn)
    elif not (yield from rmap.remove_ptes(k, folio, page, 1, vma, table, hit.vpn, clear)):
        # A protocol under test dropped the PTL, and the entry changed meanwhile.
        return True
    folio.ref -= 1
    return False


def remove_migration_ptes(k: Kernel, folio: Folio, source: Folio, use_shared_zeropage: bool = False) -> Path[None]:
    """Replace the migration entries for the pages of ``source`` that are now ``folio`` by present ones.

    Args:
        folio: the folio that holds the pages now: a piece of a split folio, or the copy after migration.
        source: the folio whose pfns the entries hold: that piece, or the old folio.
        use_shared_zeropage: map the zero page instead of a page of zeros.
    """

    def visit(vma: Vma, hit: Hit) -> Path[bool]:
        if isinstance(hit.table, PmdTable):
            yield from _remove_migration_pmd(k, folio, vma, hit.table, hit)
        else:
            table, page = hit.table, pte.migration_pfn(hit.table.entries[hit.index]) - source.pfn
            zero_filled = not folio.nonzero >> page & 1
            # mlock promises that no access faults, and a write to the zero page does.
            if use_shared_zeropage and zero_filled and not folio.mlocked and not vma.flags & vm.LOCKED:
                _map_zero_page(k, folio, vma, table, hit.index)
            else:
                yield from _remove_migration_pte(k, folio, page, vma, hit)
        return False

    for vma in vmas_of(folio):
        yield from VmaWalk(k, source, vma, visit, migration=True, sync=True).run()


def _restored_flags(k: Kernel, vma: Vma, entry: int) -> int:
    """Flags of the present entry that takes the place of a migration entry."""
    flags = pte.migration_flags(entry)
    if not k.release.migration_keeps_accessed_and_dirty:
        flags &= ~(pte.YOUNG | pte.DIRTY)
    # The VMA may have become PROT_NONE while the entry was frozen.
    return flags if vma.flags & (vm.READ | vm.WRITE) else flags | pte.PROTNONE


def _map_zero_page(k: Kernel, folio: Folio, vma: Vma, table: PageTable, index: int) -> None:
    """Kernel: mm/migrate.c: try_to_map_unused_to_zeropage() (v6.18)"""
    flags = _restored_flags(k, vma, table.entries[index])
    table.entries[index] = pte.make(pte.ZERO_PFN, flags & (pte.YOUNG | pte.PROTNONE))
    # Migration entries count in rss, the zero page does not.
    rmap.rss_add(vma, folio, -1)


def _remove_migration_pte(k: Kernel, folio: Folio, page: int, vma: Vma, hit: Hit) -> Path[None]:
    table = hit.table
    assert isinstance(table, PageTable)
    entry = table.entries[hit.index]
    folio.ref += 1
    if pte.migration_is_exclusive(entry):
        folio.anon_exclusive |= 1 << page
    call = "folio_add_anon_rmap_ptes" if folio.anon else "folio_add_file_rmap_ptes"

    def install() -> None:
        table.entries[hit.index] = pte.make(folio.pfn + page, _restored_flags(k, vma, entry))

    if not (yield from rmap.add_ptes(k, folio, page, 1, vma, table, hit.vpn, call, install)):
        # A protocol under test dropped the PTL, and the entry was removed meanwhile.
        folio.ref -= 1


def _remove_migration_pmd(k: Kernel, folio: Folio, vma: Vma, pmd: PmdTable, hit: Hit) -> Path[None]:
    """Kernel: mm/huge_memory.c: remove_migration_pmd() (v6.18)"""
    entry = pmd.entries[hit.index]
    assert isinstance(entry, int)
    folio.ref += 1
    if pte.migration_is_exclusive(entry):
        folio.anon_exclusive |= 1
    call = "folio_add_anon_rmap_pmd" if folio.anon else "folio_add_file_rmap_pmd"
    yield from rmap.add_pmd(k, folio, vma, pmd, hit.vpn, call)
    pmd.entries[hit.index] = pte.make(folio.pfn, _restored_flags(k, vma, entry))


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
    # An entry may be left: that of a pinned page, or one in a table that collapse has detached.
    moved = not k.counts.mapcount(folio.id) and (yield from _move(k, folio, new))
    # The old folio left the queue when it was frozen.
    requeues = moved and queued
    if requeues and k.release.queues_before_restoring:
        yield from rmap.deferred_split(k, new, partial)
    # Both folios stay locked until the entries are back: a fault on a migration entry waits for that.
    holder = new if moved else folio
    yield lock.acquire("remove_migration_ptes", "R")
    yield from remove_migration_ptes(k, holder, folio)
    yield lock.release("R")
    if requeues and not k.release.queues_before_restoring:
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
        for flag in ("nonzero", "swapbacked", "uptodate", "dirty", "active"):
            setattr(new, flag, getattr(folio, flag))
        folio.move_buffers(new)
        _replace_in_cache(k, folio, new)
        folio.unfreeze()
    if lock is not None:
        yield lock.release()
    if moved and new.anon and new.swap_slot is not None:
        yield Held((new.id,), new.nr_pages, SWAP_CACHE)
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
        k.slots.add_to_cache(new, folio.swap_slot)
        folio.swap_slot = None
