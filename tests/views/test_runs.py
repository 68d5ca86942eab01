"""Ids and numbers are written as runs, never one by one."""

from __future__ import annotations

from folioshell.report import Change
from folioshell.views.runs import counted, follows, id_run, joined_runs, old_new


def test_id_run() -> None:
    """A run names its first and last id."""
    assert [id_run("f1", 8), id_run("f9", 1), id_run("pmd2", 2)] == ["f1..f8", "f9", "pmd2..pmd3"]


def test_id_run_of_an_odd_name() -> None:
    """A name without a number stands for itself."""
    assert id_run("A.mm", 3) == "A.mm"


def test_follows() -> None:
    """Only ids of one kind follow each other."""
    assert follows("pt2", "pt3")
    assert not follows("pt2", "pmd3")
    assert not follows("pt2", "pt2")
    assert follows("pt2", "pt6", 4)


def test_counted() -> None:
    """A noun agrees with its number."""
    assert [counted(1, "VMA"), counted(0, "VMA"), counted(2, "entry", "entries")] == ["1 VMA", "0 VMAs", "2 entries"]


def test_old_new() -> None:
    """A number that did not change stands alone."""
    assert [old_new(Change(1, 2)), old_new(Change(3, 3))] == ["1 → 2", "3"]


def test_joined_runs() -> None:
    """Neighbours are grouped only if their numbers are equal too."""
    assert joined_runs((("pt1", 8), ("pt2", 8), ("pt3", 4), ("pt5", 4))) == "pt1..pt2 8 each, pt3 4, pt5 4"
