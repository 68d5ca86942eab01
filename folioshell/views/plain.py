"""The plain renderer: aligned text without boxes or color, for pipes, files and dumb terminals.

Rules:
- Never imports rich, which would delay the first step of a script.
- A grid row is one line unless a cell was wrapped, and no line ends in a space.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from folioshell.views.blocks import Block, Column, Grid, Line, Span, drawn
from folioshell.views.layout import GAP, MARGIN, fit, natural_widths, padded, wrapped


def render(blocks: Iterable[Block], width: int) -> str:
    """The blocks as text of at most ``width`` columns, each line ended by a newline."""
    return "".join(f"{text.rstrip()}\n" for block in drawn(blocks, width) for text in _lines(block, width))


def line_texts(line: Line, width: int) -> list[str]:
    """A line, wrapped where it is too long."""
    text = "".join(span.text for span in line.spans)
    if not line.wraps:
        return [" " * line.indent + text]
    room = max(width - line.indent, 1)
    first, *rest = wrapped(text, room, max(room - line.hang, 1))
    return [" " * line.indent + first, *(" " * (line.indent + line.hang) + piece for piece in rest)]


def _lines(block: Line | Grid, width: int) -> Iterator[str]:
    if isinstance(block, Line):
        yield from line_texts(block, width)
        return
    for grid in fit(block, width):
        yield from _grid_lines(grid, width)


def _grid_lines(grid: Grid, width: int) -> Iterator[str]:
    if grid.title:
        yield from wrapped(grid.title, width)
    widths = natural_widths(grid)
    header = tuple(Span(column.header) for column in grid.columns)
    for row in (header, *grid.rows):
        yield from _row_lines(row, grid.columns, widths)
    if grid.note:
        for text in grid.note.split("\n"):
            yield from (" " * MARGIN + piece for piece in wrapped(text, max(width - MARGIN, 1)))


def _row_lines(row: Sequence[Span], columns: Sequence[Column], widths: Sequence[int]) -> Iterator[str]:
    cells = [span.text.split("\n") for span in row]
    for at in range(max(map(len, cells))):
        yield " " * MARGIN + (" " * GAP).join(
            padded(cell[at] if at < len(cell) else "", width, column.flush_right)
            for cell, column, width in zip(cells, columns, widths, strict=True)
        )
