"""mremap: moving entries, and whole tables of them, without any rmap call.

The rmap finds the entries at their new place through the VMA there, which has the same anon_vma and offsets.

Kernel: mm/mremap.c: do_mremap() (v6.18)
"""

from __future__ import annotations

from folioshell.events import Level, Moved, Tracepoint
from folioshell.model import pte, vm
from folioshell.model.kernel import Kernel
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vm import Mm, Vma
from folioshell.paths import Path, anon, tables
from folioshell.paths import vma as vma_paths
from folioshell.paths.batch import MappedSpan, folio_pte_batch
from folioshell.paths.gup import mm_populate
from folioshell.paths.mmap import unmap_locked
from folioshell.paths.protocol import moved
from folioshell.paths.rmap import window
from folioshell.paths.tables import split_huge_pmd
from folioshell.records import dataclass
from folioshell.units import align_down


def do_mremap(
    k: Kernel, mm: Mm, start: int, nr: int, new_start: int, new_nr: int, *, dontunmap: bool = False
) -> Path[str | None]:
    """Move ``[start, start + nr)`` to ``new_start`` and give it ``new_nr`` pages (MREMAP_MAYMOVE | MREMAP_FIXED).

    Args:
        dontunmap: leave the old range mapped and empty (MREMAP_DONTUNMAP).
    Returns: EINVAL for impossible sizes or overlapping ranges, EFAULT where nothing is mapped.
    Kernel: mm/mremap.c: do_mremap() (v6.18)
    """
    if nr <= 0 or new_nr <= 0 or (dontunmap and nr != new_nr):
        return "EINVAL"
    if start < new_start + new_nr and new_start < start + nr:
        return "EINVAL"
    remap = _Remap(mm, start, nr, new_start, new_nr, dontunmap)
    yield mm.mmap_lock.acquire("do_mremap", "W")
    if nr == new_nr and k.release.mremap_moves_several_vmas:
        error = yield from _remap_move(k, remap)
    else:
        vma = mm.vmas.find(start)
        if vma is None or (k.release.mremap_checks_first and start + min(nr, new_nr) > vma.end):
            error = "EFAULT"
        else:
            error = yield from _mremap_to(k, remap)
    populate = error is None and new_nr > nr and _is_locked(mm, new_start + nr)
    yield mm.write_unlock()
    if populate:
        yield from mm_populate(k, mm, new_start + nr, new_start + new_nr)
    return error


def do_resize(k: Kernel, mm: Mm, start: int, nr: int, new_nr: int, new_start: int | None = None) -> Path[int | str]:
    """Give ``[start, start + nr)`` another size, in place if it can be.

    Args:
        new_start: free range to move to where it cannot grow in place (MREMAP_MAYMOVE); None: it must not move.
    Returns: where it is now; EINVAL for impossible sizes; EFAULT where nothing is mapped, or if the range to grow is
        not within one VMA; ENOMEM if it cannot grow.
    Kernel: mm/mremap.c: mremap_at() (v6.18)
    """
    if nr <= 0 or new_nr <= 0:
        return "EINVAL"
    yield mm.mmap_lock.acquire("do_mremap", "W")
    vma = mm.vmas.find(start)
    if vma is None or (new_nr > nr and start + nr > vma.end):
        yield mm.write_unlock()
        return "EFAULT"
    if new_nr == nr:
        yield mm.write_unlock()
        return start
    if new_nr < nr:
        # The excess is unmapped as by munmap, whatever VMAs it crosses; mmap_lock is downgraded meanwhile.
        held = yield from unmap_locked(k, mm, start + new_nr, start + nr, downgrade=True)
        yield mm.mmap_lock.release("R") if held == "R" else mm.write_unlock()
        return start
    error = None
    if not must_move(mm, start, nr, new_nr):
        # The new pages are a mapping of their own for a moment, so that they merge with what is next to them, too.
        pgoff, anon_pgoff = vma.pgoff_of(vma.end), vma.anon_pgoff_of(vma.end)
        merge = vma_paths.Merge(mm, vma.end, start + new_nr, vma.flags, pgoff, anon_pgoff, vma.file, source=vma)
        yield from vma_paths.merge_new(k, merge)
        yield Tracepoint("grown in place")
    elif new_start is None:
        error = "ENOMEM"
    else:
        error = yield from _mremap_to(k, _Remap(mm, start, nr, new_start, new_nr, dontunmap=False))
        start = new_start
        yield Tracepoint("no room to grow in place: moved")
    populate = error is None and _is_locked(mm, start + nr)
    yield mm.write_unlock()
    if populate:
        yield from mm_populate(k, mm, start + nr, start + new_nr)
    return start if error is None else error


