"""A statement as it was read: its arguments, and where they stand in the line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from folioshell.commands.grammar import Command, Form
from folioshell.commands.lex import Token
from folioshell.errors import Refused

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


class Parsed(NamedTuple):
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

    def refused_process(self, message: str, allowed: Sequence[str], hint: str = "") -> Refused:
        """The error about the process that is to run this."""
        token = self.process_token
        start, end = (token.start, token.end) if token else (self.start, self.start + 1)
        return Refused(message, start=start, end=end, text=self.line, allowed=allowed, hint=hint)

    def refused_thread(self, message: str, allowed: Sequence[str], hint: str = "") -> Refused:
        """The error about the thread of that process."""
        assert self.process_token is not None, "a thread follows its process"
        start = self.process_token.end + 1
        end = start + len(self.thread)
        return Refused(message, start=start, end=end, text=self.line, allowed=allowed, hint=hint)
