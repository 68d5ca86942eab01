"""Scripts that go back in their history, for kernels, where no process can undo a system call.

Rules:
- Each branch of the history is a script that begins anew.
- It repeats the commands that it shares with an earlier branch, but not their queries and expects.
"""

from __future__ import annotations

from folioshell.commands import Session
from folioshell.commands.grammar import MODEL
from folioshell.commands.parse import ParsedStatement
from folioshell.session.history import Entry
from folioshell.session.host import Host

#: session commands that go elsewhere in the history
_MOVES = ("undo", "redo", "goto", "branch", "reset")


class Branches:
    """The branches of a script, statement after statement.

    Args:
        profile: the release that the script runs under; empty for the default one.
    """

    def __init__(self, profile: str = "") -> None:
        self._session = Session(counting=(), host=Host(profile=profile))
        self._current: list[ParsedStatement] = []
        self._finished: list[list[ParsedStatement]] = []
        #: the state after a step -> the commands that lead there
        self._ways: dict[Entry | None, list[ParsedStatement]] = {None: []}
        #: has the current branch a statement that no other has?
        self._is_new = False

    def add(self, statement: ParsedStatement) -> None:
        """Run a statement, and add it to the current branch.

        Raises:
            Refused: it cannot be run.
        """
        verb = statement.command.verb
        if verb in _MOVES:
            self._session.run(statement)
            if self._is_new:
                self._finished.append(self._current)
            if verb == "reset":
                self._ways = {None: []}
            self._current, self._is_new = [*self._ways[self._tip()]], False
            return
        self._current.append(statement)
        self._is_new = True
        if statement.kind == MODEL or verb in ("as", "mark"):
            way = self._ways[self._tip()]
            self._session.run(statement)
            self._ways[self._tip()] = [*way, statement]

    def _tip(self) -> Entry | None:
        history = self._session.history
        return history.entries.at(history.position)

    def all(self) -> list[list[ParsedStatement]]:
        """The branches, in the order in which they end."""
        return [*self._finished, self._current] if self._is_new or not self._finished else self._finished
