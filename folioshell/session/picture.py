"""The whole picture: address spaces over page tables over folios, so that who shares what is seen at once.

Its axis is that of virtual addresses, in stretches in which every process has at most one run of entries. Regions have
the same address in a parent and its children, so what they share stands in one column.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise

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
        runs: of entries, with whether the folios are shared; one or none unless a stretch is a whole VMA.
    """

    vma: Vma | None = None
    table: str = ""
    runs: tuple[Marked, ...] = ()

    @property
    def text(self) -> str:
        """What the entries map."""
        if len(self.runs) > 1:
            return f"{counted(sum(run.nr for run, _ in self.runs), 'page')} in {len(self.runs)} runs"
        return self.runs[0][0].brief if self.runs else ""

    @property
    def sharing(self) -> str:
        """``shared``, ``exclusive`` or ``mixed``; empty if no folio is mapped."""
        found = {sharing for _, sharing in self.runs if sharing}
        return "mixed" if len(found) > 1 else "".join(found)

    def goes_on(self, later: Slot) -> bool:
        """Can both be drawn as one?"""
        if self.vma is not later.vma or len(self.runs) != len(later.runs):
            return False
        if not self.runs:
            return self.table == later.table or is_next(self.table, later.table)
        (run, sharing), (other, others) = self.runs[0], later.runs[0]
        return sharing == others and goes_on_over_tables(run, other)

    def joined(self, later: Slot) -> Slot:
        """Both as one; ``later`` continues this one."""
        runs = tuple(
            (run.joined(other), sharing) for (run, sharing), (other, _) in zip(self.runs, later.runs, strict=True)
        )
        return Slot(self.vma, table_run(self.table, later.table), runs)


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
    starts = [group.first for group in groups]
    sharing = [group.sharing for group in groups]
    marked = [list(_marked(entries[mm.name], groups, starts, sharing)) for mm in mms]
    coarse = {vpn for mm in mms for vma in mm.vmas for vpn in (vma.start, vma.end)}
    fine = coarse | {vpn for region in regions for vpn in (region.start, region.end)}
    for mm, runs in zip(mms, marked, strict=True):
        size = 1 << mm.tables.bits
        fine.update(vpn for block, _, _ in mm.tables.blocks() for vpn in (block, block + size))
        fine.update(vpn for run, _ in runs for vpn in (run.vpn, run.end))
    if len(fine) <= _MOST_CUTS:
        # No more are made than tell that there are too many.
        columns = list(islice(joined_if_many(_columns(fine, mms, marked), _goes_on, _joined), most + 1))
        if len(columns) <= most:
            return columns
    return list(_columns(coarse, mms, marked))


def _marked(
    runs: Iterable[EntryRun], groups: Sequence[FolioGroup], starts: Sequence[int], sharing: Sequence[str]
) -> Iterator[Marked]:
    """The runs with whether their folios are shared, cut where that changes.

    Args:
        starts, sharing: the first number of each group, and what its ``sharing`` is.
    """
    for run in runs:
        if not run.folio:
            yield run, ""
        elif run.nr_folios == 1:
            yield run, sharing[bisect_right(starts, run.folio) - 1]
        else:
            at = bisect_right(starts, run.folio) - 1
            pieces = ((piece, sharing[at + nr]) for nr, (piece, _) in enumerate(by_group(run, groups, starts)))
            yield from joined_where(pieces, _run_goes_on, _run_joined)


def _columns(cuts: Iterable[int], mms: Sequence[Mm], marked: Sequence[Sequence[Marked]]) -> Iterator[PictureColumn]:
    ends = [[run.end for run, _ in runs] for runs in marked]
    for start, end in pairwise(sorted(cuts)):
        vmas = [mm.vmas.find(start) for mm in mms]
        if any(vmas):
            slots = tuple(
                Slot() if vma is None else _slot(vma, runs, bisect_right(run_ends, start), start, end)
                for vma, runs, run_ends in zip(vmas, marked, ends, strict=True)
            )
            yield PictureColumn(start, end, slots)


def _slot(vma: Vma, runs: Sequence[Marked], at: int, start: int, end: int) -> Slot:
    """What lies in ``[start, end)``, which begins at or in the run ``at`` at the earliest."""
    found: list[Marked] = []
    while at < len(runs) and runs[at][0].vpn < end:
        run, sharing = runs[at]
        found.append((run.part(start, end), sharing))
        at += 1
    if not found:
        return Slot(vma, str(vma.mm.tables.leaf(start) or ""))
    tables = joined_where(
        (run.table for run, _ in found), lambda one, other: one == other or is_next(one, other), table_run
    )
    return Slot(vma, " ".join(tables), tuple(joined_where(found, _run_goes_on, _run_joined)))


def _goes_on(column: PictureColumn, later: PictureColumn) -> bool:
    return column.end == later.start and all(map(Slot.goes_on, column.slots, later.slots))


def _joined(column: PictureColumn, later: PictureColumn) -> PictureColumn:
    return PictureColumn(column.start, later.end, tuple(map(Slot.joined, column.slots, later.slots)))


def _run_goes_on(one: Marked, other: Marked) -> bool:
    return one[1] == other[1] and goes_on_over_tables(one[0], other[0])


def _run_joined(one: Marked, other: Marked) -> Marked:
    return one[0].joined(other[0]), one[1]
