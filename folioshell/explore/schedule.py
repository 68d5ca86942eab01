"""Schedules: the order in which threads, or other actors, made their steps. Values, printed, parsed and replayed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from folioshell.units import parse_number


@dataclass(frozen=True, slots=True)
class Schedule:
    """A sequence of choices, each the number of an actor from 1.

    Args:
        steps: the choices, in order.
    """

    steps: tuple[int, ...] = ()

    @classmethod
    def of(cls, choices: Iterable[int]) -> Schedule:
        """The schedule of choices that are counted from 0."""
        return cls(tuple(choice + 1 for choice in choices))

    @classmethod
    def parse(cls, text: str) -> Schedule:
        """The schedule that prints as ``text``: ``1,1,2``, spaces allowed; an empty text is an empty schedule.

        Raises:
            ValueError: a part of it is not a number from 1; the message quotes that part.
        """
        parts = [part.strip() for part in text.split(",")] if text.strip() else []
        steps = []
        for part in parts:
            number = parse_number(part)
            if not number:
                raise ValueError(f"{part!r} is no number of a thread")
            steps.append(number)
        return cls(tuple(steps))

    @property
    def choices(self) -> Iterator[int]:
        """The choices counted from 0."""
        return (step - 1 for step in self.steps)

    @property
    def switches(self) -> int:
        """How often another actor goes on than the one before."""
        return sum(left != right for left, right in zip(self.steps, self.steps[1:], strict=False))

    def __len__(self) -> int:
        return len(self.steps)

    def __str__(self) -> str:
        return ",".join(map(str, self.steps))
