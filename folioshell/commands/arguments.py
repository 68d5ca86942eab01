"""The arguments of one command: values by name, each with the word that it was read from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from folioshell.commands.lex import Token

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
