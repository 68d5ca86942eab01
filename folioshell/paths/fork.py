"""fork: which VMAs and entries a child gets.

Kernel: mm/mmap.c: dup_mmap() (v6.18); mm/memory.c: copy_page_range() (v6.18)
"""

from __future__ import annotations

from folioshell.events import Forked
from folioshell.model import pte, vm
from folioshell.model.folio import Folio, page_bits
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.policy import ANON_EXCLUSIVE, SharingQuestion
from folioshell.model.vm import Mm, Vma
from folioshell.paths import Path, anon, anon_fault, rmap, tables
from folioshell.paths import vma as vma_paths
from folioshell.paths.batch import SmallFolios, folio_pte_batch, small_folios
from folioshell.paths.tables import split_huge_pmd
from folioshell.paths.vm_fault import written
from folioshell.records import dataclass, field


@dataclass(slots=True)
class CopyRange:
    """The entries of one PTE table that fork copies: what copy_pte_range() hands down.

    Attributes:
        src, dst: the parent's VMA and the child's copy of it.
        source, target: the parent's PTE table and the child's.
        block: virtual page of the tables' first entry.
        last: index after the last entry to copy.
        small: copied order-0 folios that were not announced yet.
        spare: new folio for the copy of a pinned page, allocated without the PTLs (prealloc).
    Kernel: mm/memory.c: copy_pte_range() (v6.18)
    """

    src: Vma
    dst: Vma
    source: PageTable
    target: PageTable
    block: int
    last: int
    small: SmallFolios = field(default_factory=SmallFolios)
    spare: Folio | None = None

    @property
    def kept(self) -> int:
        """The flags that an entry keeps in the child: not young, and clean if the memory is shared."""
        return ~pte.YOUNG if not self.src.flags & vm.SHARED else ~(pte.YOUNG | pte.DIRTY)

    def batch(self, folio: Folio, index: int) -> int:
        """Number of entries from ``index`` on that are copied at once.

        Private entries must agree in dirty, for the child gets it; of shared ones it is dropped anyway.
        """
        significant = pte.DIRTY if not self.src.flags & vm.SHARED else 0
        return folio_pte_batch(self.source, index, self.last, folio, significant)


def do_fork(k: Kernel, parent: Mm, name: str) -> Path[Mm]:
    """Duplicate an address space for a new process ``name``, which is returned."""
    child = k.new_mm(name, parent.name)
    yield Forked(parent.mm_id, child.mm_id)
    yield parent.mmap_lock.acquire("dup_mmap", "W")
    yield child.mmap_lock.acquire("dup_mmap", "W", nested=True)
    for vma in parent.vmas:
        # mmap_lock alone does not stop faults, which need only the VMA lock.
        yield from vma_paths.start_write(vma)
        if vma.flags & vm.DONTCOPY:
            continue
        flags = vma.flags & ~vm.LOCKED
        copy = k.new_vma(child, vma.start, vma.end, flags, vma.pgoff, vma.file, vma.anon_pgoff)
        # The anon_vmas before the entries: an rmap walk must find the child's VMA as soon as it maps a folio. A wiped
        # VMA maps none of the parent's and gets an anon_vma at its first fault.
        if not vma.flags & vm.WIPEONFORK:
            yield from anon.fork(k, copy, vma)
        yield from vma_paths.insert(k, copy, previous=vma if vma.file is not None else None)
        if not vma.flags & vm.WIPEONFORK and _needs_copy(vma):
            yield from _copy_page_range(k, vma, copy)
    child.has_guards = parent.has_guards
    yield child.write_unlock()
    yield parent.write_unlock()
    return child


def _needs_copy(vma: Vma) -> bool:
    """Are there entries that faults of the child could not bring back? File pages are refaulted.

    Kernel: mm/memory.c: vma_needs_copy() (v6.18)
    """
    return vma.anon_vma is not None or bool(vma.flags & vm.MAYBE_GUARD)


