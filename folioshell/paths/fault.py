"""Accesses to memory, and the page faults that they cause.

Kernel: arch/x86/mm/fault.c: do_user_addr_fault() (v6.18); mm/memory.c: handle_mm_fault() (v6.18)
"""

from __future__ import annotations

from folioshell.model import pte, vm
from folioshell.model.folio import page_bits
from folioshell.model.folios import FolioRun
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vm import Mm, Vma
from folioshell.paths import Path, anon_fault, file_fault, rmap, swap, tables, wp_fault
from folioshell.paths.batch import same_pte_batch, small_pte_batch
from folioshell.paths.vm_fault import (
    RETRY,
    UNDER_MMAP_LOCK,
    Fault,
    anon_prepare,
    equal_file_faults,
    folio_lock_or_retry,
    refault,
    suitable_block,
)

_WRITTEN = pte.YOUNG | pte.DIRTY


def touch(k: Kernel, mm: Mm, start: int, nr: int, write: bool) -> Path[list[list[int | str]]]:
    """One access to each page of ``[start, start + nr)``, ascending. A write stores a byte that is not zero.

    Returns: runs of accesses that failed: [first access, number, SIGSEGV or SIGBUS].
    Raises:
        KernelBug: an access refaults without progress (livelock).
    """
    signals: list[tuple[int, str]] = []
    entry_of = mm.tables.entry
    needed = pte.PRESENT | pte.WRITE if write else pte.PRESENT
    looked_at = needed | pte.PROTNONE
    vpn, end = start, start + nr
    while vpn < end:
        faults = 0
        while (entry := entry_of(vpn)) <= 0 or entry & looked_at != needed:
            faults = refault(mm, vpn, faults)
            # A thread that comes between two faults may change what the second one finds: then each goes alone.
            times = equal_faults(k, mm, vpn, end, write) if k.batches else 1
            signal = yield from page_fault(k, mm, vpn, write, times)
            if signal is not None:
                signals.append((vpn - start, signal))
                vpn += 1
                break
        else:
            vpn += access(k, mm, vpn, end, write)
    return _signal_runs(signals)


def equal_faults(k: Kernel, mm: Mm, vpn: int, end: int, write: bool) -> int:
    """Number of consecutive faults, for the pages from ``vpn`` on and below ``end``, that differ only in the page.

    More than one only where order-0 folios are mapped where nothing was, in one table, anonymous ones are copied or
    come from swap, or those of files become writable. Allocating the table and the anon_vma is part of the first fault.
    """
    if end - vpn == 1:
        return 1
    vma = mm.vmas.find(vpn)
    if vma is None or not is_allowed(vma, write) or not mm.is_readable(vma, vpn):
        return 1
    table = mm.tables.pmd_entry(vpn)
    is_mapped = isinstance(table, PageTable) and table.entries[vpn & mm.tables.last] != pte.NONE
    index = vpn & mm.tables.last
    limit = min(index + min(end, vma.end) - vpn, mm.tables.last + 1)
    if isinstance(table, PageTable) and table.entries[index] < 0:
        return swap.equal_swapins(k, vma, table, index, limit, write)
    if vma.file is not None and not (is_mapped and write and not vma.flags & vm.SHARED):
        return equal_file_faults(k, vma, vpn, write, limit - index)
    if write:
        limit = min(limit, index + k.physmem.free_in_a_row)
    # With mTHP a fault may map a larger folio, and the next one finds fewer empty entries.
    if write and len(k.config.thp) > 1 and not is_mapped:
        return 1
    if isinstance(table, PageTable):
        if is_mapped:
            return wp_fault.equal_copies(k, vma, table, index, limit) if write else 1
        return same_pte_batch(table, index, limit)
    huge = anon_fault.huge_fault_allowed(k, vma) and suitable_block(vma, vpn, mm.tables.last + 1)
    return 1 if table != pte.NONE or huge else limit - index


def _signal_runs(signals: list[tuple[int, str]]) -> list[list[int | str]]:
    """[first, number, signal] of consecutive accesses that got the same signal."""
    runs: list[tuple[int, int, str]] = []
    for position, signal in signals:
        if runs and runs[-1][2] == signal and runs[-1][0] + runs[-1][1] == position:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1, signal)
        else:
            runs.append((position, 1, signal))
    return [list(run) for run in runs]


