"""Tests of folioshell.shell.crash_log."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from folioshell.shell.crash_log import MOST_LEFT, Leftover, NotedReader, Notes, leftovers, open_notes
from tests.shell.stubs import Typist


def crash(notes: Notes) -> None:
    """What the system does with the file of a process that is killed."""
    notes._close()


def left_with(folder: Path, *lines: str, name: str = "7.fs", newest: int = 1) -> Path:
    """A file that some shell left behind; the larger ``newest``, the later."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("".join(lines))
    os.utime(path, ns=(newest, newest))
    return path


def only(found: list[Leftover]) -> Leftover:
    (one,) = found
    return one


def test_a_file_of_its_own_for_every_shell(tmp_path: Path) -> None:
    """Two that run have two files, readable by their owner only; each is gone at a normal end."""
    folder = tmp_path / "deep" / "running"
    one, other = open_notes(folder, ["fork B"]), open_notes(folder, [])
    one.note("exit B")
    other.note("fork C")

    assert one.path is not None and other.path is not None and one.path != other.path
    assert one.path.read_text() == "#!folioshell 1\nfork B\nexit B\n"
    assert one.path.stat().st_mode & 0o777 == 0o600
    one.remove()
    other.remove()
    assert list(folder.iterdir()) == []


def test_a_running_shell_is_passed_over(tmp_path: Path) -> None:
    """Its file is taken only when it has ended."""
    notes = open_notes(tmp_path, [])
    notes.note("fork B")
    assert leftovers(tmp_path) == []
    crash(notes)
    found = only(leftovers(tmp_path))
    assert found.text.endswith("fork B\n")
    assert leftovers(tmp_path) == []  # taken: nobody else gets it
    found.release()

    assert only(leftovers(tmp_path)).path == found.path


def test_what_was_typed_and_not_done(tmp_path: Path) -> None:
    """It is known from the comments; what was executed to the end is not told."""
    notes = open_notes(tmp_path, [])
    reader = NotedReader(Typist("fork B", "fork C\nexit B", "never"), notes)
    assert reader.read("A> ") == "fork B"
    notes.note("fork B")
    reader.read("A> ")
    notes.note("fork C")
    crash(notes)

    assert only(leftovers(tmp_path)).unfinished == ("fork C", "exit B")


def test_a_line_that_is_cut_off(tmp_path: Path) -> None:
    """It is no part of the text, and what is noted later does not hang on it."""
    path = left_with(tmp_path, "#!folioshell 1\n", "fork B\n", "fork")
    found = only(leftovers(tmp_path))
    assert (found.text, found.cut) == ("#!folioshell 1\nfork B\n", "fork")
    notes = found.adopt()
    notes.note("fork C")

    assert path.read_text() == "#!folioshell 1\nfork B\nfork C\n"
    crash(notes)


def test_the_newest_first(tmp_path: Path) -> None:
    """What says nothing is removed, and the oldest beyond the limit."""
    nothing = left_with(tmp_path, "#!folioshell 1\n", "# a comment\n", name="1.fs")
    for number in range(2, MOST_LEFT + 4):
        left_with(tmp_path, f"fork P{number}\n", name=f"{number}.fs", newest=number)
    found = leftovers(tmp_path)
    for one in found:
        one.release()

    assert [one.path.name for one in found] == [f"{number}.fs" for number in range(MOST_LEFT + 3, 3, -1)]
    assert not nothing.exists()
    assert len(list(tmp_path.iterdir())) == MOST_LEFT


def test_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name of its own each time; where a file cannot be renamed it stays."""
    for name in ("7.kept", "7.kept1"):
        left_with(tmp_path, "fork B\n")
        assert only(leftovers(tmp_path)).set_aside() == tmp_path / name
    path = left_with(tmp_path, "fork B\n")
    monkeypatch.setattr(Path, "rename", lambda *_: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    assert only(leftovers(tmp_path)).set_aside() == path


def test_without_a_place_to_write(tmp_path: Path) -> None:
    """No home, a file where the folder should be: the shell goes on without notes."""
    (tmp_path / "file").write_text("")
    for folder in (None, tmp_path / "file" / "running"):
        notes = open_notes(folder, ["fork B"])
        notes.note("exit B")
        notes.begin("fork C")
        notes.end()
        notes.remove()
        assert notes.path is None
        assert leftovers(folder) == []


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails ends the notes, not the shell."""
    notes = open_notes(tmp_path, [])
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        notes.note("fork B")
    notes.note("fork C")

    assert notes.path is not None
    assert notes.path.read_text() == "#!folioshell 1\n"


def test_text_that_is_none(tmp_path: Path) -> None:
    """Bytes that are no UTF-8, and half characters that were typed, are read and written without an error."""
    left_with(tmp_path, "fork B\n").write_bytes(b"fork B\n\xff\xfe\nfork C\n")
    found = only(leftovers(tmp_path))
    notes = found.adopt()
    notes.note("\udc80")

    assert found.path.read_bytes() == b"fork B\n\xff\xfe\nfork C\n\\udc80\n"
    crash(notes)
