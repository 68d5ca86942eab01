"""The plain renderer: aligned text without boxes or color, for pipes, files, screen readers and dumb terminals.

Rules:
- Never imports rich, which would delay the first step of a script.
- A grid row is one line unless a cell was wrapped, and no line ends in a space.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from folioshell.views.blocks import Block, Column, Drawing, Grid, Line, Span
from folioshell.views.layout import GAP, MARGIN, fit, natural_widths, padded, wrapped


def render(blocks: Sequence[Block], width: int, *, screen_reader: bool = False, drawn: bool = False) -> str:
    """The blocks as text of at most ``width`` columns, each line ended by a newline.

    Args:
        screen_reader: a grid that does not fit is written row by row instead of being folded.
        drawn: render drawings; otherwise their words.
    """
    simple = (one for block in blocks for one in _of_drawing(block, width, drawn))
    return "".join(f"{text.rstrip()}\n" for block in simple for text in _lines(block, width, screen_reader))


def _of_drawing(block: Block, width: int, drawn: bool) -> Sequence[Line | Grid]:
    if isinstance(block, Drawing):
        return block.draw(width) if drawn else block.words
    return (block,)


def line_texts(line: Line, width: int) -> list[str]:
    """A line, wrapped where it is too long."""
    text = "".join(span.text for span in line.spans)
    if not line.wraps:
        return [" " * line.indent + text]
    room = max(width - line.indent, 1)
    first, *rest = wrapped(text, room, max(room - line.hang, 1))
    return [" " * line.indent + first, *(" " * (line.indent + line.hang) + piece for piece in rest)]


def _lines(block: Line | Grid, width: int, screen_reader: bool) -> Iterator[str]:
    if isinstance(block, Line):
        yield from line_texts(block, width)
        return
    grids = fit(block, width)
    if screen_reader and grids[0] is not block:
        yield from _spoken_lines(block, width)
        return
    for grid in grids:
        yield from _grid_lines(grid, width)


def _grid_lines(grid: Grid, width: int) -> Iterator[str]:
    if grid.title:
        yield from wrapped(grid.title, width)
    widths = natural_widths(grid)
    header = tuple(Span(column.header) for column in grid.columns)
    for row in (header, *grid.rows):
        yield from _row_lines(row, grid.columns, widths)
    yield from _note_lines(grid, width)


def _note_lines(grid: Grid, width: int) -> Iterator[str]:
    if grid.note:
        for text in grid.note.split("\n"):
            yield from (" " * MARGIN + piece for piece in wrapped(text, max(width - MARGIN, 1)))


def _spoken_lines(grid: Grid, width: int) -> Iterator[str]:
    """A row as its keys, then a ``label: value`` line for each nonempty cell.

    Of two columns the first is the label of the second.
    """
    if grid.title:
        yield from wrapped(grid.title, width)
    keys = min(grid.keys, len(grid.columns) - 1)
    for row in grid.rows:
        texts = [" ".join(span.text.split()) for span in row]
        if len(texts) == 2:
            yield from line_texts(Line((Span(": ".join(texts)),), MARGIN), width)
            continue
        cells = [
            f"{column.header}: {text}" if column.header else text
            for column, text in zip(grid.columns, texts, strict=True)
            if text not in ("", "-")
        ]
        yield from line_texts(Line((Span(", ".join(cells[:keys])),), MARGIN), width)
        for cell in cells[keys:]:
            yield from line_texts(Line((Span(cell),), 2 * MARGIN), width)
    yield from _note_lines(grid, width)


def _row_lines(row: Sequence[Span], columns: Sequence[Column], widths: Sequence[int]) -> Iterator[str]:
    cells = [span.text.split("\n") for span in row]
    for at in range(max(map(len, cells))):
        yield " " * MARGIN + (" " * GAP).join(
            padded(cell[at] if at < len(cell) else "", width, column.flush_right)
            for cell, column, width in zip(cells, columns, widths, strict=True)
        )
