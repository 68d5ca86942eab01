"""fork: which VMAs and entries a child gets.

Kernel: mm/mmap.c: dup_mmap() (v6.18); mm/memory.c: copy_page_range() (v6.18)
"""

from __future__ import annotations

from folioshell.events import Forked
from folioshell.model import pte, vm
from folioshell.model.folio import Folio, page_bits
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vm import Mm, Vma
from folioshell.paths import anon, anon_fault, rmap, tables
from folioshell.paths import vma as vma_paths
from folioshell.paths.batch import SmallFolios, folio_pte_batch, small_folios
from folioshell.paths.huge import split_huge_pmd
from folioshell.paths.step import Path


def do_fork(k: Kernel, parent: Mm, name: str) -> Path[Mm]:
    """Duplicate an address space for a new process ``name``, which is returned."""
    child = k.new_mm(name, parent.name)
    yield Forked(parent.mm_id, child.mm_id)
    yield parent.mmap_lock.acquire("dup_mmap", "W")
    yield child.mmap_lock.acquire("dup_mmap", "W", nested=True)
    for vma in parent.vmas:
        yield from vma_paths.start_write(vma)
        if vma.flags & vm.DONTCOPY:
            continue
        copy = k.new_vma(child, vma.start, vma.end, vma.flags & ~vm.LOCKED, vma.pgoff, vma.file)
        if not vma.flags & vm.WIPEONFORK:
            yield from anon.fork(k, copy, vma)
        yield from vma_paths.insert(k, copy, previous=vma if vma.file is not None else None)
        if not vma.flags & vm.WIPEONFORK and _needs_copy(vma):
            yield from _copy_page_range(k, vma, copy)
    yield child.write_unlock()
    yield parent.write_unlock()
    return child


def _needs_copy(vma: Vma) -> bool:
    """What has never had anonymous pages comes back by faults; the rest must be copied now.

    Kernel: mm/memory.c: vma_needs_copy() (v6.18)
    """
    return vma.anon_vma is not None


def _copy_page_range(k: Kernel, src: Vma, dst: Vma) -> Path[None]:
    """Kernel: mm/memory.c: copy_page_range() (v6.18)"""
    size = k.geometry.pmd_pages
    for block, pmd, entry in src.mm.tables.blocks_in(src.start, src.end):
        dst_pmd = yield from tables.pmd_alloc(k, dst.mm, block)
        if not isinstance(entry, PageTable) and (yield from _copy_huge_pmd(k, src, dst, pmd, dst_pmd, block)):
            continue
        source = src.mm.tables.leaf(block)
        assert source is not None
        yield from tables.pte_alloc(k, dst.mm, dst_pmd, block)
        table = dst.mm.tables.leaf(block)
        assert table is not None
        low, high = max(src.start, block), min(src.end, block + size)
        yield from _copy_pte_range(k, src, dst, source, table, block, low - block, high - block)


def _copy_huge_pmd(k: Kernel, src: Vma, dst: Vma, src_pmd: PmdTable, dst_pmd: PmdTable, block: int) -> Path[bool]:
    """Copy a PMD entry. False: its folio is pinned and the entry was split: copy the PTE table.

    Kernel: mm/huge_memory.c: copy_huge_pmd() (v6.18)
    """
    if src.file is not None:
        return True
    table = k.new_pte_table(dst.mm)
    yield dst_pmd.lock.acquire("copy_huge_pmd")
    yield src_pmd.lock.acquire("copy_huge_pmd", nested=True)
    index = src.mm.tables.pmd_index(block)
    entry = src_pmd.entries[index]
    assert isinstance(entry, int)
    if pte.maps_folio(entry):
        folio = k.physmem.single_out(pte.pfn_of(entry))
        if src.mm.has_pinned and folio.pins and folio.anon_exclusive:
            tables.free_leaf(dst.mm)
            yield src_pmd.lock.release()
            yield dst_pmd.lock.release()
            yield from split_huge_pmd(k, src, src_pmd, block)
            return False
        folio.ref += 1
        folio.anon_exclusive = 0
        rmap.rss_add(dst, folio, folio.nr_pages)
        yield from rmap.add_pmd(k, folio, dst, dst_pmd, block, "folio_try_dup_anon_rmap_pmd")
        entry &= ~pte.WRITE
        src_pmd.entries[index] = entry
    tables.deposit(dst_pmd, table)
    dst_pmd.entries[index] = entry & ~pte.YOUNG
    yield src_pmd.lock.release()
    yield dst_pmd.lock.release()
    return True


