"""The Markdown renderer: GitHub tables, sentences as paragraphs, preformatted lines in a fence.

Rules:
- Text is shown literally: Markdown syntax in it is escaped.
- Nothing is wrapped or folded: that is left to the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from folioshell.views.blocks import Block, Grid, Line, drawn
from folioshell.views.layout import columns_of, padded
from folioshell.views.plain import line_texts

#: columns of a fence, which a page does not wrap
_FENCED = 100
_CODE = re.compile(r"(`[^`]+`)")
# An underscore within a word stands for itself.
_SPECIAL = re.compile(r"[\\`*<|~]|(?<!\w)_|_(?!\w)|(?<=_)_|&(?=[#\w])|\](?=[(\[])")
_STARTS = re.compile(r"(?=[#>+=-])|(\d+)(?=[.)] )")


def render(blocks: Sequence[Block]) -> str:
    """The blocks as paragraphs, tables and fences, separated by empty lines."""
    parts = [part for _, group in groupby(drawn(blocks, _FENCED), _kind) for part in _parts(list(group))]
    return "\n\n".join(parts) + "\n" if parts else ""


def escaped(text: str) -> str:
    """``text`` as Markdown that is shown literally; text in backticks is code."""
    text = _inline(text)
    return _STARTS.sub(r"\g<0>\\", text, count=1) if _STARTS.match(text) else text


def _inline(text: str) -> str:
    pieces = _CODE.split(text)
    pieces[::2] = [_SPECIAL.sub(r"\\\g<0>", piece) for piece in pieces[::2]]
    return "".join(pieces)


def _kind(block: Line | Grid) -> str:
    if isinstance(block, Grid):
        return "table"
    return "fence" if block.preformatted or not block.wraps else "text"


def _parts(blocks: Sequence[Line | Grid]) -> Iterator[str]:
    if _kind(blocks[0]) == "fence":
        yield _fence([block for block in blocks if isinstance(block, Line)])
        return
    for indented, group in groupby(blocks, lambda block: isinstance(block, Line) and block.indent > 0):
        texts = [_table(block) if isinstance(block, Grid) else _text(block) for block in group]
        if indented and len(texts) > 1:
            yield "\n".join(f"- {text}" for text in texts)
        else:
            yield from filter(None, texts)


def _text(line: Line) -> str:
    return escaped("".join(span.text for span in line.spans).strip())


def _fence(lines: Sequence[Line]) -> str:
    texts = [text.rstrip() for line in lines for text in line_texts(line, _FENCED)]
    longest = max((len(run) for text in texts for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join((fence, *texts, fence))


def _table(grid: Grid) -> str:
    rows = [[_cell(column.header) for column in grid.columns]]
    rows += [[_cell(span.text) for span in row] for row in grid.rows]
    right = [column.flush_right for column in grid.columns]
    widths = [max(3, *(columns_of(row[at]) for row in rows)) for at in range(len(grid.columns))]
    rules = ["-" * (width - 1) + (":" if flush else "-") for width, flush in zip(widths, right, strict=True)]
    lines = [
        "| " + " | ".join(padded(*cell) for cell in zip(row, widths, right, strict=True)) + " |"
        for row in (rows[0], rules, *rows[1:])
    ]
    above = [f"**{escaped(grid.title)}**", ""] if grid.title else []
    below = ["", escaped(" ".join(grid.note.split("\n")))] if grid.note else []
    return "\n".join((*above, *lines, *below))


def _cell(text: str) -> str:
    """A cell; its indent, which shows the nesting of locks, is kept."""
    words = text.lstrip(" ")
    return "&nbsp;" * (len(text) - len(words)) + _inline(words).replace("\n", "<br>")
