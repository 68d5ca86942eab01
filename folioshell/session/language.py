"""What a session needs to know of the command language: lines become statements, statements can be run.

The grammar lives above this package; it installs itself in ``Session.default_language`` when it is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from folioshell.report import Report
    from folioshell.session.session import Session

#: What a kernel path ended with: nothing, an errno, or the accesses that were answered with a signal.
Ending = str | list[list[Any]] | None

MODEL = "model"
VIEW = "view"
SESSION = "session"


class Statement(Protocol):
    """One command of a line, read but not yet run.

    Attributes:
        text: the command in its normal form, without a process prefix.
        process: the process that was named before it, or empty.
        kind: ``model`` (changes state: a step), ``view`` (asks, or changes what is shown) or ``session`` (moves in the
            history).
        expected: the errno or signal after ``fails``, or empty.
    """

    @property
    def text(self) -> str: ...

    @property
    def process(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def expected(self) -> str: ...

    def apply(self, session: Session, process: str) -> Ending:
        """Run a model command.

        Raises:
            Refused: it cannot be done; nothing was changed.
        """
        ...

    def answer(self, session: Session, process: str) -> Sequence[Report]:
        """Run a view or session command.

        Raises:
            Refused: it cannot be done; nothing was changed.
        """
        ...

    def subject(self, session: Session, process: str) -> str:
        """The opening of the sentence about a model command: who did what, before its consequences."""
        ...


class Language(Protocol):
    """A parser of lines."""

    def parse(self, line: str) -> Sequence[Statement]:
        """The statements of a line, in order; none for a blank line, a comment or prose.

        Raises:
            Refused: the line cannot be read; the columns say where.
        """
        ...
