"""Page tables: allocated on the way down, freed when no VMA needs them, made of a huge PMD entry that is split.

Kernel: mm/memory.c: pmd_install() (v6.18); mm/huge_memory.c: __split_huge_pmd() (v6.18)
"""

from __future__ import annotations

from folioshell.events import Tracepoint
from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vm import Mm, Vma
from folioshell.paths import Path, rmap
from folioshell.units import align_down, align_up


def pmd_alloc(k: Kernel, mm: Mm, vpn: int) -> Path[PmdTable]:
    """The PMD table that covers ``vpn``, allocated with the PUD table above it if missing.

    Kernel: mm/memory.c: __pud_alloc(), __pmd_alloc() (v6.18)
    """
    tree = mm.tables
    table = tree.pmd_table(vpn)
    if table is not None:
        return table
    # Two threads may find the table missing at once. The first under page_table_lock installs one, the second takes it.
    pud = vpn >> 3 * tree.bits
    if pud not in tree.puds:
        yield mm.page_table_lock.acquire("__pud_alloc")
        tree.puds.add(pud)
        yield mm.page_table_lock.release()
    table = tree.pmd_table(vpn)
    if table is None:
        yield mm.page_table_lock.acquire("__pmd_alloc")
        table = tree.pmd_table(vpn)
        if table is None:
            table = tree.pmds[vpn >> 2 * tree.bits] = k.new_pmd_table()
        yield mm.page_table_lock.release()
    return table


def pte_alloc(k: Kernel, mm: Mm, pmd: PmdTable, vpn: int) -> Path[None]:
    """Install a PTE table for ``vpn`` if its PMD entry is none.

    Kernel: mm/memory.c: __pte_alloc(), pmd_install() (v6.18)
    """
    index = mm.tables.pmd_index(vpn)
    if index in pmd.entries:
        return
    yield pmd.lock.acquire("pmd_install")
    # Not none any more if another thread was first, with a table or with a huge page: then the new table is freed.
    if index not in pmd.entries:
        pmd.entries[index] = k.new_pte_table(mm)
    yield pmd.lock.release()


def pte_table_alloc(k: Kernel, mm: Mm, vpn: int) -> Path[PageTable | None]:
    """The PTE table for ``vpn``, allocated with all above it where missing; None if a PMD entry maps a folio there."""
    pmd = yield from pmd_alloc(k, mm, vpn)
    yield from pte_alloc(k, mm, pmd, vpn)
    return mm.tables.leaf(vpn)


def is_detached(mm: Mm, vpn: int, table: PageTable) -> bool:
    """Was a PTE table, whose lock the caller holds, freed while the lock was waited for?

    MADV_DONTNEED frees a table that it left empty, without waiting for faults (CONFIG_PT_RECLAIM, since v6.14). A
    handler that sets an entry where none was must ask; one that compares with a present entry finds it gone.
    Kernel: mm/pgtable-generic.c: pte_offset_map_lock() (v6.18)
    """
    return mm.tables.leaf(vpn) is not table


def pte_offset_map_lock(mm: Mm, vpn: int, table: PageTable, function: str) -> Path[bool]:
    """Take the PTL of a PTE table that was found without it. False: it was freed meanwhile; the caller looks again.

    Args:
        vpn: a virtual page that the table covered.
        function: who takes it.
    Kernel: mm/pgtable-generic.c: pte_offset_map_lock() (v6.18)
    """
    yield table.ptl.acquire(function)
    if not is_detached(mm, vpn, table):
        return True
    yield table.ptl.release()
    return False


def deposit(pmd: PmdTable, table: PageTable) -> None:
    """Keep a spare PTE table for an anonymous PMD mapping.

    Kernel: mm/pgtable-generic.c: pgtable_trans_huge_deposit() (v6.18)
    """
    pmd.deposited.append(table)


def withdraw(pmd: PmdTable) -> PageTable:
    """Take the oldest spare PTE table.

    Kernel: mm/pgtable-generic.c: pgtable_trans_huge_withdraw() (v6.18)
    """
    return pmd.deposited.pop(0)


def pte_free(mm: Mm) -> None:
    """Free a PTE table that nothing points to: mm_dec_nr_ptes()."""
    mm.nr_ptes -= 1


