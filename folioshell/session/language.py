"""What a session needs to know of the command language: lines become statements, statements can be run.

The grammar lives above this package; it installs itself in ``Session.default_language`` when it is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from folioshell.records import NamedTuple, dataclass
from folioshell.report import Watched, WatchedValue
from folioshell.session.workspace import Runnable

if TYPE_CHECKING:
    from folioshell.errors import Refused
    from folioshell.report import Report
    from folioshell.session.session import Session

#: Kinds of commands: those that change state (a step), that ask or show, that change where a session is or what it
#: shows, that say where and in which form output goes, and those that read or write files of the host or end the
#: program.
MODEL = "model"
VIEW = "view"
SESSION = "session"
OUTPUT = "output"
PROGRAM = "program"

#: hint after the last process exited: `exit` does not end the shell
NO_PROCESS_LEFT = "`undo` goes back, `quit` ends the session"

#: beginnings of commands that are no steps, do not move in the history and do not end the session
_STAYING = ("as ", "mark ", "branch", "set ", "watch", "unwatch", "save ", "source ", "load scheme ", "load protocol ")


class Statement(Runnable, Protocol):
    """One command of a line, read but not yet run."""

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
        """The column after it."""

    @property
    def kind(self) -> str:
        """``model`` (changes state: a step), ``view``, ``session``, ``output`` or ``program``."""

    @property
    def expected(self) -> str:
        """The errno or signal after ``fails``, or empty."""

    def expected_under(self, version: str) -> str:
        """The errno or signal that it must end with under a profile, or empty."""

    def expanded(self) -> Iterator[Statement]:
        """The commands that it stands for, parsed as they are needed: itself, or those of a loop.

        Raises:
            Refused: one of them cannot be parsed.
        """

    def answer(self, session: Session, process: str) -> Sequence[Report]:
        """Run a command that is no step.

        Raises:
            Refused: it cannot be done; nothing was changed.
        """

    def refused_process(self, message: str, allowed: Sequence[str], hint: str = "") -> Refused:
        """The error about the process that is to run it."""

    def refused_thread(self, message: str, allowed: Sequence[str], hint: str = "") -> Refused:
        """The error about the thread that is named before it."""


def stays(statement: Statement) -> bool:
    """Is this a command that leaves the session at its step?"""
    return statement.kind in (VIEW, OUTPUT) or (statement.kind != MODEL and statement.text.startswith(_STAYING))


class Language(Protocol):
    """A parser of lines."""

    def parse(self, line: str) -> Sequence[Statement]:
        """The statements of a line, in order; none for a blank line, a comment or prose.

        Raises:
            Refused: the line cannot be read; the columns say where.
        """


class Teacher(Protocol):
    """Who asks questions and sets tasks while commands are typed: a lesson, or a script that is presented."""

    @property
    def asks(self) -> str:
        """The prompt of the question that waits for an answer; empty if none does."""

    @property
    def name(self) -> str:
        """What stands before the prompt; empty if nothing does."""

    def reply(self, line: str) -> Sequence[Report] | None:
        """What is said to a line that answers the question, or is empty and means `next`; None of any other line.

        Raises:
            Refused: it is no answer.
        """

    def next(self, nr: int = 1) -> Sequence[Report]:
        """Show or run what comes next, so many times, up to a question, a task, or the end."""

    def hint(self) -> Sequence[Report]:
        """The next hint."""

    def answer(self) -> Sequence[Report]:
        """The answer to the question; the solution of a task is offered for the input line."""

    def skip(self) -> Sequence[Report]:
        """Continue without the question or task."""

    def again(self) -> Sequence[Report]:
        """Begin again."""

    def back(self) -> bool:
        """Return to the state of the lesson; False if the session is in it."""

    def before(self, statement: Statement) -> None:
        """A command is about to be run.

        Raises:
            Refused: the task does not allow it.
        """

    def after(self, statement: Statement) -> Sequence[Report]:
        """A command was run: what it means for the task."""


# Questions that are asked again whenever the state may have changed.


class Reading(NamedTuple):
    """What a question gives at one moment.

    Args:
        values: what was read, in the order in which it should be shown: scheme -> number or answer.
        note: why nothing can be read; empty if something was.
    """

    values: dict[str, str]
    note: str = ""


class Watchable(Protocol):
    """Something that can be watched."""

    @property
    def text(self) -> str:
        """As it is typed after ``watch``; does not depend on the current process."""

    def can_be_set(self, session: Session) -> bool:
        """Would it be accepted now?"""

    def read(self, session: Session) -> Reading:
        """What it gives in the present state."""


@dataclass(slots=True)
class Watch:
    """A question with the last answer shown: what the next one is compared with, after undo too."""

    question: Watchable
    seen: Reading


def news(session: Session) -> tuple[Watched, ...]:
    """The watches whose answers are not those seen last, with old and new; from then on the new ones were seen."""
    found = []
    for number, watch in enumerate(session.watches, 1):
        reading = watch.question.read(session)
        values = _changes(watch.seen, reading)
        if values or reading.note != watch.seen.note:
            found.append(Watched(number, watch.question.text, values, reading.note))
        watch.seen = reading
    return tuple(found)


def present(number: int, watch: Watch) -> Watched:
    """A watch with the answer that was seen last."""
    values = {name: WatchedValue(value, value) for name, value in watch.seen.values.items()}
    return Watched(number, watch.question.text, values, watch.seen.note)


def _changes(old: Reading, new: Reading) -> dict[str, WatchedValue]:
    """What both readings have and what differs there; all of the new one, if nothing could be read before."""
    if old.note:
        return {name: WatchedValue("", value) for name, value in new.values.items()}
    return {
        name: WatchedValue(old.values[name], value)
        for name, value in new.values.items()
        if old.values.get(name, value) != value
    }
