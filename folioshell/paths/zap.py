"""Clearing entries, for munmap, MADV_DONTNEED, exit and truncation."""

from __future__ import annotations

from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.folios import FolioRun
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.physmem import FolioSpan
from folioshell.model.vm import Vma
from folioshell.paths import Path, rmap, swap, tables
from folioshell.paths.batch import SmallFolios, folio_pte_batch, small_folios
from folioshell.paths.tables import split_huge_pmd
from folioshell.records import dataclass
from folioshell.units import align_down

#: entries of a file folio whose rmap call follows: folio, first page, pages, virtual page
_Delayed = tuple[Folio, int, int, int]


@dataclass(slots=True)
class ZapDetails:
    """How to zap.

    Args:
        even_cows: clear private copies too; punching a hole leaves them, truncation does not.
        single_folio: only this folio is to be unmapped (unmap_mapping_folio()).
        reclaim_pt: free a PTE table that was covered whole and is empty afterwards (MADV_DONTNEED).
        drop_markers: clear guard markers too (ZAP_FLAG_DROP_MARKER): they belong to the mapping, not to its contents.
    Kernel: include/linux/mm.h: struct zap_details (v6.18)
    """

    even_cows: bool = True
    single_folio: Folio | None = None
    reclaim_pt: bool = False
    drop_markers: bool = False


def zap_range(k: Kernel, vma: Vma, start: int, end: int, details: ZapDetails | None = None) -> Path[None]:
    """Clear the entries of ``[start, end)`` in a VMA and drop what they mapped.

    Kernel: mm/memory.c: unmap_page_range() (v6.18)
    """
    details = details or ZapDetails()
    size = k.geometry.pmd_pages
    whole = (start, end - start) == (align_down(start, size), size)
    if details.single_folio is not None and whole and vma.mm.tables.pmd_entry(start) == pte.NONE:
        yield from _wait_for_zap(k, vma, start, details.single_folio)
    for block, pmd, _ in vma.mm.tables.blocks_in(start, end):
        low, high = max(start, block), min(end, block + size)
        # Neither the entry nor the table is protected before its lock is held: look again at what they have become.
        while not (yield from _zap_pmd(k, vma, pmd, low, high, details)):
            pass


def _wait_for_zap(k: Kernel, vma: Vma, block: int, folio: Folio) -> Path[None]:
    """Where no PMD entry maps a large folio: wait for a thread that has cleared the entry and not uncounted it yet.

    Kernel: mm/memory.c: zap_pmd_range() (v6.18)
    """
    pmd = vma.mm.tables.pmd_table(block)
    if pmd is not None and folio.order >= k.geometry.pmd_order:
        yield pmd.lock.acquire("zap_pmd_range")
        yield pmd.lock.release()


def _zap_pmd(k: Kernel, vma: Vma, pmd: PmdTable, start: int, end: int, details: ZapDetails) -> Path[bool]:
    """Clear ``[start, end)``, all under one PMD entry. False: another thread changed that, look at it again.

    Kernel: mm/memory.c: zap_pmd_range() (v6.18)
    """
    tree, size = vma.mm.tables, k.geometry.pmd_pages
    entry = tree.pmd_entry(start)
    if not isinstance(entry, PageTable) and entry != pte.NONE:
        if end - start != size:
            yield from split_huge_pmd(k, vma, pmd, align_down(start, size))
        elif (yield from _zap_huge_pmd(k, vma, pmd, start, details)):
            return True
        # Split, by this thread or another one: a file's entry is gone with that.
        entry = tree.pmd_entry(start)
    if isinstance(entry, PageTable):
        if not (yield from tables.pte_offset_map_lock(vma.mm, start, entry, "zap_pte_range")):
            return False
        yield from _zap_pte_range(k, vma, entry, start, end, details)
        return True
    return entry == pte.NONE


