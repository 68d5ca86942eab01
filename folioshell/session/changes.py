"""Which folios a step touched, and how every scheme's number of them changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import Any

from folioshell.engine.numbers import Row
from folioshell.intervals import Intervals, together, union
from folioshell.report import Change, FolioChange
from folioshell.session.step_events import NewFolios, StepEvents
from folioshell.session.workspace import Workspace

#: (numbers before, numbers after, order, note)
Key = tuple[tuple[int, ...], tuple[int, ...], int, str]

#: order and numbers under the shown schemes of all living folios, in runs
Numbers = Intervals[tuple[int, tuple[int, ...]]]

Picker = Callable[[tuple[int, ...]], tuple[int, ...]]


def folio_changes(workspace: Workspace, step: StepEvents, shown: Sequence[str]) -> tuple[FolioChange, ...]:
    """A row for each run of folios with consecutive numbers that a step changed alike, ascending.

    Args:
        shown: names of the schemes whose numbers are wanted.
    """
    pick = _picker(workspace.machine.noted, shown)
    return tuple(_grouped(_changed(_touched(workspace, step), pick), shown))


def _touched(workspace: Workspace, step: StepEvents) -> Iterator[tuple[int, int, Key]]:
    """(first, nr, numbers under the noted schemes) of all folios that a step spoke of, ascending."""
    before = workspace.machine.touched()
    present = workspace.machine.numbers(workspace.machine.noted)
    zeros = present.zeros
    for first, nr, _ in _spoken_of(before, step.freed).runs():
        maps = (before, step.new, step.freed)
        pieces = [workspace.kernel.folios.orders(first, nr), *(numbers.pieces(first, nr) for numbers in maps)]
        for start, length, (order, old, new, freed) in together(*pieces):
            note = _note(new, freed)
            if order is None:
                yield start, length, (old or zeros, zeros, freed, note)
                continue
            for at, run, after in present.pieces(start, length):
                yield at, run, (old or zeros, after, order, note)


def _spoken_of(before: Intervals[Row], freed: Intervals[int]) -> Intervals[Any]:
    """The folios that a step spoke of: those with a note of their numbers, as new ones have it, and those that went."""
    if all(before.covers(first, nr) for first, nr, _ in freed.runs()):
        return before
    return union(before, freed)


def _changed(rows: Iterable[tuple[int, int, Key]], pick: Picker) -> Iterator[tuple[int, int, Key]]:
    """The rows that say something, with the picked columns only."""
    for first, nr, (before, after, order, note) in rows:
        key = (pick(before), pick(after), order, note)
        if key[0] != key[1] or note:
            yield first, nr, key


def _picker(noted: Sequence[str], shown: Sequence[str]) -> Picker:
    """Takes the columns of the schemes shown out of a row of those noted, as a tuple."""
    columns = [noted.index(name) for name in shown]
    if len(columns) > 1:
        return itemgetter(*columns)
    return lambda row: tuple([row[column] for column in columns])


def _note(new: NewFolios | None, freed: int | None) -> str:
    if freed is not None:
        return "freed" if new is None else "new, freed"
    if new is None:
        return ""
    return f"split from f{new.origin}" if new.origin else "new"


def _grouped(rows: Iterable[tuple[int, int, Key]], shown: Sequence[str]) -> Iterable[FolioChange]:
    first, nr = 0, 0
    last: Key | None = None
    for number, length, key in rows:
        if key == last and number == first + nr:
            nr += length
            continue
        if last is not None:
            yield _row(first, nr, last, shown)
        first, nr, last = number, length, key
    if last is not None:
        yield _row(first, nr, last, shown)


def _row(first: int, nr: int, key: Key, shown: Sequence[str]) -> FolioChange:
    old, new, order, note = key
    changes = {name: Change(old[place], new[place]) for place, name in enumerate(shown)}
    return FolioChange(f"f{first}", order, changes, nr, note)


def numbers_of(workspace: Workspace, shown: Sequence[str]) -> Numbers:
    """The orders and numbers of all living folios, under the shown schemes."""
    present = workspace.machine.numbers(shown)
    found: Numbers = Intervals()
    for folio, nr in workspace.kernel.folios.groups():
        for first, length, row in present.pieces(folio.id, nr):
            found.put(first, length, (folio.order, row))
    return found


def changes_between(before: Numbers, after: Numbers, shown: Sequence[str]) -> tuple[FolioChange, ...]:
    """The rows that lead from one state's ``numbers_of`` to another's."""
    zeros = (0,) * len(shown)
    rows: list[tuple[int, int, Key]] = []
    for first, nr, _ in union(before, after).runs():
        for start, length, (old, new) in together(before.pieces(first, nr), after.pieces(first, nr)):
            if old == new:
                continue
            note = "new" if old is None else "freed" if new is None else ""
            order = (new or old)[0]
            rows.append((start, length, (old[1] if old else zeros, new[1] if new else zeros, order, note)))
    return tuple(_grouped(rows, shown))
