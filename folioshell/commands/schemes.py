"""Schemes as operands: a word when a line is read, a scheme of the machine when it is run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from folioshell.commands.call import Call
from folioshell.commands.lex import Token
from folioshell.commands.operands import ID_FORM, Operand, Pair, nearest, refused
from folioshell.schemes.base import Scheme

if TYPE_CHECKING:
    from folioshell.commands.call import Call
    from folioshell.schemes.base import Scheme
    from folioshell.session.session import Session


TRUTH = "truth"
ALL = "all"
USUAL = "usual"

SCHEME_WORD = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,39}\Z")
#: words that stand where a scheme may stand and mean something else
NONE = "none"
RESERVED = (TRUTH, ALL, USUAL, NONE)


def is_scheme_word(text: str) -> bool:
    """Could a scheme have this name?"""
    return bool(SCHEME_WORD.match(text)) and not ID_FORM.match(text) and text not in RESERVED


class SchemeName(Operand):
    """A scheme; which there are is known when the command runs, since a script may load some.

    Args:
        truth: ``truth`` is one of the words.
    """

    label = "a scheme"
    usage = "SCHEME"

    def __init__(self, truth: bool = False) -> None:
        self.truth = truth

    def read(self, token: Token) -> str:
        """The word."""
        if not is_scheme_word(token.text) and not (self.truth and token.text == TRUTH):
            message = (
                "a scheme is missing before the folio" if ID_FORM.match(token.text) else "not the name of a scheme"
            )
            raise refused(token, message, hint="`show schemes` lists them")
        return token.text

    def candidates(self, session: Session) -> Iterable[Pair]:
        """The schemes that count."""
        truth = [(TRUTH, "what the page tables say")] if self.truth else []
        return [*scheme_pairs(session), *truth]


class SchemeList(Operand):
    """Schemes with commas between them, ``all``, ``none``, or ``usual`` for those shown unless others are chosen."""

    label = "a list of schemes"
    usage = "SCHEME,…|all|none|usual"
    separator = ","

    def read(self, token: Token) -> tuple[str, ...]:
        """The words, each once, in the order in which they were typed."""
        if token.text in (ALL, NONE, USUAL):
            return (token.text,)
        for part in _parts(token):
            if not is_scheme_word(part.text):
                raise refused(part, "not the name of a scheme", hint="`show schemes` lists them")
        return tuple(dict.fromkeys(token.text.split(",")))

    def candidates(self, session: Session) -> Iterable[Pair]:
        """The schemes that count, and the words for several."""
        return [*scheme_pairs(session), (ALL, "all of them"), (NONE, "no scheme"), (USUAL, "the default ones")]


class ProtocolName(Operand):
    """A protocol; which there are is known when the command runs, since a script may load some."""

    label = "a protocol"
    usage = "PROTOCOL"

    def read(self, token: Token) -> str:
        """The word."""
        if token.text != NONE and not is_scheme_word(token.text):
            raise refused(token, "not the name of a protocol", hint="`protocols` lists them")
        return token.text

    def candidates(self, session: Session) -> Iterable[Pair]:
        """The protocols, and the word for none."""
        found = [(name, kind.about) for name, kind in session.workspace.machine.protocols.items()]
        return [*found, (NONE, "the scheme itself, without any lock")]


def protocol_of(call: Call, name: str) -> str | None:
    """The protocol that an argument names; None for ``none``.

    Raises:
        Refused: there is none of that name, or it counts what another scheme defines than the deciding one.
    """
    (token,) = call.arguments.tokens(name)
    if token.text == NONE:
        return None
    protocols, decider = call.workspace.machine.protocols, call.kernel.decider.name
    if token.text not in protocols:
        names = [*protocols, NONE]
        raise call.refused(token, "no such protocol", allowed=names, hint=nearest(token.text, names))
    scheme = protocols[token.text].scheme
    if scheme != decider:
        message = f"{token.text} counts what {scheme} defines, and the kernel acts on {decider}"
        raise call.refused(token, message, hint=f"`set decide {scheme}` first")
    return token.text


def _parts(token: Token) -> list[Token]:
    column = token.start
    parts = []
    for word in token.text.split(","):
        parts.append(Token(word, column, column + max(len(word), 1)))
        column += len(word) + 1
    return parts


def scheme_pairs(session: Session) -> list[Pair]:
    """The schemes that count, with what they count."""
    return [(name, scheme.about[0]) for name, scheme in session.workspace.machine.schemes.kinds.items()]


def scheme_of(call: Call, name: str) -> Scheme:
    """The scheme that an argument names.

    Raises:
        Refused: there is none of that name.
    """
    return call.workspace.machine.schemes[_existing(call, call.arguments.tokens(name)[0])]


def schemes_of(call: Call, name: str) -> tuple[str, ...] | None:
    """The schemes that a list names; None for the usual ones.

    Raises:
        Refused: one does not exist.
    """
    words: tuple[str, ...] = call.arguments.get(name, tuple)
    if words == (USUAL,):
        return None
    if words == (NONE,):
        return ()
    if words == (ALL,):
        return tuple(call.workspace.machine.schemes)
    for part in _parts(call.arguments.tokens(name)[0]):
        _existing(call, part)
    return words


def _existing(call: Call, token: Token) -> str:
    names = list(call.workspace.machine.schemes)
    if token.text not in names:
        raise call.refused(token, "no such scheme", allowed=names, hint=nearest(token.text, names))
    return token.text