def _zap_huge_pmd(k: Kernel, vma: Vma, pmd: PmdTable, block: int, details: ZapDetails) -> Path[bool]:
    """Clear a PMD entry that maps a whole folio, or stands for one that is being migrated. False: it is no such entry.

    Kernel: mm/huge_memory.c: zap_huge_pmd() (v6.18)
    """
    yield pmd.lock.acquire("zap_huge_pmd")
    index = vma.mm.tables.pmd_index(block)
    # Read without the lock before: it may have been split by now.
    entry = pmd.entries.get(index, pte.NONE)
    if isinstance(entry, PageTable) or entry == pte.NONE:
        yield pmd.lock.release()
        return False
    migrating = k.physmem.folio(pte.migration_pfn(entry)) if pte.is_migration(entry) else None
    folio = k.physmem.single_out(pte.pfn_of(entry)) if pte.maps_folio(entry) else None
    owner = folio or migrating
    if owner is not None and owner.anon and not details.even_cows:
        yield pmd.lock.release()
        return True
    del pmd.entries[index]
    # Anonymous memory, the huge zero page included, has a deposited table for a split that will not come.
    if owner is None or owner.anon:
        tables.withdraw(pmd)
        tables.pte_free(vma.mm)
    if owner is not None:
        rmap.rss_add(vma, owner, -k.geometry.pmd_pages)
    if folio is not None:
        if not folio.anon and entry & pte.DIRTY:
            folio.mark_dirty()
        yield from rmap.remove_pmd(k, folio, vma, pmd, block)
    yield pmd.lock.release()
    # The last reference after the lock: freeing takes others.
    if folio is not None:
        yield from swap.put_unmapped(k, folio)
    return True


def _zap_pte_range(k: Kernel, vma: Vma, table: PageTable, start: int, end: int, details: ZapDetails) -> Path[None]:
    """Clear the entries of ``[start, end)`` in one PTE table, under its lock, which the caller took, and release that.

    Kernel: mm/memory.c: zap_pte_range() (v6.18)
    """
    dropped: list[tuple[Folio | FolioRun | FolioSpan, int]] = []
    delayed: list[_Delayed] = []
    entries = table.entries
    small = SmallFolios()
    block = align_down(start, k.geometry.pmd_pages)
    index, limit = start - block, end - block
    while index < limit:
        entry = entries[index]
        nr = 1
        if entry > pte.FLAGS:
            folio = k.physmem.at(entry >> pte.PFN_SHIFT).first
            if folio.anon and not details.even_cows:
                pass
            elif folio.order == 0:
                folios = small_folios(k, table, index, limit, changes=bool(vma.flags & vm.LOCKED))
                folio, nr = folios.first, folios.nr
                if _mark_dirty(k, folio, entry):
                    delayed.append((folio, 0, 1, block + index))
                else:
                    if not small.continues(folios, block + index):
                        yield from _flush(vma, table, small)
                    small.add(folios, block + index)
                rmap.rss_add(vma, folio, -nr)
                if vma.flags & vm.LOCKED:
                    folio.munlock()
                entries[index : index + nr] = pte.packed([pte.NONE] * nr)
                dropped.append((folios, 1))
            else:
                yield from _flush(vma, table, small)
                nr = folio_pte_batch(table, index, limit, folio)
                if not (yield from _zap_present(k, vma, table, folio, nr, block + index, delayed)):
                    continue
                dropped.append((folio, nr))
        elif entry:
            yield from _flush(vma, table, small)
            yield from _zap_other(k, vma, table, index, details)
        index += nr
    yield from _flush(vma, table, small)
    yield from _unlock(k, vma, table, block, delayed, details.reclaim_pt and end - start == k.geometry.pmd_pages)
    # After the lock, as the kernel's mmu_gather does after the TLB flush: until then another CPU may use the pages.
    for folios, nr in dropped:
        put = rmap.put if folios.first.swap_slot is None else swap.put_unmapped
        yield from put(k, folios, nr)


