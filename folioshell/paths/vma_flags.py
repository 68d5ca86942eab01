"""mprotect, mlock and munlock: new flags for a range, and what follows for its entries.

Kernel: mm/mprotect.c: mprotect_fixup() (v6.18); mm/mlock.c: mlock_fixup() (v6.18)
"""

from __future__ import annotations

from folioshell.events import Level, Mlocked
from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.folios import FolioRun
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.physmem import FolioSpan
from folioshell.model.vm import Mm, Vma
from folioshell.paths import Path
from folioshell.paths import vma as vma_paths
from folioshell.paths.batch import folio_pte_batch, small_folios
from folioshell.paths.gup import mm_populate, populate_vma_page_range
from folioshell.paths.tables import pte_offset_map_lock, split_huge_pmd
from folioshell.units import align_down


def do_mprotect(k: Kernel, mm: Mm, start: int, nr: int, prot: str) -> Path[str | None]:
    """Change the protection of ``[start, start + nr)`` to ``r``, ``rw`` or ``none``.

    Returns: ENOMEM at the first hole; what comes before it was changed.
    Kernel: mm/mprotect.c: do_mprotect_pkey() (v6.18)
    """
    if nr == 0:
        return None
    yield mm.mmap_lock.acquire("do_mprotect_pkey", "W")
    error = yield from _mprotect_locked(k, mm, start, start + nr, vm.PROT_FLAGS[prot])
    yield mm.write_unlock()
    return error


def _mprotect_locked(k: Kernel, mm: Mm, start: int, end: int, prot: int) -> Path[str | None]:
    for vma, low, high in mm.vmas.parts(start, end):
        if vma is None:
            return "ENOMEM"
        yield from _mprotect_fixup(k, vma, low, high, vma.flags & ~(vm.READ | vm.WRITE) | prot)
    return None


def _mprotect_fixup(k: Kernel, vma: Vma, start: int, end: int, flags: int) -> Path[None]:
    """Kernel: mm/mprotect.c: mprotect_fixup() (v6.18)"""
    old = vma.flags
    if flags == old:
        return
    # Private memory is charged when it first becomes writable, and stays charged when it becomes read-only, unless it
    # never had an anonymous page.
    if flags & vm.WRITE:
        if not old & (vm.ACCOUNT | vm.WRITE | vm.SHARED):
            flags |= vm.ACCOUNT
    elif old & vm.ACCOUNT and vma.is_anonymous and vma.anon_vma is None and k.release.unaccounts_unfaulted:
        flags &= ~vm.ACCOUNT
    vma, flags = yield from vma_paths.modify_flags(k, vma, start, end, flags)
    yield from vma_paths.start_write(vma)
    vma.flags = flags
    yield from change_protection(k, vma, start, end)
    # mlock promises no faults: private locked memory that becomes writable is copied now.
    if old & (vm.WRITE | vm.SHARED | vm.LOCKED) == vm.LOCKED and flags & vm.WRITE:
        yield from populate_vma_page_range(k, vma, start, end, flags=0)


def change_protection(k: Kernel, vma: Vma, start: int, end: int) -> Path[None]:
    """Give the entries of ``[start, end)`` the permissions of the VMA; exclusive pages become writable at once.

    Kernel: mm/mprotect.c: change_protection_range() (v6.18)
    """
    size = k.geometry.pmd_pages
    for block, pmd, _ in vma.mm.tables.blocks_in(start, end):
        low, high = max(start, block), min(end, block + size)
        # Neither the entry nor the table is protected before its lock is held: look again at what they have become.
        while not (yield from _change_pmd(k, vma, pmd, low, high)):
            pass


def _change_pmd(k: Kernel, vma: Vma, pmd: PmdTable, start: int, end: int) -> Path[bool]:
    """Change ``[start, end)``, all under one PMD entry. False: another thread changed that, look at it again.

    Kernel: mm/mprotect.c: change_pmd_range() (v6.18)
    """
    tree, size = vma.mm.tables, k.geometry.pmd_pages
    entry = tree.pmd_entry(start)
    if not isinstance(entry, PageTable) and entry != pte.NONE:
        if end - start != size:
            # Two protections cannot share a PMD entry.
            yield from split_huge_pmd(k, vma, pmd, align_down(start, size))
        elif (yield from _change_huge_pmd(k, vma, pmd, start)):
            return True
        # Split, by this thread or another one: a file's entry is gone with that.
        entry = tree.pmd_entry(start)
    if isinstance(entry, PageTable):
        return (yield from _change_pte_range(k, vma, entry, start, end))
    return entry == pte.NONE


