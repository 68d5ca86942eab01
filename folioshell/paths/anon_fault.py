"""Faults on private anonymous memory that is not mapped yet.

Kernel: mm/memory.c: do_anonymous_page() (v6.18); mm/huge_memory.c: do_huge_pmd_anonymous_page() (v6.18)
"""

from __future__ import annotations

from folioshell.events import Tracepoint
from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vm import Vma
from folioshell.paths import anon, rmap, tables
from folioshell.paths.step import Path

#: flags of the entry of a page that is mapped because it is written to
_WRITTEN = pte.YOUNG | pte.DIRTY


#: what a fault under the VMA lock returns that needs mmap_lock: it is tried again under that
UNDER_MMAP_LOCK = "UNDER_MMAP_LOCK"


def anon_prepare(k: Kernel, vma: Vma, vma_locked: bool) -> Path[bool]:
    """Give the VMA an anon_vma. Looking at adjacent VMAs needs mmap_lock.

    Args:
        vma_locked: the fault runs under the VMA lock; then mmap_lock is tried for. Else the caller holds it.
    Returns: False if mmap_lock was not to be had: the fault must be tried again under it.

    Kernel: mm/memory.c: __vmf_anon_prepare() (v6.18)
    """
    if vma.anon_vma is not None:
        return True
    if vma_locked and (yield vma.mm.mmap_lock.trylock("__vmf_anon_prepare", "R")):
        return False
    yield from anon.prepare(k, vma)
    if vma_locked:
        yield vma.mm.mmap_lock.release("R")
    return True


def huge_fault_allowed(k: Kernel, vma: Vma, order: int | None = None) -> bool:
    """May an anonymous fault of the VMA use folios of ``order`` (the PMD's unless given)?

    Kernel: include/linux/huge_mm.h: thp_vma_allowable_order() (v6.18)
    """
    order = k.geometry.pmd_order if order is None else order
    mode = k.config.thp.get(order, "never")
    if mode == "never" or vma.flags & vm.NOHUGEPAGE:
        return False
    return mode == "always" or bool(vma.flags & vm.HUGEPAGE)


def suitable_block(vma: Vma, vpn: int, nr: int) -> bool:
    """Does the naturally aligned block of ``nr`` pages around ``vpn`` lie in the VMA?

    Kernel: include/linux/huge_mm.h: thp_vma_suitable_order() (v6.18)
    """
    block = vpn - vpn % nr
    return vma.start <= block and block + nr <= vma.end


def do_huge_pmd_anonymous_page(k: Kernel, vma: Vma, pmd: PmdTable, vpn: int, write: bool) -> Path[bool]:
    """Map a whole new folio, or for a read the huge zero page, by one PMD entry. The VMA has an anon_vma.

    Returns: False if something is mapped there by now.

    Kernel: mm/huge_memory.c: do_huge_pmd_anonymous_page() (v6.18)
    """
    size = k.geometry.pmd_pages
    block = vpn - vpn % size
    index = vma.mm.tables.pmd_index(vpn)
    if not write:
        table = k.new_pte_table(vma.mm)
        yield pmd.lock.acquire("do_huge_pmd_anonymous_page")
        if index in pmd.entries:
            yield pmd.lock.release()
            tables.free_leaf(vma.mm)
            return False
        tables.deposit(pmd, table)
        pmd.entries[index] = pte.make(pte.ZERO_PFN, pte.YOUNG)
        yield Tracepoint("huge zero page mapped", "thp_zero_page_mapped")
        yield pmd.lock.release()
        return True
    folio = yield from new_anon_folio(k, vma, k.geometry.pmd_order, block)
    k.count("thp_fault_alloc")
    table = k.new_pte_table(vma.mm)
    yield pmd.lock.acquire("__do_huge_pmd_anonymous_page")
    if index in pmd.entries:
        yield pmd.lock.release()
        tables.free_leaf(vma.mm)
        yield from rmap.free(k, folio)
        return False
    yield from map_anon_folio_pmd(k, vma, pmd, block, folio)
    tables.deposit(pmd, table)
    yield pmd.lock.release()
    return True