def _copy_page_range(k: Kernel, src: Vma, dst: Vma) -> Path[None]:
    """Kernel: mm/memory.c: copy_page_range() (v6.18)"""
    size = k.geometry.pmd_pages
    for block, pmd, entry in src.mm.tables.blocks_in(src.start, src.end):
        dst_pmd = yield from tables.pmd_alloc(k, dst.mm, block)
        if not isinstance(entry, PageTable) and (yield from _copy_huge_pmd(k, src, dst, pmd, dst_pmd, block)):
            continue
        # Only a table of anonymous memory stays while the VMA is write-locked: a file's PMD entry, for which there is
        # none, may be zapped through i_mmap.
        source = src.mm.tables.leaf(block)
        if source is None:
            continue
        yield from tables.pte_alloc(k, dst.mm, dst_pmd, block)
        table = dst.mm.tables.leaf(block)
        assert table is not None
        low, high = max(src.start, block), min(src.end, block + size)
        yield from _copy_pte_range(k, CopyRange(src, dst, source, table, block, high - block), low - block)


def _copy_huge_pmd(k: Kernel, src: Vma, dst: Vma, src_pmd: PmdTable, dst_pmd: PmdTable, block: int) -> Path[bool]:
    """Copy a PMD entry. False: it was split, by another thread or because its folio is pinned; copy the PTE table.

    Kernel: mm/huge_memory.c: copy_huge_pmd() (v6.18)
    """
    # A huge PMD of a file is not copied even where the VMA has an anon_vma: the child refaults it.
    if src.file is not None:
        return True
    table = k.new_pte_table(dst.mm)
    # Two locks of one class, always the child's first. No other path takes both, so no ABBA deadlock is possible; the
    # second is annotated as nested for lockdep.
    yield dst_pmd.lock.acquire("copy_huge_pmd")
    yield src_pmd.lock.acquire("copy_huge_pmd", nested=True)
    index = src.mm.tables.pmd_index(block)
    # Read without the locks before. Reclaim, migration and splits of folios come through the rmap and change entries
    # without mmap_lock.
    entry = src_pmd.entries.get(index, pte.NONE)
    if isinstance(entry, PageTable) or entry == pte.NONE:
        tables.pte_free(dst.mm)
        yield src_pmd.lock.release()
        yield dst_pmd.lock.release()
        return False
    if pte.is_migration(entry):
        # As in _copy_other(): the child's entry is found when migration ends, and the page is shared then.
        rmap.rss_add(dst, k.physmem.folio(pte.migration_pfn(entry)), k.geometry.pmd_pages)
        entry = src_pmd.entries[index] = pte.migration_to_read(entry)
    elif pte.maps_folio(entry):
        folio = k.physmem.single_out(pte.pfn_of(entry))
        if src.mm.has_pinned and folio.pins and _must_copy(k, folio):
            # A pinned page must stay the parent's alone, and a whole huge page cannot be copied here: split the entry,
            # and copy the pinned page at PTE level.
            tables.pte_free(dst.mm)
            yield src_pmd.lock.release()
            yield dst_pmd.lock.release()
            yield from split_huge_pmd(k, src, src_pmd, block)
            return False
        # Both are write-protected, and neither may reuse the folio without asking who maps it.
        folio.ref += 1
        folio.anon_exclusive = 0
        rmap.rss_add(dst, folio, folio.nr_pages)
        yield from rmap.add_pmd(k, folio, dst, dst_pmd, block, "folio_try_dup_anon_rmap_pmd")
        entry &= ~pte.WRITE
        src_pmd.entries[index] = entry
    tables.deposit(dst_pmd, table)
    dst_pmd.entries[index] = entry & ~pte.YOUNG if entry > 0 else entry
    yield src_pmd.lock.release()
    yield dst_pmd.lock.release()
    return True


