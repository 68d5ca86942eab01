"""VMAs split, merged, linked and unlinked, with the events that schemes need.

Kernel: mm/vma.c (v6.18)
"""

from __future__ import annotations

from folioshell.events import VmaMerged, VmaSplit
from folioshell.model import pte, vm
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace, AnonVma
from folioshell.model.pagetable import PageTable
from folioshell.model.vm import Mm, Vma
from folioshell.paths import Path, anon
from folioshell.paths.protocol import on_boundaries
from folioshell.paths.tables import split_huge_pmd_if_needed
from folioshell.records import dataclass, replace


def straddling(k: Kernel, mm: Mm, vpn: int) -> tuple[tuple[int, int], ...]:
    """(folio, index of its page at ``vpn``) of the large folios mapped on both sides of ``vpn``.

    These are the folios whose number of VMAs, or of (VMA, table) pairs, a VMA boundary at ``vpn`` can change.
    """
    reach = k.largest_folio - 1
    found: dict[tuple[int, int], None] = {}
    size = k.geometry.pmd_pages
    for block, _, entry in mm.tables.blocks_in(max(0, vpn - reach), vpn + reach) if reach > 0 else ():
        if not isinstance(entry, PageTable):
            continue
        low, high = max(block, vpn - reach), min(block + size, vpn + reach)
        for index, nr, value in pte.ramps(entry.entries[low - block : high - block]):
            if value <= pte.FLAGS:
                continue
            first = pte.pfn_of(value)
            # Page ``there`` is at ``vpn`` if the run reaches it. A folio on both sides has the run's page next to it.
            there = first + vpn - low - index
            folio = k.physmem.at(min(max(there, first), first + nr - 1)).first
            if folio.pfn < there < folio.pfn + folio.nr_pages:
                found[folio.id, there - folio.pfn] = None
    return tuple(found)


def start_write(vma: Vma) -> Path[None]:
    """Mark a VMA as written: faults under its lock have ended, and none begins until mmap_lock is released.

    The lock itself is released at once: a reader that takes it afterwards sees the mark, and falls back to mmap_lock.
    Kernel: include/linux/mmap_lock.h: vma_start_write() (v6.18)
    """
    yield vma.lock.acquire("vma_start_write", "W")
    vma.mm.write_marked.add(vma.id)
    yield vma.lock.release("W")


class _Adjustment:
    """The rmap locks over a change of VMA bounds, and the interval trees re-keyed around it.

    Kernel: mm/vma.c: vma_prepare(), vma_complete() (v6.18)
    """

    def __init__(self, file: AddressSpace | None, anon_vma: AnonVma | None, vmas: list[Vma]) -> None:
        self.file = file
        self.anon_vma = anon_vma
        self.vmas = vmas

    def prepare(self, insert: Vma | None = None) -> Path[None]:
        # i_mmap_rwsem before the anon_vma, as all who take both: see "Lock ordering in mm".
        if self.file is not None:
            yield self.file.i_mmap_rwsem.acquire("vma_prepare", "W")
            if insert is not None:
                self.file.i_mmap.insert(insert)
        if self.anon_vma is not None:
            yield self.anon_vma.rwsem.acquire("vma_prepare", "W")
        # The trees are keyed by pgoff and size, which are about to change; the locks keep rmap walks from the gap.
        for vma in self.vmas:
            for anon_vma in vma.chain:
                anon_vma.tree.remove(vma)
            if self.file is not None:
                self.file.i_mmap.remove(vma)

    def complete(self) -> Path[None]:
        for vma in reversed(self.vmas):
            if self.file is not None:
                self.file.i_mmap.insert(vma)
        for vma in self.vmas:
            for anon_vma in reversed(vma.chain):
                anon_vma.tree.insert(vma)
        if self.anon_vma is not None:
            yield self.anon_vma.rwsem.release("W")
        if self.file is not None:
            yield self.file.i_mmap_rwsem.release("W")


