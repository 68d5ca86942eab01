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


def test_lines_of_several_rows_come_back(tmp_path: Path) -> None:
    """A race over several lines is one entry, its comments included."""
    text = "race {  # two\n# threads\n  A.t1: fault buf\n}"
    open_history(tmp_path / "history").append_string(text)

    assert list(open_history(tmp_path / "history").load_history_strings()) == [text]


def test_a_line_typed_twice_is_kept_once(tmp_path: Path) -> None:
    """What is done again and again fills the history once."""
    history = open_history(tmp_path / "history")
    for line in ("undo", "undo", "show", "undo"):
        history.append_string(line)

    assert list(open_history(tmp_path / "history").load_history_strings()) == ["undo", "show", "undo"]


def test_two_shells_at_once(tmp_path: Path) -> None:
    """What both of them append is there for the next one."""
    first, second = open_history(tmp_path / "history"), open_history(tmp_path / "history")
    first.append_string("fork B")
    second.append_string("fork C")
    first.append_string("fork D")

    assert list(open_history(tmp_path / "history").load_history_strings()) == ["fork D", "fork C", "fork B"]


def test_only_the_end_of_a_huge_file_is_read(tmp_path: Path) -> None:
    """Years of typing do not hold up the prompt; an entry that is cut is left out."""
    path = tmp_path / "history"
    path.write_text("".join(f"\n# 2026-01-01\n+mmap buf{number:06} 4\n" for number in range(100_000)))
    lines = list(open_history(path).load_history_strings())

    assert lines[0] == "mmap buf099999 4"
    assert 5_000 < len(lines) < 50_000
    assert all(line.startswith("mmap buf") for line in lines)


def test_a_file_that_goes_away(tmp_path: Path) -> None:
    """Whatever becomes of the file and its folder, lines are still kept for this session."""
    path = tmp_path / "folder" / "history"
    history = open_history(path)
    path.unlink()
    path.parent.rmdir()
    history.append_string("fork B")

    assert history.get_strings() == ["fork B"]
    assert list(history.load_history_strings()) == []