def access(k: Kernel, mm: Mm, vpn: int, end: int, write: bool) -> int:
    """What the CPU does for accesses that are allowed: accessed and dirty bits, and the bytes themselves.

    Args:
        vpn: the first page.
        end: pages from here on are not accessed.
    Returns: number of pages accessed: those that one PMD entry maps, those of a run of folios with equal entries, or
        those whose entries stay as they are; at least 1.
    """
    tree = mm.tables
    flags = _WRITTEN if write else pte.YOUNG
    table = tree.pmd_entry(vpn)
    index = vpn & tree.last
    limit = min(index + end - vpn, tree.last + 1)
    if not isinstance(table, PageTable):
        pmd = tree.pmd_table(vpn)
        assert pmd is not None
        pmd.entries[tree.pmd_index(vpn)] = table | flags
        nr, pfn = limit - index, pte.pfn_of(table) + index
    else:
        entry = table.entries[index]
        nr, pfn = 1, pte.pfn_of(entry)
        if limit == index + 1:
            pass
        elif pfn != pte.ZERO_PFN:
            nr = small_pte_batch(table, index, limit, k.physmem.at(pfn))
            if nr == 1 and entry & flags == flags and (done := _accessed(k, table, index, limit, write)):
                return done
        elif entry & flags == flags:
            nr = same_pte_batch(table, index, limit)
        if entry & flags != flags:
            table.entries[index : index + nr] = pte.packed([one | flags for one in table.entries[index : index + nr]])
    if write:
        owner = k.physmem.at(pfn)
        if not isinstance(owner, FolioRun):
            owner.nonzero |= page_bits(pfn - owner.pfn, nr)
        elif not owner.first.nonzero:
            k.physmem.part(pfn, nr).first.nonzero = 1
    return nr


def _accessed(k: Kernel, table: PageTable, index: int, limit: int, write: bool) -> int:
    """Access the page of an entry whose flags stay as they are, and those after it that are alike in that.

    A read changes nothing else, whatever the entries map; a write goes as far as no folio has to leave its run.

    Returns: number of entries, below ``limit``; 0 if the first maps a folio that has to.
    """
    alike = pte.PRESENT | (pte.WRITE | _WRITTEN if write else pte.YOUNG)
    at, nr = k.physmem.at, 0
    for entry in table.entries[index:limit]:
        if entry <= 0 or entry & (alike | pte.PROTNONE) != alike:
            break
        if write:
            pfn = entry >> pte.PFN_SHIFT
            owner = at(pfn)
            if not isinstance(owner, FolioRun):
                owner.nonzero |= 1 << pfn - owner.pfn
            elif not owner.first.nonzero:
                break
        nr += 1
    return nr


def page_fault(k: Kernel, mm: Mm, vpn: int, write: bool, times: int = 1) -> Path[str | None]:
    """A page fault of user space. Returns the signal that it gets, if any.

    Args:
        times: as in ``Fault``.
    Kernel: arch/x86/mm/fault.c: do_user_addr_fault() (v6.18)
    """
    vma = mm.vmas.find(vpn)
    # The VMA lock spares faults the contended mmap_lock. A trylock: who write-locks a VMA holds mmap_lock for writing,
    # so waiting for that instead is as good, and cannot deadlock.
    if vma is None or (yield vma.lock.trylock("lock_vma_under_rcu", "R", times)):
        return (yield from _fault_under_mmap_lock(k, mm, vpn, write))
    # The VMA was found without a lock: munmap() or a split may have taken the address out of it meanwhile.
    if not mm.is_readable(vma, vpn):
        yield vma.lock.release("R")
        return (yield from _fault_under_mmap_lock(k, mm, vpn, write))
    signal: str | None = "SIGSEGV"
    if is_allowed(vma, write):
        signal = yield from handle_mm_fault(k, Fault(vma, vpn, write, vma_locked=True, times=times))
    if signal == RETRY:
        # The handler dropped the lock before it waited.
        return (yield from _fault_under_mmap_lock(k, mm, vpn, write, tried=True))
    yield vma.lock.release("R", times)
    if signal == UNDER_MMAP_LOCK:
        return (yield from _fault_under_mmap_lock(k, mm, vpn, write))
    return signal


