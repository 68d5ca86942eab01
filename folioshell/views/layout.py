"""Text layout: columns on a terminal, wrapping, paragraphs of prose, and grids fitted into a width.

A grid that is too wide first gets its text cells wrapped, then is folded into grids below each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from unicodedata import combining, east_asian_width

from folioshell.views.blocks import Column, Grid, Span


def columns_of(text: str) -> int:
    """Columns that ``text``, one line without control characters, takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text)


def padded(text: str, width: int, flush_right: bool = False) -> str:
    """``text`` padded with spaces to ``width`` columns."""
    fill = " " * (width - columns_of(text))
    return fill + text if flush_right else text + fill


def wrapped(text: str, width: int, rest: int | None = None) -> list[str]:
    """``text`` broken at spaces into lines of at most ``width`` columns; a longer word is split, between the addresses
    of a range or after a comma if one is near.

    Args:
        text: one line.
        width: columns of the first line, at least 1.
        rest: columns of the following lines; default: ``width``.
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
            between_addresses = current.rfind("-0x", 0, len(piece) + 2) + 1
            after_comma = piece.rfind(",") + 1
            if between_addresses:
                piece = piece[:between_addresses]
            elif 2 * after_comma > len(piece):
                piece = piece[:after_comma]
            lines.append(piece)
            current = current[len(piece) :]
            room = rest
    return [*lines, current] if current or not lines else lines


def _head(text: str, width: int) -> str:
    """The longest prefix of ``text`` that fits; at least one character, so that a loop over pieces ends."""
    if text.isascii():
        return text[:width]
    taken = 0
    for index, char in enumerate(text):
        taken += columns_of(char)
        if taken > width:
            return text[: max(index, 1)] if width else ""
    return text


#: columns before a grid, and between two of its columns, in all renderers
MARGIN = 2
GAP = 2
#: text is not wrapped into a narrower column while folding is possible
_NARROWEST = 16


def fit(grid: Grid, width: int) -> list[Grid]:
    """Grids with the content of ``grid`` in lines of at most ``width`` columns.

    Cells of the result may hold newlines. A folded grid repeats its key columns; the title is on the first part, the
    note on the last. Only a width below some ten columns is exceeded.
    """
    room = max(width - MARGIN, 1)
    natural = natural_widths(grid)
    if _total(natural) <= room:
        return [grid]
    shrunk = _shrink(grid, natural, room, _NARROWEST)
    if _total(shrunk) <= room:
        return [_break_cells(grid, shrunk)]
    parts = _fold(grid, natural, room)
    return [_squeeze(part, room) for part in parts]


def natural_widths(grid: Grid) -> list[int]:
    """The width that each column needs."""
    return [
        max(_cell_width(column.header), *(_cell_width(row[index].text) for row in grid.rows), 0)
        for index, column in enumerate(grid.columns)
    ]


def _cell_width(text: str) -> int:
    return max(map(columns_of, text.split("\n"))) if "\n" in text else columns_of(text)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _shrink(grid: Grid, widths: Sequence[int], room: int, narrowest: int) -> list[int]:
    """Narrow the widest text columns until all fit or none may shrink further."""
    shrunk = list(widths)
    may_shrink = [index for index, column in enumerate(grid.columns) if not (column.flush_right or column.whole)]
    least = {index: min(widths[index], max(narrowest, columns_of(grid.columns[index].header))) for index in may_shrink}
    while (excess := _total(shrunk) - room) > 0:
        candidates = [index for index in may_shrink if shrunk[index] > least[index]]
        if not candidates:
            break
        widest = max(candidates, key=lambda index: shrunk[index])
        second = max((shrunk[index] for index in candidates if index != widest), default=0)
        step = max(1, min(excess, shrunk[widest] - max(second, least[widest])))
        shrunk[widest] -= step
    return shrunk


def _fold(grid: Grid, widths: Sequence[int], room: int) -> list[Grid]:
    """Split the columns after the keys into parts that fit beside the keys, at least one column in each."""
    nr_keys = min(grid.keys, len(grid.columns) - 1)
    while nr_keys > 1 and _total(widths[:nr_keys]) + GAP + max(widths[nr_keys:]) > room:
        nr_keys -= 1
    keys = range(nr_keys)
    pieces: list[list[int]] = []
    for index in range(len(keys), len(grid.columns)):
        if pieces and _total([widths[i] for i in (*keys, *pieces[-1], index)]) <= room:
            pieces[-1].append(index)
        else:
            pieces.append([index])
    last = len(pieces) - 1
    return [
        _select(grid, (*keys, *piece), grid.title if at == 0 else "", grid.note if at == last else "")
        for at, piece in enumerate(pieces)
    ]


def _select(grid: Grid, indices: Sequence[int], title: str, note: str) -> Grid:
    columns = tuple(grid.columns[index] for index in indices)
    rows = tuple(tuple(row[index] for index in indices) for row in grid.rows)
    return Grid(columns, rows, title, note, grid.keys)


def _squeeze(grid: Grid, room: int) -> Grid:
    """Last resort for a part that is still too wide: wrap its cells and headers however narrow they get."""
    widths = natural_widths(grid)
    if _total(widths) <= room:
        return grid
    fair = max(1, (room - GAP * (len(widths) - 1)) // len(widths))
    while _total(widths) > room and max(widths) > fair:
        widths[widths.index(max(widths))] -= 1
    return _break_cells(grid, widths)


def _break_cells(grid: Grid, widths: Sequence[int]) -> Grid:
    columns = tuple(
        Column("\n".join(wrapped(column.header, width)), column.flush_right, column.whole)
        for column, width in zip(grid.columns, widths, strict=True)
    )
    rows = tuple(
        tuple(
            Span("\n".join(piece for text in span.text.split("\n") for piece in wrapped(text, width)), span.tone)
            for span, width in zip(row, widths, strict=True)
        )
        for row in grid.rows
    )
    return Grid(columns, rows, grid.title, grid.note, grid.keys)
