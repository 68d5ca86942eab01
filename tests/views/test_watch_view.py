"""Tests of folioshell.views.watch_view."""

from __future__ import annotations

import pytest

from folioshell.report import Watched, WatchedValue
from folioshell.views.plain import render
from folioshell.views.watch_view import watched_blocks


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
        (Watched(5, "f1", {}, "f1 was freed"), "watch 5  f1: nothing to read now: f1 was freed"),
    ],
)
def test_lines(watched: Watched, expected: str) -> None:
    """Equal values stand together; a single one needs no name; a note stands in place of values."""
    assert render(list(watched_blocks([watched])), 80).rstrip("\n") == expected
