"""Answers and how they are compared with expected ones: the second half of every ``expect``."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from folioshell.commands.lex import Token
from folioshell.commands.operands import nearest, refused
from folioshell.records import NamedTuple
from folioshell.units import parse_number

if TYPE_CHECKING:
    from folioshell.commands.operands import Pair
    from folioshell.session.session import Session

#: what a question is answered with: a number, a word, or a list of words
Value = int | str | tuple[str, ...]

ORDERED: dict[str, Callable[[int, int], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
EQUALITY = ("==", "!=")
_ALL = tuple(ORDERED)
#: operators and answers in words
MEANINGS = {
    "==": "it is",
    "!=": "it is not",
    "<": "it is less than",
    "<=": "it is at most",
    ">": "it is more than",
    ">=": "it is at least",
    "no": "certainly not",
    "yes": "certainly",
    "maybe": "only an rmap walk can tell",
    "cannot": "the scheme has no answer to this",
}


def text_of(value: Value) -> str:
    """An answer as it prints; an empty list is ``none``."""
    return " ".join(value) or "none" if isinstance(value, tuple) else str(value)


class Comparison(NamedTuple):
    """An operator and the words after it."""

    operator: str
    values: tuple[str, ...]

    @property
    def expected(self) -> str:
        """The values as text."""
        return " ".join(self.values)

    def holds(self, actual: Value) -> bool:
        """Does it hold for an answer? Only numbers have an order."""
        if self.operator in EQUALITY:
            words = actual if isinstance(actual, tuple) else (str(actual),)
            return (words == self.values) == (self.operator == "==")
        return isinstance(actual, int) and ORDERED[self.operator](actual, int(self.values[0]))


class Values(NamedTuple):
    """What a question may be answered with, and which comparisons that allows.

    Args:
        words: answers that are words.
        number: an answer may be a number.
        listed: an answer is a list of these: ``LOCK``.
        offered: candidates for a list; it is given the flags that were typed.
        optional: the comparison may be left out; where it is a claim, ``== yes`` is meant then.
        equal: ``==`` is the only operator.
    """

    words: tuple[str, ...] = ()
    number: bool = False
    listed: str = ""
    offered: Callable[[Session, Collection[str]], Iterable[Pair]] | None = None
    optional: bool = False
    equal: bool = False

    @property
    def signs(self) -> Sequence[str]:
        """The operators that compare such answers."""
        return EQUALITY[:1] if self.equal else _ALL if self.number else EQUALITY

    @property
    def usage(self) -> str:
        """As it stands in the usage line: ``==|!= no|yes``."""
        what = f"{self.listed} …" if self.listed else "|".join((*(("NUMBER",) if self.number else ()), *self.words))
        usage = f"{'|'.join(self.signs)} {what}"
        return f"[{usage}]" if self.optional else usage

    def candidates(self, session: Session, taken: Collection[str]) -> Iterable[Pair]:
        """What may stand after the operator."""
        return self.offered(session, taken) if self.offered else [(word, MEANINGS[word]) for word in self.words]

    def read(self, words: Sequence[Token], last: Token) -> Comparison:
        """The comparison that some words are; ``last`` is the word before them.

        Raises:
            Refused: they are none with such an answer.
        """
        if not words:
            raise refused(Token("", last.end, last.end + 1), "an operator is missing", allowed=self.signs)
        sign = words[0]
        if sign.text not in self.signs:
            known = sign.text in ORDERED and not self.equal
            message = "only numbers have an order" if known else "not an operator here"
            raise refused(sign, message, allowed=self.signs)
        if self.listed:
            return Comparison(sign.text, tuple(word.text for word in words[1:]))
        value = _one(words, "a number" if self.number else "an answer")
        if value.text in self.words:
            if sign.text not in EQUALITY:
                raise refused(sign, "only numbers have an order", allowed=EQUALITY)
            return Comparison(sign.text, (value.text,))
        if not self.number:
            raise refused(value, "no such answer", allowed=self.words, hint=nearest(value.text, self.words))
        if parse_number(value.text.removeprefix("-")) is None:
            raise refused(value, "not a number", allowed=self.words)
        return Comparison(sign.text, (str(int(value.text)),))


def _one(words: Sequence[Token], what: str) -> Token:
    if len(words) < 2:
        raise refused(Token("", words[0].end, words[0].end + 1), f"{what} is missing")
    if len(words) > 2:
        raise refused(words[2], "nothing more may follow here")
    return words[1]
