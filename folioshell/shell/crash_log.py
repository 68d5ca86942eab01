"""The crash log: every line that a shell executes goes to a file, from which ``--resume`` restores the session.

Rules:
- A log is a script. Comments in it hold input that was not yet executed; they are not replayed.
- A running shell holds a lock on its log; the kernel drops it however the process ends, so an unlocked log was left
  over by a shell that did not exit.
- If the folder is not writable, the shell continues without a log. If the disk is full, the toolbar says so, and lines
  stay in memory until they can be written.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from errno import EDQUOT, ENOSPC
from itertools import count
from pathlib import Path

from folioshell.commands.history import point_text
from folioshell.errors import Refused, reason_of
from folioshell.records import NamedTuple
from folioshell.script import script
from folioshell.script.files import make_private
from folioshell.session.history import HistoryPoint
from folioshell.session.session import Session

#: comments: a line of input, and the end of one input
_TYPED, _DONE = "#> ", "#."
#: number of leftover logs that are kept, the newest ones
MOST_LEFT = 10
#: folder of the logs in the state folder
FOLDER = "running"


class CrashLog:
    """The log of a running shell.

    Args:
        path: of the file.
        descriptor: of the file, open for appending and locked; None if there can be no log.

    Attributes:
        problem: why the last lines are not in the file yet, such as a full disk; empty if they are. They are kept in
            memory, and each further line tries to write them first.
    """

    def __init__(self, path: Path | None, descriptor: int | None) -> None:
        self.path = path
        self.problem = ""
        self._descriptor = descriptor
        self._busy = False
        #: what is not in the file yet
        self._unwritten = b""

    def note(self, line: str) -> None:
        """Append a line; unless there is a ``problem``, it has reached the kernel when this returns."""
        if self._descriptor is not None:
            self._unwritten += f"{line}\n".encode("utf-8", "backslashreplace")
            self._write()

    def retry(self) -> None:
        """Write what could not be written, if there is room again."""
        if self._unwritten:
            self._write()

    def _write(self) -> None:
        assert self._descriptor is not None
        try:
            # A disk that becomes full takes a part of it.
            while self._unwritten:
                self._unwritten = self._unwritten[os.write(self._descriptor, self._unwritten) :]
        except OSError as error:
            self.problem = reason_of(error)
        else:
            self.problem = ""

    def begin(self, typed: str) -> None:
        """This input is about to be executed."""
        self._busy = True
        for line in typed.splitlines():
            self.note(f"{_TYPED}{line}")

    def end(self) -> None:
        """The input was executed, or refused."""
        if self._busy:
            self.note(_DONE)
        self._busy = False

    def remove(self) -> None:
        """The shell exits: nothing is left over."""
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink()
        self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
        self._descriptor, self._unwritten = None, b""


def open_log(folder: Path | None, lines: Sequence[str]) -> CrashLog:
    """A new log, beginning with the lines that lead to the current state."""
    if folder is None:
        return CrashLog(None, None)
    try:
        make_private(folder)
        for number in count():
            path = folder / f"{os.getpid()}{f'-{number}' if number else ''}.fs"
            try:
                descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
            except FileExistsError:
                continue
            if _lock(descriptor):
                break
            # Another shell that looks for leftover logs has just locked it.
            path.unlink()
            os.close(descriptor)
    except OSError as error:
        log = CrashLog(None, None)
        if error.errno in (ENOSPC, EDQUOT):
            log.problem = reason_of(error)
        return log
    log = CrashLog(path, descriptor)
    for line in (script.MAGIC, *lines):
        log.note(line)
    return log


class Leftover(NamedTuple):
    """The log of a shell that did not exit, locked by us.

    Args:
        path, descriptor: the file, open for appending.
        text: its complete lines.
        partial: the incomplete line at its end.
        unfinished: the lines of the last input, if that was not executed to its end.
    """

    path: Path
    descriptor: int
    text: str
    partial: str
    unfinished: tuple[str, ...]

    @property
    def is_useful(self) -> bool:
        """Does it hold a line to replay or to report?"""
        lines = self.text.splitlines()
        return bool(self.unfinished) or any(line and not line.startswith("#") for line in lines)

    def adopt(self) -> CrashLog:
        """Continue this log, without its incomplete line and unfinished input."""
        with suppress(OSError):
            os.ftruncate(self.descriptor, len(self.text.encode("utf-8", "surrogateescape")))
        log = CrashLog(self.path, self.descriptor)
        if self.unfinished:
            log.note(_DONE)
        return log

    def set_aside(self) -> Path:
        """Rename the file so that it is not found as a leftover again; returns its new path."""
        names = (self.path.with_suffix(f".kept{number or ''}") for number in count())
        aside = next(path for path in names if not path.exists())
        try:
            self.path.rename(aside)
        except OSError:
            aside = self.path
        os.close(self.descriptor)
        return aside

    def release(self) -> None:
        """Unlock the file and leave it."""
        os.close(self.descriptor)


def leftovers(folder: Path | None) -> list[Leftover]:
    """The logs of shells that did not exit, newest first, without those still running.

    The caller must adopt, set aside or release each. Logs that hold nothing, and the oldest ones beyond MOST_LEFT, are
    removed.
    """
    found: list[Leftover] = []
    for path in _newest_first(folder):
        leftover = _open(path)
        if leftover is None:
            continue
        if leftover.is_useful and len(found) < MOST_LEFT:
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
    """A leftover log; None if its shell still runs, or if it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND)
    except OSError:
        return None
    try:
        # Not a file that was removed meanwhile, nor one that a shell has created but not yet written.
        ours = _lock(descriptor) and os.fstat(descriptor).st_nlink and os.fstat(descriptor).st_size
        data = path.read_bytes() if ours else b""
    except OSError:
        data = b""
    if not data:
        os.close(descriptor)
        return None
    whole, newline, partial = data.rpartition(b"\n")
    text = (whole + newline).decode("utf-8", "surrogateescape")
    return Leftover(path, descriptor, text, partial.decode("utf-8", "replace"), _unfinished(text))


