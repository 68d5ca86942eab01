"""Typed lines are kept in the XDG state directory, and only where that is possible."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from prompt_toolkit.history import FileHistory, InMemoryHistory

from folioshell.shell.history_file import history_path, open_history


def test_xdg_state_home(tmp_path: Path) -> None:
    """$XDG_STATE_HOME holds the history if it is an absolute path."""
    assert history_path({"XDG_STATE_HOME": str(tmp_path)}) == tmp_path / "folioshell" / "history"


@pytest.mark.parametrize("environ", [{}, {"XDG_STATE_HOME": ""}, {"XDG_STATE_HOME": "relative"}])
def test_default(environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, or with a relative one, the history is under ~/.local/state."""
    monkeypatch.setenv("HOME", str(tmp_path))

    assert history_path(environ) == tmp_path / ".local" / "state" / "folioshell" / "history"


def test_file_is_private(tmp_path: Path) -> None:
    """The file is made for its owner alone, with the folders that it needs."""
    path = tmp_path / "a" / "b" / "history"

    assert isinstance(open_history(path), FileHistory)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_lines_come_back(tmp_path: Path) -> None:
    """What one session stored the next one loads, newest first."""
    path = tmp_path / "history"
    first = open_history(path)
    first.append_string("file lib 32")
    first.append_string("fork B")

    assert list(open_history(path).load_history_strings()) == ["fork B", "file lib 32"]


def test_unwritable_place(tmp_path: Path) -> None:
    """A place that cannot be written costs the history, not the shell."""
    (tmp_path / "file").write_text("")

    assert isinstance(open_history(tmp_path / "file" / "history"), InMemoryHistory)
    assert isinstance(open_history(None), InMemoryHistory)