def _copy_pte_range(k: Kernel, copy: CopyRange, first: int) -> Path[None]:
    """Copy the entries from ``first`` on.

    Kernel: mm/memory.c: copy_pte_range() (v6.18)
    """
    src, dst, source, target, small = copy.src, copy.dst, copy.source, copy.target, copy.small
    block, last = copy.block, copy.last
    # Here too the child's lock comes first, as in copy_huge_pmd().
    yield target.ptl.acquire("copy_pte_range")
    yield source.ptl.acquire("copy_pte_range", nested=True)
    entries, copies = source.entries, target.entries
    cow, kept = src.is_cow, copy.kept
    has_pinned = src.mm.has_pinned
    index = first
    while index < last:
        entry = entries[index]
        nr = 1
        if entry > pte.FLAGS:
            folio = k.physmem.at(entry >> pte.PFN_SHIFT).first
            # A process that never pinned pays nothing for the question; has_pinned is never cleared.
            if has_pinned and folio.pins and _must_copy(k, folio):
                yield from _flush(copy)
                nr = yield from _copy_pinned(k, copy, folio, index)
            elif folio.order == 0:
                folios = small_folios(k, source, index, last, changes=bool(folio.anon_exclusive))
                folio, nr = folios.first, folios.nr
                if not small.continues(folios, block + index):
                    yield from _flush(copy)
                small.add(folios, block + index)
                folios.add_refs(1)
                if folio.anon_exclusive:
                    folio.anon_exclusive = 0
                rmap.rss_add(dst, folio, nr)
                end = index + nr
                if cow and entry & pte.WRITE:
                    entry &= ~pte.WRITE
                    entries[index:end] = pte.with_flags(entries[index:end], entry & pte.FLAGS)
                copies[index:end] = pte.with_flags(entries[index:end], entry & kept & pte.FLAGS)
            else:
                yield from _flush(copy)
                nr = copy.batch(folio, index)
                yield from _copy_large(k, copy, folio, index, nr)
        elif entry:
            yield from _flush(copy)
            _copy_other(k, copy, index)
        index += nr
    yield from _flush(copy)
    yield source.ptl.release()
    yield target.ptl.release()
    # Left over if the entry of the pinned page had become something else when it was read again.
    if copy.spare is not None:
        yield from rmap.free(k, copy.spare)


def _flush(copy: CopyRange) -> Path[None]:
    """Announce the order-0 folios copied so far; done before any other event, so that events follow the entries."""
    small = copy.small
    if small.nr:
        call = "folio_try_dup_anon_rmap_ptes" if small.anon else "folio_dup_file_rmap_ptes"
        yield rmap.add_small(small.numbers(), small.anon, copy.dst, copy.target, small.vpn, call)


def _copy_large(k: Kernel, copy: CopyRange, folio: Folio, index: int, nr: int) -> Path[None]:
    """Copy ``nr`` entries of a large folio, from ``index`` on.

    Kernel: mm/memory.c: copy_present_ptes() (v6.18)
    """
    source, dst = copy.source, copy.dst
    entries = source.entries[index : index + nr]
    page = pte.pfn_of(entries[0]) - folio.pfn
    folio.ref += nr
    if folio.anon:
        rmap.clear_exclusive(folio, page, nr)
    rmap.rss_add(dst, folio, nr)
    call = "folio_try_dup_anon_rmap_ptes" if folio.anon else "folio_dup_file_rmap_ptes"

    def install() -> None:
        copied = entries
        if copy.src.is_cow and any(entry & pte.WRITE for entry in entries):
            copied = pte.packed([entry & ~pte.WRITE for entry in entries])
            source.entries[index : index + nr] = copied
        kept = copy.kept
        copy.target.entries[index : index + nr] = pte.packed([entry & kept for entry in copied])

    if not (yield from rmap.add_ptes(k, folio, page, nr, dst, copy.target, copy.block + index, call, install)):
        # A protocol under test dropped the PTL of the child's table, and someone filled or freed it.
        folio.ref -= nr
        rmap.rss_add(dst, folio, -nr)


