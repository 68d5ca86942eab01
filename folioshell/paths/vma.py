"""VMAs are split, merged, linked and unlinked here, with the events that counting definitions need.

Kernel: mm/vma.c (v6.18)
"""

from __future__ import annotations

from folioshell.events import VmaMerged, VmaSplit
from folioshell.model import pte, vm
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace, AnonVma
from folioshell.model.pagetable import PageTable
from folioshell.model.vm import Mm, Vma, can_anon_vmas_merge
from folioshell.paths import anon
from folioshell.paths.huge import split_huge_pmd_if_needed
from folioshell.paths.protocol import on_boundaries
from folioshell.paths.step import Path


def straddling(k: Kernel, mm: Mm, vpn: int) -> tuple[tuple[int, int], ...]:
    """(folio, index of its page at ``vpn``) of the large folios mapped around ``vpn`` whose range contains it inside.

    Those are all folios whose number of (VMA, ...) pairs a VMA boundary at ``vpn`` can change.
    """
    reach = k.largest_folio - 1
    found: dict[tuple[int, int], None] = {}
    size = k.geometry.pmd_pages
    for block, _, entry in mm.tables.blocks_in(max(0, vpn - reach), vpn + reach) if reach > 0 else ():
        if not isinstance(entry, PageTable):
            continue
        low, high = max(block, vpn - reach), min(block + size, vpn + reach)
        index, limit = low - block, high - block
        entries = entry.entries
        while index < limit:
            value = entries[index]
            index += 1
            if value <= pte.FLAGS:
                continue
            folio = k.physmem.at(value >> pte.PFN_SHIFT).first
            if not folio.order:
                continue
            base = block + index - 1 - (pte.pfn_of(value) - folio.pfn)
            if base < vpn < base + folio.nr_pages:
                found[folio.id, vpn - base] = None
    return tuple(found)


