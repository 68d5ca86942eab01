"""The journal: for each step, all that its kernel path yielded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from folioshell.facts import Fact
from folioshell.model.lock import LockOp

Happening = LockOp | Fact


@dataclass(slots=True)
class StepRecord:
    """One step.

    Args:
        number: from 1; the state after it has this number.
        process: who ran it.
        command: in its normal form.
        result: how the kernel ended it, as in a report.
        events: lock operations and facts in the order in which they happened.
    """

    number: int
    process: str
    command: str
    result: dict[str, Any]
    events: Sequence[Happening]

    def facts(self) -> Iterator[Fact]:
        """Its facts in order."""
        for event in self.events:
            if event.__class__ is not LockOp:
                yield event  # type: ignore[misc]
