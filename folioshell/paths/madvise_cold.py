"""MADV_COLD and MADV_PAGEOUT.

Kernel: mm/madvise.c: madvise_cold_or_pageout_pte_range() (v6.18)
"""

from __future__ import annotations

from folioshell.events import Tracepoint
from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.release import Question
from folioshell.model.vm import Vma
from folioshell.paths import rmap, sharing
from folioshell.paths.batch import folio_pte_batch
from folioshell.paths.reclaim import reclaim_pages
from folioshell.paths.split import split_folio
from folioshell.paths.step import Path

_CALLER = "madvise_cold_or_pageout_pte_range"


def madvise_cold(k: Kernel, vma: Vma, start: int, end: int) -> Path[str | None]:
    """Deactivate the folios of ``[start, end)``. EINVAL for a locked VMA."""
    return (yield from _madvise(k, vma, start, end, pageout=False))


def madvise_pageout(k: Kernel, vma: Vma, start: int, end: int) -> Path[str | None]:
    """Reclaim the folios of ``[start, end)`` that nobody else maps. EINVAL for a locked VMA."""
    return (yield from _madvise(k, vma, start, end, pageout=True))


def _madvise(k: Kernel, vma: Vma, start: int, end: int, pageout: bool) -> Path[str | None]:
    if vma.flags & vm.LOCKED:
        return "EINVAL"
    size = k.geometry.pmd_pages
    for block, pmd, entry in vma.mm.tables.blocks_in(start, end):
        low, high = max(start, block), min(end, block + size)
        if not isinstance(entry, PageTable) and not (
            yield from _huge_pmd(k, vma, pmd, block, high - low == size, pageout)
        ):
            continue
        table = vma.mm.tables.leaf(block)
        if table is not None:
            yield from _pte_range(k, vma, table, block, low - block, high - block, pageout)
    return None


def _huge_pmd(k: Kernel, vma: Vma, pmd: PmdTable, block: int, whole: bool, pageout: bool) -> Path[bool]:
    """Handle a PMD entry. True: the folio was split, go on with small entries."""
    index = vma.mm.tables.pmd_index(block)
    yield pmd.lock.acquire(_CALLER)
    entry = pmd.entries.get(index, pte.NONE)
    if isinstance(entry, PageTable) or not pte.maps_folio(entry):
        yield pmd.lock.release()
        return isinstance(entry, PageTable)
    folio = k.physmem.folio(pte.pfn_of(entry))
    shared = yield from sharing.is_shared(k, vma.mm, folio, Question.COLD_PMD, pmd.lock)
    if shared or pmd.entries.get(index) != entry:
        yield Tracepoint(f"{folio} looks shared to {k.decider.name}: left alone")
        yield pmd.lock.release()
        return False
    if not whole:
        return (yield from _split(k, folio, pmd))
    if not pageout:
        pmd.entries[index] = entry & ~pte.YOUNG
    folio.referenced = False
    if pageout:
        folio.ref += 1
    else:
        folio.active = False
    yield pmd.lock.release()
    if pageout:
        yield from reclaim_pages(k, [folio])
    return False


def _split(k: Kernel, folio: Folio, holder: PageTable | PmdTable) -> Path[bool]:
    """Split a folio that the range covers in part. Called with the table's lock held, returns without it."""
    lock = holder.ptl if isinstance(holder, PageTable) else holder.lock
    if (yield folio.lock.trylock(_CALLER)):
        yield lock.release()
        return False
    folio.ref += 1
    yield lock.release()
    pieces = yield from split_folio(k, folio)
    yield folio.lock.release()
    if pieces is None:
        yield from rmap.put(k, folio)
    return pieces is not None


def _pte_range(k: Kernel, vma: Vma, table: PageTable, block: int, first: int, last: int, pageout: bool) -> Path[None]:
    isolated: list[Folio] = []
    yield table.ptl.acquire(_CALLER)
    index = first
    while index < last:
        entry = table.entries[index]
        if not pte.maps_folio(entry):
            index += 1
            continue
        folio = k.physmem.folio(pte.pfn_of(entry))
        nr = folio_pte_batch(table, index, last, folio) if folio.order else 1
        if nr < folio.nr_pages:
            page = pte.pfn_of(entry) - folio.pfn
            shared = yield from sharing.is_shared(k, vma.mm, folio, Question.COLD_PART, table.ptl, page)
            if table.entries[index] != entry:
                continue
            if shared:
                yield Tracepoint(f"{folio} looks shared to {k.decider.name}: left alone")
            elif (yield from _split(k, folio, table)):
                now = vma.mm.tables.leaf(block)
                if now is None:
                    yield from reclaim_pages(k, isolated)
                    return
                table = now
                yield table.ptl.acquire(_CALLER)
                continue
            else:
                yield table.ptl.acquire(_CALLER)
            index += nr
            continue
        shared = yield from sharing.is_shared(k, vma.mm, folio, Question.COLD_WHOLE, table.ptl)
        if shared or table.entries[index] != entry:
            index += nr if table.entries[index] == entry else 0
            continue
        if not pageout:
            cold = [one & ~pte.YOUNG for one in table.entries[index : index + nr]]
            table.entries[index : index + nr] = pte.packed(cold)
        folio.referenced = False
        if not pageout:
            folio.active = False
        elif not folio.mlocked:
            folio.ref += 1
            isolated.append(folio)
        index += nr
    yield table.ptl.release()
    yield from reclaim_pages(k, isolated)
