"""The spoken renderer: one fact a line, in words, for screen readers, Braille displays and speech.

Rules:
- No columns, no indent, and no sign that has to be seen: no line has two blanks in a row.
- What has words of its own (``Drawing``) is said in them; any other grid row by row, each value after its label.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from folioshell.views.blocks import Block, Drawing, Grid, Line
from folioshell.views.layout import wrapped

#: signs in the order in which they are replaced -> what is said in their place
_SIGNS = tuple(
    (re.compile(sign), words)
    for sign, words in (
        (r" +-> +| *→ *", " to "),
        (r" *×([0-9]+(?:,[0-9]{3})*)", r" \1 times"),
        (r"×", " times "),
        (r"…", "..."),
        (r"≤", "at most "),
        (r"≥", "at least "),
        (r"≠", "is not "),
        (r" · ", ", "),
        (r"·", "."),
        (r"[–—─]+", "-"),
        (r"[│┊┌┐└┘├┤┬┴┼█▓░▏▕^]+", " "),
    )
)
_GAP = re.compile(r" {2,}")
_HEADING = re.compile(r"#+ +")
_PUNCTUATION = tuple(".,:;?!")
#: a cell without a value
_EMPTY = ("", "-")


def render(blocks: Iterable[Block], width: int) -> str:
    """The blocks as text of at most ``width`` columns, each line ended by a newline."""
    return "".join(f"{piece}\n" for text in _texts(blocks) for piece in wrapped(text, width))


def _texts(blocks: Iterable[Block]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, Drawing):
            yield from map(_line_text, block.words())
        elif isinstance(block, Line):
            yield _line_text(block)
        else:
            yield from _grid_texts(block)


def said(text: str) -> str:
    """``text`` without signs and gaps."""
    for sign, words in _SIGNS:
        text = sign.sub(words, text)
    return " ".join(text.split())


def _line_text(line: Line) -> str:
    """A line; in a preformatted one, what stands before a gap is the label of what follows."""
    text = "".join(span.text for span in line.spans)
    if not line.preformatted:
        return said(text)
    label, *rest = _GAP.split(_HEADING.sub("", text.strip(), count=1))
    return labelled(said(label), said(", ".join(rest)))


def labelled(label: str, text: str) -> str:
    """``label: text``; one of them alone if the other is empty."""
    if not label or not text:
        return label or text
    return f"{label}{' ' if label.endswith(_PUNCTUATION) else ': '}{text}"


def _grid_texts(grid: Grid) -> Iterator[str]:
    """The title, a line a row, the note. An empty key is that of the row above."""
    if grid.title:
        yield labelled(said(grid.title), " ").rstrip()
    keys = min(grid.keys, len(grid.columns) - 1)
    headers = [said(column.header) for column in grid.columns]
    above = [""] * keys
    for row in grid.rows:
        texts = [said(span.text) for span in row]
        above = [text or before for text, before in zip(texts, above, strict=False)]
        yield _row_text(headers, [*above, *texts[keys:]], keys)
    yield from filter(None, map(said, grid.note.split("\n")))


def _row_text(headers: Sequence[str], texts: Sequence[str], keys: int) -> str:
    """Keys, then values, each after its label; of two columns the first is the label of the second."""
    if len(texts) == 2:
        return labelled(*texts)
    cells = ["" if text in _EMPTY else f"{header} {text}".strip() for header, text in zip(headers, texts, strict=True)]
    values = list(filter(None, cells[keys:]))
    between = "; " if any("," in text for text in values) else ", "
    text = labelled(", ".join(filter(None, cells[:keys])), between.join(values))
    return text if text.endswith((".", "?", "!")) else f"{text}."
