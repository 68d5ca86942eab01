"""Schedules run step by step, and threads stepped by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from folioshell.events import Event
from folioshell.explore.locks import AssumptionError, Op, value_of
from folioshell.explore.race import Race
from folioshell.explore.search import Schedule
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
    """Run an enabled thread to its next stop, and the machine with it."""
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
        ValueError: a step names a thread that does not exist or cannot run; the message names the step.
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
    return f"{name} has ended" if race.stop_of(choice).kind == "end" else f"{name} cannot run"


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


@dataclass(frozen=True, slots=True)
class PictureRow:
    """One line of a picture.

    Args:
        task: number of the thread, from 0.
        op: the acquisition.
        waits: it was not granted.
    """

    task: int
    op: Op
    waits: bool


def operations(steps: Iterable[RaceStep]) -> list[PictureRow]:
    """All lock operations of a replay in order, releases included, and the acquisitions that had to wait."""
    rows = []
    for step in steps:
        rows += [PictureRow(step.task, value_of(event), False) for event in step.trace if isinstance(event, LockOp)]
        if step.waits is not None:
            rows.append(PictureRow(step.task, step.waits, True))
    return rows


def deadlock_rows(steps: Iterable[RaceStep]) -> list[PictureRow]:
    """What is held and what is waited for after a replay, in the order in which it was taken or asked for.

    Returns: rows of the locks that a thread waits for; if none waits, rows of all locks held.
    """
    rows: list[PictureRow] = []
    for row in operations(steps):
        own = [other for other in rows if other.task == row.task and other.op.lock == row.op.lock]
        if row.op.verb == "-" or (own and own[-1].waits):
            rows = [other for other in rows if not own or other is not own[-1]]
        if row.op.verb in "+~":
            rows.append(row)
    wanted = {row.op.lock for row in rows if row.waits}
    return [row for row in rows if not wanted or row.op.lock in wanted]


def draw(rows: Sequence[PictureRow], names: Sequence[str], width: int = 24) -> list[str]:
    """Lines of text: the threads side by side, time going down.

    Args:
        rows: as ``deadlock_rows`` gives them.
        names: of the threads.
        width: columns for a thread.
    """
    tasks = sorted({row.task for row in rows})
    lines = ["".join(f"{names[task]:<{width}}" for task in tasks).rstrip()]
    for row in rows:
        mode = f"({row.op.mode})" if row.op.mode else ""
        text = f"lock({row.op.lock}){mode}{'  waits' if row.waits else ''}"
        lines.append(" " * width * tasks.index(row.task) + text)
    if rows and rows[-1].waits:
        lines[-1] = f"{lines[-1]:<{width * len(tasks)}} *** DEADLOCK ***"
    return lines