def _fault_under_mmap_lock(k: Kernel, mm: Mm, vpn: int, write: bool, tried: bool = False) -> Path[str | None]:
    yield mm.mmap_lock.acquire("lock_mm_and_find_vma", "R")
    # Nothing that was looked up under the VMA lock holds any more, the VMA least of all.
    vma = mm.vmas.find(vpn)
    signal: str | None = "SIGSEGV"
    if vma is not None and is_allowed(vma, write):
        signal = yield from handle_mm_fault(k, Fault(vma, vpn, write, tried=tried))
        if signal == RETRY:
            return (yield from _fault_under_mmap_lock(k, mm, vpn, write, tried=True))
    yield mm.mmap_lock.release("R")
    return signal


def is_allowed(vma: Vma, write: bool) -> bool:
    """Do the VMA's flags allow this access of user space?

    Kernel: arch/x86/mm/fault.c: access_error() (v6.18)
    """
    # x86 has no write-only pages: PROT_WRITE alone can be read.
    return vma.flags & (vm.WRITE if write else vm.READ | vm.WRITE) != 0


def handle_mm_fault(k: Kernel, fault: Fault) -> Path[str | None]:
    """The path of one fault; whether the access succeeds then is for the caller to try.

    Returns: SIGBUS, SIGSEGV, UNDER_MMAP_LOCK or None; RETRY if the lock that the fault was handled under was dropped.
    Kernel: mm/memory.c: __handle_mm_fault() (v6.18)
    """
    table = fault.vma.mm.tables.pmd_entry(fault.vpn)
    if isinstance(table, PageTable):
        return _handle_pte_fault(k, fault, table)
    return _handle_pmd_fault(k, fault)


def _handle_pmd_fault(k: Kernel, fault: Fault) -> Path[str | None]:
    """A fault where there is no PTE table."""
    vma, vpn = fault.vma, fault.vpn
    mm = vma.mm
    pmd = mm.tables.pmd_table(vpn)
    if pmd is None:
        pmd = yield from tables.pmd_alloc(k, mm, vpn)
    entry = mm.tables.pmd_entry(vpn)
    if entry == pte.NONE:
        if (
            vma.file is None
            and anon_fault.huge_fault_allowed(k, vma)
            and suitable_block(vma, vpn, k.geometry.pmd_pages)
        ):
            # Also for a read, which maps the huge zero page: so fork() copies that, while a VMA in which reads mapped
            # only order-0 zero pages is empty in the child (vma_needs_copy()).
            if not (yield from anon_prepare(k, fault)):
                return UNDER_MMAP_LOCK
            if (yield from anon_fault.do_huge_pmd_anonymous_page(k, fault, pmd)):
                return None
    elif not isinstance(entry, PageTable):
        if entry < 0:
            yield from _pmd_migration_entry_wait(k, fault, pmd, entry)
            return None
        if not fault.write or entry & pte.WRITE:
            yield pmd.lock.acquire("huge_pmd_set_accessed")
            yield pmd.lock.release()
            return None
        if (yield from wp_fault.wp_huge_pmd(k, fault, pmd)):
            return None
    # A PTE table may be there by now: from a split, or from another fault while a lock was waited for.
    return (yield from _handle_pte_fault(k, fault, mm.tables.leaf(vpn)))


def _pmd_migration_entry_wait(k: Kernel, fault: Fault, pmd: PmdTable, entry: int) -> Path[None]:
    """Wait until the migration of a folio that a PMD entry maps is over; the access faults again.

    Kernel: mm/migrate.c: pmd_migration_entry_wait() (v6.18)
    """
    yield pmd.lock.acquire("pmd_migration_entry_wait")
    # As for a PTE: under the lock the entry proves that the folio exists, and is locked.
    found = pmd.entries.get(fault.vma.mm.tables.pmd_index(fault.vpn))
    folio = k.physmem.folio(pte.migration_pfn(entry)) if found == entry else None
    yield pmd.lock.release()
    if folio is not None:
        yield folio.lock.wait("pmd_migration_entry_wait")


