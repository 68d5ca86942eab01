"""A statement: one command of a line, read, ready to be run in a session."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from folioshell.commands.arguments import Arguments
from folioshell.commands.call import Call
from folioshell.commands.grammar import Command, Form
from folioshell.commands.lex import Token
from folioshell.errors import Refused
from folioshell.paths.step import Path
from folioshell.report import Report
from folioshell.session.language import Ending
from folioshell.session.session import Session
from folioshell.session.workspace import Workspace


class ParsedStatement(NamedTuple):
    """One command of a line.

    Args:
        text: normal form: its words with one blank between them, without the process that runs it.
        process: the process named before it, or empty.
        process_token: that word.
        expected: the errno or signal after ``fails``, or empty.
        kind: ``model``, ``view``, ``session``, ``output`` or ``program``.
        command, form, arguments: what it says.
        line: the line as typed, which all columns refer to.
        start, end: its columns in the line, half-open.
        thread: the thread named before it, or empty for the main one.
    """

    text: str
    process: str
    process_token: Token | None
    expected: str
    kind: str
    command: Command
    form: Form
    arguments: Arguments
    line: str
    start: int
    end: int
    thread: str = ""

    def path(self, workspace: Workspace, process: str) -> Path[Ending]:
        """The kernel path of a command that can race, to be driven by whoever asks.

        Raises:
            Refused: there is none in this state.
        """
        assert self.command.races, self.command.verb
        path: Path[Ending] = self._handle(Call(self, workspace, process, None))
        return path

    def apply(self, workspace: Workspace, process: str) -> Ending:
        """Run a model command; see ``Statement``."""
        if self.command.races:
            return workspace.machine.run(self.path(workspace, process))
        ending: Ending = self._handle(Call(self, workspace, process, None))
        return ending

    def pages(self, workspace: Workspace, process: str) -> Sequence[tuple[int, int]]:
        """The pages that a model command goes through; see ``Statement``."""
        call = Call(self, workspace, process, None)
        if self.command.pages is not None:
            return self.command.pages(call)
        if "PLACE" not in self.arguments:
            return ()
        found = call.own_range("PLACE")
        return [(found.start, found.nr)]

    def answer(self, session: Session, process: str) -> Sequence[Report]:
        """Run a command that is no step; see ``Statement``."""
        answer = self._handle(Call(self, session.workspace, process, session))
        return [answer] if isinstance(answer, Report) else list(answer)

    def subject(self, workspace: Workspace, process: str) -> str:
        """Who did what, for the sentence after the step."""
        call = Call(self, workspace, process, None)
        return self.command.subject(call) if self.command.subject else f"{process} ran {self.command.verb}"

    def refused_process(self, message: str, allowed: Sequence[str], hint: str = "") -> Refused:
        """The error about the process that is to run this."""
        token = self.process_token
        start, end = (token.start, token.end) if token else (self.start, self.start + 1)
        return Refused(message, start=start, end=end, text=self.line, allowed=allowed, hint=hint)

    def refused_thread(self, message: str, allowed: Sequence[str], hint: str = "") -> Refused:
        """The error about the thread of that process."""
        assert self.process_token is not None, "a thread stands behind its process"
        start = self.process_token.end + 1
        end = start + len(self.thread)
        return Refused(message, start=start, end=end, text=self.line, allowed=allowed, hint=hint)

    def _handle(self, call: Call) -> Any:
        try:
            return (self.form.handler or self.command.handler)(call)
        except Refused as error:
            if not error.text and not error.file:
                error.text = self.line
            raise
