"""Accesses to memory, and the page faults that they cause.

Kernel: arch/x86/mm/fault.c: do_user_addr_fault() (v6.18); mm/memory.c: handle_mm_fault() (v6.18)
"""

from __future__ import annotations

from folioshell.errors import KernelBug
from folioshell.model import pte
from folioshell.model import vma as vm
from folioshell.model.folio import page_bits
from folioshell.model.kernel import Kernel
from folioshell.model.mm import Mm
from folioshell.model.pagetable import PageTable
from folioshell.model.vma import Vma
from folioshell.paths import anon_fault, file_fault, swap_fault, tables, wp_fault
from folioshell.paths.page_cache import RETRY
from folioshell.paths.step import Path

#: faults that one access may need at the most, e.g. read the page, then copy it
_MAX_FAULTS = 8

_WRITTEN = pte.YOUNG | pte.DIRTY


def touch(k: Kernel, mm: Mm, start: int, nr: int, write: bool) -> Path[list[list[int | str]]]:
    """One access to each page of ``[start, start + nr)``, ascending. A write stores a byte that is not zero.

    Returns: runs of accesses that failed: [first access, number, SIGSEGV or SIGBUS].
    Raises:
        KernelBug: an access faults for ever.
    """
    signals: list[tuple[int, str]] = []
    tree = mm.tables
    entry_of, last = tree.entry, tree.last
    needed = pte.PRESENT | pte.WRITE if write else pte.PRESENT
    looked_at = needed | pte.PROTNONE
    vpn, end = start, start + nr
    while vpn < end:
        nr_reached = pages = 1
        faults = 0
        while (entry := entry_of(vpn)) <= 0 or entry & looked_at != needed:
            faults += 1
            if faults > _MAX_FAULTS:
                raise KernelBug(f"an access of {mm} to page {vpn:#x} faults for ever")
            signal = yield from page_fault(k, mm, vpn, write)
            if signal is not None:
                signals.append((vpn - start, signal))
                break
        else:
            # What one entry maps is accessed at once, if it is met where it begins: the look at its level is not free.
            if (not vpn & last or vpn == start) and not isinstance(tree.pmd_entry(vpn), PageTable):
                nr_reached = min(end, (vpn | last) + 1) - vpn
                pages = page_bits(0, nr_reached)
            access(k, mm, vpn, pages, entry, write)
        vpn += nr_reached
    return _runs(signals)


def _runs(signals: list[tuple[int, str]]) -> list[list[int | str]]:
    """[first, number, signal] of consecutive accesses that got the same signal."""
    runs: list[tuple[int, int, str]] = []
    for position, signal in signals:
        if runs and runs[-1][2] == signal and runs[-1][0] + runs[-1][1] == position:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1, signal)
        else:
            runs.append((position, 1, signal))
    return [list(run) for run in runs]


def access(k: Kernel, mm: Mm, vpn: int, pages: int, entry: int, write: bool) -> None:
    """What the processor does for accesses that are allowed: accessed and dirty bits, and the bytes themselves.

    Args:
        vpn: the first page.
        pages: bit i: page ``vpn + i`` is accessed; only under a PMD entry are there others than the first.
        entry: the entry of ``vpn``, as a leaf entry would be.
    """
    flags = _WRITTEN if write else pte.YOUNG
    if entry & flags != flags:
        tree = mm.tables
        found = tree.pmd_entry(vpn)
        if isinstance(found, PageTable):
            found.entries[vpn & (1 << tree.bits) - 1] |= flags
        else:
            pmd = tree.pmd_table(vpn)
            assert pmd is not None
            pmd.entries[tree.pmd_index(vpn)] = found | flags
    if write:
        pfn = entry >> pte.PFN_SHIFT
        folio = k.physmem.folio(pfn)
        folio.nonzero |= pages << pfn - folio.pfn


def page_fault(k: Kernel, mm: Mm, vpn: int, write: bool) -> Path[str | None]:
    """A page fault of user space. Returns the signal that it gets, if any.

    Kernel: arch/x86/mm/fault.c: do_user_addr_fault() (v6.18)
    """
    vma = mm.vmas.find(vpn)
    if vma is None or (yield vma.lock.trylock("lock_vma_under_rcu", "R")):
        return (yield from _fault_under_mmap_lock(k, mm, vpn, write))
    if not mm.is_readable(vma, vpn):
        yield vma.lock.release("R")
        return (yield from _fault_under_mmap_lock(k, mm, vpn, write))
    signal: str | None = "SIGSEGV"
    if is_allowed(vma, write):
        signal = yield from handle_mm_fault(k, vma, vpn, write, vma_locked=True)
    yield vma.lock.release("R")
    if signal in (RETRY, anon_fault.UNDER_MMAP_LOCK):
        return (yield from _fault_under_mmap_lock(k, mm, vpn, write, tried=signal == RETRY))
    return signal