def free_pgtables(mm: Mm, start: int, end: int, floor: int, ceiling: int) -> Path[None]:
    """Free the tables of ``[start, end)`` that no VMA outside it needs.

    Args:
        start, end: the virtual pages that were unmapped.
        floor, ceiling: end of the VMA below and start of the VMA above; 0 where there is none.
    Kernel: mm/memory.c: free_pgd_range() (v6.18)
    """
    # Without any lock: the VMAs are out of the VMA tree and of the rmap trees, so no fault and no walk comes here.
    bits = mm.tables.bits
    freed = []
    low, high = _owned(start, end, floor, ceiling, 1 << bits)
    if low >= high:
        # Not one PTE table is free of other VMAs, so none is that covers more.
        return
    for vpn, pmd, entry in list(mm.tables.blocks_in(low, high)):
        if isinstance(entry, PageTable):
            del pmd.entries[mm.tables.pmd_index(vpn)]
            pte_free(mm)
            freed.append(str(entry))
    low, high = _owned(start, end, floor, ceiling, 1 << 2 * bits)
    doomed = sorted(number for number in mm.tables.pmds if low <= number << 2 * bits < high)
    freed.extend(str(mm.tables.pmds.pop(number)) for number in doomed)
    low, high = _owned(start, end, floor, ceiling, 1 << 3 * bits)
    mm.tables.puds = {number for number in mm.tables.puds if not low <= number << 3 * bits < high}
    if freed:
        yield Tracepoint(f"page tables freed: {' '.join(freed)}")


def _owned(start: int, end: int, floor: int, ceiling: int, span: int) -> tuple[int, int]:
    """The part of ``[start, end)``, widened to tables of ``span`` pages, that reaches into no other VMA's tables."""
    low = align_down(start, span)
    if low < floor:
        low += span
    high = align_up(end, span)
    if ceiling and high > ceiling:
        high -= span
    return low, high


def try_get_and_clear_pmd(mm: Mm, vpn: int, table: PageTable) -> Path[bool]:
    """Free a PTE table that one MADV_DONTNEED covered entirely and that is empty now. The caller holds its PTL.

    Returns: False if it is empty, and stays because the PMD lock is taken: the caller drops the PTL, and tries again.
    Kernel: mm/pt_reclaim.c: try_get_and_clear_pmd() (v6.18)
    """
    pmd = mm.tables.pmd_table(vpn)
    # A protocol under test may have dropped the PTL meanwhile.
    if pmd is None or not table.is_empty or is_detached(mm, vpn, table):
        return True
    # A trylock, for the PMD lock ranks before the PTL that is held.
    if (yield pmd.lock.trylock("try_get_and_clear_pmd")):
        return False
    yield from _free_pte(mm, pmd, vpn, table)
    yield pmd.lock.release()
    return True


def try_to_free_pte(mm: Mm, vpn: int, table: PageTable) -> Path[None]:
    """Free a PTE table if it is still there and empty: both locks in their order, and everything looked at again.

    Kernel: mm/pt_reclaim.c: try_to_free_pte() (v6.18)
    """
    pmd = mm.tables.pmd_table(vpn)
    if pmd is None:
        return
    yield pmd.lock.acquire("try_to_free_pte")
    if not is_detached(mm, vpn, table):
        yield table.ptl.acquire("try_to_free_pte", nested=True)
        if table.is_empty:
            yield from _free_pte(mm, pmd, vpn, table)
        yield table.ptl.release()
    yield pmd.lock.release()


def _free_pte(mm: Mm, pmd: PmdTable, vpn: int, table: PageTable) -> Path[None]:
    """Kernel: mm/pt_reclaim.c: free_pte() (v6.18)"""
    del pmd.entries[mm.tables.pmd_index(vpn)]
    pte_free(mm)
    yield Tracepoint(f"page tables freed: {table}")


def split_huge_pmd_address(k: Kernel, vma: Vma, vpn: int, frozen: Folio | None = None) -> Path[None]:
    """Split the PMD entry that covers ``vpn``, if it maps a folio; the lock is taken if there is a PMD table at all.

    Args:
        frozen: as for split_huge_pmd.
    Kernel: mm/huge_memory.c: split_huge_pmd_address() (v6.18)
    """
    pmd = vma.mm.tables.pmd_table(vpn)
    if pmd is not None:
        yield from split_huge_pmd(k, vma, pmd, align_down(vpn, k.geometry.pmd_pages), frozen)


def split_huge_pmd_if_needed(k: Kernel, vma: Vma, vpn: int) -> Path[None]:
    """Split the PMD entry around a future VMA boundary, if the VMA covers all that one entry maps there.

    Kernel: mm/huge_memory.c: split_huge_pmd_if_needed() (v6.18)
    """
    size = k.geometry.pmd_pages
    if vpn % size and vma.start <= align_down(vpn, size) and align_up(vpn, size) <= vma.end:
        yield from split_huge_pmd_address(k, vma, vpn)


def split_huge_pmd(k: Kernel, vma: Vma, pmd: PmdTable, block: int, frozen: Folio | None = None) -> Path[None]:
    """Split a PMD entry into a PTE table (anonymous memory), or zap it (files).

    Args:
        block: first virtual page that the entry maps.
        frozen: a folio that is about to be split: only an entry that maps it is, and into migration entries. A PMD
            migration entry is of another folio then, for this one is locked.
    Kernel: mm/huge_memory.c: __split_huge_pmd() (v6.18)
    """
    yield pmd.lock.acquire("__split_huge_pmd")
    # The caller saw a huge entry without the lock; it may be split, zapped or a migration entry by now.
    entry = pmd.entries.get(vma.mm.tables.pmd_index(block), pte.NONE)
    dropped = None
    if not isinstance(entry, PageTable) and (
        entry != pte.NONE if frozen is None else entry > 0 and pte.pfn_of(entry) == frozen.pfn
    ):
        dropped = yield from split_huge_pmd_locked(k, vma, pmd, block, freeze=frozen is not None)
    yield pmd.lock.release()
    if dropped is not None:
        yield from rmap.put(k, dropped)


