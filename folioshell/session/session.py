"""A session: typed lines, the state that they led to, and the way back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from folioshell.report import Report
from folioshell.session.language import Language


class Session:
    """The public API: make one, execute lines, get reports that are plain data.

    Attributes:
        default_language: the grammar that a session reads with unless another is given.
        finished: True once ``quit`` was executed.
    """

    default_language: ClassVar[Language | None] = None

    def __init__(self, language: Language | None = None) -> None:
        self.finished = False

    @property
    def prompt(self) -> str:
        """Current process and step: ``A 3>``."""
        raise NotImplementedError

    @property
    def step(self) -> int:
        """Number of steps that led to this state."""
        raise NotImplementedError

    @property
    def process(self) -> str:
        """Name of the current process."""
        raise NotImplementedError

    def execute(self, line: str) -> list[Report]:
        """Run every command of a line; see ``stream``."""
        return list(self.stream(line))

    def stream(self, line: str) -> Iterator[Report]:
        """Run the commands of a line one by one, a report each, as soon as it is done.

        The whole line is read before its first command runs. Commands before one that is refused stay done.

        Raises:
            Refused: columns refer to ``line``. Nothing was changed by the refused command.
            KernelBug: an invariant broke; the state before the command was restored.
            KeyboardInterrupt: passed on; the state before the command was restored.
        """
        raise NotImplementedError
