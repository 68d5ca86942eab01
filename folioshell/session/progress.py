"""What is under way: how far a command has come, and threads that are stepped by hand.

Progress is read on demand, even from another thread, and costs nothing otherwise. What is looked at changes
meanwhile: an answer may be a little old, and reading it may fail; the next attempt will not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, Self

from folioshell.records import NamedTuple, dataclass, field

if TYPE_CHECKING:
    from folioshell.session.workspace import Runnable, Workspace

#: how many of the last events of a step are searched for an event that says where it is
_RECENT = 64


class Progress(NamedTuple):
    """How far a command has come.

    Args:
        doing: the command, or the replay.
        done: how much of it.
        total: of how much; None if unknown.
        unit: what is counted, in the plural; empty if nothing is.
    """

    doing: str
    done: int = 0
    total: int | None = None
    unit: str = ""


class Undertaking(Protocol):
    """Something that may take long."""

    def progress(self) -> Progress:
        """How far it has come."""


class StepProgress:
    """A step: the pages that it goes through in order, and where the last event was that named one."""

    def __init__(self, workspace: Workspace, command: Runnable, process: str) -> None:
        self._workspace = workspace
        self._command = command
        self._process = process
        self._ranges: Sequence[tuple[int, int]] | None = None
        self._done = 0

    def progress(self) -> Progress:
        """Pages done, of those asked for."""
        if self._ranges is None:
            self._ranges = self._command.pages(self._workspace, self._process)
        if not self._ranges:
            return Progress(self._command.text)
        for event in reversed(self._workspace.machine.trace[-_RECENT:]):
            vpn = getattr(event, "vpn", None)
            if vpn is not None:
                behind = sum(min(max(vpn - start, 0), nr) for start, nr in self._ranges)
                self._done = max(self._done, behind)
                break
        return Progress(self._command.text, self._done, sum(nr for _, nr in self._ranges), "pages")


class Replaying:
    """Steps that are done again on a fresh machine.

    Attributes:
        doing: where that leads.
        done, total: steps.
    """

    def __init__(self, doing: str, total: int) -> None:
        self.doing = doing
        self.done = 0
        self.total = total

    @classmethod
    def to(cls, step: int) -> Self:
        """Those that lead to the state after a step."""
        return cls(f"replaying to step {step}", step)

    def progress(self) -> Progress:
        """Steps that were done again, of those that lead there."""
        return Progress(self.doing, self.done, self.total, "steps")


class Exploring:
    """A race that is being explored.

    Attributes:
        states: seen so far.
    """

    def __init__(self, doing: str, most: int | None) -> None:
        self.states = 0
        self._doing = doing
        self._most = most

    def progress(self) -> Progress:
        """States that were seen, of the most that may be."""
        return Progress(self._doing, self.states, self._most, "states")


@dataclass(slots=True)
class Spawned:
    """Threads under way.

    They change nothing until all have ended: each step is shown by repeating the schedule from the present state.

    Attributes:
        commands: thread, as it is printed, -> its commands in their normal form.
        schedule: numbers of the threads that ran, from 1, in order.
    """

    commands: dict[str, list[str]] = field(default_factory=dict)
    schedule: list[int] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The threads, in the order in which they were spawned."""
        return list(self.commands)

    @property
    def block(self) -> str:
        """The threads as a race writes them."""
        parts = (f"{name}: {{ {' ; '.join(commands)} }}" for name, commands in self.commands.items())
        return f"{{ {' ; '.join(parts)} }}"