def split(k: Kernel, vma: Vma, vpn: int, new_below: bool) -> Path[Vma]:
    """Split a VMA at ``vpn``.

    Args:
        new_below: the new VMA is the lower part; else the upper one.
    Returns: the new VMA.
    Kernel: mm/vma.c: __split_vma() (v6.18)
    """
    mm = vma.mm
    low, high = (vma.start, vpn) if new_below else (vpn, vma.end)
    new = k.new_vma(mm, low, high, vma.flags, vma.pgoff_of(low), vma.file, vma.anon_pgoff_of(low))
    new.anon_vma = vma.anon_vma
    yield from anon.clone(k, new, vma)
    yield from start_write(vma)
    yield from start_write(new)
    adjustment = _Adjustment(vma.file, vma.anon_vma, [vma])
    yield from adjustment.prepare(insert=new)
    # A PMD entry cannot belong to two VMAs. Under the rmap locks, so that no walk sees the VMAs before the entries.
    yield from split_huge_pmd_if_needed(k, vma, vpn)
    edge = straddling(k, mm, vpn)
    yield from on_boundaries(k, mm, vma.start, vma.end, [vpn], +1)
    if new_below:
        _set_range(vma, vpn, vma.end)
    else:
        vma.end = vpn
    mm.vmas.insert(new)
    yield VmaSplit(mm.mm_id, vma.id, new.id, vpn, edge)
    yield from adjustment.complete()
    return new


@dataclass(slots=True)
class Merge:
    """A range that may be merged with adjacent VMAs.

    Args:
        mm, start, end: where it is, in virtual pages.
        flags, pgoff, anon_pgoff, file: what it maps.
        source: the VMA that it is a part of, or that mremap copies from; None for a new mapping.
        keeps_source: it may not join ``source`` itself.
    Kernel: mm/vma.h: struct vma_merge_struct (v6.18)
    """

    mm: Mm
    start: int
    end: int
    flags: int
    pgoff: int
    anon_pgoff: int
    file: AddressSpace | None
    source: Vma | None = None
    keeps_source: bool = False

    def before(self, k: Kernel) -> Vma | None:
        """The VMA that ends where the range starts, if the range can be appended to it.

        Kernel: mm/vma.c: can_vma_merge_after() (v6.18)
        """
        vma = self.mm.vmas.prev(self.start)
        if vma is None or vma.end != self.start or not self._continues(vma, self.start):
            return None
        return vma if self._fits(k, vma) else None

    def after(self, k: Kernel) -> Vma | None:
        """The VMA that starts where the range ends, if the range can be prepended to it.

        Kernel: mm/vma.c: can_vma_merge_before() (v6.18)
        """
        vma = self.mm.vmas.next(self.end)
        if vma is None or vma.start != self.end or not self._continues(vma, self.start):
            return None
        return vma if self._fits(k, vma) else None

    def _continues(self, vma: Vma, vpn: int) -> bool:
        """Does the range, from ``vpn`` on, map what ``vma`` would map there, were it longer?

        Copies of a file's pages have indexes of their own, which must be in a row, too.
        Kernel: mm/vma.c: needs_adjacent_anon_pgoff() (v7.1)
        """
        if vma.pgoff_of(vpn) != self.pgoff:
            return False
        is_cow = self.flags & (vm.SHARED | vm.MAYWRITE) == vm.MAYWRITE
        return self.file is None or not is_cow or vma.anon_pgoff_of(vpn) == self.anon_pgoff

    def _fits(self, k: Kernel, target: Vma) -> bool:
        """Do flags, file and anon_vma allow that the range joins ``target``?

        A merged VMA has one anon_vma. One without takes the other's, but not from a fork child: its chain leads to
        its parent's anon_vmas too, and the merged VMA would then be searched for the parent's folios.
        Kernel: mm/vma.c: is_mergeable_vma(), is_mergeable_anon_vma() (v6.18)
        """
        # Only where a mark says so can there be guard regions: it makes no difference (VM_IGNORE_MERGE).
        if (target.flags ^ self.flags) & ~vm.MAYBE_GUARD or target.file is not self.file:
            return False
        if self.keeps_source and target is self.source:
            return False
        anon_vma = self.source.anon_vma if self.source is not None else None
        if target.anon_vma is None and anon_vma is not None:
            assert self.source is not None
            return k.release.merges_faulted_with_unfaulted and len(self.source.chain) <= 1
        if target.anon_vma is not None and anon_vma is None:
            return len(target.chain) <= 1
        return target.anon_vma is anon_vma


def _are_anon_vmas_compatible(left: Vma, right: Vma) -> bool:
    """Kernel: mm/vma.c: are_anon_vmas_compatible() (v6.18)"""
    return left.anon_vma is None or right.anon_vma is None or left.anon_vma is right.anon_vma


