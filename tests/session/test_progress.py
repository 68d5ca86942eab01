"""How far a command has come, for whoever looks while it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from folioshell.session.progress import Progress
from tests.session.test_session import session_after


def looked_at(monkeypatch: pytest.MonkeyPatch, before: list[str], line: str) -> list[Progress]:
    """What somebody sees who looks after every event of a command."""
    session = session_after(*before)
    machine = session.workspace.machine
    run = machine.run
    seen: list[Progress] = []

    def spied(path: Iterator[Any]) -> Iterator[Any]:
        while True:
            try:
                event = next(path)
            except StopIteration as stop:
                return stop.value
            assert session.undertaking is not None
            seen.append(session.undertaking.progress())
            yield event

    monkeypatch.setattr(machine, "run", lambda path: run(spied(path)))
    session.execute(line)
    return seen


@pytest.mark.parametrize(
    ("before", "line", "pages"),
    [
        (["mmap buf 4096"], "fault buf[1024..3071]", 2048),
        (["mmap buf 4096", "fault buf"], "munmap buf[1024..3071]", 2048),
        (["mmap buf 1024", "mmap other 512", "fault other"], "fork B", 1536),
        (["mmap buf 1024", "fault buf", "fork B"], "exit B", 1024),
        (["file lib 1024 order=4"], "mmap win 1024 file=lib populate", 1024),
    ],
)
def test_pages_are_counted(monkeypatch: pytest.MonkeyPatch, before: list[str], line: str, pages: int) -> None:
    """The number of pages is known from the beginning; how many are done never falls, and is never more."""
    seen = looked_at(monkeypatch, before, line)
    done = [progress.done for progress in seen]

    assert {(progress.doing, progress.total, progress.unit) for progress in seen} == {(line, pages, "pages")}
    assert done[0] == 0
    assert done == sorted(done)
    assert pages * 0.4 < done[-1] <= pages


def test_what_goes_through_no_pages_says_only_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be counted there is no number."""
    seen = looked_at(monkeypatch, ["file lib 32 order=4", "mmap win 32 file=lib", "fault win"], "reclaim f1")

    assert set(seen) == {Progress("reclaim f1")}


def test_steps_that_are_replayed_are_counted() -> None:
    """Going somewhere in the history counts the steps that lead there."""
    session = session_after("mmap buf 4", "fault buf", "fork B")
    states = session.states(2)
    seen = []
    for _ in states:
        assert session.undertaking is not None
        seen.append(session.undertaking.progress())

    assert [(progress.done, progress.total) for progress in seen] == [(0, 2), (1, 2), (2, 2)]
    assert {(progress.doing, progress.unit) for progress in seen} == {("replaying to step 2", "steps")}


def test_states_of_a_race_are_counted() -> None:
    """A race says how many states were seen, of the most that may be."""
    line = "race { A.t1: { fault buf[0] ; fault buf[1] } ; A.t2: { fault buf[2] ; fault buf[3] } } max-states=5000"
    session = session_after("mmap buf 4", line)
    assert session.undertaking is not None
    progress = session.undertaking.progress()

    assert (progress.doing, progress.total, progress.unit) == (line, 5000, "states")
    assert session.verdict is not None
    assert 0 <= progress.done <= session.verdict.states
