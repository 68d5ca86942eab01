"""One pass over what a step yielded: lock rows, and the facts sorted by what a report needs of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from folioshell import facts
from folioshell.model.lock import LockOp
from folioshell.report import LockRow
from folioshell.session.journal import Happening


class Digest:
    """What happened in a step.

    Attributes:
        locks: page-table locks in the order in which they were taken.
        new: folios that came to be, by number.
        freed: folios that ended.
        walks, asked, findings, events: the facts of these types.
        mapped, unmapped: folio -> entries that were added and removed, by facts about leaf entries.
        pmd_mapped, pmd_unmapped: folio -> PMD entries added and removed.
        moved: folio -> entries that mremap moved.
        vma_splits, vma_merges: numbers of these.
        nr_small_mapped, nr_small_unmapped: entries of order-0 folios among the above, counted but not listed.
    """

    __slots__ = (
        "_small_runs",
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
        "unmapped",
        "vma_merges",
        "vma_splits",
        "walks",
    )

    def __init__(self, happenings: Iterable[Happening]) -> None:
        self.locks: list[LockRow] = []
        self.new: dict[int, facts.FolioNew] = {}
        self.freed: dict[int, None] = {}
        self.walks: list[facts.Walked] = []
        self.asked: list[facts.Asked] = []
        self.findings: list[facts.Finding] = []
        self.events: list[facts.Event] = []
        self.mapped: dict[int, int] = {}
        self.unmapped: dict[int, int] = {}
        self.pmd_mapped: dict[int, int] = {}
        self.pmd_unmapped: dict[int, int] = {}
        self.moved: dict[int, int] = {}
        self._small_runs: list[Sequence[int]] = []
        self.vma_splits = 0
        self.vma_merges = 0
        self.nr_small_mapped = 0
        self.nr_small_unmapped = 0
        self._read(happenings)

    def _read(self, happenings: Iterable[Happening]) -> None:
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
        locks = _LockRows()
        take_lock = locks.take
        for happening in happenings:
            if happening.__class__ is LockOp:
                take_lock(happening)
            elif taker := takers.get(happening.__class__):
                taker(happening)
        self.locks = locks.rows()

    def small_mapped(self) -> set[int]:
        """The order-0 folios that were mapped."""
        return set().union(*self._small_runs)

    def _on_new(self, fact: facts.FolioNew) -> None:
        self.new[fact.folio] = fact

    def _on_freed(self, fact: facts.FolioFreed) -> None:
        self.freed[fact.folio] = None

    def _on_mapped(self, fact: facts.Mapped) -> None:
        self.mapped[fact.folio] = self.mapped.get(fact.folio, 0) + fact.nr

    def _on_unmapped(self, fact: facts.Unmapped) -> None:
        self.unmapped[fact.folio] = self.unmapped.get(fact.folio, 0) + fact.nr

    def _on_mapped_small(self, fact: facts.MappedSmall) -> None:
        self.nr_small_mapped += len(fact.folios)
        self._small_runs.append(fact.folios)

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


class _LockRows:
    """Builds lock rows; equal acquisitions in a row become one row."""

    def __init__(self) -> None:
        #: operation -> +1 acquires a page-table lock, -1 releases one, 0 concerns another lock
        self._effect: dict[LockOp, int] = {}
        self._depth = 0
        self._runs: list[tuple[LockOp, int, int]] = []

    def take(self, op: LockOp) -> None:
        """Note one operation."""
        effect = self._effect.get(op)
        if effect is None:
            effect = self._effect[op] = _effect(op)
        if effect > 0:
            runs = self._runs
            if runs and runs[-1][0] is op and runs[-1][1] == self._depth:
                runs[-1] = (op, self._depth, runs[-1][2] + 1)
            else:
                runs.append((op, self._depth, 1))
            self._depth += 1
        elif effect:
            self._depth -= 1

    def rows(self) -> list[LockRow]:
        """The rows; equal ones are one object."""
        made: dict[tuple[LockOp, int, int], LockRow] = {}
        rows = []
        for run in self._runs:
            row = made.get(run)
            if row is None:
                op, depth, times = run
                row = made[run] = LockRow(op.lock.name, depth, op.function, times)
            rows.append(row)
        return rows


def _effect(op: LockOp) -> int:
    if not op.lock.lock_class.is_page_table_lock:
        return 0
    return {"+": 1, "~": 1, "-": -1}.get(op.verb, 0)