def must_move(mm: Mm, start: int, nr: int, new_nr: int) -> bool:
    """Can ``[start, start + nr)`` get ``new_nr`` pages only elsewhere?

    To grow in place it must reach the end of its VMA, and the pages after that must be free.
    Kernel: mm/mremap.c: vrm_can_expand_in_place() (v6.18)
    """
    vma, end = mm.vmas.find(start), start + nr
    if vma is None or new_nr <= nr or end > vma.end:
        return False
    return vma.end != end or bool(mm.vmas.overlapping(end, start + new_nr))


def _is_locked(mm: Mm, vpn: int) -> bool:
    """Is this page in locked memory, so that what was added to it is to be faulted in once mmap_lock is released?"""
    vma = mm.vmas.find(vpn)
    return vma is not None and bool(vma.flags & vm.LOCKED)


@dataclass(slots=True)
class _Remap:
    """Kernel: mm/mremap.c: struct vma_remap_struct (v6.18)"""

    mm: Mm
    start: int
    nr: int
    new_start: int
    new_nr: int
    dontunmap: bool


def _remap_move(k: Kernel, remap: _Remap) -> Path[str | None]:
    """Move all VMAs of a range, and keep the gaps between them. A failure leaves earlier VMAs moved.

    Kernel: mm/mremap.c: remap_move() (v6.18)
    """
    start, end = remap.start, remap.start + remap.nr
    target, last_end, seen = remap.new_start, start, False
    for vma in remap.mm.vmas.overlapping(start, end):
        low, high = max(vma.start, start), min(vma.end, end)
        # A gap is allowed between VMAs, but not at the start.
        if not seen and start < vma.start:
            return "EFAULT"
        if seen:
            target += vma.start - last_end
        last_end = vma.end
        part = _Remap(remap.mm, low, high - low, target, high - low, remap.dontunmap)
        error = yield from _mremap_to(k, part)
        if error is not None:
            return error
        seen = True
        target += high - low
    return None if seen else "EFAULT"


def _mremap_to(k: Kernel, remap: _Remap) -> Path[str | None]:
    """Kernel: mm/mremap.c: mremap_to(), move_vma() (v6.18)"""
    mm, start, nr, new_start, new_nr = remap.mm, remap.start, remap.nr, remap.new_start, remap.new_nr
    # MREMAP_FIXED replaces what is there, and it is gone even if the move fails afterwards.
    yield from unmap_locked(k, mm, new_start, new_start + new_nr, downgrade=False)
    if new_nr < nr:
        yield from unmap_locked(k, mm, start + new_nr, start + nr, downgrade=False)
        nr = new_nr
    vma = mm.vmas.find(start)
    if vma is not None and remap.dontunmap and not (vma.is_anonymous or k.release.dontunmap_of_files):
        return "EINVAL"
    if vma is None or start + nr > vma.end:
        return "EFAULT"
    if remap.dontunmap and vma.flags & vm.LOCKED and k.release.dontunmap_splits_locked:
        # The source is locked no more: what does not move stays so.
        if vma.start < start:
            yield from vma_paths.split(k, vma, start, new_below=True)
        if start + nr < vma.end:
            yield from vma_paths.split(k, vma, start + nr, new_below=False)
    yield from vma_paths.start_write(vma)
    new, need_rmap_locks = yield from _copy_vma(k, vma, remap)
    # The copy merged with its own source: there is one VMA now, whatever is left of the source.
    if new.start <= vma.start < new.end:
        vma = new
    # A protocol under test that counts VMAs must not count while a walk unmaps.
    need_rmap_locks = need_rmap_locks or (k.protocol is not None and k.protocol.moves_under_rmap_locks)
    move = _Move(vma, new, start, new_start, start + nr, need_rmap_locks)
    yield from _move_page_tables(k, move)
    if not remap.dontunmap:
        yield from unmap_locked(k, mm, start, start + nr, downgrade=False)
        return None
    # MREMAP_DONTUNMAP: the source stays, empty. Without pages it needs neither mlock nor an anon_vma.
    # Pages of it that did not move stay counted.
    if vma.flags & vm.LOCKED:
        mm.lost_mlock = True
    vma.flags &= ~(vm.LOCKED | vm.ACCOUNT) if k.release.dontunmap_unaccounts_source else ~vm.LOCKED
    if k.release.dontunmap_unlinks_source and vma is not new and vma.start == start and vma.end == start + nr:
        yield from anon.unlink(vma)
        # Without an anon_vma it is again a range in which nothing was faulted in, and such are indexed by address.
        if k.release.dontunmap_indexes_source_anew:
            vma.anon_pgoff = vma.start if vma.is_anonymous or k.release.indexes_copies_by_address else vma.anon_pgoff
            vma.pgoff = vma.start if vma.is_anonymous else vma.pgoff
    return None


