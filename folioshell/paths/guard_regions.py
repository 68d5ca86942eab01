"""Guard regions: ranges of a VMA where every access gets SIGSEGV, by markers in the page tables instead of a VMA.

Kernel: mm/madvise.c: madvise_guard_install(), madvise_guard_remove() (v6.18); mm/pagewalk.c: walk_pmd_range() (v6.18)
"""

from __future__ import annotations

from folioshell.events import Tracepoint
from folioshell.model import pte, vm
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable
from folioshell.model.vm import Vma
from folioshell.paths import Path, anon, tables
from folioshell.paths.zap import zap_range
from folioshell.units import align_down
from folioshell.wording import counted

#: times that a range is zapped because something was mapped there
_MAX_RETRIES = 3


def guard_install(k: Kernel, vma: Vma, start: int, end: int) -> Path[str | None]:
    """Make ``[start, end)``, part of a VMA, a guard region. What it maps is zapped.

    Returns: EINVAL for a locked VMA; ERESTARTNOINTR if faults of other threads were faster each time: the call is to be
        made again.
    """
    # Locked pages may not be zapped. mlock() of a guard region is allowed: nothing can be faulted in there.
    if vma.flags & vm.LOCKED:
        return "EINVAL"
    # Before the first marker, and never cleared: who reads it under a PTL sees it if there are markers.
    if k.release.flags_guard_regions:
        vma.flags |= vm.MAYBE_GUARD
    # fork copies the tables of a VMA that has an anon_vma, or that flag.
    if vma.anon_vma is None and (vma.is_anonymous or not k.release.flags_guard_regions):
        yield from anon.prepare(k, vma)
    vma.mm.has_guards = True
    for _ in range(_MAX_RETRIES):
        if (yield from _install(k, vma, start, end)):
            return None
        yield from zap_range(k, vma, start, end)
    return "ERESTARTNOINTR"


def _install(k: Kernel, vma: Vma, start: int, end: int) -> Path[bool]:
    """Set a marker wherever nothing is mapped. False: ends at the first entry that maps something.

    Kernel: mm/madvise.c: guard_install_pmd_entry(), guard_install_pte_entry() (v6.18)
    """
    mm, size = vma.mm, k.geometry.pmd_pages
    vpn = start
    while vpn < end:
        pmd = yield from tables.pmd_alloc(k, mm, vpn)
        yield from tables.pte_alloc(k, mm, pmd, vpn)
        table = mm.tables.pmd_entry(vpn)
        if not isinstance(table, PageTable):
            if table > 0:
                return False
            # A PMD entry whose folio is being migrated: the walk splits what it cannot descend into.
            yield from tables.split_huge_pmd(k, vma, pmd, align_down(vpn, size))
            continue
        if not (yield from tables.pte_offset_map_lock(mm, vpn, table, "walk_pte_range")):
            continue
        entries, index = table.entries, vpn % size
        last = min(index + end - vpn, size)
        installed = 0
        while index < last and entries[index] in (pte.NONE, pte.GUARD):
            installed += entries[index] == pte.NONE
            entries[index] = pte.GUARD
            index += 1
        if installed:
            yield Tracepoint(f"{counted(installed, 'guard marker')} installed in {table}")
        yield table.ptl.release()
        if index < last:
            return False
        vpn += last - vpn % size
    return True


def guard_remove(k: Kernel, vma: Vma, start: int, end: int) -> Path[str | None]:
    """Remove the markers of ``[start, end)``, part of a VMA; nothing else there changes. Locked or not."""
    size = k.geometry.pmd_pages
    for block, _, _ in vma.mm.tables.blocks_in(start, end):
        while not (yield from _remove(k, vma, max(start, block), min(end, block + size))):
            pass
    return None


def _remove(k: Kernel, vma: Vma, start: int, end: int) -> Path[bool]:
    """Remove markers, all under one PMD entry. False: another thread changed that, look at it again.

    Kernel: mm/madvise.c: guard_remove_pmd_entry(), guard_remove_pte_entry() (v6.18)
    """
    mm, size = vma.mm, k.geometry.pmd_pages
    table, pmd = mm.tables.pmd_entry(start), mm.tables.pmd_table(start)
    if not isinstance(table, PageTable):
        if table >= 0 or pmd is None:
            return True
        yield from tables.split_huge_pmd(k, vma, pmd, align_down(start, size))
        return False
    if not (yield from tables.pte_offset_map_lock(mm, start, table, "walk_pte_range")):
        return False
    removed = 0
    for index in range(start % size, start % size + end - start):
        if table.entries[index] == pte.GUARD:
            table.entries[index] = pte.NONE
            removed += 1
    if removed:
        yield Tracepoint(f"{counted(removed, 'guard marker')} removed from {table}")
    yield table.ptl.release()
    return True
