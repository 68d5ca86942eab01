"""Tests of folioshell.views.step_view: locks that are taken over and over stand in one row."""

from __future__ import annotations

import pytest

from folioshell.report import Change, LockRow, Walk, Watched, WatchedValue
from folioshell.views.plain import render
from folioshell.views.step_view import joined_runs, lock_blocks, old_new, walk_blocks, watched_blocks


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


def test_old_new() -> None:
    """A number that did not change stands alone."""
    assert [old_new(Change(1, 2)), old_new(Change(3, 3))] == ["1 → 2", "3"]


def test_joined_runs() -> None:
    """Neighbours are grouped only if their numbers are equal too."""
    assert joined_runs((("pt1", 8), ("pt2", 8), ("pt3", 4), ("pt5", 4))) == "pt1..pt2 8 each, pt3 4, pt5 4"


@pytest.mark.parametrize(
    ("watched", "expected"),
    [
        (
            Watched(1, "f1", {"vmas": WatchedValue("1", "2"), "mm-id": WatchedValue("4", "8")}),
            "watch 1  f1: vmas 1 → 2; mm-id 4 → 8",
        ),
        (
            Watched(2, "f1", {"vmas": WatchedValue("1", "2"), "mm-id": WatchedValue("1", "2")}),
            "watch 2  f1: vmas, mm-id 1 → 2",
        ),
        (Watched(3, "mapcount vmas f1", {"vmas": WatchedValue("", "2")}), "watch 3  mapcount vmas f1: - → 2"),
        (Watched(4, "order f1", {"order": WatchedValue("4", "4")}), "watch 4  order f1: 4"),
        (Watched(5, "f1", {}, "f1 was freed"), "watch 5  f1: no value now: f1 was freed"),
    ],
)
def test_lines(watched: Watched, expected: str) -> None:
    """Equal values stand together; a single one needs no name; a note stands in place of values."""
    assert render(list(watched_blocks([watched])), 80).rstrip("\n") == expected
