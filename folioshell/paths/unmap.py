"""try_to_unmap: take every entry of a folio away for good.

Kernel: mm/rmap.c: try_to_unmap_one() (v6.18)
"""

from __future__ import annotations

from folioshell.model import pte
from folioshell.model import vma as vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vma import Vma
from folioshell.paths import rmap
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
        return (yield from _unmap_pte(k, folio, vma, hit))

    yield from rmap_walk(k, folio, "try_to_unmap", visit, sync=sync, locked=locked)
    return not k.counts.mapcount(folio.id)


def _unmap_pte(k: Kernel, folio: Folio, vma: Vma, hit: Hit) -> Path[bool]:
    """Clear one entry. True: this folio cannot be unmapped now."""
    table = hit.table
    assert isinstance(table, PageTable)
    entry = table.entries[hit.index]
    page = pte.pfn_of(entry) - folio.pfn
    if entry & pte.DIRTY:
        folio.mark_dirty()
    if folio.anon and not folio.swapbacked:
        if folio.dirty:
            folio.swapbacked = True
            return True
        if folio.ref != 1 + k.counts.mapcount(folio.id):
            return True
        table.entries[hit.index] = pte.NONE
    elif folio.anon:
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
