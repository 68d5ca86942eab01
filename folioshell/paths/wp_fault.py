"""Writes to entries that are present but read-only: reuse the page, or copy it.

Kernel: mm/memory.c: do_wp_page() (v6.18); mm/huge_memory.c: do_huge_pmd_wp_page() (v6.18)
"""

from __future__ import annotations

from folioshell.events import Reused, Tracepoint
from folioshell.model import pte, vm
from folioshell.model.folio import Folio
from folioshell.model.folios import FolioRun
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.physmem import FolioSpan
from folioshell.model.policy import ANON_EXCLUSIVE, REFERENCES, SharingQuestion
from folioshell.model.vm import Vma
from folioshell.paths import Path, anon_fault, file_fault, rmap, sharing, swap
from folioshell.paths.batch import CLEAR, same_pte_batch, small_pte_batch
from folioshell.paths.protocol import claim
from folioshell.paths.tables import split_huge_pmd
from folioshell.paths.vm_fault import UNDER_MMAP_LOCK, Fault, anon_prepare, written


def do_wp_page(k: Kernel, fault: Fault, table: PageTable) -> Path[str | None]:
    """A write to a present, read-only entry. Called with the PTL held, returns without it.

    Kernel: mm/memory.c: do_wp_page() (v6.18)
    """
    vma, index, times = fault.vma, fault.index, fault.times
    entry = table.entries[index]
    folio, page = None, 0
    old: Folio | FolioRun | FolioSpan | None = None
    if pte.maps_folio(entry):
        pfn = pte.pfn_of(entry)
        folio = k.physmem.folio(pfn)
        page = pfn - folio.pfn
        old = folio
    # Shared memory is never copied: a read-only entry there only means that the file system wants to know of the write.
    if vma.flags & (vm.SHARED | vm.MAYSHARE):
        assert folio is not None
        yield from file_fault.wp_page_shared(k, fault, table, folio)
        return None
    if folio is not None and folio.anon:
        # An exclusive page is reused without another look, also if it is pinned: a copy would part it from the device.
        question = SharingQuestion.REUSE_LARGE if folio.order else SharingQuestion.REUSE_SMALL
        exclusive = k.looks_at(question, ANON_EXCLUSIVE) and bool(folio.anon_exclusive >> page & 1)
        if not exclusive:
            if folio.ref > 1 and folio.swap_slot is None and not vma.flags & vm.LOCKED:
                # It will be copied: of the old one, only references change.
                old = k.physmem.span(pfn, times)
            else:
                old = k.physmem.part(pfn, times) if times > 1 else k.physmem.single_out(pfn)
            folio = old.first
            if (yield from _can_reuse(k, fault, table, folio, page)):
                folio.anon_exclusive |= 1 << page
                exclusive = True
        if exclusive:
            table.entries[index] |= written(vma)
            k.count("pgreuse")
            yield Reused(folio.id, folio.order, page, 1, vma.mm.mm_id, fault.vpn)
            yield table.ptl.release()
            return None
        # A deciding scheme that cannot tell drops the PTL for an rmap walk, which no kernel does here.
        if table.entries[index] != entry:
            yield table.ptl.release()
            return None
    # The copy is allocated without the PTL, where another thread may unmap the old page: the reference keeps it.
    if old is not None:
        old.add_refs(1)
    yield table.ptl.release(times=times)
    if vma.anon_vma is None and not (yield from anon_prepare(k, fault)):
        if old is not None:
            yield from rmap.put(k, old)
        return UNDER_MMAP_LOCK
    yield from _wp_page_copy(k, fault, table, entry, old, page)
    return None


def equal_copies(k: Kernel, vma: Vma, table: PageTable, index: int, limit: int) -> int:
    """Number of entries from ``index`` on, below ``limit``, whose write faults differ only in the page: each is copied.

    They map the zero page, or consecutive anonymous order-0 folios that others hold references to.
    """
    entry = table.entries[index]
    if vma.flags & (vm.SHARED | vm.MAYSHARE) or vma.anon_vma is None:
        return 1
    if pte.is_zero_page(entry):
        return same_pte_batch(table, index, limit)
    pfn = pte.pfn_of(entry)
    owner = k.physmem.at(pfn)
    folio = owner.first
    is_reused = k.release.has_anon_exclusive and folio.anon_exclusive
    if not isinstance(owner, FolioRun) or is_reused or folio.swap_slot is not None:
        return 1
    return owner.nr_referenced(pfn - owner.first.pfn, small_pte_batch(table, index, limit, owner)) or 1


