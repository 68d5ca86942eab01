"""Comparing a value with an expected one: the second half of every ``expect``."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

from folioshell.commands.lex import Token
from folioshell.commands.operands import nearest, refused
from folioshell.units import parse_number

ORDERED: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
EQUALITY = ("==", "!=")
#: operators and answers in words, for whoever chooses one
MEANINGS = {
    "==": "it is",
    "!=": "it is not",
    "<": "it is less than",
    "<=": "it is at most",
    ">": "it is more than",
    ">=": "it is at least",
    "no": "certainly not",
    "yes": "certainly",
    "maybe": "only a walk of the reverse map can tell",
    "cannot": "it has no answer to this",
}


class Comparison:
    """An operator and what stands behind it.

    Args:
        operator: ``==`` and so on.
        values: the words behind it.
    """

    __slots__ = ("operator", "values")

    def __init__(self, operator: str, values: tuple[str, ...]) -> None:
        self.operator = operator
        self.values = values

    @property
    def expected(self) -> str:
        """The values as text."""
        return " ".join(self.values)

    def holds_for_number(self, actual: int) -> bool:
        """Does the comparison hold for a number?"""
        return ORDERED[self.operator](actual, int(self.values[0]))

    def holds_for_words(self, actual: Sequence[str]) -> bool:
        """Does the comparison hold for words?"""
        return (tuple(actual) == self.values) == (self.operator == "==")


def read_number(words: Sequence[Token], last: Token) -> Comparison:
    """``== 3``.

    Raises:
        Refused: it is no comparison with a number.
    """
    sign = _operator(words, last, tuple(ORDERED))
    value = _one_value(words, "a number")
    if parse_number(value.text.removeprefix("-")) is None:
        raise refused(value, "not a number")
    return Comparison(sign, (str(int(value.text)),))


def read_answer(words: Sequence[Token], last: Token, answers: Sequence[str]) -> Comparison:
    """``== maybe``.

    Raises:
        Refused: it is no comparison with one of these words.
    """
    sign = _operator(words, last, EQUALITY)
    value = _one_value(words, "an answer")
    if value.text not in answers:
        raise refused(value, "no such answer", allowed=answers, hint=nearest(value.text, answers))
    return Comparison(sign, (value.text,))


def read_list(words: Sequence[Token], last: Token) -> Comparison:
    """``== pt1 pt2``; nothing behind the operator is an empty list.

    Raises:
        Refused: the operator is missing or another.
    """
    sign = _operator(words, last, EQUALITY)
    return Comparison(sign, tuple(word.text for word in words[1:]))


def _operator(words: Sequence[Token], last: Token, allowed: Sequence[str]) -> str:
    if not words:
        raise refused(Token("", last.end, last.end + 1), "an operator is missing", allowed=allowed)
    if words[0].text not in allowed:
        message = "only numbers have an order" if words[0].text in ORDERED else "not an operator"
        raise refused(words[0], message, allowed=allowed)
    return words[0].text


def _one_value(words: Sequence[Token], what: str) -> Token:
    if len(words) < 2:
        raise refused(Token("", words[0].end, words[0].end + 1), f"{what} is missing")
    if len(words) > 2:
        raise refused(words[2], "nothing more may follow here")
    return words[1]
