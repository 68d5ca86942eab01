"""Tests of folioshell.views.step_view: locks that are taken over and over stand in one row."""

from __future__ import annotations

import pytest

from folioshell.report import LockRow, Walk
from folioshell.views.plain import render
from folioshell.views.step_view import lock_blocks, walk_blocks


def rows(*names: str, function: str = "map_pte", depth: int = 0) -> list[LockRow]:
    return [LockRow(name, depth, function) for name in names]


def shown(locks: list[LockRow]) -> list[str]:
    """The first column of the table, without its indents."""
    lines = render(list(lock_blocks(locks)), 100).splitlines()[2:]
    return [line.strip().split("  ")[0] for line in lines]


@pytest.mark.parametrize(
    ("locks", "expected"),
    [
        (rows(*["pt1", "pt2"] * 17), ["(pt1..pt2) ×17"]),
        (rows(*["pt1", "pt4"] * 3), ["(pt1, pt4) ×3"]),
        (rows("pt9", *["pt1", "pt4", "pt6"] * 2, "pt1"), ["pt9", "(pt1, pt4, pt6) ×2", "pt1"]),
        (rows("pt1", "pt2", "pt3"), ["pt1..pt3"]),
        (rows("pt1", "pt3", "pt1"), ["pt1", "pt3", "pt1"]),
        ([LockRow("pt1", 0, "map_pte", 5)], ["pt1 ×5"]),
        ([LockRow("pt1", 0, "map_pte", 5), LockRow("pt3", 0, "map_pte")] * 2, ["(pt1 ×5, pt3) ×2"]),
        ((rows("pt5") + rows("pt1", depth=1)) * 2, ["pt5", "pt1"]),
        (
            rows("pt9") + (rows("pt1") + rows("pt3", function="zap_pte_range")) * 2 + rows("pt1"),
            ["pt9", "pt1", "pt3", "pt1"],
        ),
    ],
)
def test_repeated_locks(locks: list[LockRow], expected: list[str]) -> None:
    """A group that one function takes again and again at one depth is one row; order and depth are never lost."""
    assert shown(locks) == expected


def test_a_cycle_of_several_functions_says_how_often() -> None:
    """Its rows stand once, and the last says for how many they stand."""
    locks = (rows("pt1", function="handle_pte_fault") + rows("pt1", function="wp_page_copy")) * 500
    text = render(list(lock_blocks(locks)), 100)

    assert [line.split()[-1] for line in text.splitlines()[2:]] == ["handle_pte_fault", "×500"]
    assert "wp_page_copy; these 2 ×500" in text


def test_all_acquisitions_are_counted() -> None:
    """The title counts every acquisition, whatever rows they share."""
    assert render(list(lock_blocks(rows(*["pt1", "pt2"] * 17))), 100).startswith("34 PTLs taken, in order\n")


def test_a_walk_that_visits_nobody() -> None:
    """There is nothing to put under a header."""
    assert render(list(walk_blocks([Walk("f3", "try_to_unmap", "", ())])), 100) == (
        "rmap walk of f3 for try_to_unmap: 0 VMAs visited, 0 PTLs, 0 entries\n"
    )
