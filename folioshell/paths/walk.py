"""Rmap walks: from a folio to the entries that map it.

Kernel: mm/rmap.c: rmap_walk() (v6.18); mm/page_vma_mapped.c: page_vma_mapped_walk() (v6.18)
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from folioshell.events import Walked
from folioshell.model import pte
from folioshell.model.folio import Folio
from folioshell.model.folios import FolioRun
from folioshell.model.kernel import Kernel
from folioshell.model.lock import Lock
from folioshell.model.mapping import AddressSpace, AnonVma
from folioshell.model.pagetable import PageTable, PmdTable
from folioshell.model.vm import Vma
from folioshell.paths import Path, Step
from folioshell.paths.batch import same_pte_batch, small_pte_batch
from folioshell.records import dataclass, field
from folioshell.units import align_down


@dataclass(slots=True)
class Hit:
    """A page-table entry that page_vma_mapped_walk() found; its lock is held.

    Args:
        vpn: virtual page of the entry.
        table, index: the PTE table and entry, or the PMD table and entry.
        pmd: it is a PMD entry.
    """

    vpn: int
    table: PageTable | PmdTable
    index: int
    pmd: bool


#: Called with an entry that was found. Returns True to end the walk, in this VMA and all later ones.
Visitor = Callable[[Vma, Hit], Generator[Step, Any, bool]]


def vmas_of(folio: Folio, nr: int = 1) -> list[Vma]:
    """VMAs that may map a page of the folio, or of one of ``nr`` order-0 folios in a row, in the order of a walk."""
    tree = folio.mapping.tree if isinstance(folio.mapping, AnonVma) else folio.mapping.i_mmap
    return tree.overlapping(folio.index, folio.index + (nr << folio.order) - 1)


def equal_walks(run: FolioRun, nr: int) -> int:
    """Number of folios of a run, from the first on, at most ``nr``, of which walks visit the same VMAs.

    In each VMA all of them are mapped alike by one table, or none is: then no lock is taken.
    """
    folio = run.first
    for vma in vmas_of(folio, nr):
        vpn, tree = vma.vpn_of(folio), vma.mm.tables
        if vpn < vma.start:
            nr = min(nr, vma.start - vpn)
            continue
        index, table = vpn & tree.last, tree.pmd_entry(vpn)
        nr = min(nr, vma.end - vpn, tree.last + 1 - index)
        if isinstance(table, PageTable):
            entry = table.entries[index]
            if pte.maps_folio(entry) and pte.pfn_of(entry) == folio.pfn:
                nr = small_pte_batch(table, index, index + nr, run)
            else:
                nr = same_pte_batch(table, index, index + nr) if entry == pte.NONE else 1
        elif table != pte.NONE:
            nr = 1
    return nr


def rmap_lock(folio: Folio) -> Lock:
    """The lock that keeps the set of VMAs stable: the anon_vma root's, or the file's i_mmap_rwsem."""
    mapping = folio.mapping
    return mapping.i_mmap_rwsem if isinstance(mapping, AddressSpace) else mapping.rwsem


@dataclass(slots=True)
class VmaWalk:
    """page_vma_mapped_walk() over one VMA, as a state machine that yields lock operations and calls a visitor.

    Args:
        folio, vma: what to look for, and where.
        visit: called with each entry that maps a page of the folio, its lock held.
        migration: look for migration entries instead of present ones.
        sync: take the lock of each table, whatever it holds (PVMW_SYNC).
        times: number of ``equal_walks`` that it stands for, of order-0 folios in a row, ``folio`` the first.

    Attributes:
        found: (name of the table entered, entries found there) so far.
        stopped: the visitor ended the walk.
    """

    k: Kernel
    folio: Folio
    vma: Vma
    visit: Visitor | None = None
    migration: bool = False
    sync: bool = False
    times: int = 1
    found: list[tuple[str, int]] = field(default_factory=list)
    stopped: bool = False
    _low: int = field(init=False)
    _high: int = field(init=False)

    def __post_init__(self) -> None:
        self._low, self._high = self.folio.pfn, self.folio.pfn + self.folio.nr_pages

    def run(self) -> Path[None]:
        """Walk to the end of the folio's range in the VMA, or until the visitor ends it."""
        vma, folio = self.vma, self.folio
        base = vma.vpn_of(folio)
        vpn, end = max(vma.start, base), min(vma.end, base + folio.nr_pages)
        size = self.k.geometry.pmd_pages
        while vpn < end:
            tree = vma.mm.tables
            pmd = tree.pmd_table(vpn)
            if pmd is None:
                vpn = align_down(vpn, size * size) + size * size
                continue
            entry = tree.pmd_entry(vpn)
            block = align_down(vpn, size)
            if isinstance(entry, PageTable):
                vpn = yield from self._walk_leaf(entry, block, vpn, min(end, block + size))
                if self.stopped:
                    return
                continue
            elif entry != pte.NONE:
                stop = yield from self._walk_huge(pmd, block)
                if stop:
                    return
                # Split by the visitor, or before the lock was taken: the same range again, through the table.
                if isinstance(tree.pmd_entry(vpn), PageTable):
                    continue
            # An empty PMD may be one whose entry is being removed: with PVMW_SYNC its lock is taken to wait for that.
            elif self.sync and self.folio.nr_pages >= size and block >= vma.start and block + size <= vma.end:
                yield pmd.lock.acquire("page_vma_mapped_walk")
                yield pmd.lock.release()
            vpn = block + size

    def _matches(self, entry: int) -> bool:
        if self.migration:
            return pte.is_migration(entry) and self._low <= pte.migration_pfn(entry) < self._high
        return entry > 0 and self._low <= entry >> pte.PFN_SHIFT < self._high

    def _is_candidate(self, entry: int) -> bool:
        """Could the entry match, judged without the lock?"""
        return pte.is_migration(entry) if self.migration else entry > 0

    def _walk_huge(self, pmd: PmdTable, block: int) -> Path[bool]:
        """Look at a PMD entry. True: the walk of this VMA ends."""
        index = self.vma.mm.tables.pmd_index(block)
        yield pmd.lock.acquire("page_vma_mapped_walk")
        # Read again under the lock: it may have been split or cleared meanwhile.
        entry = pmd.entries.get(index, pte.NONE)
        if isinstance(entry, PageTable):
            yield pmd.lock.release()
            return False
        matches = self._matches(entry)
        stop = self.folio.order <= self.k.geometry.pmd_order
        if matches:
            self.found.append((str(pmd), 1))
            if self.visit is not None:
                self.stopped = yield from self.visit(self.vma, Hit(block, pmd, index, True))
                stop = stop or self.stopped
        yield pmd.lock.release()
        if matches and isinstance(pmd.entries.get(index, pte.NONE), PageTable):
            return False
        # Up to 7.0 a PMD entry of another folio ends the walk of this VMA, too.
        return stop if matches else not self.k.release.walks_past_other_pmds

    def _walk_leaf(self, table: PageTable, block: int, start: int, end: int) -> Path[int]:
        """Look at the entries of ``[start, end)`` in one PTE table.

        Returns: where the walk continues: ``end``, or the page at which the table was found to be another one.
        """
        locked = False
        hits = 0
        entries = table.entries
        if self.sync:
            yield table.ptl.acquire("map_pte")
            locked = True
            if self._is_replaced(table, start):
                yield table.ptl.release()
                return start
        for vpn in range(start, end):
            entry = entries[vpn - block]
            if not locked:
                # Without PVMW_SYNC the lock is taken at the first entry that may match (map_pte()), later at any entry
                # that is not none: a table without either costs no lock.
                if not (self._is_candidate(entry) if vpn == start else entry):
                    continue
                function = "page_vma_mapped_walk" if self.k.release.inlines_map_pte else "map_pte"
                yield table.ptl.acquire(function, times=self.times)
                locked = True
                if self._is_replaced(table, vpn):
                    yield table.ptl.release()
                    return vpn
                # What was read without the lock may be out of date.
                entry = entries[vpn - block]
            if self._matches(entry):
                hits += 1
                if self.visit is not None:
                    self.stopped = yield from self.visit(self.vma, Hit(vpn, table, vpn - block, False))
                    if self.stopped:
                        break
        if locked:
            yield table.ptl.release(times=self.times)
            self.found.append((str(table), hits))
        return end

    def _is_replaced(self, table: PageTable, vpn: int) -> bool:
        """Was the table, whose lock was waited for, freed meanwhile? What takes its place is looked at then.

        Kernel: mm/page_vma_mapped.c: map_pte() (v6.18)
        """
        return self.vma.mm.tables.leaf(vpn) is not table


