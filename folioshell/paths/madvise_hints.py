"""Hints about mapped pages: MADV_COLD and MADV_PAGEOUT, MADV_FREE.

Kernel: mm/madvise.c: madvise_cold_or_pageout_pte_range(), madvise_free_pte_range() (v6.18);
    mm/huge_memory.c: madvise_free_huge_pmd() (v6.18)
"""

from __future__ import annotations

from folioshell.events import Tracepoint
from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.folios import FolioRun
from folioshell.model.kernel import Kernel
from folioshell.model.lock import Lock
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.policy import SharingQuestion
from folioshell.model.vm import Vma
from folioshell.paths import Path, rmap, sharing, swap
from folioshell.paths.batch import folio_pte_batch, small_pte_batch
from folioshell.paths.reclaim import reclaim_pages
from folioshell.paths.split import split_folio
from folioshell.paths.tables import pte_offset_map_lock
from folioshell.units import align_down

_COLD = SharingQuestion.COLD_PMD.function
_FREE = SharingQuestion.FREE_PART.function


def madvise_cold(k: Kernel, vma: Vma, start: int, end: int) -> Path[str | None]:
    """Deactivate the folios of ``[start, end)``. EINVAL for a locked VMA."""
    return _cold_or_pageout(k, vma, start, end, pageout=False)


def madvise_pageout(k: Kernel, vma: Vma, start: int, end: int) -> Path[str | None]:
    """Reclaim the folios of ``[start, end)`` that no other mm maps. EINVAL for a locked VMA."""
    return _cold_or_pageout(k, vma, start, end, pageout=True)


def _cold_or_pageout(k: Kernel, vma: Vma, start: int, end: int, pageout: bool) -> Path[str | None]:
    if vma.flags & vm.LOCKED:
        return "EINVAL"
    size = k.geometry.pmd_pages
    for block, pmd, entry in vma.mm.tables.blocks_in(start, end):
        low, high = max(start, block), min(end, block + size)
        if not isinstance(entry, PageTable) and not (
            yield from _cold_huge_pmd(k, vma, pmd, block, high - low == size, pageout)
        ):
            continue
        # Read again: the PMD entry may have been split, or its table freed, while the locks were dropped.
        yield from _cold_pte_range(k, vma, low, high, pageout)
    return None


def _cold_huge_pmd(k: Kernel, vma: Vma, pmd: PmdTable, block: int, whole: bool, pageout: bool) -> Path[bool]:
    """Handle a PMD entry. True: the folio was split, continue with PTEs."""
    index = vma.mm.tables.pmd_index(block)
    yield pmd.lock.acquire(_COLD)
    # The entry was read without the lock: it may have been split or zapped before the lock was taken.
    entry = pmd.entries.get(index, pte.NONE)
    if isinstance(entry, PageTable) or not pte.maps_folio(entry):
        yield pmd.lock.release()
        return False
    folio = k.physmem.single_out(pte.pfn_of(entry))
    shared = yield from sharing.is_shared(k, vma.mm, folio, SharingQuestion.COLD_PMD, pmd.lock)
    # A scheme that answers `maybe` had the lock dropped for a walk: the entry may be another one by now.
    if shared or pmd.entries.get(index) != entry:
        yield from _skipped(k, folio)
        yield pmd.lock.release()
        return False
    if not whole:
        # Only tried: waiting for a folio lock under a page-table lock could deadlock with unmapping, which nests them.
        if (yield folio.lock.trylock(_COLD)):
            yield pmd.lock.release()
            return False
        return (yield from _split(k, folio, pmd.lock))
    if not pageout or not k.release.pageout_ignores_references:
        pmd.entries[index] = entry & ~pte.YOUNG
    isolated = []
    if not pageout:
        folio.active = False
    elif folio.isolate():
        isolated.append(folio)
    yield pmd.lock.release()
    # Reclaim unmaps, so it runs without the PMD lock, on the isolation's reference.
    yield from reclaim_pages(k, isolated)
    return False


