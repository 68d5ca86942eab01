"""mlock and munlock.

Kernel: mm/mlock.c (v6.18)
"""

from __future__ import annotations

from folioshell.model import pte, vm
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable
from folioshell.model.vm import Mm, Vma
from folioshell.paths import vma as vma_paths
from folioshell.paths.batch import folio_pte_batch
from folioshell.paths.populate import mm_populate
from folioshell.paths.step import Path


def do_mlock(k: Kernel, mm: Mm, start: int, nr: int) -> Path[str | None]:
    """Lock ``[start, start + nr)`` into memory and fault it in.

    Returns: ENOMEM at the first hole; what lies before it is locked, but not faulted in.
    Kernel: mm/mlock.c: do_mlock() (v6.18)
    """
    error = yield from _apply(k, mm, start, start + nr, vm.LOCKED)
    if error is None:
        error = yield from mm_populate(k, mm, start, start + nr, ignore_errors=False)
    return error


def do_munlock(k: Kernel, mm: Mm, start: int, nr: int) -> Path[str | None]:
    """Undo mlock for ``[start, start + nr)``. Returns ENOMEM at the first hole."""
    return (yield from _apply(k, mm, start, start + nr, 0))


def _apply(k: Kernel, mm: Mm, start: int, end: int, locked: int) -> Path[str | None]:
    """Kernel: mm/mlock.c: apply_vma_lock_flags() (v6.18)"""
    yield mm.mmap_lock.acquire("do_mlock", "W")
    error = None
    position = start
    while position < end:
        vma = mm.vmas.find(position)
        if vma is None:
            error = "ENOMEM"
            break
        stop = min(end, vma.end)
        yield from _mlock_fixup(k, vma, position, stop, vma.flags & ~vm.LOCKED | locked)
        position = stop
    yield mm.write_unlock()
    return error


def _mlock_fixup(k: Kernel, vma: Vma, start: int, end: int, flags: int) -> Path[None]:
    """Kernel: mm/mlock.c: mlock_fixup() (v6.18)"""
    if flags == vma.flags:
        return
    vma = yield from vma_paths.modify_flags(k, vma, start, end, flags)
    yield from vma_paths.start_write(vma)
    vma.flags = flags
    size = k.geometry.pmd_pages
    for block, pmd, entry in vma.mm.tables.blocks_in(start, end):
        if isinstance(entry, PageTable):
            yield from _mlock_pte_range(k, vma, entry, block, max(start, block), min(end, block + size))
            continue
        yield pmd.lock.acquire("mlock_pte_range")
        if pte.maps_folio(entry):
            folio = k.physmem.folio(pte.pfn_of(entry))
            if flags & vm.LOCKED:
                folio.mlock()
            else:
                folio.munlock()
        yield pmd.lock.release()


def _mlock_pte_range(k: Kernel, vma: Vma, table: PageTable, block: int, start: int, end: int) -> Path[None]:
    """Kernel: mm/mlock.c: mlock_pte_range() (v6.18)"""
    locking = bool(vma.flags & vm.LOCKED)
    yield table.ptl.acquire("mlock_pte_range")
    index, limit = start - block, end - block
    while index < limit:
        entry = table.entries[index]
        nr = 1
        if pte.maps_folio(entry):
            folio = k.physmem.folio(pte.pfn_of(entry))
            nr = folio_pte_batch(table, index, limit, folio)
            if not locking:
                folio.munlock()
            elif nr == folio.nr_pages:
                folio.mlock()
        index += nr
    yield table.ptl.release()
