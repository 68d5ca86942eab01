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

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

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


def _pieces(expected: Sequence[str]) -> list[list[re.Pattern[str]]]:
    """The patterns of the lines, split at each ``...``."""
    pieces: list[list[re.Pattern[str]]] = [[]]
    for text in expected:
        if text.strip() == ANY_LINES:
            pieces.append([])
        else:
            pieces[-1].append(_pattern(text))
    return pieces


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(piece) for piece in text.rstrip().split(ANY_TEXT)) + r"\Z")


def _holds(piece: Sequence[re.Pattern[str]], actual: Sequence[str], start: int) -> bool:
    lines = actual[start : start + len(piece)]
    return len(lines) == len(piece) and all(map(re.Pattern.match, piece, lines))


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
    patterns = {text: _pattern(text) for text in texts if ANY_TEXT in text}
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


def _said(line: str, patterns: dict[str, re.Pattern[str]]) -> str:
    return next((text for text, pattern in patterns.items() if pattern.match(line)), line)


def _elided(expected: Sequence[str], kept: dict[int, int]) -> Iterator[tuple[int, int]]:
    """(first, end) of the actual lines that each ``...`` between two kept lines stands for."""
    before = -1
    for text in expected:
        if text.strip() != ANY_LINES:
            before += 1
        elif before in kept and before + 1 in kept and kept[before] + 1 < kept[before + 1]:
            yield kept[before] + 1, kept[before + 1]
