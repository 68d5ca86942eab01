"""Tests of folioshell.session.race: races in which names come and go."""

from __future__ import annotations

import pytest

from folioshell.commands import Session
from folioshell.commands.call import Call
from folioshell.commands.parse import Grammar, ParsedStatement
from folioshell.commands.race import race_in
from folioshell.errors import Refused
from folioshell.explore.replay import replay
from folioshell.explore.search import Schedule
from folioshell.report import Report, Table
from tests.fingerprint import fingerprint


def made(setup: str) -> Session:
    """A session after some commands."""
    session = Session()
    session.execute(setup)
    return session


def schedule(session: Session, block: str, order: tuple[int, ...], first: tuple[int, ...] = ()) -> str:
    """The schedule of a race in which, after the steps ``first``, one thread runs after the other, in this order."""
    (statement,) = Grammar().parse(f"race {block}")
    assert isinstance(statement, ParsedStatement)
    race = race_in(Call(statement, session.workspace, session.process, session), statement.arguments)
    steps = list(first)
    list(replay(race, Schedule(first)))
    while able := race.enabled():
        steps.append(next(number for number in order if number - 1 in able))
        race.do(steps[-1] - 1)
    race.restore()
    return ",".join(map(str, steps))


def results(report: Report) -> list[tuple[object, ...]]:
    """What the commands of a followed race ended with: (thread, number of the command, result)."""
    table = report.sections[-1]
    assert isinstance(table, Table)
    return [tuple(row) for row in table.rows]


@pytest.mark.parametrize(
    ("setup", "block"),
    [
        ("mmap buf 4 ; fault buf", "{ A.t1: fork B ; A.t2: write buf[0] }"),
        ("mmap buf 4 ; fault buf", "{ A.t1: exit ; A.t2: write buf[0] }"),
        ("mmap buf 4 ; fault buf ; fork B", "{ A: fork C ; B: exit }"),
        ("mmap buf 4 ; fault buf", "{ A.t1: mmap x 4 populate ; A.t2: munmap buf }"),
        ("mmap buf 4 ; fault buf", "{ A.t1: mremap buf new=x ; A.t2: write buf[0] }"),
        ("mmap buf 4 ; fault buf", "{ A.t1: mremap buf 8 ; A.t2: write buf[3] }"),
        ("file lib 4 ; mmap w 4 file=lib ; fault w", "{ A.t1: truncate lib 2 ; A.t2: munmap w }"),
        ("mmap buf 4 ; fault buf", "{ A.t1: pin buf[0] ; A.t2: madvise dontneed buf }"),
        ("mmap buf 4 ; pin buf", "{ A.t1: unpin buf[0] ; A.t2: munmap buf }"),
        ("mmap buf 4", "{ A.t1: { file new 4 ; mmap w 4 file=new } ; A.t2: fault buf[0] }"),
    ],
)
def test_every_command_races(setup: str, block: str) -> None:
    """Commands that make processes, regions and files race, and nothing breaks; the state is that before."""
    session = made(setup)
    before, regions = fingerprint(session.workspace.machine), dict(session.workspace.regions)

    (report,) = session.execute(f"race {block}")

    assert report.extra["race"]["exhausted"]
    assert report.extra["race"]["findings"] == []
    assert (fingerprint(session.workspace.machine), dict(session.workspace.regions)) == (before, regions)
    assert session.workspace.regions.claims == {}


def test_new_names_stay_after_a_schedule_and_undo_removes_them() -> None:
    """A process and a region that a followed race made can be named afterwards; undo removes them, redo and a script
    make them again.
    """
    session = made("mmap buf 4 ; fault buf")
    block = "{ A.t1: fork B ; A.t2: mmap x 4 after=buf }"

    session.execute(f"race {block} schedule={schedule(session, block, (1, 2))}")
    session.execute("A.t2: fault x ; B: write buf[0] ; expect present? x[3] == yes")
    after, script = fingerprint(session.workspace.machine), session.script()
    session.undo(3)

    assert "x" not in session.workspace.regions
    assert list(session.workspace.kernel.mms) == ["A"]
    session.redo(3)
    assert fingerprint(session.workspace.machine) == after
    other = made(" ; ".join(script))
    assert fingerprint(other.workspace.machine) == after
    assert dict(other.workspace.regions) == dict(session.workspace.regions)