def merge_new(k: Kernel, merge: Merge) -> Path[Vma | None]:
    """Merge a new mapping of a free range with one or both adjacent VMAs.

    Returns: the VMA that covers the range now, or None if it merges with nothing.
    Kernel: mm/vma.c: vma_merge_new_range() (v6.18)
    """
    start, end, source = merge.start, merge.end, merge.source
    before, after = merge.before(k), merge.after(k)
    if after is not None and source is None and k.release.merges_next_first:
        before = replace(merge, source=after).before(k)
    if before is not None and after is not None:
        if _are_anon_vmas_compatible(before, after):
            yield from _start_write_all(before, after)
            yield from _dup(k, before, after, source)
            yield from _commit(k, before, before.start, after.end, merge.flags, remove=[after], boundaries=[start, end])
            return before
        # The range fits both, but they do not fit each other: the lower one gets it.
        after = None
    if before is not None:
        yield from _start_write_all(before)
        yield from _dup(k, before, source)
        yield from _commit(k, before, before.start, end, merge.flags, boundaries=[start])
        return before
    if after is not None:
        yield from _start_write_all(after)
        yield from _dup(k, after, source)
        yield from _commit(k, after, start, after.end, merge.flags, boundaries=[end])
        return after
    return None


def _start_write_all(*vmas: Vma | None) -> Path[None]:
    """Mark the VMAs of a merge as written, before anything of them is changed.

    Their anon_vma is part of that: a fault under the VMA lock that saw a new one before the VMA is in its tree would
    map a folio that no rmap walk finds.
    Kernel: mm/vma.c: vma_expand(), vma_merge_existing_range() (v6.18)
    """
    for vma in vmas:
        if vma is not None:
            yield from start_write(vma)


def _dup(k: Kernel, target: Vma, *sources: Vma | None) -> Path[None]:
    """Give the surviving VMA the anon_vma of one that it absorbs, if it has none.

    Kernel: mm/vma.c: dup_anon_vma() (v6.18)
    """
    for source in sources:
        if source is not None and source.anon_vma is not None and target.anon_vma is None:
            target.anon_vma = source.anon_vma
            yield from anon.clone(k, target, source)


def _commit(
    k: Kernel,
    target: Vma,
    start: int,
    end: int,
    flags: int,
    *,
    remove: list[Vma] | None = None,
    adjust: tuple[Vma, int, int] | None = None,
    boundaries: list[int],
) -> Path[None]:
    """Give ``target`` the range ``[start, end)``. All VMAs are marked as written.

    Args:
        flags: those of the range that it takes over.
        remove: VMAs that it absorbs.
        adjust: (vma, its new start, its new end): the adjacent VMA that shrinks.
        boundaries: the VMA boundaries that vanish.
    Kernel: mm/vma.c: commit_merge() (v6.18)
    """
    mm = target.mm
    remove = remove or []
    moved = [target] if adjust is None else [target, adjust[0]]
    anon_vma = next((vma.anon_vma for vma in [*moved, *remove] if vma.anon_vma is not None), None)
    adjustment = _Adjustment(target.file, anon_vma, moved)
    yield from adjustment.prepare()
    if adjust is not None:
        edge_vpn = adjust[1] if adjust[1] != adjust[0].start else adjust[2]
        yield from split_huge_pmd_if_needed(k, adjust[0], edge_vpn)
        edge = straddling(k, mm, edge_vpn)
        yield VmaSplit(mm.mm_id, adjust[0].id, target.id, edge_vpn, edge)
        yield from on_boundaries(k, mm, adjust[0].start, adjust[0].end, [edge_vpn], +1)
    # Computed while the old boundaries still stand, announced when they are gone.
    events = [VmaMerged(mm.mm_id, target.id, 0, vpn, straddling(k, mm, vpn), start, end) for vpn in boundaries]
    for vma in remove:
        if target.file is not None:
            target.file.i_mmap.remove(vma)
        mm.vmas.remove(vma)
    if adjust is not None:
        _set_range(adjust[0], adjust[1], adjust[2])
    _set_range(target, start, end)
    yield from events
    yield from on_boundaries(k, mm, start, end, boundaries, -1)
    yield from adjustment.complete()
    # Only now, without the rmap locks, which unlinking takes itself.
    for vma in remove:
        yield from anon.unlink(vma)
        flags |= vma.flags
    target.flags |= flags & vm.MAYBE_GUARD