def _unlock(k: Kernel, vma: Vma, table: PageTable, block: int, delayed: list[_Delayed], reclaim_pt: bool) -> Path[None]:
    """Make the delayed rmap calls and drop the PTL; with ``reclaim_pt`` free the table if it is empty."""
    is_done = not reclaim_pt or (yield from tables.try_get_and_clear_pmd(vma.mm, block, table))
    if delayed:
        yield from _flush_rmaps(k, vma, table, delayed)
    yield table.ptl.release()
    if not is_done:
        yield from tables.try_to_free_pte(vma.mm, block, table)


def _flush(vma: Vma, table: PageTable, small: SmallFolios) -> Path[None]:
    if small.nr:
        yield rmap.remove_small(small.numbers(), small.anon, vma, table, small.vpn)


def _mark_dirty(k: Kernel, folio: Folio, flags: int) -> bool:
    """Mark a file folio dirty that an entry with these flags maps. True: its rmap call is delayed.

    Until the TLB is flushed another CPU may write through the entry that is gone, and writeback must not find the folio
    unmapped before: the rmap calls of dirty entries follow the flush, which comes after all entries of the table. A
    protocol under test counts while it holds its locks.
    Kernel: include/asm-generic/tlb.h: tlb_delay_rmap() (v6.18)
    """
    if folio.anon or not flags & pte.DIRTY:
        return False
    folio.mark_dirty()
    return k.release.delays_rmap_of_dirty and k.protocol is None


def _flush_rmaps(k: Kernel, vma: Vma, table: PageTable, delayed: list[_Delayed]) -> Path[None]:
    """Make the rmap calls of dirty file entries, in the order of the entries.

    Kernel: mm/mmu_gather.c: tlb_flush_rmaps() (v6.18)
    """
    small = SmallFolios()
    for folio, first, nr, vpn in delayed:
        if folio.order or not small.continues(folio, vpn):
            yield from _flush(vma, table, small)
        if folio.order:
            yield from rmap.remove_ptes(k, folio, first, nr, vma, table, vpn)
        else:
            small.add(folio, vpn)
    yield from _flush(vma, table, small)


def _zap_present(
    k: Kernel, vma: Vma, table: PageTable, folio: Folio, nr: int, vpn: int, delayed: list[_Delayed]
) -> Path[bool]:
    """Clear the ``nr`` entries of a large folio from ``vpn`` on. False: a protocol dropped the PTL, look again.

    Kernel: mm/memory.c: zap_present_folio_ptes() (v6.18)
    """
    entries, index = table.entries, vpn & k.geometry.pmd_pages - 1
    first = pte.pfn_of(entries[index]) - folio.pfn
    dirty = not folio.anon and any(entry & pte.DIRTY for entry in entries[index : index + nr])

    def clear() -> None:
        entries[index : index + nr] = pte.packed([pte.NONE] * nr)
        rmap.rss_add(vma, folio, -nr)

    if dirty and _mark_dirty(k, folio, pte.DIRTY):
        clear()
        delayed.append((folio, first, nr, vpn))
        return True
    return (yield from rmap.remove_ptes(k, folio, first, nr, vma, table, vpn, clear))


def _zap_other(k: Kernel, vma: Vma, table: PageTable, index: int, details: ZapDetails) -> Path[None]:
    entry = table.entries[index]
    if pte.is_swap(entry):
        # A swapped-out page is a private copy, too.
        if not details.even_cows:
            return
        vma.mm.rss.swap -= 1
        table.entries[index] = pte.NONE
        yield from swap.free_entry(k, pte.swap_slot(entry))
        return
    if entry == pte.GUARD and not details.drop_markers:
        return
    if pte.is_migration(entry):
        folio = k.physmem.folio(pte.migration_pfn(entry))
        if folio.anon and not details.even_cows:
            return
        rmap.rss_add(vma, folio, -1)
    table.entries[index] = pte.NONE
