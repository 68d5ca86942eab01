"""The prose of scripts: lines as they were wrapped by their writer, made into paragraphs that a screen may wrap anew.

Rules:
- It is Markdown and is shown as it is written; only the ends of lines within a paragraph go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

# A heading, a quotation, a row of a table, a fence; a wide gap means columns.
_ALONE = re.compile(r"#|>|\||```|~~~|.*\S {2,}\S")
_ITEM = re.compile(r"[-*+] |\d+[.)] ")


def paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """Lines joined where they go on; what stands alone in Markdown does so here, and an item has what follows it."""
    paragraph = ""
    for line in lines:
        if paragraph and line and not (_ALONE.match(paragraph) or _ALONE.match(line) or _ITEM.match(line)):
            paragraph += f" {line}"
            continue
        if paragraph:
            yield paragraph
        if not line:
            yield ""
        paragraph = line
    if paragraph:
        yield paragraph
