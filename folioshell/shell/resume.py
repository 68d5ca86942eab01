"""Going on where a shell was that did not end by itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from folioshell.commands.history_points import spot_text
from folioshell.errors import Refused
from folioshell.script import script
from folioshell.session.history import HistoryPoint
from folioshell.session.session import Session
from folioshell.shell.crash_log import Leftover, Notes, leftovers, open_notes

FOLDER = "running"


def begin(session: Session, folder: Path | None) -> tuple[Notes, list[str]]:
    """Begin to note what a session does; returns the notes, and what to tell whoever sits there."""
    left = leftovers(folder)
    for leftover in left:
        leftover.release()
    notes = open_notes(folder, session.script())
    session.note = notes.note
    last = "it was" if len(left) == 1 else "the last of them was"
    told = [f"{_shells(len(left))} end with `quit`: `folioshell --resume` goes on where {last}."] if left else []
    return notes, told


def resume(session: Session, folder: Path | None) -> tuple[Notes, list[str]]:
    """Bring a fresh session to where the last shell was that did not end by itself; returns as ``begin``.

    Raises:
        Refused: there is none.
    """
    left = leftovers(folder)
    if not left:
        raise Refused("there is nothing to resume: no shell was cut off", hint="`folioshell` opens a new one")
    newest, *others = left
    for other in others:
        other.release()
    try:
        lines, problem = _readable(newest.text, session)
        done, failure = _again(session, lines)
    except BaseException:
        newest.release()
        raise
    problem = failure or problem
    history = session.history
    told = [f"Resumed at {spot_text(history, HistoryPoint(history.current, history.position))}."]
    if newest.unfinished:
        told.append(f"Typed last, and perhaps not all of it done: {_quoted(newest)}.")
    if newest.cut:
        told.append(f"The last line of its notes was cut off: `{newest.cut}`.")
    if problem:
        notes = open_notes(folder, done)
        told.append(f"It could not all be done again: {problem}. Its notes are kept in {newest.set_aside()}.")
    else:
        notes = newest.adopt()
    if others:
        told.append(
            f"{_shells(len(others))} end with `quit` either: `folioshell --resume` again goes on with the next."
        )
    session.note = notes.note
    return notes, told


def _shells(nr: int) -> str:
    return f"{'A shell' if nr == 1 else f'{nr} shells'} that ran before did not"


def _quoted(leftover: Leftover) -> str:
    return " and ".join(f"`{line}`" for line in leftover.unfinished)


def _readable(text: str, session: Session) -> tuple[list[script.Line], str]:
    """The lines of a text up to the first that cannot be read, and what is wrong with that."""
    try:
        return script.parse(text, "the notes", session.language), ""
    except Refused as error:
        before = "\n".join(text.split("\n")[: max(error.line - 1, 0)])
        return script.parse(before, "the notes", session.language), f"line {error.line}: {error.message}"


def _again(session: Session, lines: Sequence[script.Line]) -> tuple[list[str], str]:
    """Do lines again; returns those that were done, and what was wrong with the next one."""
    done: list[str] = []
    for line in lines:
        for statement in line.statements:
            try:
                session.run(statement)
            except Exception as error:  # noqa: BLE001 - what ended the shell may do so again
                return done, f"line {line.number}, `{line.text}`: {error}"
        done.append(line.text)
    return done, ""