def _fault_under_mmap_lock(k: Kernel, mm: Mm, vpn: int, write: bool, tried: bool = False) -> Path[str | None]:
    yield mm.mmap_lock.acquire("lock_mm_and_find_vma", "R")
    vma = mm.vmas.find(vpn)
    signal: str | None = "SIGSEGV"
    if vma is not None and is_allowed(vma, write):
        signal = yield from handle_mm_fault(k, vma, vpn, write, tried=tried)
        if signal == RETRY:
            signal = yield from handle_mm_fault(k, vma, vpn, write, tried=True)
    yield mm.mmap_lock.release("R")
    return signal


def is_allowed(vma: Vma, write: bool) -> bool:
    """May user space access a VMA so?

    Kernel: arch/x86/mm/fault.c: access_error() (v6.18)
    """
    return vma.flags & (vm.WRITE if write else vm.READ | vm.WRITE) != 0


def handle_mm_fault(
    k: Kernel, vma: Vma, vpn: int, write: bool, vma_locked: bool = False, tried: bool = False
) -> Path[str | None]:
    """The path that makes the entry for ``vpn`` what an access needs, as far as one fault goes.

    Args:
        vma_locked: the VMA lock is held; else mmap_lock.
        tried: the fault was tried before, and RETRY was what came of it.
    Returns: SIGBUS, RETRY after a page was read from disk, UNDER_MMAP_LOCK if the VMA lock is not enough, or None.
    Kernel: mm/memory.c: __handle_mm_fault() (v6.18)
    """
    table = vma.mm.tables.pmd_entry(vpn)
    if isinstance(table, PageTable):
        return _handle_pte_fault(k, vma, table, vpn, write, vma_locked, tried)
    return _handle_pmd_fault(k, vma, vpn, write, vma_locked, tried)


def _handle_pmd_fault(k: Kernel, vma: Vma, vpn: int, write: bool, vma_locked: bool, tried: bool) -> Path[str | None]:
    """A fault where there is no leaf table."""
    mm = vma.mm
    pmd = mm.tables.pmd_table(vpn)
    if pmd is None:
        pmd = yield from tables.pmd_alloc(k, mm, vpn)
    entry = mm.tables.pmd_entry(vpn)
    if entry == pte.NONE:
        if (
            vma.file is None
            and anon_fault.huge_fault_allowed(k, vma)
            and anon_fault.suitable_block(vma, vpn, k.geometry.pmd_pages)
        ):
            if not (yield from anon_fault.anon_prepare(k, vma, vma_locked)):
                return anon_fault.UNDER_MMAP_LOCK
            if (yield from anon_fault.do_huge_pmd_anonymous_page(k, vma, pmd, vpn, write)):
                return None
    elif not isinstance(entry, PageTable):
        if not write or entry & pte.WRITE:
            yield pmd.lock.acquire("huge_pmd_set_accessed")
            yield pmd.lock.release()
            return None
        done = yield from wp_fault.wp_huge_pmd(k, vma, pmd, vpn)
        if done:
            return None
    return (yield from _handle_pte_fault(k, vma, mm.tables.leaf(vpn), vpn, write, vma_locked, tried))


def _handle_pte_fault(
    k: Kernel, vma: Vma, table: PageTable | None, vpn: int, write: bool, vma_locked: bool, tried: bool
) -> Path[str | None]:
    """The path for a fault at the level of leaf entries.

    Kernel: mm/memory.c: handle_pte_fault() (v6.18)
    """
    entry = table.entries[vpn & k.geometry.pmd_pages - 1] if table is not None else pte.NONE
    if entry == pte.NONE:
        if vma.file is None:
            return anon_fault.do_anonymous_page(k, vma, table, vpn, write, vma_locked)
        return file_fault.do_fault(k, vma, vpn, write, vma_locked, tried)
    assert table is not None
    if entry < 0:
        return swap_fault.do_swap_page(k, vma, table, vpn, write, vma_locked)
    return _handle_present(k, vma, table, vpn, write, vma_locked)


def _handle_present(k: Kernel, vma: Vma, table: PageTable, vpn: int, write: bool, vma_locked: bool) -> Path[str | None]:
    """A fault where there is an entry: for want of a permission, or because another fault was faster."""
    yield table.ptl.acquire("handle_pte_fault")
    index = vpn & k.geometry.pmd_pages - 1
    entry = table.entries[index]
    if write and entry > 0 and not entry & pte.WRITE:
        return (yield from wp_fault.do_wp_page(k, vma, table, vpn, vma_locked))
    if entry > 0:
        table.entries[index] = entry | (pte.YOUNG | pte.DIRTY if write else pte.YOUNG)
    yield table.ptl.release()
    return None