def _cold_pte_range(k: Kernel, vma: Vma, start: int, end: int, pageout: bool) -> Path[None]:
    isolated: list[Folio | FolioRun] = []
    table = yield from _lock_table(vma, start, _COLD)
    block = align_down(start, k.geometry.pmd_pages)
    index, last = start - block, end - block
    while table is not None and index < last:
        entry = table.entries[index]
        if not pte.maps_folio(entry):
            index += 1
            continue
        pfn = pte.pfn_of(entry)
        folio, nr = _looked_at(k, table, index, last, pfn)
        if folio.order and (nr < folio.nr_pages or not k.release.madvise_takes_whole_folios):
            table, done = yield from _split_part(k, vma, table, block + index, folio, SharingQuestion.COLD_PART)
            index = _after_part(k, index, nr, last, done)
            continue
        # Off the LRU: another path works on it.
        if folio.isolated:
            index += nr
            continue
        shared = yield from sharing.is_shared(k, vma.mm, folio, SharingQuestion.COLD_WHOLE, table.ptl)
        if shared or table.entries[index] != entry:
            index += nr if table.entries[index] == entry else 0
            continue
        if not pageout:
            _deactivate(table, index, nr, folio)
        else:
            if not k.release.pageout_ignores_references:
                _clear_flags(table, index, nr, pte.YOUNG)
            folios = k.physmem.part(pfn, nr) if nr > 1 else k.physmem.single_out(pfn)
            if not folio.mlocked and folios.isolate():
                isolated.append(folios)
        index += nr
    if table is not None:
        yield table.ptl.release()
    # All isolated folios at once, after the PTL was released: unmapping them takes it again.
    yield from reclaim_pages(k, isolated)


def _looked_at(k: Kernel, table: PageTable, index: int, last: int, pfn: int) -> tuple[Folio, int]:
    """The folio that the entry ``index`` maps, to be read, and the number of entries below ``last`` to look at with it.

    They map other pages of the folio, or folios of its run that are treated alike.
    """
    owner = k.physmem.at(pfn)
    if not isinstance(owner, FolioRun):
        return owner, folio_pte_batch(table, index, last, owner) if owner.order else 1
    folio = owner.view(pfn - owner.first.pfn)
    most = small_pte_batch(table, index, last, owner) if k.batches and index + 1 < last else 1
    nr = sharing.equal_answers(k, SharingQuestion.COLD_WHOLE, folio.id, most)
    return (folio, nr) if nr else (k.physmem.single_out(pfn), 1)


def _deactivate(table: PageTable, index: int, nr: int, folio: Folio) -> None:
    """Clear the accessed bits of ``nr`` entries, and move the folio to the inactive list.

    Kernel: mm/swap.c: folio_deactivate() (v6.18)
    """
    _clear_flags(table, index, nr, pte.YOUNG)
    # Folios of a run are not active: they stay in it.
    if folio.active:
        folio.active = False


def madvise_free(k: Kernel, vma: Vma, start: int, end: int) -> Path[str | None]:
    """Allow reclaim to discard ``[start, end)`` without writing it out. EINVAL for a locked VMA or a file."""
    if vma.flags & vm.LOCKED or vma.file is not None:
        return "EINVAL"
    size = k.geometry.pmd_pages
    for block, pmd, entry in vma.mm.tables.blocks_in(start, end):
        low, high = max(start, block), min(end, block + size)
        if not isinstance(entry, PageTable) and (yield from _free_huge_pmd(k, vma, pmd, block, high - low == size)):
            continue
        yield from _free_pte_range(k, vma, low, high)
    return None


def _free_huge_pmd(k: Kernel, vma: Vma, pmd: PmdTable, block: int, whole: bool) -> Path[bool]:
    """Handle a PMD entry. True: done; else continue with PTEs, if there are any."""
    function = SharingQuestion.FREE_PMD.function
    index = vma.mm.tables.pmd_index(block)
    yield pmd.lock.acquire(function)
    entry = pmd.entries.get(index, pte.NONE)
    if isinstance(entry, PageTable) or not pte.maps_folio(entry):
        yield pmd.lock.release()
        return False
    folio = k.physmem.single_out(pte.pfn_of(entry))
    shared = yield from sharing.is_shared(k, vma.mm, folio, SharingQuestion.FREE_PMD, pmd.lock)
    if shared or pmd.entries.get(index) != entry:
        yield from _skipped(k, folio)
        yield pmd.lock.release()
        return False
    if (yield folio.lock.trylock(function)):
        yield pmd.lock.release()
        return False
    if not whole:
        yield from _split(k, folio, pmd.lock)
        return False
    folio.dirty = False
    yield folio.lock.release()
    pmd.entries[index] = entry & ~(pte.YOUNG | pte.DIRTY)
    yield from _mark_lazyfree(k, folio)
    yield pmd.lock.release()
    return True


def _mark_lazyfree(k: Kernel, folio: Folio) -> Path[None]:
    """Kernel: mm/swap.c: folio_mark_lazyfree() (v6.18)"""
    if folio.swapbacked and folio.swap_slot is None and not folio.mlocked and not folio.isolated:
        yield k.lru_lock.acquire("lru_lazyfree")
        # Anonymous and not swap-backed is how the kernel spells lazyfree.
        folio.swapbacked = False
        folio.active = False
        yield k.lru_lock.release()
        k.count("pglazyfree", folio.nr_pages)