def _copy_pte_range(
    k: Kernel, src: Vma, dst: Vma, source: PageTable, target: PageTable, block: int, first: int, last: int
) -> Path[None]:
    """Copy the entries ``[first, last)`` of one PTE table: the child's lock is taken first, then the parent's.

    Kernel: mm/memory.c: copy_pte_range() (v6.18)
    """
    yield target.ptl.acquire("copy_pte_range")
    yield source.ptl.acquire("copy_pte_range", nested=True)
    entries, copies = source.entries, target.entries
    cow = src.is_cow
    drop = ~pte.YOUNG if not src.flags & vm.SHARED else ~(pte.YOUNG | pte.DIRTY)
    small = SmallFolios()
    has_pinned = src.mm.has_pinned
    spare: Folio | None = None
    index = first
    while index < last:
        entry = entries[index]
        nr = 1
        if entry > pte.FLAGS:
            folio = k.physmem.at(entry >> pte.PFN_SHIFT).first
            if has_pinned and folio.pins and folio.anon_exclusive:
                yield from _flush(dst, target, small)
                nr, spare = yield from _copy_pinned(k, src, dst, source, target, folio, block, index, last, spare)
            elif folio.order == 0:
                folios = small_folios(k, source, index, last)
                folio, nr = folios.first, folios.nr
                if not small.continues(folios, block + index):
                    yield from _flush(dst, target, small)
                small.add(folios, block + index)
                folio.ref += 1
                if folio.anon:
                    folio.anon_exclusive = 0
                rmap.rss_add(dst, folio, nr)
                end = index + nr
                if cow and entry & pte.WRITE:
                    entry &= ~pte.WRITE
                    entries[index:end] = pte.with_flags(entries[index:end], entry & pte.FLAGS)
                copies[index:end] = pte.with_flags(entries[index:end], entry & drop & pte.FLAGS)
            else:
                yield from _flush(dst, target, small)
                nr = yield from _copy_large(k, src, dst, source, target, folio, block, index, last)
        elif entry:
            yield from _flush(dst, target, small)
            _copy_other(k, dst, source, target, index)
        index += nr
    yield from _flush(dst, target, small)
    yield source.ptl.release()
    yield target.ptl.release()
    if spare is not None:
        yield from rmap.free(k, spare)


def _flush(dst: Vma, table: PageTable, small: SmallFolios) -> Path[None]:
    if small.nr:
        call = "folio_try_dup_anon_rmap_ptes" if small.anon else "folio_dup_file_rmap_ptes"
        yield rmap.add_small(small.numbers(), small.anon, dst, table, small.vpn, call)