def split_huge_pmd_locked(k: Kernel, vma: Vma, pmd: PmdTable, block: int, freeze: bool) -> Path[Folio | None]:
    """As split_huge_pmd, under the lock. Returns the folio whose reference the caller has to drop, if any.

    Kernel: mm/huge_memory.c: __split_huge_pmd_locked() (v6.18)
    """
    k.count("thp_split_pmd")
    index = vma.mm.tables.pmd_index(block)
    entry = pmd.entries[index]
    assert isinstance(entry, int)
    if pte.is_zero_page(entry):
        table = withdraw(pmd)
        flags = pte.YOUNG if vma.flags & (vm.READ | vm.WRITE) else pte.YOUNG | pte.PROTNONE
        table.entries[:] = pte.packed([pte.make(pte.ZERO_PFN, flags)] * len(table.entries))
        pmd.entries[index] = table
        yield Tracepoint(f"huge zero page at {pmd} split into {table}")
        return None
    if pte.is_migration(entry):
        yield from _split_migration_entry(k, vma, pmd, index)
        return None
    folio = k.physmem.single_out(pte.pfn_of(entry))
    # No table was deposited for a file's entry: it is zapped, and its pages are refaulted from the page cache. Its
    # dirty bit must reach the folio, or writeback would miss the page.
    if not folio.anon:
        del pmd.entries[index]
        if entry & pte.DIRTY and not folio.dirty:
            folio.mark_dirty()
        rmap.rss_add(vma, folio, -folio.nr_pages)
        yield Tracepoint(f"PMD mapping of {folio} at {pmd} zapped; file pages will be refaulted")
        yield from rmap.remove_pmd(k, folio, vma, pmd, block)
        return folio
    return (yield from _split_anon(k, vma, pmd, block, freeze))


def _split_migration_entry(k: Kernel, vma: Vma, pmd: PmdTable, index: int) -> Path[None]:
    """Replace the PMD entry of a folio that is being migrated by migration entries; no rmap call, it is unmapped."""
    entry = pmd.entries[index]
    assert isinstance(entry, int)
    folio = k.physmem.folio(pte.migration_pfn(entry))
    if not folio.anon:
        del pmd.entries[index]
        rmap.rss_add(vma, folio, -folio.nr_pages)
        return
    table = withdraw(pmd)
    table.entries[:] = pte.absent_ramp(entry, len(table.entries))
    pmd.entries[index] = table
    yield Tracepoint(f"PMD migration entry of {folio} at {pmd} split into {table}")


def _split_anon(k: Kernel, vma: Vma, pmd: PmdTable, block: int, freeze: bool) -> Path[Folio | None]:
    index = vma.mm.tables.pmd_index(block)
    entry = pmd.entries[index]
    assert isinstance(entry, int)
    folio = k.physmem.single_out(pte.pfn_of(entry))
    # The first page's flag speaks for the whole PMD mapping; from here on each page needs its own.
    exclusive = bool(folio.anon_exclusive & 1)
    table = withdraw(pmd)
    entries = pte.ramp(entry, folio.nr_pages)
    folio.dirty = folio.dirty or bool(entry & pte.DIRTY)
    yield Tracepoint(f"PMD mapping of {folio} at {pmd} split into {table}")
    # Frozen: no page is mapped until the folio is split, so nothing may be exclusive; the migration entries remember
    # it. A pinned page must not become shared: its entries stay, and so will the folio.
    freeze = freeze and (not exclusive or rmap.try_share(folio, 0))
    if freeze:
        folio.anon_exclusive = 0
        table.entries[:] = pte.packed([pte.migration(one, exclusive) for one in entries])
    else:
        # 512 entries hold 512 references; one is that of the PMD entry.
        folio.ref += folio.nr_pages - 1
        folio.anon_exclusive = (1 << folio.nr_pages) - 1 if exclusive else 0
        table.entries[:] = (
            entries if k.release.pmd_split_keeps_dirty else pte.packed([one & ~pte.DIRTY for one in entries])
        )
        call = "folio_add_anon_rmap_ptes"
        yield from rmap.add_ptes(k, folio, 0, folio.nr_pages, vma, table, block, call)
    # Last: had the PMD mapping gone first, the mapcount would pass through 0, and the folio would look unmapped or
    # partially mapped for a moment.
    yield from rmap.remove_pmd(k, folio, vma, pmd, block)
    pmd.entries[index] = table
    return folio if freeze else None
