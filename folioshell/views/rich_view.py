"""The rich renderer: the layout of the plain one with rules and color, and the progress line of a terminal.

Rules:
- Imported only when something is written to a terminal; nothing else in folioshell imports rich.
- ``layout.fit`` decides the widths, not rich, so both renderers fold and wrap alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as Bars
from rich.style import Style
from rich.table import Column as BarsColumn
from rich.text import Text

from folioshell.session.progress import Progress
from folioshell.views.blocks import Block, Column, Grid, Line, Span, Tone, drawn
from folioshell.views.layout import GAP, MARGIN, fit, natural_widths, padded, wrapped
from folioshell.views.plain import line_texts
from folioshell.views.screen import window_of

# Red alone: green, yellow and cyan are unreadable on white, blue on black.
STYLES = {
    Tone.PLAIN: Style.null(),
    Tone.DIM: Style(dim=True),
    Tone.STRONG: Style(bold=True),
    Tone.CHANGED: Style(bold=True),
    Tone.GOOD: Style.null(),
    Tone.BAD: Style(bold=True, color="red"),
    Tone.LOUD: Style(bold=True, color="red", reverse=True),
}


def write(blocks: Sequence[Block], console: Console) -> None:
    """Print the blocks on a console."""
    for block in drawn(blocks, console.width):
        if isinstance(block, Line):
            _write_line(block, console)
        else:
            for grid in fit(block, console.width):
                _write_grid(grid, console)


def _write_line(line: Line, console: Console) -> None:
    for text in _line_texts(line, console.width):
        console.print(text, overflow="ignore", no_wrap=True, crop=False)


def _line_texts(line: Line, width: int) -> Iterable[Text]:
    """The lines of the plain renderer, with the tones of the spans."""
    styled = Text.assemble(*((span.text, STYLES[span.tone]) for span in line.spans))
    place = 0
    for piece in line_texts(line, width):
        words = piece.lstrip(" ") if line.wraps else piece[line.indent :]
        place = styled.plain.find(words, place)
        yield Text(" " * (len(piece) - len(words))) + styled[place : place + len(words)]
        place += len(words)


def _write_grid(grid: Grid, console: Console) -> None:
    if grid.title:
        for piece in wrapped(grid.title, console.width):
            console.print(Text(piece), no_wrap=True)
    # Drawn here, row by row: a table of rich's would measure and align again what fits already.
    widths = natural_widths(grid)
    # Headers stand on the rule, however many lines others have.
    most = max(column.header.count("\n") for column in grid.columns)
    header = tuple(
        Span("\n" * (most - column.header.count("\n")) + column.header, Tone.STRONG) for column in grid.columns
    )
    rule = ("-" if console.options.ascii_only else "─") * (sum(widths) + GAP * (len(widths) - 1))
    rows = [_row(header, grid.columns, widths), Text(" " * MARGIN + rule)]
    rows += [_row(row, grid.columns, widths) for row in grid.rows]
    console.print(Text("\n").join(rows), overflow="ignore", no_wrap=True, crop=False)
    if grid.note:
        for text in grid.note.split("\n"):
            for piece in wrapped(text, max(console.width - MARGIN, 1)):
                console.print(Text(" " * MARGIN + piece, STYLES[Tone.DIM]), no_wrap=True)


def _row(row: Sequence[Span], columns: Sequence[Column], widths: Sequence[int]) -> Text:
    """A row, of as many lines as its tallest cell."""
    cells = [span.text.split("\n") for span in row]
    text = Text()
    for at in range(max(map(len, cells))):
        text.append("\n" * (at > 0) + " " * MARGIN)
        for place, (cell, span, column, width) in enumerate(zip(cells, row, columns, widths, strict=True)):
            gap = " " * GAP * (place > 0)
            if at < len(cell):
                text.append(gap).append(padded(cell[at], width, column.flush_right), STYLES[span.tone])
            else:
                text.append(gap + " " * width)
    return text


#: columns of a terminal of unknown width
_USUAL = 80
#: columns that stay free: the ^C that the terminal echoes must not wrap into a line that is never cleared
_FREE = 3
#: columns of the bar, and of everything but description and numbers
_BAR = 20
_BESIDES = len("x  ") + _BAR + len("  Ctrl-C stops")
#: minimum columns of the description
_LEAST = 8


class ProgressLine:
    """A spinner, a description, a bar if the total is known, numbers, the time, and the key that interrupts.

    Args:
        stream: the terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._description = BarsColumn(no_wrap=True, overflow="ellipsis")
        self._bars = Bars(
            SpinnerColumn(style="none"),
            TextColumn("{task.description}", markup=False, table_column=self._description),
            BarColumn(bar_width=_BAR),
            TextColumn("{task.fields[numbers]}", markup=False, table_column=BarsColumn(no_wrap=True)),
            TextColumn("Ctrl-C stops", style="dim", table_column=BarsColumn(no_wrap=True)),
            console=Console(file=stream, force_terminal=True),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bars.add_task("", total=None, numbers="")

    def show(self, progress: Progress, seconds: float) -> None:
        """Redraw the line; ``seconds`` is the time so far."""
        numbers = numbers_text(progress, seconds)
        self._make_room(len(numbers))
        self._bars.update(
            self._task, description=progress.doing, completed=progress.done, total=progress.total, numbers=numbers
        )
        # No effect once started.
        self._bars.start()
        self._bars.refresh()

    def clear(self) -> None:
        """Remove the line."""
        self._bars.stop()

    def _make_room(self, numbers: int) -> None:
        """Fit the description into the columns that the numbers leave in the terminal's current width."""
        width = max((window_of(self._stream).columns or _USUAL) - _FREE, 1)
        self._bars.console.width = width
        self._description.max_width = max(width - _BESIDES - numbers - 1, _LEAST)


def numbers_text(progress: Progress, seconds: float) -> str:
    """``4,096 of 8,192 pages, 3 s``."""
    time = f"{seconds:.0f} s"
    if not progress.unit:
        return time
    of = "" if progress.total is None else f" of {progress.total:,}"
    return f"{progress.done:,}{of} {progress.unit}, {time}"
