"""MADV_FREE.

Kernel: mm/madvise.c: madvise_free_pte_range() (v6.18); mm/huge_memory.c: madvise_free_huge_pmd() (v6.18)
"""

from __future__ import annotations

from folioshell.events import Tracepoint
from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.release import Question
from folioshell.model.vm import Vma
from folioshell.paths import rmap, sharing, swap
from folioshell.paths.batch import folio_pte_batch
from folioshell.paths.split import split_folio
from folioshell.paths.step import Path

_CALLER = "madvise_free_pte_range"


def madvise_free(k: Kernel, vma: Vma, start: int, end: int) -> Path[str | None]:
    """Let the contents of ``[start, end)`` go when memory is short. EINVAL for a locked VMA or a file."""
    if vma.flags & vm.LOCKED or vma.file is not None:
        return "EINVAL"
    size = k.geometry.pmd_pages
    for block, pmd, entry in vma.mm.tables.blocks_in(start, end):
        low, high = max(start, block), min(end, block + size)
        if not isinstance(entry, PageTable) and (yield from _huge_pmd(k, vma, pmd, block, high - low == size)):
            continue
        table = vma.mm.tables.leaf(block)
        if table is not None:
            yield from _pte_range(k, vma, table, block, low - block, high - block)
    return None


def _huge_pmd(k: Kernel, vma: Vma, pmd: PmdTable, block: int, whole: bool) -> Path[bool]:
    """Handle a PMD entry. True: all done."""
    caller = "madvise_free_huge_pmd"
    index = vma.mm.tables.pmd_index(block)
    yield pmd.lock.acquire(caller)
    entry = pmd.entries.get(index, pte.NONE)
    if isinstance(entry, PageTable) or not pte.maps_folio(entry):
        yield pmd.lock.release()
        return False
    folio = k.physmem.folio(pte.pfn_of(entry))
    shared = yield from sharing.is_shared(k, vma.mm, folio, Question.FREE_PMD, pmd.lock)
    if shared or pmd.entries.get(index) != entry or (yield folio.lock.trylock(caller)):
        yield Tracepoint(f"{folio} looks shared to {k.decider.name}: left alone")
        yield pmd.lock.release()
        return False
    if not whole:
        folio.ref += 1
        yield pmd.lock.release()
        pieces = yield from split_folio(k, folio)
        yield folio.lock.release()
        if pieces is None:
            yield from rmap.put(k, folio)
        return False
    folio.dirty = False
    yield folio.lock.release()
    pmd.entries[index] = entry & ~(pte.YOUNG | pte.DIRTY)
    yield from _mark_lazyfree(k, folio)
    yield pmd.lock.release()
    return True


def _mark_lazyfree(k: Kernel, folio: Folio) -> Path[None]:
    """Kernel: mm/swap.c: folio_mark_lazyfree() (v6.18)"""
    if folio.swapbacked and folio.swap_slot is None and not folio.mlocked:
        yield k.lru_lock.acquire("lru_lazyfree")
        folio.swapbacked = False
        folio.active = False
        folio.referenced = False
        yield k.lru_lock.release()
        k.count("pglazyfree", folio.nr_pages)


def _pte_range(k: Kernel, vma: Vma, table: PageTable, block: int, first: int, last: int) -> Path[None]:
    yield table.ptl.acquire(_CALLER)
    index = first
    while index < last:
        entry = table.entries[index]
        if not pte.maps_folio(entry):
            if pte.is_swap(entry):
                table.entries[index] = pte.NONE
                vma.mm.rss.swap -= 1
                yield from swap.free_entry(k, pte.swap_slot(entry))
            index += 1
            continue
        folio = k.physmem.folio(pte.pfn_of(entry))
        nr = folio_pte_batch(table, index, last, folio) if folio.order else 1
        if nr < folio.nr_pages:
            page = pte.pfn_of(entry) - folio.pfn
            shared = yield from sharing.is_shared(k, vma.mm, folio, Question.FREE_PART, table.ptl, page)
            if table.entries[index] != entry:
                continue
            if shared or (yield folio.lock.trylock(_CALLER)):
                yield Tracepoint(f"{folio} looks shared to {k.decider.name}: left alone")
                index += nr
                continue
            folio.ref += 1
            yield table.ptl.release()
            pieces = yield from split_folio(k, folio)
            yield folio.lock.release()
            if pieces is None:
                yield from rmap.put(k, folio)
                index += nr
            now = vma.mm.tables.leaf(block)
            if now is None:
                return
            table = now
            yield table.ptl.acquire(_CALLER)
            continue
        yield from _free_folio(k, vma, table, index, nr, folio)
        index += nr
    yield table.ptl.release()


def _free_folio(k: Kernel, vma: Vma, table: PageTable, index: int, nr: int, folio: Folio) -> Path[None]:
    """Clean the entries of a folio that is mapped whole and mark it, unless others may still want its contents."""
    if folio.swap_slot is not None or folio.dirty:
        if (yield folio.lock.trylock(_CALLER)):
            return
        entry = table.entries[index]
        shared = yield from sharing.is_shared(k, vma.mm, folio, Question.FREE_WHOLE, table.ptl)
        in_swap = folio.swap_slot is not None and not shared and not (yield from swap.try_to_free(k, folio))
        if shared or in_swap or table.entries[index] != entry:
            yield folio.lock.release()
            return
        folio.dirty = False
        yield folio.lock.release()
    keep = ~(pte.YOUNG | pte.DIRTY)
    table.entries[index : index + nr] = pte.packed([entry & keep for entry in table.entries[index : index + nr]])
    yield from _mark_lazyfree(k, folio)