def _must_copy(k: Kernel, folio: Folio, first: int = 0, nr: int = 0) -> bool:
    """Is a page of a pinned folio to stay the parent's alone? Only one that is PageAnonExclusive, where that exists.

    Args:
        first, nr: pages of the folio; all of them if ``nr`` is 0.
    Kernel: include/linux/rmap.h: __folio_try_dup_anon_rmap() (v6.18); mm/memory.c: copy_present_page() (v5.10)
    """
    if not k.looks_at(SharingQuestion.FORK_COPY, ANON_EXCLUSIVE):
        return folio.anon
    return bool(folio.anon_exclusive & page_bits(first, nr or folio.nr_pages))


def _copy_pinned(k: Kernel, copy: CopyRange, folio: Folio, index: int) -> Path[int]:
    """Entries of a pinned folio: a page that is exclusive is copied for the child now, for a device may write to it.

    Returns: entries that were done; 0 if both PTLs were dropped to allocate ``copy.spare``: then look again.
    Kernel: mm/memory.c: copy_present_ptes(), copy_present_page() (v6.18)
    """
    page = pte.pfn_of(copy.source.entries[index]) - folio.pfn
    spare = copy.spare
    if spare is None:
        nr = copy.batch(folio, index)
        if not _must_copy(k, folio, page, nr):
            yield from _copy_large(k, copy, folio, index, nr)
            return nr
        # Allocating may sleep, which no one may do under a PTL. Rmap walks take the PTL without mmap_lock, so the entry
        # may be a migration entry afterwards: the caller looks at it again.
        yield copy.source.ptl.release()
        yield copy.target.ptl.release()
        copy.spare = yield from anon_fault.new_anon_folio(k, copy.dst, 0, copy.block + index)
        yield copy.target.ptl.acquire("copy_pte_range")
        yield copy.source.ptl.acquire("copy_pte_range", nested=True)
        return 0
    # One spare a page, used or not: the next one may have to come from another node.
    copy.spare = None
    if _must_copy(k, folio, page, 1):
        yield from _copy_present_page(k, copy, folio, index, spare)
    else:
        yield from _copy_large(k, copy, folio, index, 1)
        yield from rmap.free(k, spare)
    return 1


def _copy_present_page(k: Kernel, copy: CopyRange, old: Folio, index: int, new: Folio) -> Path[None]:
    """Map a copy of one page in the child. Kernel: mm/memory.c: copy_present_page() (v6.18)"""
    dst = copy.dst
    new.nonzero = old.nonzero >> pte.pfn_of(copy.source.entries[index]) - old.pfn & 1
    new.ref += 1
    dst.mm.rss.anon += 1
    yield rmap.new_anon(k, new, dst, copy.target, copy.block + index)
    flags = written(dst)
    if not dst.flags & (vm.READ | vm.WRITE):
        flags |= pte.PROTNONE
    copy.target.entries[index] = pte.make(new.pfn, flags)


def _copy_other(k: Kernel, copy: CopyRange, index: int) -> None:
    """Zero page, swap and migration entries, guard markers.

    Kernel: mm/memory.c: copy_nonpresent_pte() (v6.18)
    """
    entry = copy.source.entries[index]
    if pte.is_swap(entry):
        slot = pte.swap_slot(entry)
        # Shared from now on: neither process may map the page writable after swap-in without asking who else has it.
        k.slots.refer(slot, 1)
        copy.dst.mm.rss.swap += 1
        entry = copy.source.entries[index] = pte.swap(slot, exclusive=False)
    elif pte.is_migration(entry):
        # Counted for the child although nothing is mapped: remove_migration_ptes() finds the child's entry, too. A
        # writable entry becomes a readable one, since the page will be shared.
        rmap.rss_add(copy.dst, k.physmem.folio(pte.migration_pfn(entry)), 1)
        entry = copy.source.entries[index] = pte.migration_to_read(entry)
    copy.target.entries[index] = entry