def _copy_large(
    k: Kernel, src: Vma, dst: Vma, source: PageTable, target: PageTable, folio: Folio, block: int, index: int, last: int
) -> Path[int]:
    """Copy a batch of entries of a large folio. Returns its length.

    Kernel: mm/memory.c: copy_present_ptes() (v6.18)
    """
    significant = pte.DIRTY if not src.flags & vm.SHARED else 0
    nr = folio_pte_batch(source, index, last, folio, significant)
    entries = source.entries[index : index + nr]
    page = pte.pfn_of(entries[0]) - folio.pfn
    folio.ref += nr
    if folio.anon:
        rmap.clear_exclusive(folio, page, nr)
    rmap.rss_add(dst, folio, nr)
    call = "folio_try_dup_anon_rmap_ptes" if folio.anon else "folio_dup_file_rmap_ptes"
    yield from rmap.add_ptes(k, folio, page, nr, dst, target, block + index, call)
    if src.is_cow and any(entry & pte.WRITE for entry in entries):
        entries = pte.packed([entry & ~pte.WRITE for entry in entries])
        source.entries[index : index + nr] = entries
    drop = ~pte.YOUNG if not src.flags & vm.SHARED else ~(pte.YOUNG | pte.DIRTY)
    target.entries[index : index + nr] = pte.packed([entry & drop for entry in entries])
    return nr


def _copy_pinned(
    k: Kernel,
    src: Vma,
    dst: Vma,
    source: PageTable,
    target: PageTable,
    folio: Folio,
    block: int,
    index: int,
    last: int,
    spare: Folio | None,
) -> Path[tuple[int, Folio | None]]:
    """Entries of a pinned folio: a page that is exclusive is copied for the child now, for a device may write to it.

    Args:
        spare: the new folio for a copy, if one was allocated.
    Returns: entries that were done, and the spare folio that is left; (0, folio) if both locks were dropped to allocate
        one: then look again.
    Kernel: mm/memory.c: copy_present_ptes(), copy_present_page() (v6.18)
    """
    page = pte.pfn_of(source.entries[index]) - folio.pfn
    if spare is None:
        significant = pte.DIRTY if not src.flags & vm.SHARED else 0
        nr = folio_pte_batch(source, index, last, folio, significant)
        if not folio.anon_exclusive & page_bits(page, nr):
            return (yield from _copy_large(k, src, dst, source, target, folio, block, index, last)), None
        yield source.ptl.release()
        yield target.ptl.release()
        spare = yield from anon_fault.new_anon_folio(k, dst, 0, block + index)
        yield target.ptl.acquire("copy_pte_range")
        yield source.ptl.acquire("copy_pte_range", nested=True)
        return 0, spare
    if folio.anon_exclusive >> page & 1:
        yield from _copy_present_page(k, dst, target, folio, page, block + index, spare)
        return 1, None
    yield from _copy_large(k, src, dst, source, target, folio, block, index, index + 1)
    yield from rmap.free(k, spare)
    return 1, None


def _copy_present_page(
    k: Kernel, dst: Vma, target: PageTable, old: Folio, page: int, vpn: int, new: Folio
) -> Path[None]:
    """Map a copy of one page in the child. Kernel: mm/memory.c: copy_present_page() (v6.18)"""
    new.nonzero = old.nonzero >> page & 1
    new.ref += 1
    dst.mm.rss.anon += 1
    yield rmap.new_anon(k, new, dst, target, vpn)
    flags = pte.YOUNG | pte.DIRTY | (pte.WRITE if dst.flags & vm.WRITE else 0)
    if not dst.flags & (vm.READ | vm.WRITE):
        flags |= pte.PROTNONE
    target.entries[vpn & len(target.entries) - 1] = pte.make(new.pfn, flags)


def _copy_other(k: Kernel, dst: Vma, source: PageTable, target: PageTable, index: int) -> None:
    """Zero page, swap and migration entries.

    Kernel: mm/memory.c: copy_nonpresent_pte() (v6.18)
    """
    entry = source.entries[index]
    if pte.is_swap(entry):
        slot = pte.swap_slot(entry)
        k.swap_counts[slot] += 1
        dst.mm.rss.swap += 1
        entry = source.entries[index] = pte.swap(slot, exclusive=False)
    elif pte.is_migration(entry):
        rmap.rss_add(dst, k.physmem.folio(pte.migration_pfn(entry)), 1)
        entry = source.entries[index] = pte.migration_to_read(entry)
    target.entries[index] = entry
