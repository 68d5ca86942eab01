"""What a step did: touched folios, rmap walks, page-table locks, watched values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from folioshell.report import Change, FolioChange, LockRow, Visit, Walk, Watched, WatchedValue
from folioshell.views.blocks import Block, Column, Drawing, Grid, Line, Span, Tone, line
from folioshell.views.glyphs import ARROW, ELLIPSIS, TIMES
from folioshell.views.words import folio_words, lock_words, walk_words
from folioshell.wording import counted, follows, id_run

#: maximum rows of a table after a step; `trace` and `show` have no limit
MOST_ROWS = 32
#: maximum period, in groups of locks, that is recognized as a repetition
MOST_REPEATED = 8


def folio_blocks(folios: Sequence[FolioChange]) -> Iterator[Block]:
    """The mapcounts of the touched folios under every shown scheme, without folios whose numbers did not change."""
    changed = [folio for folio in folios if folio.note or any(c.old != c.new for c in folio.mapcounts.values())]
    if not changed:
        return
    schemes = list(dict.fromkeys(name for folio in changed for name in folio.mapcounts))
    with_notes = any(folio.note for folio in changed)
    columns = [Column("folio"), Column("order", True), *(Column(name, True) for name in schemes)]
    rows = [_folio_row(folio, schemes, with_notes) for folio in changed[:MOST_ROWS]]
    if with_notes:
        columns.append(Column("note"))
    more = _more(len(changed), "show folios")
    grid = Grid(tuple(columns), tuple(rows), note=more, keys=2)
    yield Drawing(lambda _: (grid,), lambda: [*folio_words(changed[:MOST_ROWS]), *_lines(more)])


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
    """One grid per walk: every VMA visited (misses too), the page tables entered and the entries found there.

    Args:
        walks: in order.
        titled: False if the sentence of the report already says which walk it was and what it found.
    """
    for walk in walks:
        title = _walk_title(walk) if titled else ""
        if walk.visits:
            yield _walk_drawing(walk, title)
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


def _walk_drawing(walk: Walk, title: str) -> Drawing:
    shown = walk.visits[:MOST_ROWS]
    with_notes = any(visit.note for visit in shown)
    columns = [Column("process"), Column("vma"), Column("tables entered"), Column("entries", True)]
    if with_notes:
        columns.append(Column("note"))
    rows = tuple(_visit_row(visit, with_notes) for visit in shown)
    more = _more(len(walk.visits), "trace")
    grid = Grid(tuple(columns), rows, title, more, keys=2)
    said = walk._replace(visits=shown)
    return Drawing(lambda _: (grid,), lambda: [*_lines(title), *walk_words(said), *_lines(more)])


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
    """The page-table locks in the order in which they were taken, indented by depth."""
    if not locks:
        return
    groups = list(_repeated(list(_lock_groups(locks))))
    rows = tuple(
        (Span("  " * depth + names), Span(str(depth)), Span(function)) for names, depth, function in groups[:MOST_ROWS]
    )
    total = sum(row.times for row in locks)
    title = f"{counted(total, 'PTL')} taken{', in order' if total > 1 else ''}"
    columns = (Column("lock"), Column("depth", True), Column("taken by"))
    more = _more(len(groups), "trace locks")
    grid = Grid(columns, rows, title, more)
    yield Drawing(lambda _: (grid,), lambda: [line(f"{title}:"), *lock_words(groups[:MOST_ROWS]), *_lines(more)])


def _lock_groups(locks: Sequence[LockRow]) -> Iterator[tuple[LockRow, int]]:
    """Runs of rows that differ only in consecutive ids: (first row, length)."""
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
    """Groups of locks; a sequence repeated at one depth by one function is one group.

    Any other repeated sequence is shown once, and its last row has the number of repetitions.
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
    """(period, repetitions) of the sequence of groups that begins at ``at``."""
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
    return f"{ELLIPSIS} {counted(total - MOST_ROWS, 'more row')}: {command}" if total > MOST_ROWS else ""


def _lines(text: str) -> list[Line]:
    return [line(text)] if text else []


def old_new(change: Change) -> str:
    """``4 → 8``, or the number alone if it did not change."""
    return str(change.new) if change.old == change.new else f"{change.old} {ARROW} {change.new}"


def joined_runs(words: Sequence[tuple[str, int]]) -> str:
    """Tables and the entries found in each, equal neighbors grouped: 'pt1 8, pt2 8' or 'pt1..pt4 512 each'."""
    groups: list[tuple[str, int, int]] = []
    for name, number in words:
        if groups and groups[-1][2] == number and follows(groups[-1][0], name, groups[-1][1]):
            groups[-1] = (groups[-1][0], groups[-1][1] + 1, number)
        else:
            groups.append((name, 1, number))
    return ", ".join(f"{id_run(first, nr)} {number}{' each' if nr > 1 else ''}" for first, nr, number in groups)


def watched_blocks(watched: Sequence[Watched]) -> Iterator[Block]:
    """``watch 1  f1: per-page, mm-id 1 → 2``; equal values are grouped."""
    for one in watched:
        label = Span(f"watch {one.number}  {one.text}: ", Tone.STRONG)
        if one.note:
            yield Line((label, Span(f"no value now: {one.note}", Tone.DIM)))
        else:
            yield Line((label, *_values(one.values)))


def _values(values: dict[str, WatchedValue]) -> Iterator[Span]:
    groups: dict[WatchedValue, list[str]] = {}
    for name, value in values.items():
        groups.setdefault(value, []).append(name)
    for value, names in groups.items():
        between = "; " if value is not next(iter(groups)) else ""
        changed = value.old != value.new
        text = f"{value.old or '-'} {ARROW} {value.new}" if changed else value.new
        # The label of a single value is the text of the watch.
        yield Span(f"{between}{', '.join(names)} " if len(values) > 1 else "")
        yield Span(text, Tone.CHANGED if changed else Tone.PLAIN)