def _handle_pte_fault(k: Kernel, fault: Fault, table: PageTable | None) -> Path[str | None]:
    """The path of a fault at PTE level.

    Kernel: mm/memory.c: handle_pte_fault() (v6.18)
    """
    # Read without the PTL: every handler compares again under it, and starts over by a new fault if it differs.
    entry = table.entries[fault.index] if table is not None else pte.NONE
    if entry == pte.NONE:
        if fault.vma.file is None:
            return anon_fault.do_anonymous_page(k, fault, table)
        # No table is allocated yet: ->fault may bring a folio that one PMD entry maps.
        return file_fault.do_fault(k, fault)
    assert table is not None
    if entry < 0:
        return do_swap_page(k, fault, table)
    return _handle_present(k, fault, table)


def do_swap_page(k: Kernel, fault: Fault, table: PageTable) -> Path[str | None]:
    """A fault on an entry that is not present: bring the page back from swap, or wait until its migration is over.

    Returns: SIGSEGV for a guard entry; RETRY if the folio lock was waited for.
    Kernel: mm/memory.c: do_swap_page() (v6.18)
    """
    index = fault.index
    entry = table.entries[index]
    # migration_entry_wait() waits until the folio is unlocked, which migration and split do last, and keeps the lock of
    # the fault meanwhile. The access faults again then, and finds what the entry has become.
    if pte.is_migration(entry):
        yield table.ptl.acquire("migration_entry_wait")
        # Under the PTL the entry proves that the folio exists, and is locked. It may be gone after the wait, which
        # therefore neither locks it nor needs a reference.
        folio = k.physmem.folio(pte.migration_pfn(entry)) if table.entries[index] == entry else None
        yield table.ptl.release()
        if folio is not None:
            yield folio.lock.wait("migration_entry_wait")
        return None
    if not pte.is_swap(entry):
        return "SIGSEGV"
    if fault.vma.anon_vma is None and not (yield from anon_prepare(k, fault)):
        return UNDER_MMAP_LOCK
    folios = yield from swap.swapin(k, fault, table, pte.swap_slot(entry))
    # The entry was zapped, or another thread mapped the page.
    if folios is None:
        return None
    folio, times = folios.first, fault.times
    fresh = folio.swap_slot is None and k.swap_prepared.get(pte.swap_slot(entry)) is folio
    if not fresh and not (yield from folio_lock_or_retry(fault, folios)):
        yield from rmap.put(k, folio)
        return RETRY
    # While this thread waited, others may have mapped the page, freed the slot and swapped out another page to it. The
    # entry can hold the same slot again, so comparing entries is not enough.
    if not fresh and not swap.is_in_cache(k, folio, pte.swap_slot(entry)):
        yield folio.lock.release()
        yield from rmap.put(k, folio)
        return None
    yield table.ptl.acquire("do_swap_page", times=times)
    # Or it was zapped, or fork() took its exclusive bit.
    if table.entries[index] != entry or (fresh and swap.has_changed(fault, table, folio)):
        yield table.ptl.release()
        if fresh:
            yield from swap.cancel(k, folio)
            return None
        yield folio.lock.release()
        yield from rmap.put(k, folio)
        return None
    yield from swap.map_swapped(k, fault, table, folios)
    yield folios.lock.release(times=times)
    # In the same fault and under the same PTL: a second fault would only find the read-only entry that was just made.
    if fault.write and not table.entries[index] & pte.WRITE:
        return (yield from wp_fault.do_wp_page(k, fault, table))
    yield table.ptl.release(times=times)
    return None


def _handle_present(k: Kernel, fault: Fault, table: PageTable) -> Path[str | None]:
    """A fault on a present entry: it lacks a permission, or another fault was faster."""
    yield table.ptl.acquire("handle_pte_fault", times=fault.times)
    index = fault.index
    entry = table.entries[index]
    if fault.write and entry > 0 and not entry & pte.WRITE:
        return (yield from wp_fault.do_wp_page(k, fault, table))
    # It may have been unmapped since: then there is nothing to do, the access faults again.
    if entry > 0:
        table.entries[index] = entry | (pte.YOUNG | pte.DIRTY if fault.write else pte.YOUNG)
    yield table.ptl.release()
    return None
