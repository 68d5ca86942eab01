"""Golden blocks: the text that a line of a script shows, written below it.

    show folios
    > folios
    >   id  order  …

Rules:
- A block is the lines that begin with ``>`` directly below a line with commands. It holds the output of all of them, as
  plain text of WIDTH columns regardless of the screen.
- ``[..]`` stands for any text within a line, a line ``...`` for any number of lines.
- An update keeps each line that still matches, including its ``[..]``; ``...`` is kept where both its neighbors are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from folioshell.records import NamedTuple

#: columns of the text in a block
WIDTH = 100
ANY_LINES = "..."
ANY_TEXT = "[..]"
_MARK = ">"
#: lines of a diff that are shown, and context lines around each change
_SHOWN = 16
_CONTEXT = 1


class Golden(NamedTuple):
    """A golden block.

    Args:
        number: its first line in the script, from 1.
        written: its lines as they stand there.
    """

    number: int
    written: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The expected output."""
        return tuple(line.lstrip().removeprefix(_MARK).removeprefix(" ").rstrip() for line in self.written)

    def rewritten(self, lines: Sequence[str]) -> list[str]:
        """Other output, written as a golden block in its place."""
        indent = self.written[0][: self.written[0].index(_MARK)]
        return [f"{indent}{_MARK} {text}".rstrip() for text in lines]


class Compared(NamedTuple):
    """A golden block, the actual output, and whether they match."""

    golden: Golden
    actual: tuple[str, ...]
    passed: bool


def compared(golden: Golden, actual: Sequence[str]) -> Compared:
    """Compare a block with the actual output."""
    return Compared(golden, tuple(actual), agree(golden.lines, actual))


def agree(expected: Sequence[str], actual: Sequence[str]) -> bool:
    """Does the output match a block?"""
    first, *rest = _pieces(expected)
    if not _holds(first, actual, 0):
        return False
    at = len(first)
    for place, piece in enumerate(rest, 1):
        if place == len(rest):
            last = len(actual) - len(piece)
            return last >= at and _holds(piece, actual, last)
        found = next((start for start in range(at, len(actual)) if _holds(piece, actual, start)), None)
        if found is None:
            return False
        at = found + len(piece)
    return at == len(actual)


def _pieces(expected: Sequence[str]) -> list[list[Pattern]]:
    """The patterns of the lines, split at each ``...``."""
    pieces: list[list[Pattern]] = [[]]
    for text in expected:
        if text.strip() == ANY_LINES:
            pieces.append([])
        else:
            pieces[-1].append(Pattern(text))
    return pieces


class Pattern:
    """A line of a block; ``[..]`` in it stands for any text.

    A line is matched in one pass from left to right: the first place of each piece of text leaves the most room for the
    next ones, so no other has to be tried, as a regular expression would.
    """

    def __init__(self, text: str) -> None:
        self._first, *self._others = text.rstrip().split(ANY_TEXT)

    def matches(self, line: str) -> bool:
        """Is this a line that the pattern describes?"""
        if not self._others:
            return line == self._first
        *middle, last = self._others
        if not line.startswith(self._first):
            return False
        at, end = len(self._first), len(line) - len(last)
        for piece in middle:
            at = line.find(piece, at, end)
            if at < 0:
                return False
            at += len(piece)
        return at <= end and line.endswith(last)


def _holds(piece: Sequence[Pattern], actual: Sequence[str], start: int) -> bool:
    if start + len(piece) > len(actual):
        return False
    return all(pattern.matches(actual[at]) for at, pattern in enumerate(piece, start))


def difference(expected: Sequence[str], actual: Sequence[str]) -> list[str]:
    """A short diff: ``-`` lines are expected, ``+`` lines actual."""
    from difflib import unified_diff

    made = list(unified_diff(expected, _spoken(expected, actual), n=_CONTEXT, lineterm=""))[2:]
    left = len(made) - _SHOWN
    return made if left <= 0 else [*made[:_SHOWN], f"… and {left} more lines"]


def updated(expected: Sequence[str], actual: Sequence[str]) -> list[str]:
    """The lines that a block should have."""
    if agree(expected, actual):
        return list(expected)
    return _spoken(expected, actual)


def _spoken(expected: Sequence[str], actual: Sequence[str]) -> list[str]:
    """The actual output, with the lines of the block where those still match."""
    from difflib import SequenceMatcher

    texts = [text for text in expected if text.strip() != ANY_LINES]
    patterns = {text: Pattern(text) for text in texts if ANY_TEXT in text}
    known = set(texts)
    said = [line if line in known else _said(line, patterns) for line in actual]
    kept: dict[int, int] = {}
    for old, new, nr in SequenceMatcher(None, texts, said, autojunk=False).get_matching_blocks():
        kept.update({old + i: new + i for i in range(nr)})
    kept[-1], kept[len(texts)] = -1, len(actual)
    elided = dict(_elided(expected, kept))
    made: list[str] = []
    at = 0
    while at < len(said):
        if at in elided:
            made.append(ANY_LINES)
            at = elided[at]
        else:
            made.append(said[at])
            at += 1
    return made


def _said(line: str, patterns: dict[str, Pattern]) -> str:
    return next((text for text, pattern in patterns.items() if pattern.matches(line)), line)


def _elided(expected: Sequence[str], kept: dict[int, int]) -> Iterator[tuple[int, int]]:
    """(first, end) of the actual lines that each ``...`` between two kept lines stands for."""
    before = -1
    for text in expected:
        if text.strip() != ANY_LINES:
            before += 1
        elif before in kept and before + 1 in kept and kept[before] + 1 < kept[before + 1]:
            yield kept[before] + 1, kept[before + 1]
