"""Tests of folioshell.views.prose: lines that go on are joined, all others stand alone."""

from __future__ import annotations

import pytest

from folioshell.views.prose import paragraphs


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        ([], []),
        (["one", "two"], ["one two"]),
        (["one", "", "two"], ["one", "", "two"]),
        (["# Title", "one", "two"], ["# Title", "one two"]),
        (["one", "- two", "three", "- four"], ["one", "- two three", "- four"]),
        (["1. one", "2) two"], ["1. one", "2) two"]),
        (["pt1  A", "pt2  B", "one"], ["pt1  A", "pt2  B", "one"]),
        (["one", "| a | b |", "> two"], ["one", "| a | b |", "> two"]),
        (["", "one"], ["", "one"]),
    ],
)
def test_paragraphs(lines: list[str], joined: list[str]) -> None:
    """What stands alone in Markdown, or in columns, stands alone."""
    assert list(paragraphs(lines)) == joined
