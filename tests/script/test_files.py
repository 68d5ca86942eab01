"""Files that commands write are whole: a disk that is full leaves the file that was there."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from threading import Thread

import pytest

from folioshell.script.files import write_file
from tests.command_line import folioshell


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk reports that it is full when what was written is to reach it."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)


def test_replaced(tmp_path: Path) -> None:
    """The file has the new contents and its old permissions; a link to it stays one; nothing else is left."""
    target, link = tmp_path / "a.txt", tmp_path / "link.txt"
    target.write_text("a long old text")
    target.chmod(0o640)
    link.symlink_to(target)
    write_file(str(link), b"new")

    assert target.read_bytes() == b"new"
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "link.txt"]


def test_new(tmp_path: Path) -> None:
    """A new file has the permissions that the umask leaves."""
    before = os.umask(0o027)
    try:
        write_file(str(tmp_path / "a.txt"), b"new")
    finally:
        os.umask(before)

    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


def test_fifo(tmp_path: Path) -> None:
    """What is no regular file is written to, not replaced."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    read: list[bytes] = []
    reader = Thread(target=lambda: read.append(fifo.read_bytes()), daemon=True)
    reader.start()
    write_file(str(fifo), b"text")
    reader.join(10)

    assert read == [b"text"]
    assert fifo.is_fifo()


@pytest.mark.usefixtures("full_disk")
@pytest.mark.parametrize(
    "line", ["save good.fs", "mmap buf 4 ; once good.fs ; show vmas", "mmap buf 4 ; once good.fs csv ; show vmas"]
)
def test_full_disk(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``save`` and ``once`` say that the disk is full, and the file that was there is unchanged."""
    monkeypatch.chdir(tmp_path)
    Path("good.fs").write_text("mmap a 1\n")
    done = folioshell("-c", line)

    assert "No space left on device" in done.stdout + done.stderr
    assert Path("good.fs").read_text() == "mmap a 1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["good.fs"]
