"""Numbers and ids as views write them: runs of ids, counts with their noun, old and new."""

from __future__ import annotations

import re
from collections.abc import Sequence

from folioshell.report import Change
from folioshell.views.signs import ARROW

_NUMBERED = re.compile(r"([A-Za-z_.]*?)([1-9][0-9]*)\Z")


def id_run(first: str, nr: int) -> str:
    """``nr`` objects with consecutive ids: ('f3', 1) -> 'f3', ('f1', 8) -> 'f1..f8'."""
    match = _NUMBERED.match(first)
    if nr == 1 or match is None:
        return first
    kind, number = match.groups()
    return f"{first}..{kind}{int(number) + nr - 1}"


def id_runs(ids: Sequence[str]) -> list[str]:
    """Ids with consecutive ones as runs: ['pt1', 'pt2', 'pt5'] -> ['pt1..pt2', 'pt5']."""
    groups: list[tuple[str, int]] = []
    for one in ids:
        if groups and follows(groups[-1][0], one, groups[-1][1]):
            groups[-1] = (groups[-1][0], groups[-1][1] + 1)
        else:
            groups.append((one, 1))
    return [id_run(first, nr) for first, nr in groups]


def follows(earlier: str, later: str, distance: int = 1) -> bool:
    """True if ``later`` is the id that lies ``distance`` behind ``earlier``, as pt3 lies 1 behind pt2."""
    a, b = _NUMBERED.match(earlier), _NUMBERED.match(later)
    return a is not None and b is not None and a[1] == b[1] and int(b[2]) - int(a[2]) == distance


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: (1, 'VMA') -> '1 VMA', (2, 'entry', 'entries') -> '2 entries'."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def old_new(change: Change) -> str:
    """``4 → 8``, or the number alone when it did not change."""
    return str(change.new) if change.old == change.new else f"{change.old} {ARROW} {change.new}"


def joined_runs(words: Sequence[tuple[str, int]]) -> str:
    """Tables and what was found in each, equal neighbours grouped: 'pt1 8, pt2 8' or 'pt1..pt4 512 each'."""
    groups: list[tuple[str, int, int]] = []
    for name, number in words:
        if groups and groups[-1][2] == number and follows(groups[-1][0], name, groups[-1][1]):
            groups[-1] = (groups[-1][0], groups[-1][1] + 1, number)
        else:
            groups.append((name, 1, number))
    return ", ".join(f"{id_run(first, nr)} {number}{' each' if nr > 1 else ''}" for first, nr, number in groups)
