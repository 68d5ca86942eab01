"""Page tables come and go: allocation on the way down, and freeing of what no VMA needs any more."""

from __future__ import annotations

from folioshell.events import Tracepoint
from folioshell.model import pte
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vm import Mm
from folioshell.paths.step import Path
from folioshell.units import align_down, align_up


def pmd_alloc(k: Kernel, mm: Mm, vpn: int) -> Path[PmdTable]:
    """The PMD table that covers ``vpn``, allocated with the PUD table above it if missing.

    Kernel: mm/memory.c: __pud_alloc(), __pmd_alloc() (v6.18)
    """
    tree = mm.tables
    table = tree.pmd_table(vpn)
    if table is not None:
        return table
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
    if index not in pmd.entries:
        pmd.entries[index] = k.new_pte_table(mm)
    yield pmd.lock.release()


def leaf_alloc(k: Kernel, mm: Mm, vpn: int) -> Path[PageTable | None]:
    """The PTE table for ``vpn``, with all tables above it allocated; None if a PMD entry maps a folio there."""
    pmd = yield from pmd_alloc(k, mm, vpn)
    yield from pte_alloc(k, mm, pmd, vpn)
    return mm.tables.leaf(vpn)


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


def free_leaf(mm: Mm) -> None:
    """Free a PTE table; no entry points to it any more."""
    mm.nr_ptes -= 1


def free_pgtables(mm: Mm, start: int, end: int, floor: int, ceiling: int) -> Path[None]:
    """Free the tables of ``[start, end)`` that no VMA outside it needs. Takes no lock: no one else can find them.

    Args:
        start, end: the virtual pages that were unmapped.
        floor, ceiling: end of the VMA below and start of the VMA above; 0 where there is none.
    Kernel: mm/memory.c: free_pgd_range() (v6.18)
    """
    bits = mm.tables.bits
    freed = []
    low, high = _owned(start, end, floor, ceiling, 1 << bits)
    for vpn, pmd, entry in list(mm.tables.blocks_in(low, high)) if low < high else []:
        if isinstance(entry, PageTable):
            del pmd.entries[mm.tables.pmd_index(vpn)]
            free_leaf(mm)
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


def reclaim_empty_leaf(k: Kernel, mm: Mm, vpn: int, table: PageTable) -> Path[None]:
    """Free a PTE table that one MADV_DONTNEED covered completely and that is empty now. The caller holds its PTL.

    Kernel: mm/pt_reclaim.c: try_get_and_clear_pmd() (v6.18)
    """
    pmd = mm.tables.pmd_table(vpn)
    if pmd is None or not table.is_empty:
        return
    if (yield pmd.lock.trylock("try_get_and_clear_pmd")):
        return
    if pmd.entries.get(mm.tables.pmd_index(vpn), pte.NONE) is table:
        del pmd.entries[mm.tables.pmd_index(vpn)]
        free_leaf(mm)
        yield Tracepoint(f"page tables freed: {table}")
    yield pmd.lock.release()
