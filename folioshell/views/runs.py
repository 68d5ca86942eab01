"""What cells of grids hold: a number old and new, and tables with what was found in each."""

from __future__ import annotations

from collections.abc import Sequence

from folioshell.report import Change
from folioshell.views.glyphs import ARROW
from folioshell.wording import follows, id_run


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
