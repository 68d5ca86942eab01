"""Which folios a step touched, and how every scheme's number of them changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from folioshell.facts import FolioNew
from folioshell.report import Change, FolioChange
from folioshell.session.digest import Digest
from folioshell.session.workspace import Workspace

#: (numbers before, numbers after, order, note)
Key = tuple[tuple[int, ...], tuple[int, ...], int, str]


def folio_changes(workspace: Workspace, digest: Digest, shown: list[str]) -> tuple[FolioChange, ...]:
    """A row for each run of folios with consecutive numbers that a step changed alike, ascending.

    Args:
        shown: names of the schemes whose numbers are wanted.
    """
    touched = workspace.machine.touched()
    counts = [workspace.machine.schemes[name].mapcount for name in shown]
    zeros = (0,) * len(shown)
    numbers = sorted(touched.keys() | digest.new.keys() | digest.freed.keys())
    live = workspace.kernel.folios
    rows: list[tuple[int, Key]] = []
    for number in numbers:
        before = touched.get(number)
        old = tuple([before.get(name, 0) for name in shown]) if before else zeros
        folio = live.get(number)
        new = tuple([count(number) for count in counts]) if folio is not None else zeros
        note = _note(number, digest)
        if old == new and not note:
            continue
        order = folio.order if folio is not None else workspace.order_of(number)
        rows.append((number, (old, new, order, note)))
    return tuple(_grouped(rows, shown))


def _note(number: int, digest: Digest) -> str:
    new: FolioNew | None = digest.new.get(number)
    if number in digest.freed:
        return "freed" if new is None else "new, freed"
    if new is None:
        return ""
    return f"split from f{new.origin[0]}" if new.origin else "new"


def _grouped(rows: Iterable[tuple[int, Key]], shown: list[str]) -> Iterable[FolioChange]:
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


def _row(first: int, nr: int, key: Key, shown: list[str]) -> FolioChange:
    old, new, order, note = key
    changes = {name: Change(old[place], new[place]) for place, name in enumerate(shown)}
    return FolioChange(f"f{first}", nr, order, changes, note)


def numbers_of(workspace: Workspace, shown: list[str]) -> Mapping[int, tuple[int, tuple[int, ...]]]:
    """Folio number -> (order, its number under each shown scheme), of all living folios."""
    counts = [workspace.machine.schemes[name].mapcount for name in shown]
    return {
        number: (folio.order, tuple([count(number) for count in counts]))
        for number, folio in workspace.kernel.folios.items()
    }


def changes_between(
    before: Mapping[int, tuple[int, tuple[int, ...]]],
    after: Mapping[int, tuple[int, tuple[int, ...]]],
    shown: list[str],
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