def _change_pte_range(k: Kernel, vma: Vma, table: PageTable, start: int, end: int) -> Path[bool]:
    """Change the entries of ``[start, end)`` in one PTE table, in batches of one folio. False: the table was freed.

    Kernel: mm/mprotect.c: change_pte_range() (v6.18)
    """
    if not (yield from pte_offset_map_lock(vma.mm, start, table, "change_pte_range")):
        return False
    prot = vma_paths.prot_entry_flags(vma)
    entries = table.entries
    index = start & vma.mm.tables.last
    last = index + end - start
    while index < last:
        entry = entries[index]
        nr = 1
        if entry > 0:
            nr = _batch(k, table, index, last)
            # A batch is read as one entry, so each gets the young and dirty bits that any of them had.
            used = 0
            for one in entries[index : index + nr]:
                used |= one & (pte.YOUNG | pte.DIRTY)
            changed = [_modified(k, vma, one | used, prot) for one in entries[index : index + nr]]
            entries[index : index + nr] = pte.packed(changed)
        elif entry and pte.is_migration(entry) and not vma.flags & vm.WRITE:
            entries[index] = _migration_downgraded(k, entry)
        index += nr
    yield table.ptl.release()
    return True


def _batch(k: Kernel, table: PageTable, index: int, last: int) -> int:
    """Number of entries that are changed together.

    Kernel: mm/mprotect.c: mprotect_folio_pte_batch() (v6.18)
    """
    entry = table.entries[index]
    if not k.release.mprotect_batches or not pte.maps_folio(entry):
        return 1
    folio = k.physmem.at(pte.pfn_of(entry)).first
    return folio_pte_batch(table, index, last, folio, pte.WRITE) if folio.order else 1


def _modified(k: Kernel, vma: Vma, entry: int, prot: int, is_pmd: bool = False) -> int:
    entry = entry & ~(pte.WRITE | pte.PROTNONE) | prot & (pte.WRITE | pte.PROTNONE)
    # vm_page_prot of a private VMA is never writable; a page that a write fault would only reuse is spared the fault.
    if not entry & pte.WRITE and _can_become_writable(k, vma, entry, is_pmd):
        entry |= pte.WRITE
    return entry


def _can_become_writable(k: Kernel, vma: Vma, entry: int, is_pmd: bool) -> bool:
    """May an entry become writable without a fault?

    Kernel: mm/mprotect.c: can_change_pte_writable() (v6.18)
    """
    release = k.release
    if not vma.flags & vm.WRITE or (is_pmd and not release.mprotect_restores_write_of_clean):
        return False
    # A clean entry of a file must fault on the first write, so that the file system is notified.
    if vma.flags & vm.SHARED:
        return bool(entry & pte.DIRTY)
    if not pte.maps_folio(entry):
        return False
    if not release.mprotect_restores_write or (not entry & pte.DIRTY and not release.mprotect_restores_write_of_clean):
        return False
    pfn = pte.pfn_of(entry)
    folio = k.physmem.at(pfn).first
    return folio.anon and bool(folio.anon_exclusive >> (pfn - folio.pfn if folio.order else 0) & 1)


def _migration_downgraded(k: Kernel, entry: int) -> int:
    folio = k.physmem.folio(pte.migration_pfn(entry))
    payload = -entry
    # Writable implies exclusive, which the entry alone remembers: dropping the one must not lose the other.
    if payload & pte.MIGRATION_WRITE and folio.anon:
        payload |= pte.MIGRATION_EXCLUSIVE
    return -(payload & ~pte.MIGRATION_WRITE)


def _change_huge_pmd(k: Kernel, vma: Vma, pmd: PmdTable, block: int) -> Path[bool]:
    """Change a PMD entry that maps a folio, or is a migration entry. False: it is no such entry (any more).

    Kernel: mm/huge_memory.c: change_huge_pmd() (v6.18)
    """
    yield pmd.lock.acquire("change_huge_pmd")
    index = vma.mm.tables.pmd_index(block)
    entry = pmd.entries.get(index, pte.NONE)
    is_huge = not isinstance(entry, PageTable) and entry != pte.NONE
    if isinstance(entry, int) and entry > 0:
        if k.release.mprotect_cleans_pmd:
            entry &= ~pte.DIRTY
        pmd.entries[index] = _modified(k, vma, entry, vma_paths.prot_entry_flags(vma), is_pmd=True)
    elif isinstance(entry, int) and pte.is_migration(entry) and not vma.flags & vm.WRITE:
        pmd.entries[index] = _migration_downgraded(k, entry)
    yield pmd.lock.release()
    return is_huge


