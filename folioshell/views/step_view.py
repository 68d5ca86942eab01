"""What a step did: touched folios, reverse-map walks, page-table locks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from folioshell.report import FolioChange, LockRow, Visit, Walk
from folioshell.views.blocks import Block, Column, Grid, Span, Tone, line
from folioshell.views.glyphs import ELLIPSIS, TIMES
from folioshell.views.runs import joined_runs, old_new
from folioshell.wording import counted, follows, id_run

#: rows of one table after a step; the views (trace, show) have no limit
MOST_ROWS = 32
#: groups of locks that are looked at for being taken over and over
MOST_REPEATED = 8


def folio_blocks(folios: Sequence[FolioChange]) -> Iterator[Block]:
    """The mapcounts of the touched folios under every shown scheme; folios that kept all their numbers are left out."""
    changed = [folio for folio in folios if folio.note or any(c.old != c.new for c in folio.mapcounts.values())]
    if not changed:
        return
    schemes = list(dict.fromkeys(name for folio in changed for name in folio.mapcounts))
    with_notes = any(folio.note for folio in changed)
    columns = [Column("folio"), Column("order", True), *(Column(name, True) for name in schemes)]
    rows = [_folio_row(folio, schemes, with_notes) for folio in changed[:MOST_ROWS]]
    if with_notes:
        columns.append(Column("note"))
    yield Grid(tuple(columns), tuple(rows), note=_more(len(changed), "show folios"), keys=2)


def _folio_row(folio: FolioChange, schemes: Sequence[str], with_notes: bool) -> tuple[Span, ...]:
    cells = [Span(id_run(folio.id, folio.nr)), Span(str(folio.order))]
    for name in schemes:
        change = folio.mapcounts.get(name)
        if change is None:
            cells.append(Span("-", Tone.DIM))
        else:
            cells.append(Span(old_new(change), Tone.DIM if change.old == change.new else Tone.CHANGED))
    if with_notes:
        cells.append(Span(folio.note))
    return tuple(cells)


def walk_blocks(walks: Sequence[Walk], titled: bool = True) -> Iterator[Block]:
    """One grid a walk: every VMA visited, misses too, the page tables entered and the entries found there.

    Args:
        walks: in the order in which they were made.
        titled: False if somebody else says whose walk it was and what it found.
    """
    for walk in walks:
        title = _walk_title(walk) if titled else ""
        if walk.visits:
            yield _walk_grid(walk, title)
        elif title:
            yield line(title, Tone.STRONG)


def _walk_title(walk: Walk) -> str:
    misses = sum(1 for visit in walk.visits if not any(count for _, count in visit.tables))
    through = f" through {walk.through}" if walk.through else ""
    return (
        f"rmap walk of {walk.folio}{through} for {walk.reason}: {counted(len(walk.visits), 'VMA')} visited"
        f"{f' ({misses} without an entry)' if misses else ''}, {counted(walk.ptls, 'PTL')}, "
        f"{counted(walk.entries, 'entry', 'entries')}"
    )


def _walk_grid(walk: Walk, title: str) -> Grid:
    shown = walk.visits[:MOST_ROWS]
    with_notes = any(visit.note for visit in shown)
    columns = [Column("process"), Column("vma"), Column("tables entered"), Column("entries", True)]
    if with_notes:
        columns.append(Column("note"))
    rows = tuple(_visit_row(visit, with_notes) for visit in shown)
    return Grid(tuple(columns), rows, title, _more(len(walk.visits), "trace"), keys=2)


def _visit_row(visit: Visit, with_notes: bool) -> tuple[Span, ...]:
    found = sum(count for _, count in visit.tables)
    cells = [
        Span(visit.process),
        Span(visit.vma),
        Span(joined_runs(visit.tables) if visit.tables else "none", Tone.PLAIN if visit.tables else Tone.DIM),
        Span(str(found), Tone.PLAIN if found else Tone.DIM),
    ]
    return (*cells, Span(visit.note)) if with_notes else tuple(cells)


def lock_blocks(locks: Sequence[LockRow]) -> Iterator[Block]:
    """The page-table locks in the order in which they were taken; one under another is set in by its depth."""
    if not locks:
        return
    groups = list(_repeated(list(_lock_groups(locks))))
    rows = tuple(
        (Span("  " * depth + names), Span(str(depth)), Span(function)) for names, depth, function in groups[:MOST_ROWS]
    )
    total = sum(row.times for row in locks)
    title = f"{counted(total, 'PTL')} taken{', in order' if total > 1 else ''}"
    columns = (Column("lock"), Column("depth", True), Column("taken by"))
    yield Grid(columns, rows, title, _more(len(groups), "trace locks"))


def _lock_groups(locks: Sequence[LockRow]) -> Iterator[tuple[LockRow, int]]:
    """Rows that differ in nothing but consecutive ids, as the first of them and their number."""
    start = locks[0]
    nr = 1
    for earlier, row in pairwise(locks):
        alike = (row.depth, row.function, row.times) == (start.depth, start.function, start.times)
        if alike and follows(earlier.name, row.name):
            nr += 1
        else:
            yield start, nr
            start, nr = row, 1
    yield start, nr


#: (names of locks, depth, function)
_Group = tuple[str, int, str]


def _repeated(groups: Sequence[tuple[LockRow, int]]) -> Iterator[_Group]:
    """Groups of locks; some that are taken over and over, at one depth by one function, as one.

    Of others that are taken over and over, the last row says so.
    """
    labels = [(_label(row, nr), row.depth, row.function) for row, nr in groups]
    at = 0
    while at < len(labels):
        nr, times = _period(labels, at)
        block = labels[at : at + nr]
        _, depth, function = block[0]
        if all(label[1:] == (depth, function) for label in block):
            yield _names([name for name, _, _ in block], times), depth, function
        else:
            yield from block[:-1]
            name, depth, function = block[-1]
            yield name, depth, f"{function}; these {nr} {TIMES}{times}"
        at += nr * times


def _label(row: LockRow, nr: int) -> str:
    return id_run(row.name, nr) + (f" {TIMES}{row.times}" if row.times > 1 else "")


def _period(labels: Sequence[tuple[str, int, str]], at: int) -> tuple[int, int]:
    """(number of groups, how often they stand there one after the other) of what begins at ``at``."""
    for nr in range(1, MOST_REPEATED + 1):
        block = labels[at : at + nr]
        times = 1
        while labels[at + nr * times : at + nr * (times + 1)] == block:
            times += 1
        if times > 1:
            return nr, times
    return 1, 1


def _names(names: Sequence[str], times: int) -> str:
    text = ", ".join(names)
    return f"({text}) {TIMES}{times}" if times > 1 else text


def _more(total: int, command: str) -> str:
    return f"{ELLIPSIS} {total - MOST_ROWS} more rows: {command}" if total > MOST_ROWS else ""