def test_a_child_races_that_is_forked_in_the_race() -> None:
    """A thread of a process that another thread forks begins when fork has returned, and not before."""
    session = made("mmap buf 4 ; fault buf")
    block = "{ A.t1: { fork B ; write buf[0] } ; B: write buf[0] }"

    with pytest.raises(Refused, match="step 1: B begins when its process was forked"):
        session.execute(f"race {block} schedule=2")
    for order in ((1, 2), (2, 1)):
        (report,) = session.execute(f"race {block} schedule={schedule(session, block, order)}")
        assert results(report) == [("A.t1", 1, "ok"), ("A.t1", 2, "ok"), ("B", 1, "ok")]
        session.undo()


def test_a_child_that_is_never_forked() -> None:
    """A thread whose process does not come ends with the reason, and is no deadlock."""
    session = made("mmap buf 4 ; fault buf")
    block = "{ A.t1: { exit ; fork B } ; B: write buf[0] }"

    (explored,) = session.execute(f"race {block}")
    (report,) = session.execute(f"race {block} schedule={schedule(session, block, (2, 1))}")

    assert explored.extra["race"]["findings"] == []
    assert results(report) == [("A.t1", 1, "ok"), ("A.t1", 2, "no such process"), ("B", 1, "no such process")]


def test_names_before_they_are_there() -> None:
    """A command that names a region before it is mapped, or a file before it is created, ends with the reason."""
    session = made("mmap buf 4")
    for block, reason in (
        ("{ A.t1: mmap x 4 ; A.t2: fault x[0] }", "no such region"),
        ("{ A.t1: file lib 4 ; A.t2: mmap x 4 file=lib }", "no such file"),
    ):
        (early,) = session.execute(f"race {block} schedule={schedule(session, block, (2, 1))}")
        assert results(early) == [("A.t1", 1, "ok"), ("A.t2", 1, reason)]
        session.undo()


def test_the_last_thread_frees_the_address_space() -> None:
    """After exit, a thread of the process ends its command and frees the address space; it begins no other one."""
    session = made("fork B ; as B ; mmap buf 4")
    block = "{ B.t1: exit ; B.t2: { fault buf[0] ; fault buf[1] } }"

    (report,) = session.execute(f"race {block} schedule={schedule(session, block, (1, 2), (2, 2))}")

    assert results(report) == [("B.t1", 1, "ok"), ("B.t2", 1, "ok"), ("B.t2", 2, "no such process")]
    rows = report.sections[0].rows  # type: ignore[union-attr]
    assert next(row for row in rows if row[2] == "+MMAP(B)(R)")[3] == "exit_mmap"
    assert (session.process, list(session.workspace.kernel.mms)) == ("A", ["A"])
    session.undo()
    assert session.process == "B"


def test_ranges_and_names_are_taken_when_a_command_begins() -> None:
    """Two mappings made at once are apart, and nobody else gets the name of one that is being made."""
    session = made("mmap buf 4")
    block = "{ A.t1: mmap x 4 populate ; A.t2: mmap y 4 }"
    session.execute(f"race {block} schedule={schedule(session, block, (2, 1), (1, 1))}")
    x, y = (session.workspace.regions[name] for name in "xy")
    assert x.end < y.start
    session.undo()

    block = "{ A.t1: { mmap x 4 populate ; fork B count=2 } ; A.t2: { mmap x 8 ; fork B2 } }"
    (report,) = session.execute(f"race {block} schedule={schedule(session, block, (2, 1), (1, 1))}")
    assert results(report)[2] == ("A.t2", 1, "there is already a region x")
    assert results(report)[1] == ("A.t1", 2, "there is already a process B2")
    assert list(session.workspace.kernel.mms) == ["A", "B2"]
