"""Episodes: a session that is typed at, or a script that is run; what must not happen there is a finding."""

from __future__ import annotations

import signal
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import NamedTuple

from folioshell.commands.complete import complete
from folioshell.commands.lex import spans
from folioshell.errors import Refused
from folioshell.scenario import Session
from folioshell.scenario.runner import run_file
from folioshell.session.access import Access
from folioshell.session.limits import Limits
from folioshell.shell.failures import failure_text, golden_lines
from folioshell.views.plain import render
from folioshell.views.refusal_view import refusal_blocks
from folioshell.views.report_view import report_blocks
from tests.fuzz.lines import LineMaker

#: lines that are typed into one session
LINES = 40
#: seconds that a line may take, and a script; machines are slow now and then
PATIENCE = 20.0
_LIMITS = Limits(pages=3000, files=5000, processes=8, steps=200, states=200)


class Hang(BaseException):
    """Something took longer than anybody would wait."""


class Finding(NamedTuple):
    """What should not have happened.

    Args:
        seed: of the episode.
        what: the error.
        typed: the lines that lead to it, or the script.
    """

    seed: str
    what: str
    typed: tuple[str, ...]


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Raise Hang if it takes longer."""

    def ring(*_: object) -> None:
        raise Hang(f"longer than {seconds} seconds")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def fresh_session() -> Session:
    """A session that may touch nothing outside it."""
    session = Session()
    session.limits = _LIMITS
    session.access = Access("/nowhere", True, "/nowhere", False, False)
    return session


def type_line(session: Session, line: str, random: Random) -> int:
    """Do with a line what a shell does: colour it, complete it, run it, show what came of it.

    Returns how many of its commands were run.
    """
    spans(line)
    complete(session, line, random.randrange(len(line) + 1))
    done = 0
    before = session.prompt
    try:
        for report in session.stream(line):
            before = session.prompt
            done += 1
            render(report_blocks(report), random.choice((24, 80, 100)))
    except Refused as error:
        assert session.prompt == before, f"the prompt was {before} and is {session.prompt} after a refusal"
        render(refusal_blocks(error, 80, session.step), 80)
    return done


def check_session(session: Session) -> None:
    """What must be so after any lines: no invariant is broken, and going back and forth changes nothing."""
    assert session.spawned is not None or session.workspace.machine.check() == []
    if session.spawned is None:
        before = session.workspace.machine.fingerprint()
        session.go_to(session.step)
        assert session.workspace.machine.fingerprint() == before, "a replay leads elsewhere"


def play(lines: Sequence[str], seed: str) -> str:
    """What goes wrong when these lines are typed; empty if nothing does."""
    session, random = fresh_session(), Random(seed)
    try:
        for line in lines:
            with patience(PATIENCE):
                type_line(session, line, random)
        with patience(PATIENCE):
            check_session(session)
    except (Exception, Hang) as error:  # noqa: BLE001 - that is what is looked for
        return told(error)
    return ""


def told(error: BaseException) -> str:
    """An error and the line that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"


def episode(seed: str, counts: dict[str, int] | None = None) -> Finding | None:
    """Type LINES lines into a session; ``counts`` gets how often each verb was run."""
    maker, random, session = LineMaker(seed), Random(seed), fresh_session()
    typed: list[str] = []
    try:
        for number in range(LINES):
            if session.finished:
                break
            with patience(PATIENCE):
                typed.append(line := maker.line(session) if number else maker.setup())
                done = type_line(session, line, random)
            if counts is not None:
                for statement in session.language.parse(line)[:done] if done else ():
                    verb = statement.text.split()[0]
                    counts[verb] = counts.get(verb, 0) + 1
        with patience(PATIENCE):
            check_session(session)
    except (Exception, Hang) as error:  # noqa: BLE001 - that is what is looked for
        return Finding(seed, told(error), tuple(shrunk(typed, seed)))
    return None


def shrunk(lines: list[str], seed: str) -> list[str]:
    """The lines without those that are not needed for something to go wrong."""
    if not play(lines, seed):
        return lines
    at = len(lines) - 1
    while at >= 0:
        fewer = lines[:at] + lines[at + 1 :]
        if fewer and play(fewer, seed):
            lines = fewer
        at -= 1
    return lines


def script_episode(seed: str) -> Finding | None:
    """Run a script that had accidents."""
    data = LineMaker(seed).script()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.fs"
        path.write_bytes(data)
        try:
            with patience(PATIENCE):
                runner = run_file(path, limits=_LIMITS, render=golden_lines)
                for played in runner:
                    failure_text(played)
                assert runner.status in (0, 1, 2)
        except (Exception, Hang) as error:  # noqa: BLE001 - that is what is looked for
            return Finding(seed, told(error), tuple(data.decode("utf-8", "backslashreplace").split("\n")))
    return None
