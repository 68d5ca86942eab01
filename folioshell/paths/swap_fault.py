"""Faults on entries that are not present: pages in swap, and pages that are being migrated.

Kernel: mm/memory.c: do_swap_page() (v6.18)
"""

from __future__ import annotations

from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable
from folioshell.model.vm import Vma
from folioshell.paths import anon_fault, rmap, swap, wp_fault
from folioshell.paths.step import Path


def do_swap_page(k: Kernel, vma: Vma, table: PageTable, vpn: int, write: bool, vma_locked: bool) -> Path[str | None]:
    """Bring a page back from swap, or wait for its migration to end. Returns SIGSEGV for a guard entry."""
    index = vpn & k.geometry.pmd_pages - 1
    entry = table.entries[index]
    if pte.is_migration(entry):
        folio = k.physmem.single_out(pte.migration_pfn(entry))
        yield folio.lock.acquire("migration_entry_wait")
        yield folio.lock.release()
        return None
    if not pte.is_swap(entry):
        return "SIGSEGV"
    slot = pte.swap_slot(entry)
    if not (yield from anon_fault.anon_prepare(k, vma, vma_locked)):
        return anon_fault.UNDER_MMAP_LOCK
    folio = yield from _swapin(k, vma, vpn, slot)
    yield folio.lock.acquire("do_swap_page")
    yield table.ptl.acquire("do_swap_page")
    if table.entries[index] != entry:
        yield table.ptl.release()
        yield folio.lock.release()
        return None
    yield from _map_swapped(k, vma, table, vpn, folio, entry)
    yield folio.lock.release()
    if write and not table.entries[index] & pte.WRITE:
        return (yield from wp_fault.do_wp_page(k, vma, table, vpn, vma_locked))
    if write:
        table.entries[index] |= pte.DIRTY
    yield table.ptl.release()
    return None


def _swapin(k: Kernel, vma: Vma, vpn: int, slot: int) -> Path[Folio]:
    """The folio that holds the contents of a swap slot: from the swap cache, else read into a new one.

    Kernel: mm/swap_state.c: swapin_readahead() (v6.18)
    """
    folio = k.swap_cache.get(slot)
    if folio is None:
        folio = yield from anon_fault.new_anon_folio(k, vma, 0, vpn)
        folio.nonzero = int(k.swap_nonzero.get(slot, False))
        folio.ref += 1
        folio.cached = True
        folio.swap_slot = slot
        k.swap_cache[slot] = folio
        k.count("pgmajfault")
    return folio


def _map_swapped(k: Kernel, vma: Vma, table: PageTable, vpn: int, folio: Folio, entry: int) -> Path[None]:
    """Put a present entry where a swap entry was, under the PTL, and free the slot."""
    slot = pte.swap_slot(entry)
    assert folio.swap_slot is not None
    page = slot - folio.swap_slot
    exclusive = pte.swap_is_exclusive(entry)
    index = vpn & k.geometry.pmd_pages - 1
    folio.ref += 1
    vma.mm.rss.swap -= 1
    rmap.rss_add(vma, folio, 1)
    if exclusive:
        folio.anon_exclusive |= 1 << page
    yield from rmap.add_ptes(k, folio, page, 1, vma, table, vpn, "folio_add_anon_rmap_ptes")
    writable = exclusive and vma.flags & vm.WRITE
    table.entries[index] = pte.make(folio.pfn + page, pte.YOUNG | (pte.WRITE if writable else 0))
    yield from swap.free_entry(k, slot)