def _unfinished(text: str) -> tuple[str, ...]:
    lines = [line for line in text.split("\n") if line.startswith((_TYPED, _DONE))]
    typed: list[str] = []
    for line in reversed(lines):
        if line == _DONE:
            break
        typed.append(line.removeprefix(_TYPED))
    return tuple(reversed(typed))


def _lock(descriptor: int) -> bool:
    """Lock an open file until it is closed; False if another process holds the lock."""
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock
    except ImportError:
        # Without locks the log of a running shell looks like a leftover one.
        raise OSError("this system cannot lock files") from None
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True


def begin(session: Session, folder: Path | None) -> tuple[CrashLog, list[str]]:
    """Start to log what a session does; returns the log, and messages for the user."""
    left = leftovers(folder)
    for leftover in left:
        leftover.release()
    log = open_log(folder, session.script())
    session.note = log.note
    messages = []
    if left:
        which = "it" if len(left) == 1 else "the most recent one"
        messages.append(f"{_shells(len(left))} without `quit`. `folioshell --resume` restores {which}.")
    return log, messages


def resume(session: Session, folder: Path | None) -> tuple[CrashLog, list[str]]:
    """Bring a fresh session to the state of the last shell that did not exit; returns as ``begin``.

    Raises:
        Refused: there is none.
    """
    left = leftovers(folder)
    if not left:
        raise Refused("nothing to resume: every shell exited with `quit`", hint="`folioshell` opens a new one")
    newest, *others = left
    for other in others:
        other.release()
    try:
        lines, problem = _readable(newest.text, session)
        done, failure = _replay(session, lines)
    except BaseException:
        newest.release()
        raise
    problem = failure or problem
    history = session.history
    messages = [f"Resumed at {point_text(history, HistoryPoint(history.current, history.position))}."]
    if newest.unfinished:
        messages.append(f"The last input may not have been executed: {_quoted(newest)}.")
    if newest.partial:
        messages.append(f"The last line of the crash log is incomplete: `{newest.partial}`.")
    if problem:
        log = open_log(folder, done)
        messages.append(f"Replay stopped at {problem}. The old crash log is kept in {newest.set_aside()}.")
    else:
        log = newest.adopt()
    if others:
        messages.append(f"{_shells(len(others), 'other')} without `quit`. `folioshell --resume` restores the next.")
    session.note = log.note
    return log, messages


def _shells(nr: int, other: str = "") -> str:
    if nr == 1:
        return "Another shell ended" if other else "The previous shell ended"
    return f"{nr} {'other' if other else 'earlier'} shells ended"


def _quoted(leftover: Leftover) -> str:
    return " and ".join(f"`{line}`" for line in leftover.unfinished)


def _readable(text: str, session: Session) -> tuple[list[script.ScriptLine], str]:
    """The lines of a log up to the first that cannot be parsed, and what is wrong with that one."""
    try:
        return script.parse(text, "the crash log", session.language), ""
    except Refused as error:
        before = "\n".join(text.split("\n")[: max(error.line - 1, 0)])
        return script.parse(before, "the crash log", session.language), f"line {error.line}: {error.message}"


def _replay(session: Session, lines: Sequence[script.ScriptLine]) -> tuple[list[str], str]:
    """Replay lines; returns those that were executed, and what was wrong with the next one."""
    done: list[str] = []
    for line in lines:
        for statement in line.statements:
            try:
                session.run(statement)
            except Exception as error:  # noqa: BLE001 - what crashed the shell may do so again
                return done, f"line {line.number}, `{line.text}`: {error}"
        done.append(line.text)
    return done, ""
