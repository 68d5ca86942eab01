"""Schedules run again, step by step."""

from __future__ import annotations

import pytest

from folioshell.events import Mapped
from folioshell.explore.lockdep import Lockdep, lockdep_report
from folioshell.explore.locks import value_of
from folioshell.explore.race import Race
from folioshell.explore.replay import RaceStep, deadlock_picture, deadlock_rows, draw, operations, replay
from folioshell.explore.search import Schedule
from folioshell.model.lock import Lock, LockClass, LockOp
from tests.explore.programs import explored, fault_race, race_of, written
from tests.fingerprint import fingerprint


def one_after_another(race: Race) -> Schedule:
    """The schedule that runs each thread to its end before the next."""
    race.reset()
    choices = []
    while able := race.enabled():
        choices.append(able[0])
        race.do(able[0])
    return Schedule.of(choices)


ABBA = ("+x a +y -y -x", "+y b +x -x -y")


def test_each_step_says_what_was_done() -> None:
    """A step has the operations that were granted, what the thread waits for, and who holds what afterwards."""
    race = race_of(*ABBA)
    steps = list(replay(race, Schedule.parse("1,1,2,2,1,2")))

    assert [step.task for step in steps] == [0, 0, 1, 1, 0, 1]
    assert [[str(event) for event in step.trace] for step in steps] == [[], ["+XA(x)"], [], ["+XA(y)"], [], []]
    assert [str(step.waits) if step.waits else "" for step in steps] == ["", "", "", "", "+XA(y)", "+XA(x)"]
    assert steps[-1].locks == [("XA(x)", ((0, ""),)), ("XA(y)", ((1, ""),))]
    assert written(race.machine) == "ab"


def test_a_new_race_replays_what_another_one_found() -> None:
    """The schedule of a finding leads a race that was never explored to the same finding."""
    finding = explored(race_of(*ABBA, "~z -z ; c")).of_kind("deadlock")[0]
    fresh = race_of(*ABBA, "~z -z ; c")
    list(replay(fresh, finding.schedule))

    assert finding.flaw in fresh.verdict()


def test_replaying_all_of_a_race_is_running_it() -> None:
    """A schedule that runs one thread after the other announces the same as running the paths in a row."""
    race = fault_race((0,), (8,))
    machine = race.machine
    for task in race.tasks:
        for command in task.commands:
            machine.run(command())
    expected = [str(event) for event in machine.trace]
    before = fingerprint(machine)
    race.restore()
    machine.begin()
    steps = list(replay(race, one_after_another(race)))

    assert [str(event) for step in steps for event in step.trace] == expected
    assert fingerprint(machine) == before
    assert [step.over for step in steps].count(True) == 2


def test_facts_are_announced_in_the_step_that_makes_them() -> None:
    """The steps of a replayed fault carry its events, and the machine is in the state after each step."""
    race = fault_race((0,), (8,))
    mapped = 0
    for step in replay(race, one_after_another(race)):
        mapped += sum(isinstance(event, Mapped) for event in step.trace)
        assert race.machine.schemes["vmas"].mapcount(1) == (1 if mapped else 0)

    assert mapped == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3", "step 1: there is no thread 3"),
        ("1,1,2,2,1,1", "step 6: t1 waits for &xa->xa_lock of y"),
        ("1,1,1,1,1", "step 5: t1 has ended"),
    ],
)
def test_wrong_schedules(text: str, message: str) -> None:
    """A step that cannot be made is named, with the reason."""
    with pytest.raises(ValueError, match=message):
        list(replay(race_of(*ABBA), Schedule.parse(text)))


def test_the_picture_of_a_deadlock() -> None:
    """A column a thread, time going down, locks that were let go left out."""
    race = race_of("+z -z +x +y", "+y +x")
    (finding,) = explored(race).of_kind("deadlock")
    rows = deadlock_rows(list(replay(race, finding.schedule)))

    assert draw(rows, [task.name for task in race.tasks]) == [
        "t1                              t2",
        "lock(&xa->xa_lock of x)",
        "                                lock(&xa->xa_lock of y)",
        "lock(&xa->xa_lock of y)  waits",
        "                                lock(&xa->xa_lock of x)  waits   *** DEADLOCK ***",
    ]


def test_what_is_held_in_a_deadlock() -> None:
    """Below the picture stands, as lockdep prints it, what each thread acquires and all that it holds, and where."""
    race = race_of("+fa +x +y", "+fb +y +x")
    (finding,) = explored(race).of_kind("deadlock")
    lines = deadlock_picture(list(replay(race, finding.schedule)), [task.name for task in race.tasks])

    text = "\n".join(lines)
    assert lines[lines.index("t1 is trying to acquire lock:") - 1] == ""
    assert "t1 is trying to acquire lock:\n  y (&xa->xa_lock), at: " in text
    assert "2 locks held by t1:\n  #0: fa (folio lock), at: " in text
    assert "\n  #1: x (&xa->xa_lock), at: " in text
    assert "2 locks held by t2:\n  #0: fb (folio lock), at: " in text
    assert "lock(folio lock" not in text


def test_a_write_marked_vma_stays_held() -> None:
    """Its release does not end the mark, so a reader that waits for it is shown with the thread that holds it."""
    lock = Lock(LockClass.VMA, "v1")
    held = [(lock.name, ((0, "W"),))]
    marked = RaceStep(0, [lock.acquire("vma_start_write", "W"), lock.release("W")], None, False, held)
    waiting = RaceStep(1, [], value_of(lock.acquire("lock_vma_under_rcu", "R")), False, held)

    rows = deadlock_rows([marked, waiting])

    assert [(row.task, row.op.lock, row.op.mode, row.waits) for row in rows] == [
        (0, "VMA(v1)", "W", False),
        (1, "VMA(v1)", "R", True),
    ]


def test_a_wait_that_ended_is_not_in_the_picture() -> None:
    """Who waited and was served holds the lock; without any wait the picture shows all that is held."""
    race = race_of("+x +z", "+x")
    steps = list(replay(race, Schedule.parse("1,1,2,2")))
    assert [(row.task, row.op.lock, row.waits) for row in deadlock_rows(steps)] == [
        (0, "XA(x)", False),
        (1, "XA(x)", True),
    ]
    race = race_of("+x -x", "+x -x")
    steps = list(replay(race, Schedule.parse("1,1,2")))

    assert deadlock_rows(steps) == []
    assert [(row.task, str(row.op)) for row in operations(steps)] == [(0, "+XA(x)"), (0, "-XA(x)")]


def test_lockdep_along_a_replay() -> None:
    """What lockdep is told of a replay that does not deadlock is enough for it to see that another one might."""
    race = race_of("+f +x -x -f", "+x +f -f -x")
    dep = Lockdep()
    steps = replay(race, one_after_another(race))
    dep.see_all(
        (race.tasks[step.task].name, value_of(event))
        for step in steps
        for event in step.trace
        if isinstance(event, LockOp)
    )
    (complaint,) = dep.complaints

    assert complaint.kind == "inversion"
    assert lockdep_report(complaint)[0] == "WARNING: possible circular locking dependency detected"