def rmap_walk(
    k: Kernel,
    folios: Folio | FolioRun,
    reason: str,
    visit: Visitor | None = None,
    *,
    enter: Callable[[Vma], Path[None]] | None = None,
    done: Callable[[], bool] | None = None,
    sync: bool = False,
    locked: bool = False,
) -> Path[Walked]:
    """Visit every VMA that may map the folio, and every entry that does, until the visitor ends the walk.

    Args:
        folios: the folio, or a run of ``equal_walks``.
        reason: the kernel function that walks.
        visit: as for VmaWalk.
        enter: called with each VMA before its entries are looked at.
        done: asked after each VMA; True ends the walk.
        sync: PVMW_SYNC.
        locked: the caller holds the rmap lock.
    Returns: the event of the walk, which was yielded too.
    Kernel: mm/rmap.c: rmap_walk_anon(), rmap_walk_file() (v6.18)
    """
    folio, times = folios.first, folios.nr
    lock = rmap_lock(folio)
    if not locked:
        yield lock.acquire(reason, "R", times=times)
    visits = []
    for vma in vmas_of(folio):
        if enter is not None:
            yield from enter(vma)
        walk = VmaWalk(k, folio, vma, visit, sync=sync, times=times)
        yield from walk.run()
        visits.append((vma.mm.mm_id, vma.id, tuple(walk.found)))
        if walk.stopped or (done is not None and done()):
            break
    if not locked:
        yield lock.release("R", times)
    event = Walked(folio.id, reason, tuple(visits), times)
    yield event
    return event