def _can_reuse(k: Kernel, fault: Fault, table: PageTable, folio: Folio, page: int) -> Path[bool]:
    """May the page be written in place, because no one else maps it? Called with the PTL held.

    Kernel: mm/memory.c: wp_can_reuse_anon_folio() (v6.18)
    """
    if folio.order and k.deciders[SharingQuestion.REUSE_LARGE] is not None:
        return (yield from _can_reuse_large(k, fault, table, folio, page))
    if folio.order and not k.looks_at(SharingQuestion.REUSE_LARGE, REFERENCES):
        return False
    # One reference is the entry's, and one the swap cache's. Every other may be a mapping, or a pin: then copy. Checked
    # before the lock only to spare it.
    # Before PageAnonExclusive the swap cache was not freed for it.
    swap_refs = 1 if folio.swap_slot is not None and k.release.has_anon_exclusive else 0
    if folio.ref > 1 + swap_refs:
        return False
    # A trylock, for the PTL is held, and the folio lock ranks before it. A copy is always right.
    if (yield folio.lock.trylock("wp_can_reuse_anon_folio")):
        return False
    if swap_refs:
        yield from swap.try_to_free(k, folio)
    # Again under the lock: swap-in by another process takes its reference before it waits for that.
    reuse = folio.ref == 1
    # folio_move_anon_rmap(): the folio belongs to this process alone, so rmap walks need not visit its relatives.
    # Before PageAnonExclusive it stayed where it was.
    if reuse and k.release.has_anon_exclusive:
        assert fault.vma.anon_vma is not None
        folio.mapping = fault.vma.anon_vma
    yield folio.lock.release()
    return reuse


def _can_reuse_large(k: Kernel, fault: Fault, table: PageTable, folio: Folio, page: int) -> Path[bool]:
    """Kernel: mm/memory.c: __wp_can_reuse_large_anon_folio() (v6.18)"""
    # The last mapped page of a large folio is copied, so that the memory of all the others can be freed.
    if k.counts.mapcount(folio.id) <= 1:
        return False
    mm, index = fault.vma.mm, fault.index
    entry = table.entries[index]
    shared = yield from sharing.is_shared(k, mm, folio, SharingQuestion.REUSE_LARGE, table.ptl, page)
    if shared or table.entries[index] != entry:
        return False
    if folio.swap_slot is not None:
        if (yield folio.lock.trylock("wp_can_reuse_anon_folio")):
            return False
        yield from swap.try_to_free(k, folio)
        yield folio.lock.release()
    # More references than mappings may be pins, or a fork() in another process that has not counted its mapping yet.
    if k.counts.mapcount(folio.id) != folio.ref:
        return False
    # Under the lock of the mapcount no process can map or unmap a page, so the two numbers fit together.
    yield folio.map_lock.acquire("wp_can_reuse_anon_folio")
    reuse = k.counts.mapcount(folio.id) == folio.ref
    yield folio.map_lock.release()
    if reuse:
        yield from sharing.report_wrong_reuse(k, mm, folio, page)
    return reuse


def _wp_page_copy(
    k: Kernel, fault: Fault, table: PageTable, entry: int, old: Folio | FolioRun | FolioSpan | None, page: int
) -> Path[None]:
    """Replace the entry by one that maps a copy of the page; the reference on ``old`` is dropped.

    Args:
        entry: what the table held when the PTL was dropped.
        old, page: the folio and the index of the page in it; None for the zero page; a run for as many faults.
    Kernel: mm/memory.c: wp_page_copy() (v6.18)
    """
    vma, vpn, index, times = fault.vma, fault.vpn, fault.index, fault.times
    folio = old.first if old is not None else None
    assert vma.anon_vma is not None
    new = k.new_folios(times, vma.anon_vma, fault.pgoff).first
    yield rmap.folio_new(new, nr=times)
    new.nonzero = folio.nonzero >> page & 1 if folio is not None else 0
    yield table.ptl.acquire("wp_page_copy", times=times)
    # The PTL was dropped to allocate: another thread of the process may have copied the page, or unmapped it.
    is_there, claimed = table.entries[index] == entry, None
    if is_there and folio is not None and folio.order and k.protocol is not None:
        claimed = yield from claim(k, folio, page, 1, vma, table, vpn)
        is_there = claimed is not None
    if not is_there:
        yield table.ptl.release()
        yield from rmap.free(k, new)
        if old is not None:
            yield from rmap.put(k, old)
        return
    if claimed is not None:
        yield table.ptl.peek(CLEAR)
    if folio is not None:
        rmap.rss_add(vma, folio, -times)
    vma.mm.rss.anon += times
    # none (and flushed) in between: no CPU may write the new page while another still reads the old one.
    table.entries[index : index + times] = pte.packed([pte.NONE] * times)
    new.ref += 1
    yield rmap.new_anon(k, new, vma, table, vpn, times)
    table.entries[index : index + times] = pte.ramp(pte.make(new.pfn, written(vma)), times)
    # Only now: a process that sees the old page's mapcount drop may reuse it, and must not write to what this one
    # reads.
    if isinstance(old, Folio):
        yield from rmap.remove_ptes(k, old, page, 1, vma, table, vpn, claimed=claimed)
    elif old is not None:
        yield rmap.remove_small(old.numbers, True, vma, table, vpn)
        if vma.flags & vm.LOCKED:
            old.first.munlock()
    yield table.ptl.release(times=times)
    # That of the entry and that of do_wp_page().
    if old is not None:
        put = swap.put_unmapped if k.release.frees_swap_cache_after_copy else rmap.put
        yield from put(k, old, 2)


