"""A statement as it was read: its arguments, and where they stand in the line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from folioshell.commands.grammar import Command, Form
from folioshell.commands.lex import Token
from folioshell.commands.operands import NEW_NAME
from folioshell.errors import Refused
from folioshell.records import NamedTuple

T = TypeVar("T")


class Arguments:
    """What was typed after the verb.

    Names are those of the declaration: ``SIZE`` for an argument, ``kind`` for a group of flags, ``file`` for an option.
    """

    __slots__ = ("_tokens", "_values")

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._tokens: dict[str, list[Token]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def put(self, name: str, value: Any, token: Token) -> None:
        """Set a value."""
        self._values[name] = value
        self._tokens[name] = [token]

    def append(self, name: str, value: Any, token: Token) -> None:
        """Add to the values of a repeated argument."""
        self._values.setdefault(name, []).append(value)
        self._tokens.setdefault(name, []).append(token)

    def get(self, name: str, kind: type[T], default: T | None = None) -> T:
        """A value whose type the declaration guarantees.

        Args:
            kind: that type; the caller's claim, checked.
            default: what an argument that was left out stands for.
        """
        value = self._values.get(name, default)
        assert isinstance(value, kind), f"{name} is {value!r}"
        return value

    def every(self, name: str) -> list[Any]:
        """The values of a repeated argument."""
        return list(self._values.get(name, ()))

    def tokens(self, name: str) -> list[Token]:
        """The words that the value was read from; none if it was left out."""
        return self._tokens.get(name, [])


class Replaced(NamedTuple):
    """A number in the text of a round: its column and width there, and those of the variable as typed."""

    start: int
    width: int
    typed: int
    typed_width: int


class Round(NamedTuple):
    """A round of a loop: how the columns of its text lead back to the line as typed.

    Args:
        line: what was typed, or the text of the round around it.
        replaced: the numbers in its text, ascending.
        value: ``i = 3``.
        outer: the round of the loop around it.
    """

    line: str
    replaced: Sequence[Replaced]
    value: str
    outer: Round | None = None

    @property
    def values(self) -> str:
        """Those of the loops around it, too: ``i = 3, j = 1``."""
        return f"{self.outer.values}, {self.value}" if self.outer is not None else self.value

    @property
    def typed_line(self) -> str:
        """The whole line as typed."""
        return self.outer.typed_line if self.outer is not None else self.line

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The columns as typed of a half-open range of columns; of a part of a number, the whole variable."""
        first = last = 0
        for at, width, typed, typed_width in self.replaced:
            past = typed + typed_width - at - width
            if at + width <= start:
                first = past
            elif at <= start:
                first = typed - start
            if at + width <= end:
                last = past
            elif at < end:
                last = typed + typed_width - end
        start, end = start + first, end + last
        return self.outer.span(start, end) if self.outer is not None else (start, end)

    def placed(self, error: Refused, line: str) -> Refused:
        """The same error about the line as typed, with the values, if it is about the text ``line`` of this round."""
        if error.text == line and not error.file:
            error.text = self.typed_line
            error.message += f" ({self.values})"
            if error.start is not None:
                error.start, error.end = self.span(error.start, error.start + 1 if error.end is None else error.end)
        return error


class Parsed(NamedTuple):
    """One command of a line.

    Args:
        text: normal form: its words with one blank between them, without the process that runs it.
        process: the process named before it, or empty.
        process_token: that word.
        expected: the errno or signal after ``fails``, or empty.
        kind: ``model``, ``view``, ``session``, ``output`` or ``program``.
        command, form, arguments: what it says.
        line: the line that the columns of its words refer to: as typed, or the text of a round.
        start, end: its columns in the line as typed, half-open.
        thread: the thread named before it, or empty for the main one.
        origin: the round of a loop that it belongs to.
        profiles: those in brackets at the verb: under others it is skipped. Without brackets there are none.
        failing_under: those in brackets at ``fails``: under others it must not fail.
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
    origin: Round | None = None
    profiles: tuple[str, ...] = ()
    failing_under: tuple[str, ...] = ()

    def expected_under(self, version: str) -> str:
        """The errno or signal that it must end with under a profile, or empty."""
        return self.expected if not self.failing_under or version in self.failing_under else ""

    @property
    def new_names(self) -> list[str]:
        """The names that it makes if it succeeds; with ``count=`` the word and a number each."""
        operands = [(arg.name, arg.operand) for arg in self.form.args]
        operands += [(option.key, option.operand) for option in self.form.options]
        names = [
            self.arguments.get(key, str) for key, operand in operands if key in self.arguments and operand is NEW_NAME
        ]
        if "count" in self.arguments:
            names = [f"{name}{number}" for name in names for number in range(1, self.arguments.get("count", int) + 1)]
        return names

    def placed(self, error: Refused) -> Refused:
        """An error about words of this statement, about the line as typed."""
        error.text = error.text or self.line
        return self.origin.placed(error, self.line) if self.origin is not None else error

    def span(self, token: Token) -> tuple[int, int]:
        """The columns of a word in the line as typed."""
        return self.origin.span(token.start, token.end) if self.origin is not None else (token.start, token.end)

    def refused_process(self, message: str, allowed: Sequence[str], hint: str = "") -> Refused:
        """The error about the process that is to run this."""
        token = self.process_token
        start, end = self.span(token) if token else (self.start, self.start + 1)
        return self._refused(message, start, end, allowed, hint)

    def refused_thread(self, message: str, allowed: Sequence[str], hint: str = "") -> Refused:
        """The error about the thread of that process."""
        assert self.process_token is not None, "a thread follows its process"
        start = self.process_token.end + 1
        start, end = self.span(Token("", start, start + len(self.thread)))
        return self._refused(message, start, end, allowed, hint)

    def _refused(self, message: str, start: int, end: int, allowed: Sequence[str], hint: str) -> Refused:
        """An error about columns of the line as typed."""
        line = self.line
        if self.origin is not None:
            line, message = self.origin.typed_line, f"{message} ({self.origin.values})"
        return Refused(message, start=start, end=end, text=line, allowed=allowed, hint=hint)
