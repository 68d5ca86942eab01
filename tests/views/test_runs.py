"""Cells of grids."""

from __future__ import annotations

from folioshell.report import Change
from folioshell.views.runs import joined_runs, old_new


def test_old_new() -> None:
    """A number that did not change stands alone."""
    assert [old_new(Change(1, 2)), old_new(Change(3, 3))] == ["1 → 2", "3"]


def test_joined_runs() -> None:
    """Neighbours are grouped only if their numbers are equal too."""
    assert joined_runs((("pt1", 8), ("pt2", 8), ("pt3", 4), ("pt5", 4))) == "pt1..pt2 8 each, pt3 4, pt5 4"
