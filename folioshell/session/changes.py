"""Which folios a step touched, and how every scheme's number of them changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter

from folioshell.report import Change, FolioChange
from folioshell.session.digest import Digest
from folioshell.session.workspace import Workspace

#: (numbers before, numbers after, order, note)
Key = tuple[tuple[int, ...], tuple[int, ...], int, str]

Picker = Callable[[tuple[int, ...]], tuple[int, ...]]


def folio_changes(workspace: Workspace, digest: Digest, shown: Sequence[str]) -> tuple[FolioChange, ...]:
    """A row for each run of folios with consecutive numbers that a step changed alike, ascending.

    Args:
        shown: names of the schemes whose numbers are wanted.
    """
    return tuple(_grouped(_changed(_touched(workspace, digest), _picker(workspace, shown)), shown))


def _touched(workspace: Workspace, digest: Digest) -> Iterator[tuple[int, Key]]:
    """All folios that a step spoke of, ascending, with their numbers under every scheme."""
    before = workspace.machine.touched_numbers()
    others = [number for number in (*digest.new, *digest.freed) if number not in before]
    numbers = sorted({*before, *others} if others else before)
    live = workspace.kernel.folios
    after = iter(workspace.machine.numbers([number for number in numbers if number in live]))
    zeros = (0,) * len(workspace.machine.schemes)
    noted = bool(digest.new or digest.freed)
    for number in numbers:
        note = _note(number, digest) if noted else ""
        folio = live.get(number)
        if folio is not None:
            yield number, (before.get(number, zeros), next(after), folio.order, note)
        else:
            yield number, (before.get(number, zeros), zeros, digest.freed[number], note)


def _changed(rows: Iterable[tuple[int, Key]], pick: Picker) -> Iterator[tuple[int, Key]]:
    """The rows that say something, with the picked columns only."""
    last: Key | None = None
    for number, row in rows:
        # Rows come in long runs of equal ones.
        if row != last:
            before, after, order, note = last = row
            key = (pick(before), pick(after), order, note)
            says_something = key[0] != key[1] or bool(note)
        if says_something:
            yield number, key


def _picker(workspace: Workspace, shown: Sequence[str]) -> Picker:
    """Takes the columns of these schemes out of a row of all, as a tuple."""
    names = list(workspace.machine.schemes)
    columns = [names.index(name) for name in shown]
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
    rows = map(_picker(workspace, shown), workspace.machine.numbers(list(live)))
    return {number: (folio.order, numbers) for (number, folio), numbers in zip(live.items(), rows, strict=True)}


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
