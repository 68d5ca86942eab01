"""The journal: for each step, all that its kernel path yielded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from folioshell.events import Event
from folioshell.model.lock import LockOp

Happening = LockOp | Event


@dataclass(slots=True)
class StepRecord:
    """One step.

    Args:
        number: from 1; the state after it has this number.
        process: who ran it.
        command: in its normal form.
        result: how the kernel ended it, as in a report.
        trace: lock operations and events in the order in which they happened.
    """

    number: int
    process: str
    command: str
    result: dict[str, Any]
    trace: Sequence[Happening]

    def events(self) -> Iterator[Event]:
        """Its events in order."""
        for event in self.trace:
            if event.__class__ is not LockOp:
                yield event  # type: ignore[misc]
