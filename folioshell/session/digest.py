"""One pass over what a step yielded: lock rows, and the facts sorted by what a report needs of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from folioshell import facts
from folioshell.intervals import Intervals, ranges
from folioshell.model.lock import LockOp
from folioshell.report import LockRow
from folioshell.session.journal import Happening


class NewFolios(NamedTuple):
    """What new folios in a row have in common.

    Args:
        order, anon: as in FolioNew.
        origin: number of the folio that they were cut out of; 0 if they are new memory.
    """

    order: int
    anon: bool
    origin: int


class Digest:
    """What happened in a step.

    Attributes:
        locks: page-table locks in the order in which they were taken.
        new: folios that came to be, in runs of consecutive numbers.
        freed: folios that ended -> their orders, in runs.
        walks, asked, findings, events: the facts of these types.
        mapped, unmapped: folio -> entries that were added and removed, by facts about leaf entries.
        pmd_mapped, pmd_unmapped: folio -> PMD entries added and removed.
        moved: folio -> entries that mremap moved.
        vma_splits, vma_merges: numbers of these.
        small_mapped: the order-0 folios that were mapped -> True, in runs.
        nr_small_mapped, nr_small_unmapped: entries of order-0 folios among the above, counted but not listed.
    """

    __slots__ = (
        "asked",
        "events",
        "findings",
        "freed",
        "locks",
        "mapped",
        "moved",
        "new",
        "nr_small_mapped",
        "nr_small_unmapped",
        "pmd_mapped",
        "pmd_unmapped",
        "small_mapped",
        "unmapped",
        "vma_merges",
        "vma_splits",
        "walks",
    )

    def __init__(self, happenings: Sequence[Happening]) -> None:
        self.locks = _lock_rows(happenings)
        self.new: Intervals[NewFolios] = Intervals()
        self.freed: Intervals[int] = Intervals()
        self.walks: list[facts.Walked] = []
        self.asked: list[facts.Asked] = []
        self.findings: list[facts.Finding] = []
        self.events: list[facts.Event] = []
        self.mapped: dict[int, int] = {}
        self.unmapped: dict[int, int] = {}
        self.pmd_mapped: dict[int, int] = {}
        self.pmd_unmapped: dict[int, int] = {}
        self.moved: dict[int, int] = {}
        self.small_mapped: Intervals[bool] = Intervals()
        self.vma_splits = 0
        self.vma_merges = 0
        self.nr_small_mapped = 0
        self.nr_small_unmapped = 0
        self._read(happenings)

    def _read(self, happenings: Sequence[Happening]) -> None:
        takers: dict[type, Callable[..., None]] = {
            facts.FolioNew: self._on_new,
            facts.FolioFreed: self._on_freed,
            facts.Mapped: self._on_mapped,
            facts.Unmapped: self._on_unmapped,
            facts.MappedSmall: self._on_mapped_small,
            facts.UnmappedSmall: self._on_unmapped_small,
            facts.PmdMapped: self._on_pmd_mapped,
            facts.PmdUnmapped: self._on_pmd_unmapped,
            facts.Moved: self._on_moved,
            facts.VmaSplit: self._on_vma_split,
            facts.VmaMerged: self._on_vma_merged,
            facts.Walked: self.walks.append,
            facts.Asked: self.asked.append,
            facts.Finding: self.findings.append,
            facts.Event: self.events.append,
        }
        taker_of = takers.get
        for happening in happenings:
            if taker := taker_of(happening.__class__):
                taker(happening)

    def _on_new(self, fact: facts.FolioNew) -> None:
        origin = fact.origin[0] if fact.origin else 0
        self.new.put(fact.folio, fact.nr, NewFolios(fact.order, fact.anon, origin))

    def _on_freed(self, fact: facts.FolioFreed) -> None:
        self.freed.put(fact.folio, fact.nr, fact.order)

    def _on_mapped(self, fact: facts.Mapped) -> None:
        self.mapped[fact.folio] = self.mapped.get(fact.folio, 0) + fact.nr

    def _on_unmapped(self, fact: facts.Unmapped) -> None:
        self.unmapped[fact.folio] = self.unmapped.get(fact.folio, 0) + fact.nr

    def _on_mapped_small(self, fact: facts.MappedSmall) -> None:
        self.nr_small_mapped += len(fact.folios)
        for first, nr in ranges(fact.folios):
            self.small_mapped.put(first, nr, True)

    def _on_unmapped_small(self, fact: facts.UnmappedSmall) -> None:
        self.nr_small_unmapped += len(fact.folios)

    def _on_pmd_mapped(self, fact: facts.PmdMapped) -> None:
        self.pmd_mapped[fact.folio] = self.pmd_mapped.get(fact.folio, 0) + 1

    def _on_pmd_unmapped(self, fact: facts.PmdUnmapped) -> None:
        self.pmd_unmapped[fact.folio] = self.pmd_unmapped.get(fact.folio, 0) + 1

    def _on_moved(self, fact: facts.Moved) -> None:
        self.moved[fact.folio] = self.moved.get(fact.folio, 0) + (1 if fact.pmd else fact.nr)

    def _on_vma_split(self, _: facts.VmaSplit) -> None:
        self.vma_splits += 1

    def _on_vma_merged(self, _: facts.VmaMerged) -> None:
        self.vma_merges += 1


def _lock_rows(happenings: Iterable[Happening]) -> list[LockRow]:
    """The acquisitions of page-table locks; equal ones in a row are one row, and equal rows are one object."""
    made: dict[tuple[LockOp, int, int], LockRow] = {}
    rows: list[LockRow] = []
    last: LockOp | None = None
    depth = last_depth = times = 0
    for op in happenings:
        if op.__class__ is not LockOp or not (change := op.table_locks):
            continue
        if change < 0:
            depth -= 1
        elif last is not None and depth == last_depth and (op is last or op.is_like(last)):
            times += op.times
            depth += 1
        else:
            if last is not None:
                rows.append(_lock_row(made, last, last_depth, times))
            last, last_depth, times = op, depth, op.times
            depth += 1
    if last is not None:
        rows.append(_lock_row(made, last, last_depth, times))
    return rows


def _lock_row(made: dict[tuple[LockOp, int, int], LockRow], op: LockOp, depth: int, times: int) -> LockRow:
    row = made.get((op, depth, times))
    if row is None:
        row = made[op, depth, times] = LockRow(op.lock.name, depth, op.function, times)
    return row