def _copy_vma(k: Kernel, vma: Vma, remap: _Remap) -> Path[tuple[Vma, bool]]:
    """A VMA at the destination, new or part of an adjacent one, and whether moving entries needs the rmap locks.

    A walk visits the VMAs of a mapping by offset. If it visits the destination before the source, an entry that moves
    in between is missed: then the rmap locks keep walks out.

    Kernel: mm/vma.c: copy_vma() (v6.18)
    """
    new_start, end = remap.new_start, remap.new_start + remap.new_nr
    pgoff, anon_pgoff = vma.pgoff_of(remap.start), vma.anon_pgoff_of(remap.start)
    # Nothing was faulted in yet, so no folio has an index: the range gets that of its new address, and can merge there.
    if vma.anon_vma is None and (vma.is_anonymous or k.release.indexes_copies_by_address):
        anon_pgoff = new_start
        pgoff = new_start if vma.is_anonymous else pgoff
    old_pgoff = vma.pgoff
    merge = vma_paths.Merge(vma.mm, new_start, end, vma.flags, pgoff, anon_pgoff, vma.file, source=vma)
    merge.keeps_source = remap.dontunmap and not k.release.dontunmap_copy_joins_source
    new = yield from vma_paths.merge_new(k, merge)
    if new is not None:
        return new, new.pgoff <= old_pgoff
    new = k.new_vma(vma.mm, new_start, end, vma.flags, pgoff, vma.file, anon_pgoff)
    new.anon_vma = vma.anon_vma
    yield from anon.clone(k, new, vma)
    # Once it is in the tree it can be found: no fault may fill an entry there before the moved one comes (vma_link()).
    yield from vma_paths.start_write(new)
    yield from vma_paths.insert(k, new)
    return new, False


@dataclass(slots=True)
class _Move:
    """Kernel: mm/internal.h: struct pagetable_move_control (v6.18)"""

    old: Vma
    new: Vma
    old_vpn: int
    new_vpn: int
    old_end: int
    need_rmap_locks: bool

    def extent(self, span: int) -> int:
        """Pages up to the end, or to the next multiple of ``span`` on either side."""
        return min(
            span - self.old_vpn % span,
            span - self.new_vpn % span,
            self.old_end - self.old_vpn,
        )

    def advance(self, nr: int) -> None:
        self.old_vpn += nr
        self.new_vpn += nr


def _move_page_tables(k: Kernel, move: _Move) -> Path[None]:
    """Kernel: mm/mremap.c: move_page_tables() (v6.18)"""
    mm, size = move.old.mm, k.geometry.pmd_pages
    # Worth it only if the range reaches the end of the first table.
    if move.old_end - move.old_vpn >= size - move.old_vpn % size:
        _try_realign(move, size)
    # Only the tables that exist are visited; where the kernel skips a hole, nothing can be observed.
    for block, old_pmd, _ in mm.tables.blocks_in(move.old_vpn, move.old_end):
        move.advance(max(block - move.old_vpn, 0))
        while move.old_vpn < min(block + size, move.old_end):
            extent = move.extent(size)
            if mm.tables.pmd_entry(move.old_vpn) != pte.NONE:
                new_pmd = yield from tables.pmd_alloc(k, mm, move.new_vpn)
                # mmap_lock keeps faults out, but not those who come through the rmap: look again at what they changed.
                while not (yield from _move_extent(k, move, extent, old_pmd, new_pmd)):
                    pass
            move.advance(extent)


