"""Signs beyond ASCII, their ASCII spelling, and text that is safe to print."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from folioshell.records import replace
from folioshell.views.blocks import Column, Drawing, Grid, Line, Span
from folioshell.views.layout import columns_of

ARROW = "→"
TIMES = "×"
ELLIPSIS = "…"

_SPELLING = str.maketrans(
    {ARROW: "->", TIMES: "x", ELLIPSIS: "...", "≤": "<=", "≥": ">=", "≠": "!="}
    | dict(zip("·–—─│┊┌┐└┘├┤┬┴┼█▓░▏▕‘’“”", "----|:+++++++++##.||''\"\"", strict=True))
)
# Escape sequences, bidirectional overrides and what has no width must not reach the terminal; joiners of letters may.
_HIDDEN = (*range(0x20), *range(0x7F, 0xA0), 0x00AD, 0x061C, 0x180E, 0x200B, 0x200E, 0x200F, 0xFEFF)
_HIDDEN_RANGES = (*range(0x2028, 0x202F), *range(0x2060, 0x2070), *range(0xFFF9, 0xFFFC), *range(0xD800, 0xE000))
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


def spell_signs(text: str) -> str:
    """``text`` with every sign spelled in ASCII; other characters are unchanged."""
    return text.translate(_SPELLING)


def spell(text: str) -> str:
    """``text`` in ASCII; characters without a spelling become ``?``, two for a wide one."""
    text = spell_signs(text)
    return text if text.isascii() else "".join(c if c.isascii() else "?" * columns_of(c) for c in text)


def spelled(value: Any, spelling: Callable[[str], str] = spell) -> Any:
    """Blocks, or a part of them, with every sign spelled."""
    if isinstance(value, str):
        return spelling(value)
    if isinstance(value, tuple | list):
        return type(value)([spelled(part, spelling) for part in value])
    if isinstance(value, Drawing):
        draw, words = value.draw, value.words
        return Drawing(lambda width: spelled(draw(width), spelling), lambda: spelled(words(), spelling))
    if isinstance(value, Line | Grid | Column | Span):
        parts = {name: spelled(getattr(value, name), spelling) for name in value.__slots__}
        return replace(value, **parts)
    return value
