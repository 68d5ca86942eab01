"""Tests of folioshell.commands.race: verdicts, schedules that become steps, and what is refused."""

from __future__ import annotations

import subprocess
import sys

import pytest

from folioshell.commands import Session
from folioshell.commands.call import Call
from folioshell.commands.grammar import registry
from folioshell.commands.locks import RACES
from folioshell.commands.parse import Grammar, ParsedStatement
from folioshell.commands.race import race_in
from folioshell.commands.threads_operand import raceable
from folioshell.errors import Refused
from folioshell.explore.race import Race
from folioshell.explore.replay import replay
from folioshell.explore.search import Schedule
from folioshell.export.document import document
from folioshell.export.schema import adapter
from folioshell.report import Report, Table, Text
from tests.command_line import folioshell
from tests.fingerprint import fingerprint

STRADDLE = "file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504"
ABBA = f"{STRADDLE} ; write win[3] ; write win[12] ; fault win[0] read ; fault win[8] read ; set decide vmas"
SOME = "{ A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..10] }"
FAULTS = "{ A.t1: fault buf[0] ; A.t2: fault buf[1] }"


def made(setup: str) -> Session:
    """A session after some commands."""
    session = Session()
    session.execute(setup)
    return session


def one(session: Session, line: str) -> Report:
    """The report of the only command of a line."""
    (report,) = session.execute(line)
    return report


def race_of(session: Session, block: str) -> Race:
    """The race of a block from the present state on."""
    (statement,) = Grammar().parse(f"race {block}")
    assert isinstance(statement, ParsedStatement)
    return race_in(Call(statement, session.workspace, session.process, session), statement.arguments)


def whole(session: Session, block: str) -> str:
    """The schedule in which the threads of a race run one after the other."""
    steps: list[int] = []
    for thread in (1, 2):
        while True:
            try:
                report = one(session, f"race {block} schedule={','.join(map(str, [*steps, thread]))}")
            except Refused:
                break
            steps.append(thread)
            if report.step is not None:
                session.undo()
                break
    return ",".join(map(str, steps))


def test_a_deadlock_is_found_and_drawn() -> None:
    """Two threads that want each other's table: counted, drawn as two columns, with the schedule that leads there."""
    session = made(f"{ABBA} ; set protocol exclude-own")
    before = fingerprint(session.workspace.machine)

    report = one(session, f"race {SOME}")

    assert report.step is None
    assert "exhausted" in report.sentence
    found = next(row for row in report.extra["race"]["findings"] if row["kind"] == "deadlock")
    assert found["text"] == "A.t1 waits for pt2 (held by A.t2); A.t2 waits for pt1 (held by A.t1)"
    picture = next(section for section in report.sections if isinstance(section, Text))
    assert [line.split() for line in picture.lines[:5]] == [
        ["A.t1", "A.t2"],
        ["lock(pt1)"],
        ["lock(pt2)"],
        ["lock(pt2)", "waits"],
        ["lock(pt1)", "waits", "***", "DEADLOCK", "***"],
    ]
    assert list(picture.lines[6:11]) == [
        "A.t1 is trying to acquire lock:",
        "  pt2 (ptlock_ptr(ptdesc)/1), at: folio_mapped_in_vma()",
        "2 locks held by A.t1:",
        "  #0: v1 (vm_lock) (R), at: madvise_lock()",
        "  #1: pt1 (ptlock_ptr(ptdesc)), at: zap_pte_range()",
    ]
    assert fingerprint(session.workspace.machine) == before


def test_the_document_of_a_race_keeps_the_schema() -> None:
    """The numbers and findings are in the document under `race`, which the schema knows."""
    session = made(f"{ABBA} ; set protocol exclude-own")

    written = document(one(session, f"race {SOME}"))

    adapter().validate_python(written)
    assert written["race"]["exhausted"] is True
    assert written["race"]["deadlocks"] == session.verdict.count("deadlocks")  # type: ignore[union-attr]