def map_anon_folio_pmd(k: Kernel, vma: Vma, pmd: PmdTable, block: int, folio: Folio) -> Path[None]:
    """Map a new folio by a PMD entry, under its lock.

    Kernel: mm/huge_memory.c: map_anon_folio_pmd() (v6.18)
    """
    folio.ref += 1
    yield rmap.new_anon(k, folio, vma, pmd, block)
    yield k.lru_lock.acquire("folio_add_lru_vma")
    yield k.lru_lock.release()
    flags = pte.YOUNG | pte.DIRTY | (pte.WRITE if vma.flags & vm.WRITE else 0)
    pmd.entries[vma.mm.tables.pmd_index(block)] = pte.make(folio.pfn, flags)
    rmap.rss_add(vma, folio, folio.nr_pages)
    yield from rmap.deferred_split(k, folio, partially_mapped=False)


def new_anon_folio(k: Kernel, vma: Vma, order: int, vpn: int) -> Path[Folio]:
    """Allocate a zeroed anonymous folio that will be mapped at ``vpn``; it has no reference yet."""
    assert vma.anon_vma is not None
    folio = k.new_folio(order, vma.anon_vma, vma.pgoff_of(vpn), anon=True)
    yield rmap.folio_new(folio)
    return folio


def do_anonymous_page(
    k: Kernel, vma: Vma, table: PageTable | None, vpn: int, write: bool, vma_locked: bool, times: int = 1
) -> Path[str | None]:
    """Map the zero page for a read, a new folio of the highest order that fits for a write.

    Args:
        times: so it goes for as many pages from ``vpn`` on, a fault each; more than one only where nothing is mapped
            and folios are of order 0.
    Kernel: mm/memory.c: do_anonymous_page() (v6.18)
    """
    mm = vma.mm
    if table is None:
        table = yield from tables.leaf_alloc(k, mm, vpn)
        if table is None:
            return None
    if not write:
        yield table.ptl.acquire("do_anonymous_page", times=times)
        index = vpn & k.geometry.pmd_pages - 1
        if not table.entries[index]:
            flags = pte.YOUNG if vma.flags & vm.READ else pte.YOUNG | pte.PROTNONE
            table.entries[index : index + times] = pte.packed([pte.make(pte.ZERO_PFN, flags)] * times)
        yield table.ptl.release(times=times)
        return None
    if vma.anon_vma is None and not (yield from anon_prepare(k, vma, vma_locked)):
        return UNDER_MMAP_LOCK
    order = _choose_order(k, vma, table, vpn) if len(k.config.thp) > 1 else 0
    vpn &= -(1 << order)
    offset = vma.pgoff + vpn - vma.start
    assert vma.anon_vma is not None
    folios = k.new_folio(order, vma.anon_vma, offset, True) if order else k.new_folios(times, vma.anon_vma, offset)
    folio, nr = folios.first, folios.nr << order
    yield rmap.folio_new(folio, nr=folios.nr)
    yield table.ptl.acquire("do_anonymous_page", times=times)
    index = vpn & k.geometry.pmd_pages - 1
    if any(table.entries[index : index + nr]):
        yield table.ptl.release()
        yield from rmap.free(k, folio)
        return None
    folio.ref = 1 << order
    mm.rss.anon += nr
    yield rmap.new_anon(k, folio, vma, table, vpn, folios.nr)
    entry = pte.make(folio.pfn, _WRITTEN | pte.WRITE if vma.flags & vm.WRITE else _WRITTEN)
    if order:
        yield k.lru_lock.acquire("folio_add_lru_vma")
        yield k.lru_lock.release()
    table.entries[index : index + nr] = pte.ramp(entry, nr)
    yield table.ptl.release(times=times)
    return None


def _choose_order(k: Kernel, vma: Vma, table: PageTable, vpn: int) -> int:
    """The highest enabled order whose aligned block lies in the VMA and is not mapped anywhere yet.

    Kernel: mm/memory.c: alloc_anon_folio() (v6.18)
    """
    thp = k.config.thp
    for order in range(k.geometry.pmd_order - 1, 1, -1):
        if order in thp and huge_fault_allowed(k, vma, order) and suitable_block(vma, vpn, 1 << order):
            index = (vpn >> order << order) & k.geometry.pmd_pages - 1
            if not any(table.entries[index : index + (1 << order)]):
                return order
    return 0
