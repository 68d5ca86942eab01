"""Fitting a grid into a width: first break long text in its cells, then fold it into grids below each other."""

from __future__ import annotations

from collections.abc import Sequence

from folioshell.views.blocks import Column, Grid, Span
from folioshell.views.measure import columns_of, wrapped

#: columns before a grid and between two of its columns, in both renderers
MARGIN = 2
GAP = 2
#: text is not broken into a column narrower than this while folding is possible
_NARROWEST = 16


def fit(grid: Grid, width: int) -> list[Grid]:
    """Grids that say what ``grid`` says in lines of at most ``width`` columns.

    Cells of the result may hold newlines. A folded grid repeats its key columns; the title stands on the first part,
    the note on the last. Only a width below some ten columns is exceeded.
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
    """The width that each column takes when it is given what it wants."""
    return [
        max(_cell_width(column.header), *(_cell_width(row[index].text) for row in grid.rows), 0)
        for index, column in enumerate(grid.columns)
    ]


def _cell_width(text: str) -> int:
    return max(map(columns_of, text.split("\n"))) if "\n" in text else columns_of(text)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _shrink(grid: Grid, widths: Sequence[int], room: int, narrowest: int) -> list[int]:
    """Take columns away from the widest column that holds text, until all fit or none may shrink further."""
    shrunk = list(widths)
    may_shrink = [index for index, column in enumerate(grid.columns) if not column.flush_right]
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
    """Cut the columns behind the keys into pieces that fit beside the keys; one column at least in each."""
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
    """Last resort for a part that is still too wide: break its cells, headers too, however narrow they get."""
    widths = natural_widths(grid)
    if _total(widths) <= room:
        return grid
    fair = max(1, (room - GAP * (len(widths) - 1)) // len(widths))
    while _total(widths) > room and max(widths) > fair:
        widths[widths.index(max(widths))] -= 1
    return _break_cells(grid, widths)


def _break_cells(grid: Grid, widths: Sequence[int]) -> Grid:
    columns = tuple(
        Column("\n".join(wrapped(column.header, width)), column.flush_right)
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
