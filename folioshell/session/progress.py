"""How far what a session is doing has come: looked up by whoever asks, from another thread even, and else at no cost.

What is looked at changes meanwhile. So an answer may be a little old, and a look may fail: the next one will not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from folioshell.session.language import Statement
    from folioshell.session.workspace import Workspace

#: how many of the last events of a step are searched for an event that says where it is
_RECENT = 64


class Progress(NamedTuple):
    """How far a command has come.

    Args:
        doing: what is being done: the command, or the way back.
        done: how much of it.
        total: of how much; None if nobody knows.
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


class Step:
    """A step: the pages that it goes through in order, and where the last event was that named one."""

    def __init__(self, workspace: Workspace, statement: Statement, process: str) -> None:
        self._workspace = workspace
        self._statement = statement
        self._process = process
        self._ranges: Sequence[tuple[int, int]] | None = None
        self._done = 0

    def progress(self) -> Progress:
        """Pages that lie behind it, of those asked for."""
        if self._ranges is None:
            self._ranges = self._statement.pages(self._workspace, self._process)
        if not self._ranges:
            return Progress(self._statement.text)
        for event in reversed(self._workspace.machine.trace[-_RECENT:]):
            vpn = getattr(event, "vpn", None)
            if vpn is not None:
                behind = sum(min(max(vpn - start, 0), nr) for start, nr in self._ranges)
                self._done = max(self._done, behind)
                break
        return Progress(self._statement.text, self._done, sum(nr for _, nr in self._ranges), "pages")


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
