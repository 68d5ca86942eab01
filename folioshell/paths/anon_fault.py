"""Faults on private anonymous memory that is not mapped yet, and which VMAs may have huge folios.

Kernel: mm/memory.c: do_anonymous_page() (v6.18); mm/huge_memory.c: do_huge_pmd_anonymous_page() (v6.18)
"""

from __future__ import annotations

from folioshell.events import Tracepoint
from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vm import Vma
from folioshell.paths import Path, rmap, tables
from folioshell.paths.vm_fault import UNDER_MMAP_LOCK, Fault, anon_prepare, suitable_block, written
from folioshell.units import align_up


def huge_fault_allowed(k: Kernel, vma: Vma, order: int | None = None) -> bool:
    """May an anonymous fault of the VMA use folios of ``order`` (the PMD's unless given)?

    Kernel: include/linux/huge_mm.h: thp_vma_allowable_order() (v6.18)
    """
    order = k.geometry.pmd_order if order is None else order
    mode = k.config.thp.get(order, "never") if order == k.geometry.pmd_order or k.release.has_mthp else "never"
    if mode == "never" or vma.flags & vm.NOHUGEPAGE:
        return False
    return mode == "always" or bool(vma.flags & vm.HUGEPAGE)


def collapse_orders(k: Kernel, vma: Vma, khugepaged: bool) -> list[int]:
    """The orders of folios, ascending, that blocks of the VMA may be collapsed to.

    Args:
        khugepaged: by khugepaged, which obeys the THP settings; else by madvise.
    Kernel: mm/khugepaged.c: collapse_possible_orders() (v7.3)
    """
    if not khugepaged or vma.file is not None:
        return [k.geometry.pmd_order]
    orders = k.geometry.thp_orders if k.release.khugepaged_makes_mthp else (k.geometry.pmd_order,)
    return [order for order in orders if huge_fault_allowed(k, vma, order)]


def collapse_refusal(k: Kernel, vma: Vma, khugepaged: bool) -> str:
    """Why no block of the VMA may be collapsed, in words; empty if any may. Arguments as in ``collapse_orders``.

    Kernel: mm/huge_memory.c: __thp_vma_allowable_orders() (v6.18)
    """
    size, file = k.geometry.pmd_pages, vma.file
    if vma.flags & vm.NOHUGEPAGE:
        return "advised nohugepage"
    if file is not None and not (file.is_shmem or k.release.collapses_any_file):
        return f"{file} is not in shared memory"
    if file is not None and (vma.start - vma.pgoff) % size:
        return f"its blocks are not those of {file}"
    if align_up(vma.start, size) + size > vma.end:
        return "it covers no whole block"
    if khugepaged and not (collapse_orders(k, vma, True) if file is None else _takes_file(k, vma, file)):
        return "no huge pages are enabled for it"
    return "" if file is not None or vma.anon_vma is not None else "nothing was written to it"


def _takes_file(k: Kernel, vma: Vma, file: AddressSpace) -> bool:
    """Do the huge= option of the mount, or the THP setting, let khugepaged take the file?

    Kernel: mm/shmem.c: shmem_huge_global_enabled() (v6.12); mm/huge_memory.c: vma_file_allow_thp_tuneables() (v7.3)
    """
    if not file.is_shmem:
        return huge_fault_allowed(k, vma)
    # Where its block reaches beyond EOF, within_size falls back to the advice.
    is_within = align_up(vma.pgoff + 1, k.geometry.pmd_pages) <= file.size or bool(vma.flags & vm.HUGEPAGE)
    return file.fs == "tmpfs-huge" or (file.fs == "tmpfs-within" and is_within)


def do_huge_pmd_anonymous_page(k: Kernel, fault: Fault, pmd: PmdTable) -> Path[bool]:
    """Map a whole new folio, or for a read the huge zero page, by one PMD entry. The VMA has an anon_vma.

    Returns: False if another thread was first: there is a PMD entry now.

    Kernel: mm/huge_memory.c: do_huge_pmd_anonymous_page() (v6.18)
    """
    vma = fault.vma
    block = fault.vpn - fault.index
    index = vma.mm.tables.pmd_index(block)
    # Each huge PMD entry of anonymous memory comes with a spare PTE table: a split can be needed where an allocation
    # could not be waited for, and must not fail. It is allocated before the lock, since that may sleep.
    if not fault.write:
        table = k.new_pte_table(vma.mm)
        yield pmd.lock.acquire("do_huge_pmd_anonymous_page")
        if index in pmd.entries:
            yield pmd.lock.release()
            tables.pte_free(vma.mm)
            return False
        tables.deposit(pmd, table)
        pmd.entries[index] = pte.make(pte.ZERO_PFN, pte.YOUNG)
        yield Tracepoint("huge zero page mapped", "thp_zero_page_mapped")
        yield pmd.lock.release()
        return True
    folio = yield from new_anon_folio(k, vma, k.geometry.pmd_order, block)
    table = k.new_pte_table(vma.mm)
    yield pmd.lock.acquire("__do_huge_pmd_anonymous_page")
    if index in pmd.entries:
        yield pmd.lock.release()
        tables.pte_free(vma.mm)
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
    k.count("thp_fault_alloc")
    yield rmap.new_anon(k, folio, vma, pmd, block)
    yield k.lru_lock.acquire("folio_add_lru_vma")
    yield k.lru_lock.release()
    pmd.entries[vma.mm.tables.pmd_index(block)] = pte.make(folio.pfn, written(vma))
    rmap.rss_add(vma, folio, folio.nr_pages)
    # Whole as it is, it joins the queue: since v6.12 the shrinker also splits huge pages that hold mostly zeros.
    if k.release.queues_fresh_thp:
        yield from rmap.deferred_split(k, folio, partially_mapped=False)