def test_a_livelock_is_a_schedule_and_a_cycle() -> None:
    """Two threads whose trylocks fail because of each other: both run in the cycle, which returns to its first state.

    One thread alone can retry as well, but only while the other, which could run, never does: that is no livelock.
    """
    session = made(f"{RACES[2].setup} ; set decide vmas ; set protocol trylock-retry")
    report = one(session, f"race {RACES[2].block}")
    found = report.extra["race"]
    fair, unfair = sorted(found["cycles"], key=lambda cycle: not cycle["fair"])[:2]

    assert f"exhausted: {found['states']} states; 0 deadlocks" in report.sentence
    assert "schedules without end" in report.sentence
    assert found["schedules"] is None
    assert found["livelocks"] == fair["states"] > 0
    assert found["loop"] == found["cycles"][0]["schedule"]
    assert (fair["threads"], fair["starved"]) == (("A.t1", "A.t2"), ())
    assert (len(unfair["threads"]), len(unfair["starved"])) == (1, 1)
    race = race_of(session, RACES[2].block)
    for cycle in (fair, unfair):
        list(replay(race, Schedule.parse(cycle["schedule"])))
        entry = race.key()
        list(replay(race, Schedule.parse(f"{cycle['schedule']},{cycle['cycle']}")))
        assert race.key() == entry


def test_a_thread_that_only_waits_for_another_is_in_no_livelock() -> None:
    """Only the first thread can retry, and only until the second runs: a fair scheduler runs that."""
    session = made(f"{RACES[2].setup} ; set decide vmas ; set protocol trylock-retry")
    found = one(session, "race { A.t1: madvise dontneed win[0..7] ; A.t2: read win[8] }").extra["race"]

    assert found["livelocks"] == 0
    assert not [cycle for cycle in found.get("cycles", ()) if cycle["fair"]]


@pytest.mark.parametrize("protocol", ["exclude-own", "own-table-first", "lockless-look"])
@pytest.mark.parametrize("shipped", RACES[:5], ids=lambda race: race.name)
def test_printed_schedules_lead_where_they_say(shipped: object, protocol: str) -> None:
    """Each finding of a shipped race is met again by its schedule, in a session that did not explore."""
    setup, block = shipped.setup, shipped.block  # type: ignore[attr-defined]
    session = made(f"{setup} ; set decide vmas ; set protocol {protocol}")
    other = made(f"{setup} ; set decide vmas ; set protocol {protocol}")
    one(session, f"race {block}")
    assert session.verdict is not None

    for found in session.verdict.findings:
        report = one(other, f"race {block} schedule={found.schedule}")
        if found.kind == "deadlock":
            assert report.findings == (f"deadlock: {found.text}",)
            assert report.step is None
        else:
            number, counted = found.text.split(",")[0].split(": counted ")
            assert one(other, f"expect counted {number} == {counted}").expect.passed  # type: ignore[union-attr]
            other.undo()


def test_a_schedule_to_the_end_is_a_step() -> None:
    """All threads end: one step, in the trace and in the history, that undo takes back and redo does again."""
    session = made("mmap buf 16")
    before = fingerprint(session.workspace.machine)
    schedule = whole(session, FAULTS)

    report = one(session, f"race {FAULTS} schedule={schedule}")
    after = fingerprint(session.workspace.machine)

    assert report.step == 2
    assert report.result == {"ok": True}
    assert [row.id for row in report.folios] == ["f1"]
    assert report.folios[0].nr == 2
    assert one(session, "expect present? buf[1] == yes").expect.passed  # type: ignore[union-attr]
    session.undo()
    assert fingerprint(session.workspace.machine) == before
    session.redo()
    assert fingerprint(session.workspace.machine) == after
    assert session.history.script()[-1] == f"race {FAULTS} schedule={schedule}"


def test_each_step_of_a_schedule_is_shown() -> None:
    """A row a lock operation and event, beside the thread that did it."""
    session = made("mmap buf 16")

    report = one(session, f"race {FAULTS} schedule=1,1")

    table = next(section for section in report.sections if isinstance(section, Table))
    assert [row[1:3] for row in table.rows] == [("A.t1", "continues"), ("A.t1", "~VMA(v1)(R)")]
    assert "before the threads do" in report.sentence
    assert report.step is None


def test_a_deadlock_changes_nothing() -> None:
    """A schedule into a deadlock shows it; the state stays, and it is no step."""
    session = made(f"{ABBA} ; set protocol exclude-own")
    one(session, f"race {SOME}")
    assert session.verdict is not None
    schedule = next(found.schedule for found in session.verdict.findings if found.kind == "deadlock")
    before, step = fingerprint(session.workspace.machine), session.step

    report = one(session, f"race {SOME} schedule={schedule}")

    assert report.findings[0].startswith("deadlock: ")
    assert fingerprint(session.workspace.machine) == before
    assert session.step == step


