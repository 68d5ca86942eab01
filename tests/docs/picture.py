"""docs/straddle.svg: a picture of a terminal at the step that makes the point.

The session is a shipped scenario, and the text is that of the rich renderer; only the description for readers who
cannot see the picture is written by hand. The file contains the colors for light and dark mode and uses a local font: a
browser fetches nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from html import escape
from io import StringIO

from rich.console import Console
from rich.style import Style
from rich.text import Text

from folioshell import Session
from folioshell.script.runner import run_file
from folioshell.views import rich_view
from folioshell.views.blocks import Block, Line, Span, Tone
from folioshell.views.report_view import report_blocks
from tests.docs.scenario_index import FOLDER

NAME = "straddle.svg"
WIDTH = 84
#: the commands of the scenario that are shown, with their output
SHOWN = ("fault win[2]", "show", "query shared? f1")

TITLE = "folioshell: one process, and the number of tuples is 2"
DESCRIPTION = (
    "A terminal. Process A maps the four pages of folio f1 through one VMA: two of them with the last entries of page "
    "table pt1, two with the first entries of pt2. The second fault raised the number of (VMA, page table) tuples from "
    "1 to 2; the number of VMAs is still 1. Does anyone else map f1? per-page says yes, which is wrong; tuples says "
    "maybe and needs an rmap walk with two locks; vmas and mm-id say no, which is right."
)

_CHARACTER, _LINE, _MARGIN = 8.0, 18, 20
_COLOURS = {1: "red"}
_STYLE = """\
.page { fill: #ffffff; stroke: #d1d9e0; }
text { fill: #1f2328; font: 13.3px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.bold { font-weight: 600; }
.dim { fill: #59636e; }
.red { fill: #cf222e; }
@media (prefers-color-scheme: dark) {
  .page { fill: #0d1117; stroke: #3d444d; }
  text { fill: #e6edf3; }
  .dim { fill: #9198a1; }
  .red { fill: #ff7b72; }
}"""


@cache
def picture() -> str:
    """The picture as SVG."""
    lines = list(_screen())
    width, height = WIDTH * _CHARACTER + 2 * _MARGIN, len(lines) * _LINE + 2 * _MARGIN
    drawn = "\n".join(_line(text, _MARGIN + (at + 0.75) * _LINE) for at, text in enumerate(lines) if text.plain)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="title desc" viewBox="0 0 {width:g} {height:g}" \
width="{width:g}" height="{height:g}">
<title id="title">{escape(TITLE)}</title>
<desc id="desc">{escape(DESCRIPTION)}</desc>
<style>
{_STYLE}
</style>
<rect class="page" x="0.5" y="0.5" width="{width - 1:g}" height="{height - 1:g}" rx="8"/>
{drawn}
</svg>
"""


def _screen() -> Iterator[Text]:
    """The lines of the terminal."""
    stream = StringIO()
    # The environment must not matter here: NO_COLOR is for terminals.
    console = Console(
        file=stream,
        width=WIDTH,
        force_terminal=True,
        color_system="standard",
        no_color=False,
        legacy_windows=False,
        highlight=False,
        markup=False,
    )
    rich_view.write(list(_session()), console)
    for line in Text.from_ansi(stream.getvalue().rstrip("\n")).split("\n"):
        line.rstrip()
        yield line


def _session() -> Iterator[Block]:
    session = Session()
    runner = run_file(FOLDER / "class" / "06-straddle.fs", session=session)
    prompt = session.prompt
    for played in runner:
        if played.report is not None and played.text in SHOWN:
            yield Line((Span(f"{prompt} ", Tone.DIM), Span(played.text, Tone.STRONG)))
            yield from report_blocks(played.report)
            yield Line((Span(""),))
        prompt = session.prompt


def _line(text: Text, y: float) -> str:
    """A line of text, a piece for each style, each placed at its column whatever the font."""
    pieces = []
    column = 0
    for piece in text.divide(sorted({edge for span in text.spans for edge in (span.start, span.end)})):
        pieces += [
            _piece(words[0], column + words.start(), y, _classes(piece))
            for words in re.finditer(r"\S+(?: \S+)*", piece.plain)
        ]
        column += len(piece.plain)
    return "\n".join(pieces)


def _piece(words: str, column: int, y: float, classes: str) -> str:
    x, length = _MARGIN + column * _CHARACTER, len(words) * _CHARACTER
    kind = f' class="{classes}"' if classes else ""
    return f'<text x="{x:g}" y="{y:g}" textLength="{length:g}"{kind}>{escape(words)}</text>'


def _classes(piece: Text) -> str:
    styles = [span.style for span in piece.spans if isinstance(span.style, Style)]
    style = Style.combine(styles) if styles else Style.null()
    names = [
        "bold" if style.bold else "",
        "dim" if style.dim else "",
        _COLOURS.get(style.color.number or 0, "") if style.color else "",
    ]
    return " ".join(name for name in names if name)
