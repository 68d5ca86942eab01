"""Columns of text on a terminal: measuring, padding and breaking."""

from __future__ import annotations

from unicodedata import combining, east_asian_width


def columns_of(text: str) -> int:
    """Columns that ``text``, one line without control characters, takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def padded(text: str, width: int, flush_right: bool = False) -> str:
    """``text`` filled up with spaces to ``width`` columns."""
    fill = " " * (width - columns_of(text))
    return fill + text if flush_right else text + fill


def wrapped(text: str, width: int, rest: int | None = None) -> list[str]:
    """``text`` broken at spaces into lines of at most ``width`` columns; a word that is longer is cut in pieces,
    behind a comma where one is near.

    Args:
        text: one line.
        width: columns of the first line, at least 1.
        rest: columns of the lines after it, if they are others.
    """
    if columns_of(text) <= width:
        return [text]
    rest = width if rest is None else rest
    lines: list[str] = []
    current = ""
    room = width
    for word in text.split(" "):
        longer = f"{current} {word}" if current else word
        if columns_of(longer) <= room:
            current = longer
            continue
        if current:
            lines.append(current)
            room = rest
        current = word
        while columns_of(current) > room:
            piece = _head(current, room)
            behind_comma = piece.rfind(",") + 1
            if 2 * behind_comma > len(piece):
                piece = piece[:behind_comma]
            lines.append(piece)
            current = current[len(piece) :]
            room = rest
    return [*lines, current] if current or not lines else lines


def _head(text: str, width: int) -> str:
    """The longest start of ``text`` that fits; one character at least, lest a loop over pieces never ends."""
    if text.isascii():
        return text[:width]
    taken = 0
    for index, char in enumerate(text):
        taken += columns_of(char)
        if taken > width:
            return text[: max(index, 1)] if width else ""
    return text
