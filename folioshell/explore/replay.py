"""Replaying a schedule step by step, and the picture of a deadlock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from folioshell.events import Event
from folioshell.explore.lockdep import held_lines, lock_line
from folioshell.explore.locks import AssumptionError, Op, kernel_text, op_words, value_of
from folioshell.explore.race import Race
from folioshell.explore.search import Schedule
from folioshell.model.lock import LockOp
from folioshell.records import dataclass


@dataclass(slots=True)
class RaceStep:
    """One step of a replayed schedule: a thread from one switch point to the next.

    Args:
        task: number of the thread, from 0.
        trace: lock operations and events, in order.
        waits: the acquisition that it now waits for, or None.
        over: the thread has ended.
        locks: (lock, (thread, mode) of its holders) of every lock held afterwards.
    """

    task: int
    trace: list[LockOp | Event]
    waits: Op | None
    over: bool
    locks: list[tuple[str, tuple[tuple[int, str], ...]]]


def step(race: Race, task: int) -> RaceStep:
    """Run an enabled thread to its next stop, with the machine."""
    race.sync()
    before = len(race.machine.trace)
    race.do(task)
    race.sync()
    table = race.locks()
    stop = race.stop_of(task)
    waits = stop.op if table.is_waiting(task) else None
    return RaceStep(task, race.machine.trace[before:], waits, stop.kind == "end", table.holders())


def replay(race: Race, schedule: Schedule) -> Iterator[RaceStep]:
    """Run a schedule step by step; the machine is in the state after the step that is handed out.

    The switch points depend on what the reduction has learned: replay on the race that was explored, or on a new one,
    which first learns by running the threads one after another.

    Raises:
        ValueError: a step names a thread that does not exist or cannot run; the message names the step.
    """
    if not race.segments:
        _learn(race)
    race.restore()
    race.machine.begin()
    for number, choice in enumerate(schedule.choices, 1):
        if choice not in race.enabled():
            raise ValueError(f"step {number}: {_refusal(race, choice)}")
        yield step(race, choice)


def completed(race: Race, schedule: Schedule) -> Schedule:
    """A schedule without the steps of threads that cannot run there, and the rest of all threads by turns.

    The machine is as before.
    """
    if not race.segments:
        _learn(race)
    race.restore()
    race.machine.begin()
    made: list[int] = []
    try:
        for choice in schedule.choices:
            if choice in race.enabled():
                race.do(choice)
                made.append(choice)
        last = made[-1] if made else -1
        for _ in range(_LONGEST_RUN):
            able = race.enabled()
            if not able:
                break
            start = last + 1
            last = min(able, key=lambda task: (task - start) % len(race.tasks))
            race.do(last)
            made.append(last)
    finally:
        race.restore()
    return Schedule.of(made)


def _refusal(race: Race, choice: int) -> str:
    if choice >= len(race.tasks):
        return f"there is no thread {choice + 1}"
    name = race.tasks[choice].name
    for wait in race.locks().waits():
        if wait.task == choice:
            return f"{name} waits for {kernel_text(wait.lock)}"
    if race.is_unborn(choice):
        return f"{name} begins when its process was forked"
    return f"{name} has ended" if race.stop_of(choice).kind == "end" else f"{name} cannot run"


def _learn(race: Race) -> None:
    """Run the threads one after another, each of them first once, so that the reduction learns."""
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


#: steps after which threads that run one after another or by turns are left where they are: they make no progress
_LONGEST_RUN = 10_000


@dataclass(frozen=True, slots=True)
class PictureRow:
    """One line of a picture.

    Args:
        task: number of the thread, from 0.
        op: the operation.
        waits: it is an acquisition that was not granted.
    """

    task: int
    op: Op
    waits: bool


def operations(steps: Iterable[RaceStep]) -> list[PictureRow]:
    """All lock operations of a replay in order, and the acquisitions that had to wait."""
    rows = []
    for step in steps:
        rows += [PictureRow(step.task, value_of(event), False) for event in step.trace if isinstance(event, LockOp)]
        if step.waits is not None:
            rows.append(PictureRow(step.task, step.waits, True))
    return rows


def lock_rows(steps: Iterable[RaceStep]) -> list[PictureRow]:
    """Held and awaited locks after a replay, in the order in which they were acquired or requested.

    A VMA that is marked for writing is held until mmap_lock is dropped, whatever its release says.
    """
    steps = list(steps)
    held = {(task, lock) for lock, tasks in steps[-1].locks for task, _ in tasks} if steps else set()
    last: dict[tuple[int, str, bool], PictureRow] = {}
    for row in operations(steps):
        if row.op.verb in "+~":
            last.pop((row.task, row.op.lock, True), None)
            last.pop((row.task, row.op.lock, row.waits), None)
            last[row.task, row.op.lock, row.waits] = row
    return [row for (task, lock, waits), row in last.items() if waits or (task, lock) in held]


def deadlock_rows(steps: Iterable[RaceStep]) -> list[PictureRow]:
    """The same of the contended locks alone; if there are none, of all held locks."""
    rows = lock_rows(steps)
    wanted = {row.op.lock for row in rows if row.waits}
    return [row for row in rows if not wanted or row.op.lock in wanted]


def deadlock_picture(steps: Sequence[RaceStep], names: Sequence[str]) -> list[str]:
    """The contended locks side by side, then what each waiting thread acquires and holds, as lockdep prints it."""
    lines = draw(deadlock_rows(steps), names)
    rows = lock_rows(steps)
    for wanted in rows:
        if wanted.waits:
            held = [row.op for row in rows if row.task == wanted.task and not row.waits]
            lines += ["", f"{names[wanted.task]} is trying to acquire lock:", f"  {lock_line(wanted.op)}"]
            lines += held_lines(names[wanted.task], held)
    return lines


#: verb of an operation -> what documents call it; others are called as they are
ACTIONS = {"+": "lock", "~": "trylock", "-": "unlock", "w": "wait", "v": "downgrade", "?": "read"}


def schedule_document(
    steps: Iterable[RaceStep], names: Sequence[str], told: Callable[[Event], tuple[str, str]]
) -> dict[str, Any]:
    """A schedule as plain data: what each step did, what its thread then waits for, and who holds which lock.

    Args:
        names: of the threads.
        told: (sentence, kernel function) of an event.
    """
    return {"threads": list(names), "steps": [_step_document(step, names, told) for step in steps]}


def _step_document(step: RaceStep, names: Sequence[str], told: Callable[[Event], tuple[str, str]]) -> dict[str, Any]:
    actions: list[dict[str, str]] = []
    for event in step.trace:
        if isinstance(event, LockOp):
            actions.append(op_document(value_of(event)))
        else:
            text, function = told(event)
            actions.append({"action": "event", "text": text, "function": function})
    held = [
        {"lock": lock, "thread": names[task], **({"mode": mode} if mode else {})}
        for lock, tasks in step.locks
        for task, mode in tasks
    ]
    made: dict[str, Any] = {"thread": names[step.task], "actions": actions, "held": held}
    if step.waits is not None:
        made["waits"] = op_document(step.waits)
    return made | ({"ends": True} if step.over else {})


def op_document(op: Op) -> dict[str, str]:
    """A lock operation as plain data."""
    made = {"action": ACTIONS.get(op.verb, op.verb), "lock": op.lock, "mode": op.mode, "function": op.function}
    return {key: text for key, text in made.items() if text}


def picture_document(steps: Iterable[RaceStep], names: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a picture of a deadlock: thread, action, lock, and whether it waits for it."""
    return [{"thread": names[row.task], **op_document(row.op), "waits": row.waits} for row in deadlock_rows(steps)]


