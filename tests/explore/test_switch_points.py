"""Counting the stops of commands, and comparing two counts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.explore.switch_points import compare, main, stops

ANON = "set geometry classroom ; mmap w 4 ; write w[0]"


def test_stops() -> None:
    """A command stops wherever another thread can come between: at its locks, at least once before it ends."""
    alone = stops(ANON, "A", "read w[0]")
    zap = stops(ANON, "A", "madvise dontneed w[0]")

    assert alone is not None
    assert zap is not None
    assert 1 <= alone < zap


def test_what_cannot_race_has_none() -> None:
    """No number where the shell races no such command."""
    assert stops(ANON, "A", "show") is None


def test_fewer_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The table has the sums over the set-ups that both have; what became less is listed."""
    before = {"anon": {"read": 3, "fork": None}, "tmpfs": {"read": 5}}
    after = {"anon": {"read": 4, "fork": 9}, "tmpfs": {"read": 4}, "new": {"read": 7}}
    for name, counts in (("before", before), ("after", after)):
        (tmp_path / name).write_text(json.dumps(counts))
    monkeypatch.setattr("sys.argv", ["switch_points", str(tmp_path / "before"), str(tmp_path / "after")])
    main()

    assert "| read | 2 | 8 | 8 |\n| fork | 1 | - | 9 |\n\ntmpfs: read: 5 before, 4 after\n" in capsys.readouterr().out
    assert compare(before, before)[-1] == "no command has fewer in any set-up"