def do_mlock(k: Kernel, mm: Mm, start: int, nr: int) -> Path[str | None]:
    """Lock ``[start, start + nr)`` into memory and fault it in.

    Returns: ENOMEM at the first hole; what comes before it is locked, but not faulted in.
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
    for vma, low, high in mm.vmas.parts(start, end):
        if vma is None:
            error = "ENOMEM"
        else:
            yield from _mlock_fixup(k, vma, low, high, vma.flags & ~vm.LOCKED | locked)
    yield mm.write_unlock()
    return error


def _mlock_fixup(k: Kernel, vma: Vma, start: int, end: int, flags: int) -> Path[None]:
    """Kernel: mm/mlock.c: mlock_fixup() (v6.18)"""
    if flags == vma.flags:
        return
    vma, flags = yield from vma_paths.modify_flags(k, vma, start, end, flags)
    yield from vma_paths.start_write(vma)
    yield from _mlock_vma_pages_range(k, vma, start, end, flags)


def _mlock_vma_pages_range(k: Kernel, vma: Vma, start: int, end: int, flags: int) -> Path[None]:
    """Kernel: mm/mlock.c: mlock_vma_pages_range() (v6.18)"""
    # No fault comes here, but migration and splits map pages again, through the rmap. What they map before this walk
    # reaches it must not be counted twice.
    vma.flags = flags | vm.IO if flags & vm.LOCKED else flags
    size = k.geometry.pmd_pages
    for block, pmd, _ in vma.mm.tables.blocks_in(start, end):
        while not (yield from _mlock_pmd(k, vma, pmd, max(start, block), min(end, block + size))):
            pass
    vma.flags = flags


def _mlock_pmd(k: Kernel, vma: Vma, pmd: PmdTable, start: int, end: int) -> Path[bool]:
    """Count the pages of ``[start, end)``, all under one PMD entry. False: another thread changed that, look again.

    Kernel: mm/mlock.c: mlock_pte_range() (v6.18)
    """
    index = vma.mm.tables.pmd_index(start)
    entry = pmd.entries.get(index, pte.NONE)
    if isinstance(entry, PageTable):
        return (yield from _mlock_pte_range(k, vma, entry, start, end))
    if entry == pte.NONE:
        return True
    yield pmd.lock.acquire("mlock_pte_range")
    entry = pmd.entries.get(index, pte.NONE)
    is_huge = not isinstance(entry, PageTable)
    if isinstance(entry, int) and pte.maps_folio(entry):
        yield _mlock_folios(k.physmem.single_out(pte.pfn_of(entry)), vma, Level.PMD)
    yield pmd.lock.release()
    return is_huge


def _mlock_pte_range(k: Kernel, vma: Vma, table: PageTable, start: int, end: int) -> Path[bool]:
    """Count the pages that the entries of ``[start, end)`` in one PTE table map. False: the table was freed."""
    locking = bool(vma.flags & vm.LOCKED)
    if not (yield from pte_offset_map_lock(vma.mm, start, table, "mlock_pte_range")):
        return False
    index = start & vma.mm.tables.last
    limit = index + end - start
    while index < limit:
        entry = table.entries[index]
        nr = 1
        if pte.maps_folio(entry):
            folios: Folio | FolioRun | FolioSpan = k.physmem.at(pte.pfn_of(entry)).first
            if folios.first.order:
                nr = folio_pte_batch(table, index, limit, folios.first)
            else:
                folios = small_folios(k, table, index, limit)
                nr = folios.nr
            # A large folio is mlocked only if the range maps all of it: the pages outside must stay reclaimable.
            if not locking or nr >= folios.first.nr_pages:
                yield _mlock_folios(folios, vma, Level.PTE)
        index += nr
    yield table.ptl.release()
    return True


def _mlock_folios(folios: Folio | FolioRun | FolioSpan, vma: Vma, level: Level) -> Mlocked:
    """Mlock folios that the VMA maps, or munlock them if it is not locked any more. Returns the event."""
    folio, sign = folios.first, 1 if vma.flags & vm.LOCKED else -1
    if sign > 0:
        folio.mlock()
    else:
        folio.munlock()
    return Mlocked(folios.numbers, folio.order, folio.anon, level, vma.mm.mm_id, sign)
