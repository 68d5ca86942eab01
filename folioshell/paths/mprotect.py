"""mprotect.

Kernel: mm/mprotect.c (v6.18)
"""

from __future__ import annotations

from folioshell.model import pte, vm
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vm import Mm, Vma
from folioshell.paths import vma as vma_paths
from folioshell.paths.batch import folio_pte_batch
from folioshell.paths.huge import split_huge_pmd
from folioshell.paths.populate import populate_vma_page_range
from folioshell.paths.step import Path


def do_mprotect(k: Kernel, mm: Mm, start: int, nr: int, prot: str) -> Path[str | None]:
    """Change the protection of ``[start, start + nr)`` to ``r``, ``rw`` or ``none``.

    Returns: ENOMEM at the first hole; what lies before it has changed.
    Kernel: mm/mprotect.c: do_mprotect_pkey() (v6.18)
    """
    if nr == 0:
        return None
    yield mm.mmap_lock.acquire("do_mprotect_pkey", "W")
    error = yield from _mprotect_locked(k, mm, start, start + nr, vm.PROT_FLAGS[prot])
    yield mm.write_unlock()
    return error


def _mprotect_locked(k: Kernel, mm: Mm, start: int, end: int, prot: int) -> Path[str | None]:
    position = start
    while position < end:
        vma = mm.vmas.find(position)
        if vma is None:
            return "ENOMEM"
        stop = min(end, vma.end)
        yield from _mprotect_fixup(k, vma, position, stop, vma.flags & ~(vm.READ | vm.WRITE) | prot)
        position = stop
    return None


def _mprotect_fixup(k: Kernel, vma: Vma, start: int, end: int, flags: int) -> Path[None]:
    """Kernel: mm/mprotect.c: mprotect_fixup() (v6.18)"""
    old = vma.flags
    if flags == old:
        return
    if flags & vm.WRITE:
        if not old & (vm.ACCOUNT | vm.WRITE | vm.SHARED):
            flags |= vm.ACCOUNT
    elif old & vm.ACCOUNT and vma.is_anonymous and vma.anon_vma is None:
        flags &= ~vm.ACCOUNT
    vma = yield from vma_paths.modify_flags(k, vma, start, end, flags)
    yield from vma_paths.start_write(vma)
    vma.flags = flags
    yield from change_protection(k, vma, start, end)
    if old & (vm.WRITE | vm.SHARED | vm.LOCKED) == vm.LOCKED and flags & vm.WRITE:
        yield from populate_vma_page_range(k, vma, start, end)


def change_protection(k: Kernel, vma: Vma, start: int, end: int) -> Path[None]:
    """Give the entries of ``[start, end)`` the permissions of the VMA; pages that need no fault become writable.

    Kernel: mm/mprotect.c: change_protection_range() (v6.18)
    """
    size = k.geometry.pmd_pages
    for block, pmd, entry in vma.mm.tables.blocks_in(start, end):
        low, high = max(start, block), min(end, block + size)
        if not isinstance(entry, PageTable):
            if high - low == size:
                yield from _change_huge_pmd(k, vma, pmd, block)
                continue
            yield from split_huge_pmd(k, vma, pmd, block)
        table = vma.mm.tables.leaf(block)
        if table is not None:
            yield from _change_pte_range(k, vma, table, low - block, high - block)


def _change_pte_range(k: Kernel, vma: Vma, table: PageTable, first: int, last: int) -> Path[None]:
    """Change the entries ``[first, last)`` of one leaf table; those of one folio in one go, as if all were as dirty.

    Kernel: mm/mprotect.c: change_pte_range() (v6.18)
    """
    yield table.ptl.acquire("change_pte_range")
    prot = vma_paths.prot_entry_flags(vma)
    entries = table.entries
    index = first
    while index < last:
        entry = entries[index]
        nr = 1
        if entry > 0:
            nr = _batch(k, table, index, last)
            used = 0
            for one in entries[index : index + nr]:
                used |= one & (pte.YOUNG | pte.DIRTY)
            changed = [_modified(k, vma, one | used, prot) for one in entries[index : index + nr]]
            entries[index : index + nr] = pte.packed(changed)
        elif entry and pte.is_migration(entry) and not vma.flags & vm.WRITE:
            entries[index] = _migration_downgraded(k, entry)
        index += nr
    yield table.ptl.release()


def _batch(k: Kernel, table: PageTable, index: int, last: int) -> int:
    """Number of entries that are changed together.

    Kernel: mm/mprotect.c: mprotect_folio_pte_batch() (v6.18)
    """
    entry = table.entries[index]
    if not k.release.mprotect_batches or not pte.maps_folio(entry):
        return 1
    folio = k.physmem.at(pte.pfn_of(entry)).first
    return folio_pte_batch(table, index, last, folio, pte.WRITE) if folio.order else 1


def _modified(k: Kernel, vma: Vma, entry: int, prot: int) -> int:
    entry = entry & ~(pte.WRITE | pte.PROTNONE) | prot & (pte.WRITE | pte.PROTNONE)
    if not entry & pte.WRITE and _can_become_writable(k, vma, entry):
        entry |= pte.WRITE
    return entry


def _can_become_writable(k: Kernel, vma: Vma, entry: int) -> bool:
    """May an entry become writable without a fault?

    Kernel: mm/mprotect.c: can_change_pte_writable() (v6.18)
    """
    if not vma.flags & vm.WRITE:
        return False
    if vma.flags & vm.SHARED:
        return bool(entry & pte.DIRTY)
    if not pte.maps_folio(entry):
        return False
    pfn = pte.pfn_of(entry)
    folio = k.physmem.at(pfn).first
    return folio.anon and bool(folio.anon_exclusive >> (pfn - folio.pfn if folio.order else 0) & 1)


def _migration_downgraded(k: Kernel, entry: int) -> int:
    folio = k.physmem.folio(pte.migration_pfn(entry))
    payload = -entry
    if payload & pte.MIGRATION_WRITE and folio.anon:
        payload |= pte.MIGRATION_EXCLUSIVE
    return -(payload & ~pte.MIGRATION_WRITE)


def _change_huge_pmd(k: Kernel, vma: Vma, pmd: PmdTable, block: int) -> Path[None]:
    """Kernel: mm/huge_memory.c: change_huge_pmd() (v6.18)"""
    yield pmd.lock.acquire("change_huge_pmd")
    index = vma.mm.tables.pmd_index(block)
    entry = pmd.entries.get(index, pte.NONE)
    if isinstance(entry, int) and entry > 0:
        pmd.entries[index] = _modified(k, vma, entry, vma_paths.prot_entry_flags(vma))
    yield pmd.lock.release()