def test_several_commands_and_processes() -> None:
    """A thread may have several commands, threads may belong to several processes, and a main thread can race."""
    session = made("mmap buf 16 ; fault buf ; fork B")

    report = one(session, "race { A: { write buf[0] ; madvise dontneed buf[0] } ; B.t1: write buf[0] }")

    assert report.extra["race"]["threads"] == ["A", "B.t1"]
    assert report.extra["race"]["deadlocks"] == report.extra["race"]["invariants"] == 0
    assert report.extra["race"]["exhausted"]


def test_a_limit_of_states_is_honest() -> None:
    """max-states= ends a race early, and the report says so."""
    session = made("mmap buf 16")

    report = one(session, f"race {FAULTS} max-states=5")

    assert "NOT EXHAUSTED (max-states)" in report.sentence
    assert report.extra["race"]["stopped"] == "max-states"
    assert one(session, "expect states <= 5").expect.passed  # type: ignore[union-attr]


def test_a_limit_of_time_needs_a_clock() -> None:
    """timeout= asks the session's clock; without one it is refused."""
    session = made("mmap buf 64")
    block = "{ A.t1: { fault buf[0] ; fault buf[1] } ; A.t2: { fault buf[2] ; fault buf[3] } }"
    with pytest.raises(Refused, match="no clock"):
        session.execute(f"race {block} timeout=1")
    ticks = iter(range(10**9))
    session.host.clock = lambda: float(next(ticks))

    assert "NOT EXHAUSTED (timeout)" in one(session, f"race {block} timeout=1").sentence


def test_an_interrupt_is_honest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends a race with what was seen so far; the state is that before."""
    from folioshell.explore.race import Race

    session = made("mmap buf 16")
    before, calls, do = fingerprint(session.workspace.machine), iter(range(10**9)), Race.do

    def interrupted(race: Race, action: int) -> None:
        if next(calls) == 20:
            raise KeyboardInterrupt
        do(race, action)

    monkeypatch.setattr(Race, "do", interrupted)
    report = one(session, f"race {FAULTS}")

    assert "NOT EXHAUSTED (interrupted)" in report.sentence
    assert fingerprint(session.workspace.machine) == before


@pytest.mark.parametrize("error", [AssertionError("own"), KeyError("own"), ValueError("own"), TypeError("own")])
def test_an_internal_error_is_no_finding(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error in a path of ours ends the race as an internal error, status 3; the state is that before."""

    def broken(*_: object) -> None:
        raise error

    session = made("mmap buf 16 ; fault buf")
    before = fingerprint(session.workspace.machine)
    monkeypatch.setattr("folioshell.paths.zap._zap_pte_range", broken)
    with pytest.raises(type(error)):
        session.execute("race { A.t1: madvise dontneed buf[0] ; A.t2: write buf[1] }")
    assert fingerprint(session.workspace.machine) == before

    done = folioshell("-c", "mmap buf 16 ; fault buf ; race { A.t1: madvise dontneed buf[0] ; A.t2: write buf[1] }")
    assert done.returncode == 3
    assert "INTERNAL ERROR" in done.stderr
    assert "FINDING" not in done.stdout


def test_a_collapse_races() -> None:
    """A path that stops in the middle of a page table's entries can be snapshotted there."""
    session = made("mmap buf 2M align=2M ; write buf[0] ; write buf[5]")

    report = one(session, "race { A.t1: madvise collapse buf ; A.t2: write buf[0] }")

    assert report.extra["race"]["exhausted"]
    assert report.findings == ()


def test_a_limit_of_one_state() -> None:
    """max-states=1 stops at the beginning, and is not the limit of no states."""
    session = made("mmap buf 16")

    assert one(session, f"race {FAULTS} max-states=1").extra["race"]["states"] == 1


@pytest.mark.parametrize(
    ("line", "place", "message"),
    [
        ("race { A.t1: thread t2 }", (13, 19), "thread cannot be raced"),
        ("race { A.t1: fault nope }", (19, 23), "no such region"),
        ("race { A.t1: mmap buf 4 ; A.t2: fault buf }", (18, 21), "there is already a region buf"),
        ("race { B.t1: fault buf }", (7, 8), "no such process"),
        ("race { fault buf }", (7, 12), "a thread is missing before its command"),
        ("race { A.t1: fault buf ; A.t1: fault buf }", (25, 30), "A.t1 is given twice"),
        ("race { A.t1: }", (12, 13), "a command is missing"),
        ("race { }", (5, 8), "there is no thread in the braces"),
        ("race { A.t1: fails EINVAL fault buf }", (13, 18), "`fails` does not go with a race"),
        ("race { A.t1: fault buf } schedule=1,x", (34, 37), "'x' is not a thread number"),
        ("race { A.t1: fault buf } schedule=1,2", (34, 37), "step 2: there is no thread 2"),
        ("race A.t1: fault buf", (5, 10), "threads are written in braces"),
    ],
)
def test_refusals(line: str, place: tuple[int, int], message: str) -> None:
    """What is wrong within braces is shown at its place in the line as typed; nothing changes."""
    session = made("mmap buf 16")
    before = fingerprint(session.workspace.machine)

    with pytest.raises(Refused) as caught:
        session.execute(line)

    error = caught.value
    assert (error.message, error.text) == (message, line)
    assert (error.start, error.end) == place
    assert fingerprint(session.workspace.machine) == before


