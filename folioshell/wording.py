"""How numbers and ids are written: counts with their noun, runs of ids, folios and their pages."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBERED = re.compile(r"([A-Za-z_.]*?)([1-9][0-9]*)\Z")


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun: (1, 'VMA') -> '1 VMA', (2, 'entry', 'entries') -> '2 entries'."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def folio_run(number: int, nr: int) -> str:
    """``nr`` folios with consecutive numbers: ``f3`` or ``f1..f8``."""
    return f"f{number}" if nr == 1 else f"f{number}..f{number + nr - 1}"


def page_index(first: int, nr: int) -> str:
    """Pages of a folio or region, as they are typed: ``[3]`` or ``[0..7]``."""
    return f"[{first}]" if nr == 1 else f"[{first}..{first + nr - 1}]"


def pages_text(first: int, nr: int) -> str:
    """Pages of a folio, as in sentences: ``page 3`` or ``pages 0..7``."""
    return f"page {first}" if nr == 1 else f"pages {first}..{first + nr - 1}"


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
    """True if ``later`` is the id ``distance`` after ``earlier``, as pt3 is 1 after pt2."""
    a, b = _NUMBERED.match(earlier), _NUMBERED.match(later)
    return a is not None and b is not None and a[1] == b[1] and int(b[2]) - int(a[2]) == distance