def _free_pte_range(k: Kernel, vma: Vma, start: int, end: int) -> Path[None]:
    table = yield from _lock_table(vma, start, _FREE)
    block = align_down(start, k.geometry.pmd_pages)
    index, last = start - block, end - block
    while table is not None and index < last:
        entry = table.entries[index]
        if not pte.maps_folio(entry):
            # A swapped-out page is dropped at once, not marked: a later read finds zeros.
            if pte.is_swap(entry):
                table.entries[index] = pte.NONE
                vma.mm.rss.swap -= 1
                yield from swap.free_entry(k, pte.swap_slot(entry))
            index += 1
            continue
        folio = k.physmem.single_out(pte.pfn_of(entry))
        nr = folio_pte_batch(table, index, last, folio) if folio.order else 1
        if folio.order and (nr < folio.nr_pages or not k.release.madvise_takes_whole_folios):
            table, done = yield from _split_part(k, vma, table, block + index, folio, SharingQuestion.FREE_PART)
            index = _after_part(k, index, nr, last, done)
            continue
        yield from _free_folio(k, vma, table, index, nr, folio)
        index += nr
    if table is not None:
        yield table.ptl.release()


def _free_folio(k: Kernel, vma: Vma, table: PageTable, index: int, nr: int, folio: Folio) -> Path[None]:
    """Clean the entries of a fully mapped folio and mark it lazyfree, unless another mm needs its contents."""
    # A clean folio may be marked although others map it: reclaim checks their dirty bits before it discards.
    if folio.swap_slot is not None or folio.dirty:
        if (yield folio.lock.trylock(_FREE)):
            return
        entry = table.entries[index]
        shared = yield from sharing.is_shared(k, vma.mm, folio, SharingQuestion.FREE_WHOLE, table.ptl)
        in_swap = folio.swap_slot is not None and not shared and not (yield from swap.try_to_free(k, folio))
        if shared or in_swap or table.entries[index] != entry:
            yield folio.lock.release()
            return
        folio.dirty = False
        yield folio.lock.release()
    _clear_flags(table, index, nr, pte.YOUNG | pte.DIRTY)
    yield from _mark_lazyfree(k, folio)


def _clear_flags(table: PageTable, index: int, nr: int, flags: int) -> None:
    """Kernel: include/linux/pgtable.h: clear_young_dirty_ptes() (v6.18)"""
    entries, keep = table.entries, ~flags
    if nr == 1:
        entries[index] &= keep
    else:
        entries[index : index + nr] = pte.packed([entry & keep for entry in entries[index : index + nr]])


def _skipped(k: Kernel, folio: Folio) -> Path[None]:
    yield Tracepoint(f"{folio} skipped: mapped shared ({k.decider.name})")


def _split_part(
    k: Kernel, vma: Vma, table: PageTable, vpn: int, folio: Folio, question: SharingQuestion
) -> Path[tuple[PageTable | None, bool]]:
    """Split the folio mapped at ``vpn``, which the range covers in part, unless another mm maps it.

    Returns: the PTE table now, locked as before, or None; and whether the folio's entries are done with: False to look
    at the entry of ``vpn`` again.
    """
    index = vpn & vma.mm.tables.last
    entry = table.entries[index]
    page = pte.pfn_of(entry) - folio.pfn
    shared = yield from sharing.is_shared(k, vma.mm, folio, question, table.ptl, page)
    # After a walk the entry may have changed: start over with what is there now.
    if table.entries[index] != entry:
        return table, False
    if shared:
        yield from _skipped(k, folio)
    if shared or (yield folio.lock.trylock(question.function)):
        return table, True
    was_split = yield from _split(k, folio, table.ptl)
    # The PTL was dropped for the split: the table may be another one, or gone. After a split the same index maps a
    # small folio, which is treated like any other.
    now = yield from _lock_table(vma, vpn, question.function)
    return now, not was_split


def _after_part(k: Kernel, index: int, nr: int, last: int, done: bool) -> int:
    """Index of the entry that comes after those of a large folio: the same again if it was split, or none at all."""
    if not done:
        return index
    return index + nr if k.release.madvise_takes_whole_folios else last


def _lock_table(vma: Vma, vpn: int, function: str) -> Path[PageTable | None]:
    """Take the PTL of the PTE table that covers ``vpn``; None if there is no PTE table."""
    while (table := vma.mm.tables.leaf(vpn)) is not None:
        if (yield from pte_offset_map_lock(vma.mm, vpn, table, function)):
            return table
    return None


def _split(k: Kernel, folio: Folio, held: Lock) -> Path[bool]:
    """Split a folio that the range covers in part. Called with its lock and the table's held, returns without both."""
    # The reference keeps the folio while no table is locked; the split replaces its entries and takes the PTL itself.
    folio.ref += 1
    yield held.release()
    first, *_ = yield from split_folio(k, folio)
    yield first.lock.release()
    yield from rmap.put(k, first)
    return first is not folio
