"""Which folios a step touched, and how every scheme's number of them changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from operator import itemgetter

from folioshell.report import Change, FolioChange
from folioshell.session.digest import Digest
from folioshell.session.workspace import Workspace

#: (numbers before, numbers after, order, note)
Key = tuple[tuple[int, ...], tuple[int, ...], int, str]


def folio_changes(workspace: Workspace, digest: Digest, shown: Sequence[str]) -> tuple[FolioChange, ...]:
    """A row for each run of folios with consecutive numbers that a step changed alike, ascending.

    Args:
        shown: names of the schemes whose numbers are wanted.
    """
    machine = workspace.machine
    touched = machine.touched_numbers()
    numbers = sorted(touched.keys() | digest.new.keys() | digest.freed.keys())
    noted = bool(digest.new or digest.freed)
    pick = _picker([list(machine.schemes).index(name) for name in shown])
    zeros = (0,) * len(machine.schemes)
    live = workspace.kernel.folios
    after = _numbers(workspace, shown, [number for number in numbers if number in live])
    nothing = (0,) * len(shown)
    rows: list[tuple[int, Key]] = []
    for number in numbers:
        old = pick(touched.get(number, zeros))
        note = _note(number, digest) if noted else ""
        folio = live.get(number)
        new = next(after) if folio is not None else nothing
        if old != new or note:
            rows.append((number, (old, new, folio.order if folio else workspace.order_of(number), note)))
    return tuple(_grouped(rows, shown))


def _numbers(workspace: Workspace, shown: Sequence[str], folios: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The numbers of living folios under the shown schemes, a tuple each."""
    if not shown:
        return repeat((), len(folios))
    return zip(*(workspace.machine.schemes[name].mapcounts(folios) for name in shown), strict=True)


def _picker(columns: list[int]) -> Callable[[tuple[int, ...]], tuple[int, ...]]:
    """Takes these columns out of a row, as a tuple."""
    if len(columns) > 1:
        return itemgetter(*columns)
    return lambda row: tuple([row[column] for column in columns])


def _note(number: int, digest: Digest) -> str:
    new = digest.new.get(number)
    if number in digest.freed:
        return "freed" if new is None else "new, freed"
    if new is None:
        return ""
    return f"split from f{new.origin[0]}" if new.origin else "new"


def _grouped(rows: Iterable[tuple[int, Key]], shown: Sequence[str]) -> Iterable[FolioChange]:
    first, nr = 0, 0
    last: Key | None = None
    for number, key in rows:
        if key == last and number == first + nr:
            nr += 1
            continue
        if last is not None:
            yield _row(first, nr, last, shown)
        first, nr, last = number, 1, key
    if last is not None:
        yield _row(first, nr, last, shown)


def _row(first: int, nr: int, key: Key, shown: Sequence[str]) -> FolioChange:
    old, new, order, note = key
    changes = {name: Change(old[place], new[place]) for place, name in enumerate(shown)}
    return FolioChange(f"f{first}", nr, order, changes, note)


def numbers_of(workspace: Workspace, shown: Sequence[str]) -> Mapping[int, tuple[int, tuple[int, ...]]]:
    """Folio number -> (order, its number under each shown scheme), of all living folios."""
    live = workspace.kernel.folios
    counts = _numbers(workspace, shown, list(live))
    return {number: (folio.order, numbers) for (number, folio), numbers in zip(live.items(), counts, strict=True)}


def changes_between(
    before: Mapping[int, tuple[int, tuple[int, ...]]],
    after: Mapping[int, tuple[int, tuple[int, ...]]],
    shown: Sequence[str],
) -> tuple[FolioChange, ...]:
    """The rows that lead from one state's ``numbers_of`` to another's."""
    zeros = (0,) * len(shown)
    rows: list[tuple[int, Key]] = []
    for number in sorted(before.keys() | after.keys()):
        old, new = before.get(number), after.get(number)
        if old == new:
            continue
        note = "new" if old is None else "freed" if new is None else ""
        order = (new or old or (0, zeros))[0]
        rows.append((number, (old[1] if old else zeros, new[1] if new else zeros, order, note)))
    return tuple(_grouped(rows, shown))
