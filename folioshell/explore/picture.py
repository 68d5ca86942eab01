"""A deadlock drawn: a column a thread, a line for each lock that it holds or waits for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from folioshell.explore.locks import Op, value_of
from folioshell.explore.replay import RaceStep
from folioshell.model.lock import LockOp


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a picture.

    Args:
        task: number of the thread, from 0.
        op: the acquisition.
        waits: it was not granted.
    """

    task: int
    op: Op
    waits: bool


def operations(steps: Iterable[RaceStep]) -> list[Row]:
    """All lock operations of a replay in order, releases included, and the acquisitions that had to wait."""
    rows = []
    for step in steps:
        rows += [Row(step.task, value_of(event), False) for event in step.trace if isinstance(event, LockOp)]
        if step.waits is not None:
            rows.append(Row(step.task, step.waits, True))
    return rows


def deadlock_rows(steps: Iterable[RaceStep]) -> list[Row]:
    """What is held and what is waited for after a replay, in the order in which it was taken or asked for.

    Returns: rows of the locks that somebody waits for; without any wait, rows of all that is held.
    """
    rows: list[Row] = []
    for row in operations(steps):
        own = [other for other in rows if other.task == row.task and other.op.lock == row.op.lock]
        if row.op.verb == "-" or (own and own[-1].waits):
            rows = [other for other in rows if not own or other is not own[-1]]
        if row.op.verb in "+~":
            rows.append(row)
    wanted = {row.op.lock for row in rows if row.waits}
    return [row for row in rows if not wanted or row.op.lock in wanted]


def draw(rows: Sequence[Row], names: Sequence[str], width: int = 24) -> list[str]:
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