def start_write(vma: Vma) -> Path[None]:
    """Mark a VMA as being written: faults under its lock are over and none begins until mmap_lock is let go.

    The lock itself is let go at once; the mark is what readers look at after they got it.

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
        if self.file is not None:
            yield self.file.i_mmap_rwsem.acquire("vma_prepare", "W")
            if insert is not None:
                self.file.i_mmap.insert(insert)
        if self.anon_vma is not None:
            yield self.anon_vma.rwsem.acquire("vma_prepare", "W")
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
    """Cut a VMA in two at ``vpn``.

    Args:
        new_below: the new VMA is the lower part; else the upper one.
    Returns: the new VMA.
    Kernel: mm/vma.c: __split_vma() (v6.18)
    """
    mm = vma.mm
    low, high = (vma.start, vpn) if new_below else (vpn, vma.end)
    new = k.new_vma(mm, low, high, vma.flags, vma.pgoff_of(low), vma.file)
    new.anon_vma = vma.anon_vma
    yield from anon.clone(new, vma)
    yield from start_write(vma)
    yield from start_write(new)
    adjustment = _Adjustment(vma.file, vma.anon_vma, [vma])
    yield from adjustment.prepare(insert=new)
    yield from split_huge_pmd_if_needed(k, vma, vpn)
    edge = straddling(k, mm, vpn)
    yield from on_boundaries(k, mm, vma.start, vma.end, [vpn], +1)
    if new_below:
        vma.pgoff += vpn - vma.start
        old_start, vma.start = vma.start, vpn
        mm.vmas.moved_start(vma, old_start)
    else:
        vma.end = vpn
    mm.vmas.insert(new)
    yield VmaSplit(mm.mm_id, vma.id, new.id, vpn, edge)
    yield from adjustment.complete()
    return new


def _fits(left: Vma | None, right: Vma | None, flags: int, pgoff: int, file: AddressSpace | None) -> bool:
    """May a range with these properties, directly behind ``left`` or before ``right``, be merged into it?"""
    other = left or right
    if other is None or other.flags != flags or other.file is not file:
        return False
    return pgoff == (other.pgoff + other.nr_pages if left else other.pgoff)


def merge_new(
    k: Kernel,
    mm: Mm,
    start: int,
    end: int,
    flags: int,
    pgoff: int,
    file: AddressSpace | None,
    source: Vma | None = None,
) -> Path[Vma | None]:
    """Let a new mapping of a free range be part of a neighbour, or join both of them.

    Args:
        start, end: virtual pages of the new range.
        flags, pgoff, file: its properties.
        source: the VMA that mremap copies from; its anon_vma comes along.
    Returns: the VMA that covers the range now, or None if it merges with nothing.
    Kernel: mm/vma.c: vma_merge_new_range() (v6.18)
    """
    anon_vma = source.anon_vma if source is not None else None
    before, after = mm.vmas.prev(start), mm.vmas.next(end)
    if before is not None and before.end != start:
        before = None
    if after is not None and after.start != end:
        after = None
    fork_child = source is not None and len(source.chain) > 1
    merges_left = (
        before is not None and _fits(before, None, flags, pgoff, file) and _anon_fits(before, anon_vma, fork_child)
    )
    merges_right = (
        after is not None
        and _fits(None, after, flags, pgoff + end - start, file)
        and _anon_fits(after, anon_vma, fork_child)
    )
    if merges_left and merges_right:
        assert before is not None and after is not None
        if not can_anon_vmas_merge(before.anon_vma, after.anon_vma, None):
            merges_right = False
    if merges_left and merges_right:
        assert before is not None and after is not None
        yield from _dup(k, before, after, source)
        yield from _commit(k, before, before.start, after.end, remove=[after], boundaries=[start, end])
        return before
    if merges_left:
        assert before is not None
        yield from _dup(k, before, None, source)
        yield from _commit(k, before, before.start, end, boundaries=[start])
        return before
    if merges_right:
        assert after is not None
        yield from _dup(k, after, None, source)
        yield from _commit(k, after, start, after.end, boundaries=[end])
        return after
    return None


def _anon_fits(target: Vma, anon_vma: AnonVma | None, source_is_fork_child: bool) -> bool:
    """May a range with ``anon_vma`` join ``target``?

    Kernel: mm/vma.c: is_mergeable_anon_vma() (v6.18)
    """
    if target.anon_vma is None and anon_vma is not None:
        return not source_is_fork_child
    if target.anon_vma is not None and anon_vma is None:
        return len(target.chain) <= 1
    return target.anon_vma is anon_vma


def _dup(k: Kernel, target: Vma, *sources: Vma | None) -> Path[None]:
    """Let the surviving VMA have the anon_vma of one that it swallows, if it has none.

    Kernel: mm/vma.c: dup_anon_vma() (v6.18)
    """
    for source in sources:
        if source is not None and source.anon_vma is not None and target.anon_vma is None:
            target.anon_vma = source.anon_vma
            yield from anon.clone(target, source)


def _commit(
    k: Kernel,
    target: Vma,
    start: int,
    end: int,
    *,
    remove: list[Vma] | None = None,
    adjust: tuple[Vma, int, int] | None = None,
    boundaries: list[int],
) -> Path[None]:
    """Give ``target`` the range ``[start, end)``.

    Args:
        remove: VMAs that it swallows.
        adjust: (vma, its new start, its new end): the neighbour that shrinks.
        boundaries: where VMA boundaries vanish.
    Kernel: mm/vma.c: commit_merge() (v6.18)
    """
    mm = target.mm
    remove = remove or []
    for vma in [target, *remove]:
        yield from start_write(vma)
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
    for vma in remove:
        yield from anon.unlink(vma)


def _set_range(vma: Vma, start: int, end: int) -> None:
    old_start = vma.start
    vma.pgoff += start - old_start
    vma.start, vma.end = start, end
    vma.mm.vmas.moved_start(vma, old_start)


def modify_flags(k: Kernel, vma: Vma, start: int, end: int, flags: int) -> Path[Vma]:
    """Make ``[start, end)``, part of a VMA, a VMA that may have other flags: merge with neighbours or split.

    The flags themselves are for the caller to set.
    Returns: the VMA that covers the range.
    Kernel: mm/vma.c: vma_modify() (v6.18)
    """
    merged = yield from _merge_existing(k, vma, start, end, flags)
    if merged is not None:
        return merged
    if vma.start < start:
        yield from split(k, vma, start, new_below=True)
    if vma.end > end:
        yield from split(k, vma, end, new_below=False)
    return vma


def _merge_existing(k: Kernel, vma: Vma, start: int, end: int, flags: int) -> Path[Vma | None]:
    """Kernel: mm/vma.c: vma_merge_existing_range() (v6.18)"""
    mm = vma.mm
    pgoff = vma.pgoff_of(start)
    fork_child = len(vma.chain) > 1
    before = mm.vmas.prev(start) if vma.start == start else None
    after = mm.vmas.next(end) if vma.end == end else None
    if before is not None and not (
        before.end == start
        and _fits(before, None, flags, pgoff, vma.file)
        and _anon_fits(before, vma.anon_vma, fork_child)
    ):
        before = None
    if after is not None and not (
        after.start == end
        and _fits(None, after, flags, pgoff + end - start, vma.file)
        and _anon_fits(after, vma.anon_vma, fork_child)
        and (before is None or can_anon_vmas_merge(before.anon_vma, after.anon_vma, None))
    ):
        after = None
    if before is not None and after is not None:
        yield from _dup(k, before, after if after.anon_vma is not None else vma)
        yield from _commit(k, before, before.start, after.end, remove=[vma, after], boundaries=[start, end])
        return before
    if before is not None:
        yield from _dup(k, before, vma)
        if vma.end == end:
            yield from _commit(k, before, before.start, end, remove=[vma], boundaries=[start])
        else:
            yield from _commit(k, before, before.start, end, adjust=(vma, end, vma.end), boundaries=[start])
        return before
    if after is not None:
        yield from _dup(k, after, vma)
        if vma.start == start:
            yield from _commit(k, after, start, after.end, remove=[vma], boundaries=[end])
        else:
            yield from _commit(k, after, start, after.end, adjust=(vma, vma.start, start), boundaries=[end])
        return after
    return None


def insert(k: Kernel, vma: Vma, previous: Vma | None = None) -> Path[None]:
    """Link a new VMA into its mm and, if it maps a file, into the file's i_mmap.

    Args:
        previous: insert directly behind this VMA among equal keys (fork).
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
    """Take a VMA that is gone out of the reverse maps, before its page tables are freed.

    Kernel: mm/memory.c: free_pgtables() (v6.18)
    """
    yield from anon.unlink(vma)
    if vma.file is not None:
        yield vma.file.i_mmap_rwsem.acquire("unlink_file_vma", "W")
        vma.file.i_mmap.remove(vma)
        yield vma.file.i_mmap_rwsem.release("W")


def prot_entry_flags(vma: Vma) -> int:
    """Flags of an entry that a read fault installs in a VMA: vm_page_prot.

    Shared writable mappings are writable at once unless the file system wants to know of each first write.
    Kernel: mm/vma.c: vma_set_page_prot() (v6.18)
    """
    flags = pte.PRESENT | pte.YOUNG
    if not vma.flags & (vm.READ | vm.WRITE):
        flags |= pte.PROTNONE
    writable = vma.flags & (vm.SHARED | vm.WRITE) == vm.SHARED | vm.WRITE
    if writable and vma.file is not None and not vma.file.needs_mkwrite:
        flags |= pte.WRITE
    return flags