def _set_range(vma: Vma, start: int, end: int) -> None:
    old_start = vma.start
    vma.pgoff += start - old_start
    vma.anon_pgoff += start - old_start
    vma.start, vma.end = start, end
    vma.mm.vmas.moved_start(vma, old_start)


def modify_flags(k: Kernel, vma: Vma, start: int, end: int, flags: int) -> Path[tuple[Vma, int]]:
    """Make ``[start, end)``, part of a VMA, a VMA of its own for new flags: merge with adjacent VMAs, or split.

    Returns: the VMA that covers the range, and the flags that the caller sets: those that it asked for, and what a
        merged neighbor adds.
    Kernel: mm/vma.c: vma_modify(), vma_modify_flags() (v6.18)
    """
    merged = yield from _merge_existing(k, vma, start, end, flags)
    if merged is not None:
        return merged, merged.flags
    if vma.start < start:
        yield from split(k, vma, start, new_below=True)
    if vma.end > end:
        yield from split(k, vma, end, new_below=False)
    return vma, flags


def _merge_existing(k: Kernel, vma: Vma, start: int, end: int, flags: int) -> Path[Vma | None]:
    """Kernel: mm/vma.c: vma_merge_existing_range() (v6.18)"""
    merge = Merge(vma.mm, start, end, flags, vma.pgoff_of(start), vma.anon_pgoff_of(start), vma.file, vma)
    before = merge.before(k) if vma.start == start else None
    after = merge.after(k) if vma.end == end else None
    if before is not None and after is not None and not _are_anon_vmas_compatible(before, after):
        after = None
    if before is not None or after is not None:
        # Whatever it becomes, the VMA itself is one of those that change.
        yield from _start_write_all(vma, before, after)
    if before is not None and after is not None:
        yield from _dup(k, before, after if after.anon_vma is not None else vma)
        yield from _commit(k, before, before.start, after.end, flags, remove=[vma, after], boundaries=[start, end])
        return before
    if before is not None:
        yield from _dup(k, before, vma)
        if vma.end == end:
            yield from _commit(k, before, before.start, end, flags, remove=[vma], boundaries=[start])
        else:
            yield from _commit(k, before, before.start, end, flags, adjust=(vma, end, vma.end), boundaries=[start])
        return before
    if after is not None:
        yield from _dup(k, after, vma)
        if vma.start == start:
            yield from _commit(k, after, start, after.end, flags, remove=[vma], boundaries=[end])
        else:
            yield from _commit(k, after, start, after.end, flags, adjust=(vma, vma.start, start), boundaries=[end])
        return after
    return None


def insert(k: Kernel, vma: Vma, previous: Vma | None = None) -> Path[None]:
    """Link a new VMA into its mm and, if it maps a file, into the file's i_mmap.

    Args:
        previous: insert directly after this VMA among equal keys (fork).
    Kernel: mm/vma.c: vma_link() (v6.18)
    """
    vma.mm.vmas.insert(vma)
    if vma.file is not None:
        yield vma.file.i_mmap_rwsem.acquire("vma_link_file", "W")
        if previous is not None:
            vma.file.i_mmap.insert_after(vma, previous)
        else:
            vma.file.i_mmap.insert(vma)
        yield vma.file.i_mmap_rwsem.release("W")


def unlink_rmap(k: Kernel, vma: Vma) -> Path[None]:
    """Remove a VMA from the rmap, before its page tables are freed.

    In this order a walk that still finds the VMA finds empty tables; the other way round it would enter freed ones.
    Kernel: mm/memory.c: free_pgtables() (v6.18)
    """
    yield from anon.unlink(vma)
    if vma.file is not None:
        yield vma.file.i_mmap_rwsem.acquire("unlink_file_vma", "W")
        vma.file.i_mmap.remove(vma)
        yield vma.file.i_mmap_rwsem.release("W")


def prot_entry_flags(vma: Vma) -> int:
    """Flags of an entry that a read fault installs in a VMA: vm_page_prot.

    A shared writable mapping gets writable entries, unless the file system is notified of first writes.
    Kernel: mm/vma.c: vma_set_page_prot() (v6.18)
    """
    flags = pte.PRESENT | pte.YOUNG
    if not vma.flags & (vm.READ | vm.WRITE):
        flags |= pte.PROTNONE
    writable = vma.flags & (vm.SHARED | vm.WRITE) == vm.SHARED | vm.WRITE
    if writable and vma.file is not None and not vma.file.needs_mkwrite:
        flags |= pte.WRITE
    return flags
