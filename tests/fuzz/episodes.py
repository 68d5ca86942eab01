"""Episodes: a session that is typed at, or a script that is run; what must not happen there is a finding."""

from __future__ import annotations

import resource
import signal
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from random import Random
from typing import NamedTuple

from folioshell.script import Session
from folioshell.script.runner import run_file
from folioshell.session.host import MODES, Limits
from folioshell.shell.replay import Replay, failure_text, golden_lines
from tests.fuzz import hostile
from tests.fuzz.lines import LineMaker
from tests.fuzz.strict import StrictShell, check_printed, drawn_screen, fresh_session, printed

#: lines that are typed into one session, at least and at most; a small state is checked soon, and many are
FEWEST, MOST = 5, 40
#: seconds of a processor that a line may take, and a script; and how many times as many by the clock, if it waits
PATIENCE = 40.0
_BUSY = 15
#: MiB by which the memory of the process may grow in an episode, whose limits are small
_GROWTH = 256
_SCRIPT_LIMITS = Limits(pages=20_000, files=20_000, processes=20, steps=500, states=400)


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


class Outcome(NamedTuple):
    """What came of an episode.

    Args:
        typed: lines that were typed, or one script.
        done: commands that were run, not refused.
        found: None if nothing was.
    """

    typed: int
    done: int
    found: Finding | None = None


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Raise Hang if it computes longer, or waits for something much longer: other processes may be in the way."""

    def ring(*_: object) -> None:
        raise Hang(f"longer than {seconds} seconds")

    timers = ((signal.ITIMER_PROF, signal.SIGPROF, seconds), (signal.ITIMER_REAL, signal.SIGALRM, _BUSY * seconds))
    before = [signal.signal(number, ring) for _, number, _ in timers]
    for timer, _, limit in timers:
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for (timer, number, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def most_memory() -> int:
    """MiB that the process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Raise AssertionError if the process gets much larger than it ever was."""
    before = most_memory()
    yield
    grown = most_memory() - before
    assert grown < _GROWTH, f"{grown} MiB more memory"


def play(texts: Sequence[str], seed: str) -> str:
    """What goes wrong when these lines are typed; empty if nothing does."""
    shell = StrictShell(seed)
    try:
        for text in texts:
            with patience(PATIENCE), bounded_memory():
                shell.type(text)
        with patience(PATIENCE):
            shell.check()
    except (Exception, Hang) as error:  # noqa: BLE001 - that is what is looked for
        return told(error)
    return ""


def told(error: BaseException) -> str:
    """An error and the line that raised it."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(frame.filename).name}:{frame.lineno})"


def episode(seed: str, counts: dict[str, int] | None = None) -> Outcome:
    """Type lines into a session; ``counts`` gets how often each verb was run."""
    maker, shell = LineMaker(seed), StrictShell(seed)
    session = shell.session
    texts: list[str] = []
    nr = done = 0
    try:
        for number in range(Random(f"length {seed}").randint(FEWEST, MOST)):
            if session.finished:
                break
            texts.append(text := maker.text(session) if number else maker.setup())
            nr += text.count("\n") + 1
            with patience(PATIENCE), bounded_memory():
                ran = shell.type(text)
            done += ran
            if counts is not None:
                _count(session, text, ran, counts)
        with patience(PATIENCE):
            shell.check()
    except Hang as error:
        return Outcome(nr, done, Finding(seed, told(error), tuple(texts)))
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        return Outcome(nr, done, Finding(seed, told(error), tuple(shrunk(texts, seed))))
    return Outcome(nr, done)


def _count(session: Session, text: str, ran: int, counts: dict[str, int]) -> None:
    if not ran or "\n" in text:
        return
    for statement in session.language.parse(text)[:ran]:
        verb = statement.text.split()[0]
        counts[verb] = counts.get(verb, 0) + 1


def shrunk(texts: list[str], seed: str) -> list[str]:
    """The lines without those that are not needed for something to go wrong."""
    if not play(texts, seed):
        return texts
    at = len(texts) - 1
    while at >= 0:
        fewer = texts[:at] + texts[at + 1 :]
        if fewer and play(fewer, seed):
            texts = fewer
        at -= 1
    return texts


def script_episode(seed: str) -> Outcome:
    """Run a script that had accidents, showing it as `run` does, or comparing its golden blocks."""
    data, random, paper = LineMaker(seed).script(), Random(f"run {seed}"), BytesIO()
    found, steps = None, 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.fs"
        path.write_bytes(data)
        try:
            with patience(PATIENCE), bounded_memory():
                session = fresh_session()
                limits = hostile.limits(random, _SCRIPT_LIMITS)
                runner = run_file(path, session=session, limits=limits, render=golden_lines)
                if random.random() < 0.5:
                    session.host.output.mode, session.host.output.fixed = random.choice(list(MODES)), True
                    screen = drawn_screen(paper, random)
                    Replay(screen, screen, echo=True, quiet=random.random() < 0.2, summary=True).run(runner, "a.fs")
                    check_printed(printed(paper, screen), session.host.output.mode)
                else:
                    for played in runner:
                        check_printed(failure_text(played), "")
                assert runner.status in (0, 1, 2)
                steps = runner.steps
        except (Exception, Hang) as error:  # noqa: BLE001 - that is what is looked for
            found = Finding(seed, told(error), tuple(data.decode("utf-8", "backslashreplace").split("\n")))
    return Outcome(1, steps, found)
