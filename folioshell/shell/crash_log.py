"""Notes of a running shell: the lines that lead where it is, in a file of its own, so that a crash loses nothing typed.

Rules:
- A file is a script. Comments in it say what was typed and not yet done; they are no part of what is done again.
- A running shell holds a lock on its file, which the system takes back however the shell ends: what nobody holds was
  left over.
- A folder that cannot be written, a disk that is full: the shell goes on without notes.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import NamedTuple

from folioshell.script.script import MAGIC
from folioshell.shell.reader import Reader

#: comments: a line that was typed, and the end of all that was typed at once
_TYPED, _DONE = "#> ", "#."
#: notes of shells that did not end by themselves are kept for so many, the newest
MOST_LEFT = 10


class Notes:
    """The file of a running shell.

    Args:
        path: where it is.
        descriptor: it, open for appending and locked; None where no notes can be made.
    """

    def __init__(self, path: Path | None, descriptor: int | None) -> None:
        self.path = path
        self._descriptor = descriptor
        self._busy = False

    def note(self, line: str) -> None:
        """Append a line; it is in the system's hands when this returns."""
        if self._descriptor is None:
            return
        try:
            os.write(self._descriptor, f"{line}\n".encode("utf-8", "backslashreplace"))
        except OSError:
            self._close()

    def begin(self, typed: str) -> None:
        """Somebody typed this, and it is about to be executed."""
        self._busy = True
        for line in typed.splitlines():
            self.note(f"{_TYPED}{line}")

    def end(self) -> None:
        """All that was typed was executed, or refused."""
        if self._busy:
            self.note(_DONE)
        self._busy = False

    def remove(self) -> None:
        """The shell ends by itself: nothing needs to be found later."""
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink()
        self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor = None


class NotedReader:
    """Notes what a reader brings before it is executed.

    Args:
        reader: brings it.
        notes: where it is noted.
    """

    def __init__(self, reader: Reader, notes: Notes) -> None:
        self._reader = reader
        self._notes = notes

    def read(self, prompt: str) -> str:
        """The next lines; see Reader."""
        self._notes.end()
        text = self._reader.read(prompt)
        self._notes.begin(text)
        return text

    def keep(self, text: str) -> bool:
        """Put text where it can be called back; see Reader."""
        return self._reader.keep(text)


def open_notes(folder: Path | None, lines: Sequence[str]) -> Notes:
    """Notes of a shell that begins, with the lines that led to its present state."""
    if folder is None:
        return Notes(None, None)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for number in count():
            path = folder / f"{os.getpid()}{f'-{number}' if number else ''}.fs"
            try:
                descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
            except FileExistsError:
                continue
            if _lock(descriptor):
                break
            # Somebody who looks for what was left over holds it just now.
            path.unlink()
            os.close(descriptor)
    except OSError:
        return Notes(None, None)
    notes = Notes(path, descriptor)
    for line in (MAGIC, *lines):
        notes.note(line)
    return notes


class Leftover(NamedTuple):
    """The file of a shell that did not end by itself, locked.

    Args:
        path, descriptor: the file, open for appending.
        text: its whole lines.
        cut: what stands behind them.
        unfinished: the lines that were typed last, if they were not executed to the end.
    """

    path: Path
    descriptor: int
    text: str
    cut: str
    unfinished: tuple[str, ...]

    @property
    def says_something(self) -> bool:
        """There is a line to be done again, or one to be told of."""
        lines = self.text.splitlines()
        return bool(self.unfinished) or any(line and not line.startswith("#") for line in lines)

    def adopt(self) -> Notes:
        """Go on in this file; what was cut off in it, or not finished, counts no more."""
        with suppress(OSError):
            os.ftruncate(self.descriptor, len(self.text.encode("utf-8", "surrogateescape")))
        notes = Notes(self.path, self.descriptor)
        if self.unfinished:
            notes.note(_DONE)
        return notes

    def set_aside(self) -> Path:
        """Keep the file where nobody looks for notes; returns its place."""
        names = (self.path.with_suffix(f".kept{number or ''}") for number in count())
        aside = next(path for path in names if not path.exists())
        try:
            self.path.rename(aside)
        except OSError:
            aside = self.path
        os.close(self.descriptor)
        return aside

    def release(self) -> None:
        """Leave it to somebody else."""
        os.close(self.descriptor)


def leftovers(folder: Path | None) -> list[Leftover]:
    """What shells that did not end by themselves left behind, the newest first; those that run are passed over.

    Whoever asks must adopt, set aside or release each. Files that say nothing are removed, and the oldest beyond
    MOST_LEFT.
    """
    found: list[Leftover] = []
    for path in _newest_first(folder):
        leftover = _open(path)
        if leftover is None:
            continue
        if leftover.says_something and len(found) < MOST_LEFT:
            found.append(leftover)
            continue
        with suppress(OSError):
            path.unlink()
        leftover.release()
    return found


def _newest_first(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    dated = []
    with suppress(OSError):
        for path in sorted(folder.glob("*.fs")):
            with suppress(OSError):
                dated.append((path.stat().st_mtime_ns, path))
    return [path for _, path in sorted(dated, reverse=True)]


def _open(path: Path) -> Leftover | None:
    """A file that nobody holds; None if somebody does, or it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    except OSError:
        return None
    try:
        # A file that was removed, or is one that a shell has just made, is nobody's to take.
        ours = _lock(descriptor) and os.fstat(descriptor).st_nlink and os.fstat(descriptor).st_size
        data = _read(descriptor) if ours else b""
    except OSError:
        data = b""
    if not data:
        os.close(descriptor)
        return None
    whole, newline, cut = data.rpartition(b"\n")
    text = (whole + newline).decode("utf-8", "surrogateescape")
    return Leftover(path, descriptor, text, cut.decode("utf-8", "replace"), _unfinished(text))


def _read(descriptor: int) -> bytes:
    pieces = []
    while piece := os.read(descriptor, 1 << 16):
        pieces.append(piece)
    return b"".join(pieces)


def _unfinished(text: str) -> tuple[str, ...]:
    lines = [line for line in text.split("\n") if line.startswith((_TYPED, _DONE))]
    typed: list[str] = []
    for line in reversed(lines):
        if line == _DONE:
            break
        typed.append(line.removeprefix(_TYPED))
    return tuple(reversed(typed))


def _lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; False if somebody else has."""
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ImportError:
        # Without locks nobody could tell the file of a shell that runs from one that was left.
        raise OSError("this system cannot lock files") from None
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True
