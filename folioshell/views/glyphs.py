"""Signs beyond ASCII, their ASCII spelling, and text that is safe to print."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from folioshell.views.blocks import Block, Column, Drawing, Grid, Line, Span
from folioshell.views.layout import columns_of

ARROW = "→"
TIMES = "×"
ELLIPSIS = "…"

_SPELLING = str.maketrans(
    {ARROW: "->", TIMES: "x", ELLIPSIS: "...", "·": "-", "–": "-", "—": "-", "≤": "<=", "≥": ">=", "≠": "!="}
    | {
        "─": "-",
        "│": "|",
        "┊": ":",
        "┌": "+",
        "┐": "+",
        "└": "+",
        "┘": "+",
        "├": "+",
        "┤": "+",
        "┬": "+",
        "┴": "+",
        "┼": "+",
    }
    | {"█": "#", "▓": "#", "░": ".", "▏": "|", "▕": "|", "‘": "'", "’": "'", "“": '"', "”": '"'}
)
# Escape sequences and bidirectional overrides in a script must not reach the terminal.
_HIDDEN = (*range(0x20), *range(0x7F, 0xA0), 0x061C, 0x200E, 0x200F, 0x2028, 0x2029)
_HIDDEN_RANGES = (*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xD800, 0xE000))
_VISIBLE = dict.fromkeys((*_HIDDEN, *_HIDDEN_RANGES), "?") | {0x09: " "}


def visible(text: str) -> str:
    """``text`` with every nonprinting character replaced by ``?`` (a tab by a space), so that columns are preserved."""
    return text.translate(_VISIBLE)


def has_signs(encoding: str | None) -> bool:
    """Can this encoding represent the signs?"""
    try:
        (ARROW + TIMES + ELLIPSIS + "─").encode(encoding or "ascii")
    except (LookupError, UnicodeEncodeError):
        return False
    return True


def spelled(blocks: Sequence[Block], spelling: Callable[[str], str] | None = None) -> list[Block]:
    """The blocks with every sign spelled (default: by ``spell``)."""
    return [_spelled_block(block, spelling or spell) for block in blocks]


def spell_signs(text: str) -> str:
    """``text`` with every sign spelled in ASCII; other characters are unchanged."""
    return text.translate(_SPELLING)


def spell(text: str) -> str:
    """``text`` in ASCII; characters without a spelling become ``?``, two for a wide one."""
    text = spell_signs(text)
    return text if text.isascii() else "".join(c if c.isascii() else "?" * columns_of(c) for c in text)


def _spelled_block(block: Block, spelling: Callable[[str], str]) -> Block:
    if isinstance(block, Line):
        return _spelled_line(block, spelling)
    if isinstance(block, Drawing):
        draw = block.draw
        return Drawing(
            lambda width: [_spelled_line(line, spelling) for line in draw(width)],
            tuple(_spelled_line(line, spelling) for line in block.words),
        )
    return Grid(
        columns=tuple(Column(spelling(column.header), column.flush_right) for column in block.columns),
        rows=tuple(tuple(_spelled_span(span, spelling) for span in row) for row in block.rows),
        title=spelling(block.title),
        note=spelling(block.note),
        keys=block.keys,
    )


def _spelled_line(line: Line, spelling: Callable[[str], str]) -> Line:
    return dataclasses.replace(line, spans=tuple(_spelled_span(span, spelling) for span in line.spans))


def _spelled_span(span: Span, spelling: Callable[[str], str]) -> Span:
    return Span(spelling(span.text), span.tone)
