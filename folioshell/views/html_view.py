"""The HTML renderer: tables with captions and headers, paragraphs, and the prose of scripts, which is Markdown.

Rules:
- Everything is escaped. Tone becomes emphasis (``b``, ``em``) or a class; words and signs say the same.
- A table that may be wider than a telephone scrolls in a region of its own, which the keyboard reaches.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby

from folioshell.views.blocks import Block, Grid, Line, Span, Tone, drawn
from folioshell.views.plain import line_texts

#: columns of preformatted text
_FENCED = 100
#: more columns than these may be too wide for a telephone
_NARROW = 4
_TAGS = {Tone.CHANGED: "b", Tone.LOUD: "strong", Tone.BAD: "strong"}
_CODE = re.compile(r"`([^`]+)`")
_STRONG = re.compile(r"\*\*(.+?)\*\*|(?<![\w*])\*([^*\s](?:[^*]*[^*\s])?)\*(?!\w)")
_LINK = re.compile(r"\[([^\]]+)\]\([^)]*\)")
_ITEM = re.compile(r"[-*+] |\d+[.)] ")


def render(blocks: Sequence[Block]) -> str:
    """The blocks as tables, paragraphs and preformatted text."""
    parts: list[str] = []
    for kind, group in groupby(drawn(blocks, _FENCED), _kind):
        if kind == "pre":
            lines = [text.rstrip() for line in group if isinstance(line, Line) for text in line_texts(line, _FENCED)]
            parts.append(f"<pre tabindex=0>{escape(chr(10).join(lines))}</pre>")
        else:
            parts += [_table(block) if isinstance(block, Grid) else _paragraph(block) for block in group]
    return "\n".join(part for part in parts if part)


def _kind(block: Line | Grid) -> str:
    return "pre" if isinstance(block, Line) and (block.preformatted or not block.wraps) else "text"


def _paragraph(line: Line) -> str:
    text = "".join(_span(span) for span in line.spans)
    first = line.spans[0].tone if line.spans else Tone.PLAIN
    kind = {Tone.DIM: " class=dim", Tone.GOOD: " class=ok", Tone.BAD: " class=bad", Tone.LOUD: " class=bad"}
    return f"<p{kind.get(first, '')}>{text}</p>" if text.strip() else ""


def _span(span: Span) -> str:
    tag = _TAGS.get(span.tone)
    return f"<{tag}>{coded(span.text)}</{tag}>" if tag else coded(span.text)


def _table(grid: Grid) -> str:
    caption = f"<caption>{coded(grid.title)}</caption>" if grid.title else ""
    flush = [" class=n" if column.flush_right else "" for column in grid.columns]
    head = "".join(
        f"<th scope=col{kind}>{escape(column.header)}" for column, kind in zip(grid.columns, flush, strict=True)
    )
    keys = min(grid.keys, len(grid.columns) - 1) or 1
    rows = "\n".join(f"<tr>{''.join(_cells(row, keys, flush))}" for row in grid.rows)
    made = f"<table>{caption}<thead><tr>{head}<tbody>\n{rows}</table>" if grid.rows else caption_only(grid.title)
    if len(grid.columns) > _NARROW:
        name = escape(grid.title or f"by {grid.columns[0].header}", quote=True)
        made = f'<div class=w role=group tabindex=0 aria-label="{name}">{made}</div>'
    return made + (f"<p class=dim>{coded(' '.join(grid.note.split()))}</p>" if grid.note else "")


def caption_only(title: str) -> str:
    """What is left of a table without rows."""
    return f"<p>{coded(title)}</p>" if title else ""


def _cells(row: Sequence[Span], keys: int, flush: Sequence[str]) -> Iterator[str]:
    for at, (span, kind) in enumerate(zip(row, flush, strict=True)):
        words = span.text.lstrip(" ")
        indent = "\u2003" * ((len(span.text) - len(words)) // 2)
        text = indent + _span(Span(words, span.tone)).replace("\n", "<br>")
        tag = "<th scope=row" if at < keys and words else "<td"
        yield f"{tag}{kind}>{text}"


# Prose.


def coded(text: str) -> str:
    """A text of ours: escaped, what stands in backticks as code."""
    return _CODE.sub(r"<code>\1</code>", escape(text, quote=False))


def prose(lines: Iterable[str]) -> str:
    """Lines of Markdown as headings, paragraphs, lists and preformatted text."""
    parts: list[str] = []
    fence: list[str] | None = None
    paragraph: list[str] = []
    for text in lines:
        if text.startswith("```"):
            parts += _paragraphs(paragraph)
            paragraph.clear()
            if fence is not None:
                parts.append(_fenced(fence))
            fence = [] if fence is None else None
        elif fence is not None:
            fence.append(text)
        elif text.strip():
            paragraph.append(text)
        else:
            parts += _paragraphs(paragraph)
            paragraph.clear()
    return "\n".join([*parts, *_paragraphs(paragraph), *([_fenced(fence)] if fence else ())])


def _fenced(lines: Iterable[str]) -> str:
    return f"<pre tabindex=0>{escape(chr(10).join(lines))}</pre>"


def _paragraphs(lines: Sequence[str]) -> Iterator[str]:
    """What stands without an empty line between: headings, items of a list, rows of a drawing, a paragraph."""
    whole: list[str] = []
    for text in lines:
        if whole and _line_kind(text) == "text" and _line_kind(whole[-1]) in ("text", "item"):
            whole[-1] += f" {text.strip()}"
        else:
            whole.append(text)
    for kind, group in groupby(whole, _line_kind):
        if kind == "heading":
            yield from (f"<h3>{inline(text.lstrip('# '))}</h3>" for text in group)
        elif kind == "pre":
            yield _fenced(group)
        elif kind == "item":
            items = "".join(f"<li>{inline(_ITEM.sub('', text, count=1))}</li>" for text in group)
            yield f"<ul>{items}</ul>"
        else:
            yield from (f"<p>{inline(text)}</p>" for text in group)


def _line_kind(text: str) -> str:
    if text.startswith("#"):
        return "heading"
    if text.startswith(("    ", "|")):
        return "pre"
    return "item" if _ITEM.match(text) else "text"


def inline(text: str) -> str:
    """A line of Markdown: code, emphasis, the words of links."""
    pieces = _CODE.split(_LINK.sub(r"\1", text))
    made = []
    for at, piece in enumerate(pieces):
        safe = escape(piece, quote=False)
        made.append(f"<code>{safe}</code>" if at % 2 else _STRONG.sub(_emphasis, safe))
    return "".join(made)


def _emphasis(found: re.Match[str]) -> str:
    return f"<strong>{found[1]}</strong>" if found[1] else f"<em>{found[2]}</em>"
