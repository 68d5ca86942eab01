"""The rich renderer: the same blocks as the plain one, in the same columns, with rules and colour.

Rules:
- Imported only when something is written to a terminal; nothing else in folioshell imports rich.
- Widths are not left to rich: both renderers fold and break alike, because ``fit`` has decided.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.box import SIMPLE_HEAD, Box
from rich.console import Console
from rich.padding import Padding
from rich.style import Style
from rich.table import Table
from rich.text import Text

from folioshell.views.blocks import Block, Drawing, Grid, Line, Span, Tone
from folioshell.views.fit import GAP, MARGIN, fit, natural_widths
from folioshell.views.measure import wrapped
from folioshell.views.plain import line_texts

STYLES = {
    Tone.PLAIN: Style.null(),
    Tone.DIM: Style(dim=True),
    Tone.STRONG: Style(bold=True),
    Tone.CHANGED: Style(bold=True, color="cyan"),
    Tone.GOOD: Style(color="green"),
    Tone.BAD: Style(bold=True, color="red"),
    Tone.LOUD: Style(bold=True, color="red", reverse=True),
}
# Rich's own ASCII boxes put bars where the gaps between columns are.
_ASCII_HEAD = Box("    \n    \n -- \n    \n    \n    \n    \n    \n", ascii=True)


def write(blocks: Sequence[Block], console: Console) -> None:
    """Print the blocks on a console, in its width."""
    for block in blocks:
        if isinstance(block, Line):
            _write_line(block, console)
        elif isinstance(block, Drawing):
            for line in block.draw(console.width):
                _write_line(line, console)
        else:
            for grid in fit(block, console.width):
                _write_grid(grid, console)


def _write_line(line: Line, console: Console) -> None:
    for text in _line_texts(line, console.width):
        console.print(text, overflow="ignore", no_wrap=True, crop=False)


def _line_texts(line: Line, width: int) -> Iterable[Text]:
    """The pieces that the plain renderer would print, with the tones of the spans laid over them."""
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
    box = _ASCII_HEAD if console.options.ascii_only else SIMPLE_HEAD
    table = Table(box=box, show_edge=False, pad_edge=False, padding=(0, GAP - 1, 0, 0), header_style="bold")
    for column, width in zip(grid.columns, natural_widths(grid), strict=True):
        table.add_column(
            Text(column.header), justify="right" if column.flush_right else "left", width=width, no_wrap=True
        )
    for row in grid.rows:
        table.add_row(*(_cell(span) for span in row))
    console.print(Padding(table, (0, 0, 0, MARGIN), expand=False), crop=False)
    if grid.note:
        for text in grid.note.split("\n"):
            for piece in wrapped(text, max(console.width - MARGIN, 1)):
                console.print(Text(" " * MARGIN + piece, STYLES[Tone.DIM]), no_wrap=True)


def _cell(span: Span) -> Text:
    return Text(span.text, STYLES[span.tone])
