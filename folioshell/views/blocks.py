"""What a view says, before anything decides how it looks: lines and grids whose parts carry a tone.

Rules:
- Tone is never the only carrier of a meaning: whatever is dim, bold or red also says so in words or signs.
- Blocks use the signs of ``signs.py``; a terminal that cannot show them gets their spelling before widths are measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

_WIDEST_HANG = 24


class Tone(Enum):
    """How a piece of text stands out."""

    PLAIN = "plain"
    DIM = "dim"
    STRONG = "strong"
    CHANGED = "changed"
    GOOD = "good"
    BAD = "bad"
    LOUD = "loud"


@dataclass(slots=True)
class Span:
    """A piece of text of one tone."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(slots=True)
class Line:
    """A line of text.

    Args:
        spans: its pieces, side by side.
        indent: columns before it.
        wraps: it may be broken at spaces when it is too long; the line that a caret stands under may not.
        hang: columns by which what follows a break is set in, in addition to ``indent``.
        preformatted: somebody else set it: a drawing, or one line of a list.
    """

    spans: tuple[Span, ...]
    indent: int = 0
    wraps: bool = True
    hang: int = 2
    preformatted: bool = False


@dataclass(slots=True)
class Column:
    """A column of a grid: its header, and whether its cells are set flush right."""

    header: str
    flush_right: bool = False


@dataclass(slots=True)
class Grid:
    """Rows under columns.

    Args:
        columns: at least one.
        rows: one span a column each.
        title, note: a line above, lines below.
        keys: how many columns on the left tell what a row is about; they are repeated when a grid is folded.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Span, ...], ...]
    title: str = ""
    note: str = ""
    keys: int = 1


@dataclass(slots=True)
class Drawing:
    """What is drawn where it can be seen, and told in words where it is read aloud.

    Args:
        draw: the lines of the drawing in a width; called once the width is known.
        words: lines that say the same.
    """

    draw: Callable[[int], Sequence[Line]]
    words: tuple[Line, ...]


Block = Line | Grid | Drawing


def line(text: str, tone: Tone = Tone.PLAIN, indent: int = 0) -> Line:
    """A line of one tone."""
    return Line((Span(text, tone),), indent)


def preformatted(text: str) -> Line:
    """A line that somebody else set: its own indent is kept, and if it must be broken, so is its second column."""
    words = text.lstrip(" ")
    first_column = words.find("  ")
    hang = len(words[first_column:]) - len(words[first_column:].lstrip(" ")) + first_column if first_column > 0 else 0
    return Line(
        (Span(words),), indent=len(text) - len(words), hang=hang if hang <= _WIDEST_HANG else 0, preformatted=True
    )
