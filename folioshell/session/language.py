"""What a session needs to know of the command language: lines become statements, statements can be run.

The grammar lives above this package; it installs itself in ``Session.default_language`` when it is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from folioshell.errors import Refused
    from folioshell.report import Report
    from folioshell.session.session import Session
    from folioshell.session.workspace import Workspace

#: What a kernel path ended with: nothing, an errno, or the accesses that were answered with a signal.
Ending = str | list[list[Any]] | None

#: Kinds of commands: those that change state (a step), that ask or show, that change where a session is or what it
#: shows, that say where and in which form output goes, and those that read or write files of the host or end the
#: program.
MODEL = "model"
VIEW = "view"
SESSION = "session"
OUTPUT = "output"
PROGRAM = "program"

#: the way out for whoever ended the last process: `exit` does not end the shell, as in others it would
NO_PROCESS_LEFT = "`undo` goes back, `quit` ends the session"


class Statement(Protocol):
    """One command of a line, read but not yet run."""

    @property
    def text(self) -> str:
        """The command in its normal form, without the process that was named before it."""

    @property
    def process(self) -> str:
        """The process that was named before it, or empty."""

    @property
    def thread(self) -> str:
        """The thread of that process, or empty for the main one."""

    @property
    def start(self) -> int:
        """Its first column in the line as typed, from 0."""

    @property
    def end(self) -> int:
        """The column behind it."""

    @property
    def kind(self) -> str:
        """``model`` (changes state: a step), ``view``, ``session``, ``output`` or ``program``."""

    @property
    def expected(self) -> str:
        """The errno or signal after ``fails``, or empty."""

    def apply(self, workspace: Workspace, process: str) -> Ending:
        """Run a model command.

        Raises:
            Refused: it cannot be done; nothing was changed.
        """

    def pages(self, workspace: Workspace, process: str) -> Sequence[tuple[int, int]]:
        """(first, number) of the ranges of virtual pages that a model command goes through in order, if it does.

        Raises:
            Refused: as ``apply``.
        """

    def answer(self, session: Session, process: str) -> Sequence[Report]:
        """Run a command that is no step.

        Raises:
            Refused: it cannot be done; nothing was changed.
        """

    def subject(self, workspace: Workspace, process: str) -> str:
        """The opening of the sentence about a model command that was run: who did what, before its consequences."""

    def refused_process(self, message: str, allowed: Sequence[str], hint: str = "") -> Refused:
        """The error about the process that is to run it."""

    def refused_thread(self, message: str, allowed: Sequence[str], hint: str = "") -> Refused:
        """The error about the thread that is named before it."""


class Language(Protocol):
    """A parser of lines."""

    def parse(self, line: str) -> Sequence[Statement]:
        """The statements of a line, in order; none for a blank line, a comment or prose.

        Raises:
            Refused: the line cannot be read; the columns say where.
        """