def _try_realign(move: _Move, size: int) -> None:
    """Start at the table boundary below if nothing is mapped in between, so that the first table is moved whole.

    Kernel: mm/mremap.c: try_realign_addr() (v6.18)
    """
    offset = move.old_vpn % size
    if not offset or offset != move.new_vpn % size:
        return
    # The part below the range must be free at both ends: what else the tables hold would be moved along.
    for vma, vpn in ((move.old, move.old_vpn), (move.new, move.new_vpn)):
        if vma.start != vpn or vma.mm.vmas.overlapping(align_down(vpn, size), vpn):
            return
    move.advance(-offset)


def _move_extent(k: Kernel, move: _Move, extent: int, old_pmd: PmdTable, new_pmd: PmdTable) -> Path[bool]:
    """Move what one PMD entry holds of the range. False: another thread changed that, look at it again."""
    mm, size = move.old.mm, k.geometry.pmd_pages
    entry = mm.tables.pmd_entry(move.old_vpn)
    is_huge = not isinstance(entry, PageTable)
    if extent == size and entry != pte.NONE and mm.tables.pmd_entry(move.new_vpn) == pte.NONE:
        function = "move_huge_pmd" if is_huge else "move_normal_pmd"
        if (yield from _move_pmd_entry(k, move, old_pmd, new_pmd, function)):
            return True
    if is_huge:
        # A PMD entry cannot be moved to an address that is not aligned to it, or in part.
        yield from split_huge_pmd(k, move.old, old_pmd, align_down(move.old_vpn, size))
    if mm.tables.pmd_entry(move.old_vpn) == pte.NONE:
        return True
    yield from tables.pte_alloc(k, mm, new_pmd, move.new_vpn)
    old_table, new_table = mm.tables.leaf(move.old_vpn), mm.tables.leaf(move.new_vpn)
    if old_table is None or new_table is None:
        return False
    return (yield from _move_ptes(k, move, extent, old_table, new_table))


def _take_rmap_locks(vma: Vma) -> Path[None]:
    """Kernel: mm/mremap.c: take_rmap_locks() (v6.18)"""
    if vma.file is not None:
        yield vma.file.i_mmap_rwsem.acquire("take_rmap_locks", "W")
    if vma.anon_vma is not None:
        yield vma.anon_vma.rwsem.acquire("take_rmap_locks", "W")


def _drop_rmap_locks(vma: Vma) -> Path[None]:
    """Kernel: mm/mremap.c: drop_rmap_locks() (v6.18)"""
    if vma.anon_vma is not None:
        yield vma.anon_vma.rwsem.release("W")
    if vma.file is not None:
        yield vma.file.i_mmap_rwsem.release("W")


def _move_pmd_entry(k: Kernel, move: _Move, old_pmd: PmdTable, new_pmd: PmdTable, function: str) -> Path[bool]:
    """Move a PMD entry: a whole PTE table, or a mapped folio. False: it is something else by now.

    Kernel: mm/mremap.c: move_normal_pmd() (v6.18); mm/huge_memory.c: move_huge_pmd() (v6.18)
    """
    tree = move.old.mm.tables
    # A walk that has looked up a PTE table may use it without the PMD lock, so for a table rmap is always locked out.
    locks = function == "move_normal_pmd" or move.need_rmap_locks
    if locks:
        yield from _take_rmap_locks(move.old)
    # Old before new. mmap_lock is held for writing, so no mremap in the other direction can run.
    yield old_pmd.lock.acquire(function)
    if new_pmd is not old_pmd:
        yield new_pmd.lock.acquire(function, nested=True)
    # Read without the locks before. A huge entry may have been split, or dropped if it is a file's; a file's table may
    # have been freed for a huge page.
    entry = old_pmd.entries.get(tree.pmd_index(move.old_vpn), pte.NONE)
    is_moved = entry != pte.NONE and isinstance(entry, PageTable) == (function == "move_normal_pmd")
    if is_moved:
        del old_pmd.entries[tree.pmd_index(move.old_vpn)]
        new_pmd.entries[tree.pmd_index(move.new_vpn)] = entry
        yield from _announce_pmd_moved(k, move, old_pmd, new_pmd, entry)
    if new_pmd is not old_pmd:
        yield new_pmd.lock.release()
    yield old_pmd.lock.release()
    if locks:
        yield from _drop_rmap_locks(move.old)
    return is_moved


