"""Commands that did not come to an end: the simulated kernel hangs, and the state stays that before the command."""

from __future__ import annotations

from collections.abc import Sequence

from folioshell.errors import FolioshellError, SelfDeadlock
from folioshell.model.lock import LockOp
from folioshell.report import Report, Text
from folioshell.wording import counted


class NoStep(FolioshellError):
    """A command that would be a step did not reach an end state.

    Args:
        report: what is to be said about it.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(report.sentence)
        self.report = report


def self_deadlock(command: str, process: str, hang: SelfDeadlock, events: Sequence[object]) -> Report:
    """The report of a command that waits for a lock that its own task holds, in the wording of lockdep.

    Args:
        events: what it did until then.
    Kernel: kernel/locking/lockdep.c: print_deadlock_bug() (v6.18)
    """
    # The acquisition that is never granted stands last in the trace.
    held = _held(events[:-1])
    taken_by = next((op.function for op in held if op.lock.name == hang.lock), "")
    what = f"self-deadlock on {hang.lock}: {hang.function}() wants it, and the same task holds it"
    lines = [
        "WARNING: possible recursive locking detected",
        f"{process} is trying to acquire lock:",
        f"  {hang.lock}, at: {hang.function}()",
        "but task is already holding lock:",
        f"  {hang.lock}, at: {taken_by}()",
        "",
        "Possible unsafe locking scenario:",
        "",
        "       CPU0",
        "       ----",
        f"  lock({hang.lock});",
        f"  lock({hang.lock});",
        "",
        " *** DEADLOCK ***",
        "",
        f"{counted(len(held), 'lock')} held by {process}:",
        *(
            f"  #{number}: {op.lock.name}{f' ({op.mode})' if op.mode else ''}, at: {op.function}()"
            for number, op in enumerate(held)
        ),
    ]
    return Report(
        command=command,
        process=process,
        sentence=f"{process} hangs: the state stays that before the command, and this is no step.",
        findings=(f"{what} since {taken_by}() ({hang.protocol})",),
        sections=(Text(tuple(lines)),),
        extra={"hang": {"lock": hang.lock, "held_by": process, "wanted_by": process, "protocol": hang.protocol}},
    )


def _held(events: Sequence[object]) -> list[LockOp]:
    """The acquisitions of what is held after some events, oldest first."""
    held: list[LockOp] = []
    for op in events:
        if not isinstance(op, LockOp):
            continue
        if op.verb == "-":
            held = [other for other in held if other.lock is not op.lock]
        elif op.verb in "+~":
            held.append(op)
    return held