def test_a_command_whose_folio_goes_away() -> None:
    """A command that finds nothing to act on, because another thread was first, does nothing."""
    session = made("mmap buf 16 ; fault buf[0]")

    report = one(session, "race { A.t1: { madvise dontneed buf[0] ; migrate buf[0] } ; A.t2: madvise dontneed buf[0] }")

    assert report.extra["race"]["exhausted"]
    assert not report.extra["race"]["findings"]


def test_expects_want_a_race() -> None:
    """What the last race found cannot be asserted before there was one, nor after reset."""
    session = made("mmap buf 16")
    with pytest.raises(Refused, match="no race yet"):
        session.execute("expect deadlocks == 0")
    one(session, f"race {FAULTS}")
    assert one(session, "expect deadlocks == 0").expect.passed  # type: ignore[union-attr]
    session.execute("reset")
    with pytest.raises(Refused, match="no race yet"):
        session.execute("expect miscounts == 0")


def test_exploring_is_imported_late() -> None:
    """A shell in which nobody races does not pay for the search."""
    code = (
        "import sys, folioshell; folioshell.Session().execute('mmap buf 16 ; fault buf')\n"
        "assert not [name for name in sys.modules if name.startswith('folioshell.explore')]"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_race_leaves_runs_of_folios_as_they_were() -> None:
    """What a later step makes of the folios is the same after a race and without it, its trace included."""

    def at_the_end(*lines: str) -> object:
        session = Session()
        for line in lines:
            session.execute(line)
        groups = _groups(session)
        session.execute("exit A")
        (report,) = session.execute("trace events")
        return groups, report.sections

    setup = "mmap buf 8 ; fault buf"
    assert at_the_end(setup, "race {A.t1: munmap buf[3]}") == at_the_end(setup)


def test_a_schedule_leaves_folios_that_it_did_not_touch_in_runs() -> None:
    """Stepping by hand changes nothing; once the race is a step, what it changed is kept alone, the rest as before."""
    session = Session()
    session.execute("mmap buf 8 ; fault buf ; spawn t1: munmap buf[3] ; spawn t2: munmap buf[5] ; step t1 ; step t2")
    assert _groups(session) == [(1, 8)]
    session.execute("finish")
    assert _groups(session) == [(1, 3), (5, 1), (7, 2)]


def _groups(session: Session) -> list[tuple[int, int]]:
    return [(first.id, nr) for first, nr in session.workspace.kernel.folios.groups()]


def test_help_names_the_commands_that_race() -> None:
    """The help of `race` lists every command that can be raced, and no other."""
    text = " ".join(registry.commands["race"].explanation.text)
    _, _, listed = text.partition("can be raced: ")

    assert listed.partition(".")[0].split() == raceable()


def test_a_class_sees_the_columns_alone() -> None:
    """What lockdep prints of each thread would not fit on a screen of 24 lines; an expert sees it."""
    session = Session()
    session.execute(
        "set geometry classroom ; file lib 32 order=4 ; mmap w 16 file=lib prot=rw ; write w[3] ; write w[12] ;"
        "read w[0] ; read w[8] ; madvise dontneed w[4..7] ; madvise dontneed w[13..15] ;"
        "set decide vmas ; set protocol own-table-first"
    )
    race = "race { A.t1: madvise dontneed w[0..2] ; A.t2: madvise dontneed w[8..11] }"

    def drawn() -> list[str]:
        (report,) = session.execute(race)
        return [line for section in report.sections if isinstance(section, Text) for line in section.lines]

    in_class = drawn()
    session.execute("set audience expert")
    assert in_class == drawn()[: len(in_class)]
    assert "*** DEADLOCK ***" in in_class[-1] and len(drawn()) > len(in_class) + 8