def _announce_pmd_moved(
    k: Kernel, move: _Move, old_pmd: PmdTable, new_pmd: PmdTable, entry: PageTable | int
) -> Path[None]:
    """Announce what a moved PMD entry maps, and move the table along that was deposited for it."""
    if isinstance(entry, PageTable):
        yield Tracepoint(f"page table {entry} moved whole, its lock with it")
        yield from _announce_moved(k, move, entry, entry, 0, k.geometry.pmd_pages)
    else:
        # The deposited table goes along: it must be in the PMD table that the entry is in.
        if new_pmd is not old_pmd and move.old.is_anonymous:
            tables.deposit(new_pmd, tables.withdraw(old_pmd))
        if pte.maps_folio(entry):
            folio = k.physmem.folio(pte.pfn_of(entry))
            low, high = window(folio, move.old, move.old_vpn)
            to_low, to_high = window(folio, move.new, move.new_vpn)
            yield Moved(
                folio.id, folio.order, folio.anon, 0, folio.nr_pages, move.old.mm.mm_id,
                move.old.id, old_pmd.id, move.old_vpn, low, high,
                move.new.id, new_pmd.id, move.new_vpn, to_low, to_high, Level.PMD,
            )  # fmt: skip


def _move_ptes(k: Kernel, move: _Move, extent: int, old_table: PageTable, new_table: PageTable) -> Path[bool]:
    """Move the entries of an extent between two PTE tables. False: one of the tables was freed.

    Kernel: mm/mremap.c: move_ptes() (v6.18)
    """
    if move.need_rmap_locks:
        yield from _take_rmap_locks(move.old)
    # Two PTLs at once, old before new, as for PMD tables; one if both ranges share a table.
    is_there = yield from tables.pte_offset_map_lock(move.old.mm, move.old_vpn, old_table, "move_ptes")
    if is_there and tables.is_detached(move.old.mm, move.new_vpn, new_table):
        yield old_table.ptl.release()
        is_there = False
    if is_there:
        if new_table is not old_table:
            yield new_table.ptl.acquire("move_ptes", nested=True)
        yield from _move_entries(k, move, extent, old_table, new_table)
        if new_table is not old_table:
            yield new_table.ptl.release()
        yield old_table.ptl.release()
    if move.need_rmap_locks:
        yield from _drop_rmap_locks(move.old)
    return is_there


def _move_entries(k: Kernel, move: _Move, extent: int, old_table: PageTable, new_table: PageTable) -> Path[None]:
    """Move entries under the locks of both tables."""
    last = move.old.mm.tables.last
    source, target = move.old_vpn & last, move.new_vpn & last
    moved = 0
    for offset in range(extent):
        entry = old_table.entries[source + offset]
        if entry:
            old_table.entries[source + offset] = pte.NONE
            new_table.entries[target + offset] = entry
            moved += 1
    yield Tracepoint(f"{moved} entries moved from {old_table} to {new_table}")
    yield from _announce_moved(k, move, old_table, new_table, target, target + extent)


def _announce_moved(
    k: Kernel, move: _Move, old_table: PageTable, table: PageTable, first: int, last: int
) -> Path[None]:
    """Announce the runs of large folios among entries ``[first, last)`` of the table that holds them now."""
    index = first
    while index < last:
        entry = table.entries[index]
        nr = 1
        if pte.maps_folio(entry):
            folio = k.physmem.folio(pte.pfn_of(entry))
            if folio.order:
                nr = folio_pte_batch(table, index, last, folio)
                page = pte.pfn_of(entry) - folio.pfn
                vpn, to_vpn = move.old_vpn + index - first, move.new_vpn + index - first
                low, high = window(folio, move.old, vpn - page)
                to_low, to_high = window(folio, move.new, to_vpn - page)
                yield Moved(
                    folio.id, folio.order, folio.anon, page, nr, move.old.mm.mm_id,
                    move.old.id, old_table.id, vpn, low, high,
                    move.new.id, table.id, to_vpn, to_low, to_high,
                )  # fmt: skip
                if k.protocol is not None:
                    spans = [
                        MappedSpan(folio, page, nr, *place, k.geometry.pmd_pages)
                        for place in ((move.old, old_table, vpn), (move.new, table, to_vpn))
                    ]
                    yield from moved(k, *spans)
        index += nr
