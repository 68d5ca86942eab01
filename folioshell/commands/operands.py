"""What may stand as an argument: how it is read, what it is called, and which candidates there are.

Rules:
- Reading an operand needs no session: names are looked up when the command runs, so that a script can be read whole
  before any of it is run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from folioshell.commands.lex import Token
from folioshell.errors import Refused
from folioshell.records import NamedTuple
from folioshell.units import PAGE_SHIFT, PAGE_SIZE, parse_pages

if TYPE_CHECKING:
    from folioshell.session.session import Session

#: (text, description)
Pair = tuple[str, str]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}\Z")
ID_FORM = re.compile(r"(?:f|v|pt|pmd|av)[0-9]+\Z")
_NUMBER = re.compile(r"(0|[1-9][0-9]{0,17})\Z")
_ADDRESS = re.compile(r"0x([0-9a-fA-F]{1,16})\Z")


class Asking(NamedTuple):
    """Who asks for candidates.

    Args:
        typed: what stands there already.
        process: the process that will run the command.
    """

    typed: str
    process: str


class Operand:
    """Base of what may stand as an argument.

    Attributes:
        label: what it is called in messages: "a size".
        usage: how it stands in usage lines; empty if the argument's own name does.
        short: how it stands after ``key=``, where it has no usage.
        note: how it is written, where its usage does not say it.
        separator: what stands between words where it is several; empty if it is one.
        block: it is written in braces.
        commands: what stands in the braces are whole commands.
        thread: it is a thread and its command, as in a race but without braces.
    """

    label = "a word"
    usage = ""
    short = "WORD"
    note = ""
    separator = ""
    block = False
    commands = False
    thread = False

    @property
    def wanted(self) -> str:
        """What it is called where it is missing."""
        return self.label

    @property
    def allowed(self) -> Sequence[str]:
        """The words that may stand there, if they are fixed."""
        return ()

    def read(self, token: Token) -> Any:
        """The value of a word.

        Raises:
            Refused: it is none; columns are those of the word.
        """
        raise NotImplementedError

    def candidates(self, session: Session) -> Iterable[Pair]:
        """What could be typed here in this session."""
        return ()

    def offered(self, session: Session, asking: Asking) -> Iterable[Pair]:
        """The candidates that begin with what is typed; of what may be many, only some."""
        return self.candidates(session)


def refused(token: Token, message: str, *, allowed: Iterable[str] = (), hint: str = "") -> Refused:
    """An error about a word."""
    return Refused(message, start=token.start, end=token.end, allowed=tuple(allowed), hint=hint)


#: how alike two words must be (0 to 1) to be taken for each other: those with the same first letter, and others
_ALIKE, _VERY_ALIKE = 0.55, 0.8
#: nearest words that are named, at most
_NAMED = 3


def nearest(word: str, allowed: Iterable[str]) -> str:
    """``did you mean ...?`` with the nearest allowed words, mostly one, or empty."""
    found = _nearest(word.lower(), list(dict.fromkeys(allowed)))
    if not found:
        return ""
    *others, last = [f"`{text}`" for text in found]
    return f"did you mean {', '.join(others)} or {last}?" if others else f"did you mean {last}?"


def _nearest(word: str, allowed: Sequence[str]) -> list[str]:
    """The words that begin with this one, if they are few; else the one that is most like it."""
    begun = [text for text in allowed if word and text.lower().startswith(word)]
    if 0 < len(begun) <= _NAMED:
        return begun
    from difflib import SequenceMatcher

    matcher = SequenceMatcher(autojunk=False)
    matcher.set_seq2(word)
    best, most = "", 0.0
    for text in allowed:
        matcher.set_seq1(text.lower())
        likeness = matcher.ratio() if matcher.real_quick_ratio() > most else 0.0
        # The first letter alone may be wrong; `next` is no `exit`.
        begins_alike = text[:1].lower() == word[:1] or text[1:].lower() == word[1:]
        if likeness > most and likeness >= (_ALIKE if begins_alike else _VERY_ALIKE):
            best, most = text, likeness
    return [best] if best else []


class Choice(Operand):
    """One of fixed words.

    Args:
        words: word -> what it means; a function where the words are known only later.
        label: what they are called: ``advice``.
        show: the words are written out in usage lines.
    """

    def __init__(
        self, words: Mapping[str, str] | Callable[[], Mapping[str, str]], label: str = "word", show: bool = True
    ) -> None:
        self.words = words
        self.label = label
        self.show = show

    @property
    def table(self) -> Mapping[str, str]:
        """Word -> what it means."""
        return self.words() if callable(self.words) else self.words

    @property
    def usage(self) -> str:  # type: ignore[override]
        """The words, or the label."""
        return "|".join(self.table) if self.show else self.label.upper()

    @property
    def wanted(self) -> str:
        """What it is called where it is missing."""
        return self.label if self.label == "advice" else f"a {self.label}"

    @property
    def allowed(self) -> Sequence[str]:
        """The words."""
        return list(self.table)

    def read(self, token: Token) -> str:
        """The word itself."""
        table = self.table
        if token.text not in table:
            raise refused(token, f"no such {self.label}", allowed=table, hint=nearest(token.text, table))
        return token.text

    def candidates(self, session: Session) -> Iterable[Pair]:
        """All the words."""
        return self.table.items()


class Choices(Choice):
    """Some of fixed words with commas between them, or ``all`` or ``none``.

    Attributes:
        at_once: the words for all and none, as far as they make sense.
    """

    separator = ","
    at_once: Mapping[str, str] = MappingProxyType({"all": "all of them", "none": "none of them"})

    @property
    def usage(self) -> str:  # type: ignore[override]
        """The words, or the label."""
        return "|".join((f"{super().usage},…", *self.at_once))

    @property
    def allowed(self) -> Sequence[str]:
        """The words, and those for all and none."""
        return [*self.table, *self.at_once]

    def read(self, token: Token) -> tuple[str, ...]:  # type: ignore[override]
        """The words, each once, in the order in which they were typed."""
        table = self.table
        if token.text in self.at_once:
            return tuple(table) if token.text == "all" else ()
        column = token.start
        chosen: dict[str, None] = {}
        for word in token.text.split(","):
            if word not in table:
                part = Token(word, column, column + max(len(word), 1))
                raise refused(part, f"no such {self.label}", allowed=self.allowed, hint=nearest(word, self.allowed))
            chosen[word] = None
            column += len(word) + 1
        return tuple(chosen)

    def candidates(self, session: Session) -> Iterable[Pair]:
        """All the words, and those for all and none."""
        return [*self.table.items(), *self.at_once.items()]


class Number(Operand):
    """A number that is not a quantity of pages."""

    label = "a number"
    short = "N"

    def __init__(self, least: int = 0, most: int | None = None) -> None:
        self.least = least
        self.most = most

    def read(self, token: Token) -> int:
        """The number."""
        if not _NUMBER.match(token.text):
            raise refused(token, "not a number")
        number = int(token.text)
        if number < self.least or (self.most is not None and number > self.most):
            bounds = f"at least {self.least}" if self.most is None else f"{self.least} to {self.most}"
            raise refused(token, f"{number} is out of range", hint=f"allowed: {bounds}")
        return number


class Size(Operand):
    """A quantity: a bare number counts pages, ``64K`` is bytes."""

    label = "a size"
    short = "SIZE"
    note = "pages, or bytes: 64K 2M 1G"

    def __init__(self, least: int = 1, most: int = 1 << 34) -> None:
        self.least = least
        self.most = most

    def read(self, token: Token) -> int:
        """Pages."""
        try:
            pages = parse_pages(token.text)
        except ValueError as error:
            raise refused(token, str(error), hint=_in_capitals(token.text)) from None
        if not self.least <= pages <= self.most:
            hint = f"allowed: {self.least:,} to {self.most:,} pages"
            raise refused(token, f"{token.text} is out of range", hint=hint)
        return pages


def _in_capitals(text: str) -> str:
    """``did you mean `64K`?`` where that would be a size."""
    try:
        parse_pages(text.upper())
    except ValueError:
        return ""
    return f"did you mean `{text.upper()}`?"


class Address(Operand):
    """A page-aligned address: ``0x7f0000003000``."""

    label = "an address"
    usage = "ADDR"
    note = "0x7f0000003000, a multiple of the page size"

    def read(self, token: Token) -> int:
        """The virtual page number."""
        return read_address(token)


def read_address(token: Token) -> int:
    """Virtual page number of an address.

    Raises:
        Refused: it is none, not page-aligned, or beyond user space.
    """
    match = _ADDRESS.match(token.text)
    if not match:
        raise refused(token, "not an address", hint="addresses look like 0x7f0000003000")
    address = int(match[1], 16)
    if address % PAGE_SIZE:
        below = address - address % PAGE_SIZE
        raise refused(
            token, f"not at a page boundary (pages are {PAGE_SIZE // 1024}K)", hint=f"{below:#x} is the one below"
        )
    if address >> 47:
        raise refused(token, "beyond user space", hint="user addresses end at 0x7fffffffffff")
    return address >> PAGE_SHIFT


class StepNumber(Number):
    """The number of a step; 0 is the beginning."""

    def candidates(self, session: Session) -> Iterable[Pair]:
        """The steps, the last one first."""
        entries = session.history.entries
        yield from ((str(number), entries[number - 1].line) for number in range(len(entries), 0, -1))
        if not self.least:
            yield "0", "the beginning"


class NewName(Operand):
    """A name that nothing has yet."""

    label = "a new name"
    usage = "NAME"

    def read(self, token: Token) -> str:
        """The name."""
        return read_name(token)


def read_name(token: Token) -> str:
    """A name of a region, file or process.

    Raises:
        Refused: it is none.
    """
    if ID_FORM.match(token.text):
        raise refused(
            token, f"{token.text} is an id, not a name", hint="f1, v1, pt1, pmd1, av1 name objects of the kernel"
        )
    if not NAME.match(token.text):
        raise refused(token, "not a name", hint="a name is a letter, then letters, digits, _ or - (40 at most)")
    return token.text


class ExistingName(Operand):
    """The name of something that exists: looked up when the command runs."""

    def __init__(self, label: str, usage: str, found: Callable[[Session], Iterable[Pair]]) -> None:
        self.label = label
        self.usage = usage
        self._found = found

    def read(self, token: Token) -> str:
        """The name."""
        return read_name(token)

    def candidates(self, session: Session) -> Iterable[Pair]:
        """The names that exist."""
        return self._found(session)


class Path(Operand):
    """A file of the host."""

    label = "a file name"
    usage = "FILE"

    def read(self, token: Token) -> str:
        """The path as typed."""
        if not token.text:
            raise refused(token, "an empty file name")
        return token.text


class Word(Operand):
    """Any word; what it means is decided when the command runs."""

    def __init__(self, label: str, found: Callable[[Session], Iterable[Pair]] | None = None) -> None:
        self.label = label
        self._found = found

    def read(self, token: Token) -> str:
        """The word."""
        return token.text

    def candidates(self, session: Session) -> Iterable[Pair]:
        """What the declaration offers."""
        return self._found(session) if self._found else ()


NEW_NAME, COUNT = NewName(), Number(least=1)
