"""A few seconds of what tests/fuzz/run.py does for an hour; a minute or two in a full run."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from random import Random

import pytest

from folioshell import Session
from folioshell.errors import Refused
from folioshell.model.pagetable import TableTree
from folioshell.session.host import Limits
from tests.fuzz import episodes, hostile
from tests.fuzz.episodes import Finding, episode, play, script_episode
from tests.fuzz.lines import LineMaker
from tests.fuzz.strict import StrictPresenter, StrictShell, check_printed

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


def test_a_walk_of_a_huge_range_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Page tables that are looked for a PMD at a time, in terabytes that have one."""
    blocks_in = TableTree.blocks_in

    def slow(tree: TableTree, start: int, end: int) -> Iterator[tuple[int, object, object]]:
        for at in range(start, end, 512):
            yield from blocks_in(tree, at, min(at + 512, end))

    assert play([*hostile.SPARSE_SETUPS[:1], "madvise dontneed a"], "a") == ""
    monkeypatch.setattr(TableTree, "blocks_in", slow)
    monkeypatch.setattr(episodes, "PATIENCE", 1)
    assert play([*hostile.SPARSE_SETUPS[:1], "madvise dontneed a"], "a").startswith("Hang: ")


def test_much_memory_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that needs more than its limits explain."""
    sizes = count(100, 300)
    monkeypatch.setattr(episodes, "most_memory", lambda: next(sizes))

    assert play(["mmap a 4"], "a").startswith("AssertionError: 300 MiB more memory")


def test_a_look_that_regroups_folios_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A question that takes a folio out of its run: the same state, and yet it is not that of a replay."""
    run = Session._run

    def regroups(session: Session, statement: object) -> object:
        reports = run(session, statement)  # type: ignore[arg-type]
        if str(getattr(statement, "text", "")).startswith("show"):
            session.workspace.kernel.folios.single_out(2)
        return reports

    lines = ["set geometry classroom ; mmap a 8 ; fault a", "show folios"]
    assert play(lines, "a") == ""
    monkeypatch.setattr(Session, "_run", regroups)
    assert play(lines, "a").startswith("AssertionError: a replay keeps folios in other runs")


def test_a_race_beyond_its_limit_is_found() -> None:
    """A report of more states than the limit allows."""
    shell = StrictShell("a")
    shell.type("mmap a 4")
    (report,) = shell.session.execute("race { A.t1: fault a[0] }")
    shell.session.host.limits = Limits(states=1)

    with pytest.raises(AssertionError, match="at most 1 allowed"):
        StrictPresenter(shell.session, shell.screen).show([report])


def test_golden_lines_have_gaps() -> None:
    """Mutated scripts compare lines with eight gaps and more."""
    scripts = [LineMaker(f"gaps {number}").script().decode("utf-8", "replace") for number in range(20)]
    lines = [line for script in scripts for line in script.split("\n") if line.startswith("> ")]

    assert max(line.count("[..]") for line in lines) >= 8


@pytest.mark.full
def test_hostile_lines_run() -> None:
    """Each kind of line does something in a few episodes, and some of it within the lowest limits."""
    done: set[str] = set()
    for number in range(30):
        random, shell = Random(number), StrictShell(str(number))
        shell.type(hostile.SPARSE_SETUPS[number % len(hostile.SPARSE_SETUPS)])
        for _ in range(10):
            text = hostile.line(random, list(shell.session.workspace.regions))
            if not shell.session.finished and shell.type(text):
                done.add(text.split()[0])

    assert {"for", "fork", "madvise", "mprotect", "mremap", "munmap", "pin", "race"} <= done


def test_what_reaches_a_terminal_is_looked_at() -> None:
    """Text with escape sequences is found, and so is JSON that nobody can read."""
    check_printed('{"a": 1}\n', "json")
    with pytest.raises(AssertionError, match="would do something to a terminal"):
        check_printed("a\x1b[2Jb\n", "plain")
    with pytest.raises(ValueError, match="Expecting"):
        check_printed("{a}\n", "json")