def deadlock_words(steps: Sequence[RaceStep], names: Sequence[str]) -> list[str]:
    """The same as a numbered list: ``3. A.t1 waits for pt2, held by A.t2.``"""
    rows = lock_rows(steps)
    lines = []
    for number, row in enumerate(rows, 1):
        what = f"{op_words(row.op)} in {row.op.function or 'acquire'}()"
        if row.waits:
            holders = [names[other.task] for other in rows if not other.waits and other.op.lock == row.op.lock]
            held = f", held by {' and '.join(dict.fromkeys(holders))}" if holders else ""
            what = f"waits for {kernel_text(row.op.lock)}{held}, in {row.op.function or 'acquire'}()"
        lines.append(f"{number}. {names[row.task]} {what}.")
    return [*lines, "Deadlock."] if rows and rows[-1].waits else lines


#: minimum columns per thread
_COLUMN = 24


def draw(rows: Sequence[PictureRow], names: Sequence[str]) -> list[str]:
    """Lines of text: one column per thread, time going down.

    Args:
        rows: as ``deadlock_rows`` gives them.
        names: of the threads.
    """
    tasks = sorted({row.task for row in rows})
    texts = []
    for row in rows:
        mode = f"({row.op.mode})" if row.op.mode else ""
        texts.append(f"lock({kernel_text(row.op.lock)}){mode}{'  waits' if row.waits else ''}")
    width = max([_COLUMN, *(len(text) + 2 for text in texts)])
    lines = ["".join(f"{names[task]:<{width}}" for task in tasks).rstrip()]
    lines += [" " * width * tasks.index(row.task) + text for row, text in zip(rows, texts, strict=True)]
    if rows and rows[-1].waits:
        lines[-1] = f"{lines[-1]:<{width * len(tasks)}} *** DEADLOCK ***"
    return lines
