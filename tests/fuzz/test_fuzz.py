"""A few seconds of what tests/fuzz/run.py does for an hour; a minute or two in a full run."""

from __future__ import annotations

import pytest

from folioshell import Session
from folioshell.errors import Refused
from tests.fuzz import episodes
from tests.fuzz.episodes import Finding, episode, play, script_episode
from tests.fuzz.lines import LineMaker
from tests.fuzz.strict import StrictShell, check_printed

#: episodes of each kind: those of every run, and those of a full one
NUMBERS = [*range(12), *(pytest.param(number, marks=pytest.mark.full) for number in range(12, 400))]


@pytest.mark.parametrize("number", NUMBERS)
def test_lines(number: int) -> None:
    """Nothing but a refusal comes of any line, and the way back leads to the same state."""
    assert episode(f"test:{number}").found is None


@pytest.mark.parametrize("number", NUMBERS)
def test_scripts(number: int) -> None:
    """A script that had accidents passes, fails or is refused."""
    assert script_episode(f"test:{number}").found is None


def test_most_verbs_are_run() -> None:
    """The lines are not all nonsense: most commands do something in a few episodes."""
    counts: dict[str, int] = {}
    for number in range(10):
        episode(f"verbs:{number}", counts)

    assert len(counts) > 20
    assert sum(counts.values()) > 80


def test_the_same_seed_makes_the_same_lines() -> None:
    """What was found can be found again."""

    def lines() -> list[str]:
        maker, shell = LineMaker("a"), StrictShell("a")
        made = []
        for _ in range(10):
            made.append(maker.text(shell.session))
            shell.type(made[-1])
        return made

    assert lines() == lines()
    assert LineMaker("a").script() == LineMaker("a").script()


def test_a_bug_is_found_and_told_shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all that was typed before, what leads to it remains."""
    run = Session._run

    def broken(session: Session, statement: object) -> object:
        if str(getattr(statement, "text", "")).startswith("fork"):
            raise ZeroDivisionError("broken")
        return run(session, statement)  # type: ignore[arg-type]

    monkeypatch.setattr(Session, "_run", broken)
    found = next(filter(None, (episode(str(number)).found for number in range(9))))

    assert isinstance(found, Finding)
    assert found.what.startswith("ZeroDivisionError: broken (test_fuzz.py:")
    assert len(found.typed) <= 2 and "fork" in found.typed[-1]
    assert play(found.typed, found.seed)


def test_a_hang_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that does not end is a finding, too."""

    def endless(*_: object) -> None:
        while True:
            pass

    monkeypatch.setattr(Session, "_run", endless)
    monkeypatch.setattr(episodes, "PATIENCE", 0.05)

    assert play(["mmap a 4"], "a").startswith("Hang: longer than 0.05 seconds")


def test_a_refusal_that_changes_something_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused, and yet a step."""
    run = Session._run

    def broken(session: Session, statement: object) -> object:
        run(session, statement)  # type: ignore[arg-type]
        raise Refused("no")

    monkeypatch.setattr(Session, "_run", broken)

    assert play(["mmap a 4"], "a").startswith("AssertionError: a refusal changed something")


def test_what_reaches_a_terminal_is_looked_at() -> None:
    """Text with escape sequences is found, and so is JSON that nobody can read."""
    check_printed('{"a": 1}\n', "json")
    with pytest.raises(AssertionError, match="would do something to a terminal"):
        check_printed("a\x1b[2Jb\n", "plain")
    with pytest.raises(ValueError, match="Expecting"):
        check_printed("{a}\n", "json")
