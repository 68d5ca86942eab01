"""The whole picture: address spaces over page tables over folios, so that who shares what is seen at once.

Its axis is that of virtual addresses, in stretches in which every process has at most one run of entries. Regions have
the same address in a parent and its children, so what they share stands in one column.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from itertools import accumulate, islice, pairwise
from operator import ne

from folioshell.model.pagetable import PageTable
from folioshell.model.vm import Mm, Vma
from folioshell.records import NamedTuple
from folioshell.report import Bar, Cell, FolioLane, Lane, Picture, Stretch, TableRow
from folioshell.schemes.base import Scheme, Sharing
from folioshell.session.entries import (
    EntryRun,
    entry_runs_in,
    goes_on_over_tables,
    is_next,
    joined_if_many,
    joined_where,
    table_run,
    vma_maps,
)
from folioshell.session.folio_groups import (
    EntriesOf,
    FolioGroup,
    answers_in,
    by_group,
    entries_of_all,
    folio_groups,
)
from folioshell.session.workspace import Region, Workspace, labels_of
from folioshell.units import format_address
from folioshell.wording import counted

#: more of each is not shown; the notes say how many
MOST_STRETCHES = 32
MOST_LANES = 16
MOST_FOLIO_LANES = 32
MOST_TABLES = 32
#: tables with so few entries are shown entry by entry
MOST_ENTRIES = 8


def picture(workspace: Workspace, shown: Sequence[str]) -> Picture:
    """The whole picture.

    Args:
        shown: the schemes whose answers are compared with what the page tables say.
    """
    mms = list(workspace.kernel.mms.values())
    entries = entries_of_all(workspace)
    groups = folio_groups(workspace, shown, entries)
    lanes = mms[:MOST_LANES]
    regions = list(workspace.regions.values())
    columns = columns_of(lanes, entries, groups, regions, MOST_STRETCHES)
    schemes = [workspace.machine.schemes[name] for name in shown]
    small = workspace.kernel.geometry.table_entries <= MOST_ENTRIES
    tables = [list(_tables(workspace, mm)) if small else [] for mm in lanes]
    nr_tables = sum(map(len, tables))
    if nr_tables > MOST_TABLES:
        tables = [rows[: MOST_TABLES // len(lanes)] for rows in tables]
    return Picture(
        _title(mms, groups),
        tuple(_stretches(columns[:MOST_STRETCHES], regions)),
        tuple(_lane(workspace, mm, at, columns[:MOST_STRETCHES], tables[at]) for at, mm in enumerate(lanes)),
        tuple(_folio_lane(workspace, group, schemes) for group in groups[:MOST_FOLIO_LANES]),
        tuple(_notes(len(mms), len(columns), len(groups), nr_tables - sum(map(len, tables)))),
    )


def _notes(nr_mms: int, nr_stretches: int, nr_groups: int, hidden_tables: int) -> Iterator[str]:
    """What is not shown."""
    for number, most, noun, commands in (
        (nr_mms, MOST_LANES, "processes", "`show processes`, `show tables`"),
        (nr_stretches, MOST_STRETCHES, "stretches of addresses", "`show vmas`, `show tables`"),
        (nr_groups, MOST_FOLIO_LANES, "runs of folios", "`show folios`"),
    ):
        if number > most:
            yield f"{number - most:,} more {noun} not shown; see {commands}"
    if hidden_tables:
        yield f"{hidden_tables:,} more page tables not shown; see `show tables`"


def _title(mms: Sequence[Mm], groups: Iterable[FolioGroup]) -> str:
    counts = (
        counted(len(mms), "process", "processes"),
        counted(sum(len(mm.vmas) for mm in mms), "VMA"),
        counted(sum(mm.nr_ptes for mm in mms), "PTE table"),
        counted(sum(group.nr for group in groups), "folio"),
    )
    return ", ".join(counts)


def _bar(vma: Vma, regions: Sequence[Region]) -> Bar:
    label = labels_of(regions, vma.start, vma.end)
    return Bar(str(vma), vma.perm, vma_maps(vma), format_address(vma.start), vma.nr_pages, label)


def _stretches(columns: Sequence[PictureColumn], regions: Sequence[Region]) -> Iterator[Stretch]:
    end = columns[0].start if columns else 0
    for column in columns:
        yield Stretch(
            format_address(column.start), column.nr, labels_of(regions, column.start, column.end), column.start - end
        )
        end = column.end


def _lane(workspace: Workspace, mm: Mm, at: int, columns: Sequence[PictureColumn], tables: Sequence[TableRow]) -> Lane:
    cells = tuple(_cell(column.slots[at]) for column in columns)
    regions = list(workspace.regions.values())
    vmas = tuple(_bar(vma, regions) for vma in mm.vmas)
    return Lane(mm.name, mm.name == workspace.current, vmas, cells, tuple(tables))


def _tables(workspace: Workspace, mm: Mm) -> Iterator[TableRow]:
    """A row for each PTE table, empty ones too, and for each huge PMD entry."""
    size = workspace.kernel.geometry.table_entries
    for block, pmd, entry in mm.tables.blocks():
        runs = joined_where(entry_runs_in(workspace.kernel, mm, block, block + size), EntryRun.goes_on, EntryRun.joined)
        entries = dict(pair for run in runs for pair in _entries(run))
        name = str(entry if isinstance(entry, PageTable) else pmd)
        texts = tuple(entries.get(vpn, "") for vpn in range(block, block + size))
        yield TableRow(name, format_address(block), texts, ", ".join(run.brief for run in runs))


def _entries(run: EntryRun) -> Iterator[tuple[int, str]]:
    """(virtual page, what it is mapped to) of the pages of a run."""
    for at in range(run.nr):
        number, page = divmod(run.page + at, 1 << run.order)
        folio = f"f{run.folio + number}" if run.order == 0 else f"f{run.folio + number}[{page}]"
        yield run.vpn + at, folio if run.folio else run.other


def _cell(slot: Slot) -> Cell:
    if slot.vma is None:
        return Cell()
    return Cell(str(slot.vma), slot.table, slot.text, slot.sharing)


def _folio_lane(workspace: Workspace, group: FolioGroup, schemes: Iterable[Scheme]) -> FolioLane:
    folio = workspace.kernel.folios.get(group.first)
    assert folio is not None
    maps = f"anon {folio.mapping}" if folio.anon else f"{folio.mapping}+{folio.index}"
    answers = {scheme.name: answers_in(scheme, group) for scheme in schemes}
    right = Sharing.YES if group.sharing == "shared" else Sharing.NO
    wrong = tuple(name for name, found in answers.items() if found - {right, Sharing.MAYBE})
    undecided = tuple(name for name, found in answers.items() if Sharing.MAYBE in found and name not in wrong)
    visits = tuple(mapper.visit for mapper in group.mappers)
    nr, order = group.nr, group.order
    return FolioLane(f"f{group.first}", order, maps, group.counts, group.sharing, nr, wrong, undecided, visits)


# The axis.


#: more stretches than these are not looked at one by one
_MOST_CUTS = 8192

#: a run of entries, and whether the folios that it maps are shared
Marked = tuple[EntryRun, str]


class Slot(NamedTuple):
    """What a process has in a stretch.

    Args:
        vma: its VMA; None where it has none.
        table: the page table or tables.
        run: the entries, if they are one run.
        nr_runs, nr: number of runs, and of their pages; no more than one unless a stretch is a whole VMA.
        sharing: ``shared``, ``exclusive`` or ``mixed``; empty if no folio is mapped.
    """

    vma: Vma | None = None
    table: str = ""
    run: EntryRun | None = None
    nr_runs: int = 0
    nr: int = 0
    sharing: str = ""

    @property
    def text(self) -> str:
        """What the entries map."""
        if self.nr_runs > 1:
            return f"{counted(self.nr, 'page')} in {self.nr_runs} runs"
        return self.run.brief if self.run is not None else ""

    def goes_on(self, later: Slot) -> bool:
        """Can both be drawn as one?"""
        if self.vma is not later.vma or self.nr_runs != later.nr_runs:
            return False
        if self.run is None or later.run is None:
            return self.table == later.table or is_next(self.table, later.table)
        return self.sharing == later.sharing and goes_on_over_tables(self.run, later.run)

    def joined(self, later: Slot) -> Slot:
        """Both as one; ``later`` continues this one."""
        run = self.run.joined(later.run) if self.run is not None and later.run is not None else None
        table = table_run(self.table, later.table)
        return self._replace(table=table, run=run, nr=self.nr + later.nr)


class PictureColumn(NamedTuple):
    """A stretch: virtual pages ``[start, end)``, and a slot a process."""

    start: int
    end: int
    slots: tuple[Slot, ...]

    @property
    def nr(self) -> int:
        """Its pages."""
        return self.end - self.start


def columns_of(
    mms: Sequence[Mm], entries: EntriesOf, groups: Sequence[FolioGroup], regions: Sequence[Region], most: int
) -> list[PictureColumn]:
    """The stretches that a process of ``mms`` has mapped, ascending.

    Args:
        entries: of every process.
        groups: all folios.
        most: if there were more stretches than these, each VMA is one, and what is in it is summed up.
    """
    shares = _Shares(groups)
    coarse = {vpn for mm in mms for vma in mm.vmas for vpn in (vma.start, vma.end)}
    if sum(len(entries[mm.name]) for mm in mms) > _MOST_CUTS:
        return list(_columns(coarse, mms, [_Summed(entries[mm.name], shares) for mm in mms]))
    marked = [list(_marked(entries[mm.name], groups, shares)) for mm in mms]
    fine = coarse | {vpn for region in regions for vpn in (region.start, region.end)}
    for mm, runs in zip(mms, marked, strict=True):
        size = 1 << mm.tables.bits
        fine.update(vpn for block, _, _ in mm.tables.blocks() for vpn in (block, block + size))
        fine.update(vpn for run, _ in runs for vpn in (run.vpn, run.end))
    if len(fine) <= _MOST_CUTS:
        # No more are made than tell that there are too many.
        cut = _columns(fine, mms, [_Cut(runs) for runs in marked])
        columns = list(islice(joined_if_many(cut, _goes_on, _joined), most + 1))
        if len(columns) <= most:
            return columns
    return list(_columns(coarse, mms, [_Cut(runs) for runs in marked]))


class _Shares:
    """Whether folios are shared, by number.

    Attributes:
        starts: the first number of each group of folios.
        sharing: what the ``sharing`` of each group is.
        changes: in how many places it has changed up to each group.
    """

    def __init__(self, groups: Sequence[FolioGroup]) -> None:
        self.starts = [group.first for group in groups]
        self.sharing = [group.sharing for group in groups]
        self.changes = [*accumulate(map(ne, self.sharing, [*self.sharing[:1], *self.sharing]))]

    def at(self, number: int) -> int:
        """Which group a folio is in."""
        return bisect_right(self.starts, number) - 1

    def goes_on(self, run: EntryRun, later: EntryRun) -> bool:
        """Can both be one: does the later one continue the other, and are their folios shared alike?"""
        end = run.folio + run.nr_folios
        # The folios of neighbors are unrelated most often.
        if later.folio not in (run.folio, end) or not goes_on_over_tables(run, later):
            return False
        return not end or self.sharing[self.at(end - 1)] == self.sharing[self.at(later.folio)]


def _marked(runs: Iterable[EntryRun], groups: Sequence[FolioGroup], shares: _Shares) -> Iterator[Marked]:
    """The runs with whether their folios are shared, cut where that changes."""
    starts, sharing = shares.starts, shares.sharing
    for run in runs:
        if not run.folio:
            yield run, ""
        elif run.nr_folios == 1:
            yield run, sharing[bisect_right(starts, run.folio) - 1]
        else:
            at = bisect_right(starts, run.folio) - 1
            pieces = ((piece, sharing[at + nr]) for nr, (piece, _) in enumerate(by_group(run, groups, starts)))
            yield from joined_where(pieces, _run_goes_on, _run_joined)


def _columns(cuts: Iterable[int], mms: Sequence[Mm], lanes: Sequence[_Cut | _Summed]) -> Iterator[PictureColumn]:
    for start, end in pairwise(sorted(cuts)):
        vmas = [mm.vmas.find(start) for mm in mms]
        if any(vmas):
            slots = (
                Slot() if vma is None else lane.slot(vma, start, end) for vma, lane in zip(vmas, lanes, strict=True)
            )
            yield PictureColumn(start, end, tuple(slots))


class _Cut:
    """The entries of a process, cut where sharing changes."""

    def __init__(self, runs: Sequence[Marked]) -> None:
        self._runs = runs
        self._ends = [run.end for run, _ in runs]

    def slot(self, vma: Vma, start: int, end: int) -> Slot:
        """What lies in ``[start, end)``."""
        at = bisect_right(self._ends, start)
        found: list[Marked] = []
        while at < len(self._runs) and self._runs[at][0].vpn < end:
            run, sharing = self._runs[at]
            found.append((run.part(start, end), sharing))
            at += 1
        tables = _tables_of([run.table for run, _ in found]) or str(vma.mm.tables.leaf(start) or "")
        return _slot(vma, tables, list(joined_where(found, _run_goes_on, _run_joined)))


def _tables_of(names: Iterable[str]) -> str:
    # Those of many neighbors are the same.
    return " ".join(joined_where(dict.fromkeys(names), is_next, table_run))


def _slot(vma: Vma, tables: str, found: Sequence[Marked]) -> Slot:
    """The slot of some runs that cannot be joined."""
    sharing = {shared for _, shared in found if shared}
    nr = sum([run.nr for run, _ in found])
    return Slot(vma, tables, found[0][0] if len(found) == 1 else None, len(found), nr, _one_word(sharing))


def _one_word(sharing: set[str]) -> str:
    return "mixed" if len(sharing) > 1 else "".join(sharing)


class _Summed:
    """The entries of a process, so many that what lies in a stretch is counted, and not made."""

    def __init__(self, runs: Sequence[EntryRun], shares: _Shares) -> None:
        self._runs = runs
        self._ends = [run.end for run in runs]
        self._shares = shares

    def slot(self, vma: Vma, start: int, end: int) -> Slot:
        """What lies in ``[start, end)``."""
        shares = self._shares
        runs = [*self._runs[bisect_right(self._ends, start) : bisect_left(self._ends, end) + 1]]
        if runs and runs[-1].vpn >= end:
            runs.pop()
        if runs:
            # Those at both ends may lie across them.
            runs[0], runs[-1] = runs[0].part(start, end), runs[-1].part(start, end)
        words: set[str] = set()
        nr = 0
        for before, run in zip((None, *runs), runs, strict=False):
            nr += before is None or not shares.goes_on(before, run)
            if run.folio and (run.nr_folios > 1 or len(words) < 2):
                low, high = shares.at(run.folio), shares.at(run.folio + run.nr_folios - 1)
                nr += shares.changes[high] - shares.changes[low]
                words.update(shares.sharing[low : high + 1])
        tables = _tables_of([run.table for run in runs]) or str(vma.mm.tables.leaf(start) or "")
        one = reduce(EntryRun.joined, runs) if nr == 1 else None
        return Slot(vma, tables, one, nr, sum([run.nr for run in runs]), _one_word(words))


def _goes_on(column: PictureColumn, later: PictureColumn) -> bool:
    return column.end == later.start and all(map(Slot.goes_on, column.slots, later.slots))


def _joined(column: PictureColumn, later: PictureColumn) -> PictureColumn:
    return PictureColumn(column.start, later.end, tuple(map(Slot.joined, column.slots, later.slots)))


def _run_goes_on(one: Marked, other: Marked) -> bool:
    return one[1] == other[1] and goes_on_over_tables(one[0], other[0])


def _run_joined(one: Marked, other: Marked) -> Marked:
    return one[0].joined(other[0]), one[1]
