"""Blocks: the content of a view before it is rendered, as lines and grids whose parts have a tone.

Rules:
- Tone is never the only carrier of a meaning: words or signs say the same.
- Blocks use the signs of ``glyphs``; for a terminal that cannot show them they are spelled before widths are measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import Enum

from folioshell.records import dataclass

_WIDEST_HANG = 24


class Tone(Enum):
    """Emphasis of a piece of text."""

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
        wraps: it may be broken at spaces when it is too long; a line with a caret below it may not.
        hang: extra indent of the lines after a break.
        preformatted: its layout is fixed: part of a drawing or list.
    """

    spans: tuple[Span, ...]
    indent: int = 0
    wraps: bool = True
    hang: int = 2
    preformatted: bool = False


@dataclass(slots=True)
class Column:
    """A column of a grid: its header, whether its cells are right-aligned, and whether they are wrapped last."""

    header: str
    flush_right: bool = False
    whole: bool = False


@dataclass(slots=True)
class Grid:
    """Rows under columns.

    Args:
        columns: at least one.
        rows: one span per column each.
        title, note: a line above, lines below.
        keys: number of columns on the left that identify a row; they are repeated when a grid is folded.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[Span, ...], ...]
    title: str = ""
    note: str = ""
    keys: int = 1


@dataclass(slots=True)
class Drawing:
    """What is to be seen, with an equivalent in words, which only mode spoken shows.

    Args:
        draw: its lines and grids in a given width.
        words: lines that say the same, one fact each.
    """

    draw: Callable[[int], Sequence[Line | Grid]]
    words: Callable[[], Sequence[Line]]


Block = Line | Grid | Drawing


def drawn(blocks: Iterable[Block], width: int) -> Iterator[Line | Grid]:
    """The blocks with every drawing drawn in ``width`` columns."""
    for block in blocks:
        if isinstance(block, Drawing):
            yield from block.draw(width)
        else:
            yield block


def line(text: str, tone: Tone = Tone.PLAIN, indent: int = 0) -> Line:
    """A line of one tone."""
    return Line((Span(text, tone),), indent)


def preformatted(text: str) -> Line:
    """A line with a fixed layout: its indent is kept, and after a break the text continues in its second column."""
    words = text.lstrip(" ")
    first_column = words.find("  ")
    hang = len(words[first_column:]) - len(words[first_column:].lstrip(" ")) + first_column if first_column > 0 else 0
    return Line(
        (Span(words),), indent=len(text) - len(words), hang=hang if hang <= _WIDEST_HANG else 0, preformatted=True
    )