def wp_huge_pmd(k: Kernel, fault: Fault, pmd: PmdTable) -> Path[bool]:
    """A write to a read-only PMD entry. False: it was split, and the fault continues at PTE level.

    Kernel: mm/memory.c: wp_huge_pmd() (v6.18)
    """
    vma, block = fault.vma, fault.vpn - fault.index
    if vma.file is None:
        return (yield from _do_huge_pmd_wp_page(k, vma, pmd, block))
    # A private file mapping: one page is copied, the others are refaulted from the page cache.
    yield from split_huge_pmd(k, vma, pmd, block)
    return False


def _do_huge_pmd_wp_page(k: Kernel, vma: Vma, pmd: PmdTable, block: int) -> Path[bool]:
    """Kernel: mm/huge_memory.c: do_huge_pmd_wp_page() (v6.18)"""
    index = vma.mm.tables.pmd_index(block)
    entry = pmd.entries[index]
    assert isinstance(entry, int)
    if pte.is_zero_page(entry):
        if k.release.allocates_thp_on_huge_zero_write:
            yield from _do_huge_zero_wp_pmd(k, vma, pmd, block)
            return True
        yield from split_huge_pmd(k, vma, pmd, block)
        return False
    yield pmd.lock.acquire("do_huge_pmd_wp_page")
    # Read without the lock: another thread may have split the entry, written it or zapped it. The access faults again.
    if pmd.entries.get(index) != entry:
        yield pmd.lock.release()
        return True
    folio = k.physmem.single_out(pte.pfn_of(entry))
    trusts_bit = k.looks_at(SharingQuestion.REUSE_PMD, ANON_EXCLUSIVE)
    reuse = trusts_bit and bool(folio.anon_exclusive & 1)
    if not reuse:
        if (yield folio.lock.trylock("do_huge_pmd_wp_page")):
            # The folio lock ranks before the PMD lock; the reference keeps the folio meanwhile.
            folio.ref += 1
            yield pmd.lock.release()
            yield folio.lock.acquire("do_huge_pmd_wp_page")
            yield pmd.lock.acquire("do_huge_pmd_wp_page")
            if pmd.entries.get(index) != entry:
                yield pmd.lock.release()
                yield folio.lock.release()
                yield from rmap.put(k, folio)
                return True
            # The entry's reference is left.
            folio.ref -= 1
        # Who had the folio locked may have made it exclusive.
        reuse = trusts_bit and bool(folio.anon_exclusive & 1)
        reuse = reuse or (yield from _can_reuse_huge(k, vma, pmd, folio))
        yield folio.lock.release()
    if reuse:
        pmd.entries[index] = entry | written(vma)
        yield Reused(folio.id, folio.order, 0, folio.nr_pages, vma.mm.mm_id, block)
        yield pmd.lock.release()
        return True
    yield pmd.lock.release()
    yield from split_huge_pmd(k, vma, pmd, block)
    return False


def _can_reuse_huge(k: Kernel, vma: Vma, pmd: PmdTable, folio: Folio) -> Path[bool]:
    """Make a locked folio exclusive if a PMD entry, whose lock is held, and the swap cache have its only references.

    Before PageAnonExclusive mapcounts decided, so that a pinned THP was reused, too.
    Kernel: mm/swapfile.c: reuse_swap_page() (v5.10)
    """
    if k.deciders[SharingQuestion.REUSE_PMD] is not None:
        shared = yield from sharing.is_shared(k, vma.mm, folio, SharingQuestion.REUSE_PMD, pmd.lock)
        if not shared:
            folio.anon_exclusive |= 1
            yield from sharing.report_wrong_reuse(k, vma.mm, folio, 0)
        return not shared
    swap_refs = folio.nr_pages if folio.swap_slot is not None else 0
    if folio.ref > 1 + swap_refs:
        return False
    if swap_refs:
        yield from swap.try_to_free(k, folio)
    if folio.ref != 1:
        return False
    assert vma.anon_vma is not None
    folio.mapping = vma.anon_vma
    folio.anon_exclusive |= 1
    return True


def _do_huge_zero_wp_pmd(k: Kernel, vma: Vma, pmd: PmdTable, block: int) -> Path[None]:
    """Put a new folio where the huge zero page was; the deposited table stays.

    Kernel: mm/huge_memory.c: do_huge_zero_wp_pmd() (v6.18)
    """
    index = vma.mm.tables.pmd_index(block)
    entry = pmd.entries[index]
    folio = yield from anon_fault.new_anon_folio(k, vma, k.geometry.pmd_order, block)
    yield pmd.lock.acquire("do_huge_zero_wp_pmd")
    # Two threads may write to the zero page at once: the second must not map its folio over that of the first.
    if pmd.entries.get(index) != entry:
        yield pmd.lock.release()
        yield from rmap.free(k, folio)
        return
    yield Tracepoint("huge zero page replaced by a new folio")
    yield from anon_fault.map_anon_folio_pmd(k, vma, pmd, block, folio)
    yield pmd.lock.release()