def new_anon_folio(k: Kernel, vma: Vma, order: int, vpn: int) -> Path[Folio]:
    """Allocate a zeroed anonymous folio that will be mapped at ``vpn``; it has no reference yet."""
    assert vma.anon_vma is not None
    folio = k.new_folio(order, vma.anon_vma, vma.anon_pgoff_of(vpn), anon=True)
    yield rmap.folio_new(folio)
    return folio


def do_anonymous_page(k: Kernel, fault: Fault, table: PageTable | None) -> Path[str | None]:
    """Map the zero page for a read, a new folio of the highest order that fits for a write.

    Kernel: mm/memory.c: do_anonymous_page() (v6.18)
    """
    vma, vpn, times = fault.vma, fault.vpn, fault.times
    if table is None:
        table = yield from tables.pte_table_alloc(k, vma.mm, vpn)
        if table is None:
            # Another thread's fault mapped a whole folio by a PMD entry.
            return None
    if not fault.write:
        yield table.ptl.acquire("do_anonymous_page", times=times)
        index = fault.index
        # The zero page has no rmap and no RSS: a write replaces the entry, and nothing has to be undone.
        if not table.entries[index] and not tables.is_detached(vma.mm, vpn, table):
            flags = pte.YOUNG if vma.flags & vm.READ else pte.YOUNG | pte.PROTNONE
            table.entries[index : index + times] = pte.packed([pte.make(pte.ZERO_PFN, flags)] * times)
        yield table.ptl.release(times=times)
        return None
    if vma.anon_vma is None and not (yield from anon_prepare(k, fault)):
        return UNDER_MMAP_LOCK
    order = _choose_order(k, fault, table) if len(k.config.thp) > 1 else 0
    vpn &= -(1 << order)
    offset = vma.anon_pgoff_of(vpn)
    assert vma.anon_vma is not None
    folios = k.new_folio(order, vma.anon_vma, offset, True) if order else k.new_folios(times, vma.anon_vma, offset)
    folio, nr = folios.first, folios.nr << order
    yield rmap.folio_new(folio, nr=folios.nr)
    yield table.ptl.acquire("do_anonymous_page", times=times)
    index = vpn & vma.mm.tables.last
    # Nothing held the entries still since the order was chosen: another fault may have mapped one of the pages.
    if any(table.entries[index : index + nr]) or tables.is_detached(vma.mm, vpn, table):
        yield table.ptl.release()
        yield from rmap.free(k, folio)
        return None
    folio.ref = 1 << order
    vma.mm.rss.anon += nr
    yield rmap.new_anon(k, folio, vma, table, vpn, folios.nr)
    entry = pte.make(folio.pfn, written(vma))
    # A small folio waits in a per-CPU batch for the LRU lock; a large one flushes the batch at once, under the PTL.
    if order:
        yield k.lru_lock.acquire("folio_add_lru_vma")
        yield k.lru_lock.release()
    table.entries[index : index + nr] = pte.ramp(entry, nr)
    yield table.ptl.release(times=times)
    return None


def _choose_order(k: Kernel, fault: Fault, table: PageTable) -> int:
    """The highest enabled order whose aligned block lies in the VMA and is not mapped anywhere yet.

    Kernel: mm/memory.c: alloc_anon_folio() (v6.18)
    """
    # Without the PTL: do_anonymous_page() checks the entries again. There is no order 1 in anonymous memory, since the
    # deferred-split list of a folio lies in its third page.
    thp, vma, vpn = k.config.thp, fault.vma, fault.vpn
    for order in range(k.geometry.pmd_order - 1, 1, -1):
        if order in thp and huge_fault_allowed(k, vma, order) and suitable_block(vma, vpn, 1 << order):
            index = fault.index >> order << order
            if not any(table.entries[index : index + (1 << order)]):
                return order
    return 0
