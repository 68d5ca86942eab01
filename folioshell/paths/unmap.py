"""try_to_unmap: take every entry of a folio away for good.

Kernel: mm/rmap.c: try_to_unmap_one() (v6.18)
"""

from __future__ import annotations

from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vm import Vma
from folioshell.paths import rmap
from folioshell.paths.batch import folio_pte_batch
from folioshell.paths.huge import split_huge_pmd_locked
from folioshell.paths.step import Path
from folioshell.paths.walk import Hit, rmap_walk


def try_to_unmap(
    k: Kernel, folio: Folio, *, locked: bool = False, sync: bool = False, ignore_mlock: bool = False
) -> Path[bool]:
    """Unmap a folio everywhere. The caller holds the folio lock.

    Args:
        locked: the caller holds the rmap lock.
        sync: look at every table under its lock (TTU_SYNC).
        ignore_mlock: locked VMAs are no reason to stop (TTU_IGNORE_MLOCK).
    Returns: nothing maps it any more.
    """

    def visit(vma: Vma, hit: Hit) -> Path[bool]:
        if vma.flags & vm.LOCKED and not ignore_mlock:
            return True
        if isinstance(hit.table, PmdTable):
            dropped = yield from split_huge_pmd_locked(k, vma, hit.table, hit.vpn, freeze=False)
            if dropped is not None:
                dropped.ref -= 1
            return False
        if folio.anon and not folio.swapbacked:
            return (yield from _unmap_lazyfree(k, folio, vma, hit))
        return (yield from _unmap_pte(k, folio, vma, hit))

    def unmapped() -> bool:
        return not k.counts.mapcount(folio.id)

    yield from rmap_walk(k, folio, "try_to_unmap", visit, done=unmapped, sync=sync, locked=locked)
    return unmapped()


def _unmap_lazyfree(k: Kernel, folio: Folio, vma: Vma, hit: Hit) -> Path[bool]:
    """Clear the entries of a lazyfree folio from one on, in one go. True: it was written to, or somebody holds it.

    Then all of the entries are back, as dirty as any of them was.
    Kernel: mm/rmap.c: folio_unmap_pte_batch() (v6.18)
    """
    table = hit.table
    assert isinstance(table, PageTable)
    page = pte.pfn_of(table.entries[hit.index]) - folio.pfn
    nr = 1
    if folio.order and k.release.unmaps_lazyfree_batches:
        limit = min(k.geometry.pmd_pages, hit.index + vma.end - hit.vpn)
        nr = folio_pte_batch(table, hit.index, limit, folio, pte.WRITE)
    entries = table.entries[hit.index : hit.index + nr]
    used = 0
    for entry in entries:
        used |= entry & (pte.YOUNG | pte.DIRTY)
    if used & pte.DIRTY:
        folio.mark_dirty()
    if folio.dirty or folio.ref != 1 + k.counts.mapcount(folio.id):
        table.entries[hit.index : hit.index + nr] = pte.packed([entry | used for entry in entries])
        folio.swapbacked = folio.dirty
        return True
    table.entries[hit.index : hit.index + nr] = pte.packed([pte.NONE] * nr)
    rmap.rss_add(vma, folio, -nr)
    yield from rmap.remove_ptes(k, folio, page, nr, vma, table, hit.vpn)
    folio.ref -= nr
    return False


def _unmap_pte(k: Kernel, folio: Folio, vma: Vma, hit: Hit) -> Path[bool]:
    """Clear one entry. True: this folio cannot be unmapped now."""
    table = hit.table
    assert isinstance(table, PageTable)
    entry = table.entries[hit.index]
    page = pte.pfn_of(entry) - folio.pfn
    if entry & pte.DIRTY:
        folio.mark_dirty()
    if folio.anon:
        assert folio.swap_slot is not None
        slot, exclusive = folio.swap_slot + page, bool(folio.anon_exclusive >> page & 1)
        if not rmap.try_share(folio, page):
            return True
        k.swap_counts[slot] = k.swap_counts.get(slot, 0) + 1
        k.swap_nonzero[slot] = bool(folio.nonzero >> page & 1)
        table.entries[hit.index] = pte.swap(slot, exclusive)
        vma.mm.rss.swap += 1
    else:
        table.entries[hit.index] = pte.NONE
    rmap.rss_add(vma, folio, -1)
    yield from rmap.remove_ptes(k, folio, page, 1, vma, table, hit.vpn)
    folio.ref -= 1
    return False
