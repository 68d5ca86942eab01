"""Schedules run step by step, and threads stepped by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from folioshell.events import Event
from folioshell.explore.locks import Op
from folioshell.explore.race import Race
from folioshell.explore.reduction import AssumptionError
from folioshell.explore.schedule import Schedule
from folioshell.model.lock import LockOp


@dataclass(slots=True)
class RaceStep:
    """One step of a replayed schedule: a thread from one switch point to the next.

    Args:
        task: number of the thread, from 0.
        trace: lock operations and events, in order.
        waits: the operation that it waits for now, if it does.
        over: the thread has ended.
        locks: (lock, (thread, mode) of its holders) of every lock that is held afterwards.
    """

    task: int
    trace: list[LockOp | Event]
    waits: Op | None
    over: bool
    locks: list[tuple[str, tuple[tuple[int, str], ...]]]


def step(race: Race, task: int) -> RaceStep:
    """Let a thread that is enabled go on to its next stop, the machine with it."""
    race.sync()
    before = len(race.machine.trace)
    race.do(task)
    race.sync()
    table = race.locks()
    stop = race.stop_of(task)
    waits = stop.op if table.is_waiting(task) else None
    return RaceStep(task, race.machine.trace[before:], waits, stop.kind == "end", table.holders())


def replay(race: Race, schedule: Schedule) -> Iterator[RaceStep]:
    """Run a schedule step by step; the machine is in the state after each step when that is handed out.

    Where a thread stops depends on what the threads are seen to do: replay on the race that was explored, or on a new
    one, which learns what it can by letting the threads run one after another first.

    Raises:
        ValueError: a step names a thread that is not there or cannot go on; the message names the step.
    """
    if not race.stretches:
        _learn(race)
    race.restore()
    race.machine.begin()
    for number, choice in enumerate(schedule.choices, 1):
        if choice not in race.enabled():
            raise ValueError(f"step {number}: {_refusal(race, choice)}")
        yield step(race, choice)


def _refusal(race: Race, choice: int) -> str:
    if choice >= len(race.tasks):
        return f"there is no thread {choice + 1}"
    name = race.tasks[choice].name
    for wait in race.locks().waits():
        if wait.task == choice:
            return f"{name} waits for {wait.lock}"
    return f"{name} has ended" if race.stop_of(choice).kind == "end" else f"{name} cannot go on"


def _learn(race: Race) -> None:
    """Let the threads run one after another, each of them first once, for what the reduction has to know."""
    first = 0
    while first < len(race.tasks):
        try:
            race.reset()
            for _ in range(_LONGEST_RUN):
                able = race.enabled()
                if not able:
                    break
                race.do(min(able, key=lambda task: (task - first) % len(race.tasks)))
            first += 1
        except AssumptionError as error:
            race.learn(error)
            first = 0


#: steps after which a thread that never ends is left alone
_LONGEST_RUN = 10_000
