"""The fenced blocks of a document, and what each language tag stands for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.repo.tree import ROOT

DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "scenarios").rglob("*.md")])

#: tag -> what the tests do with such a block
TAGS = {
    "folioshell": "a session: what stands behind the prompts is typed, and must give the same screen",
    "fs": "a script: it must pass; it is kept for the blocks below if it begins with `# NAME.fs`",
    "sh": "shell commands: they must end with status 0, unless they are declared not to be run",
    "console": "shell commands behind `$ `, each with the output that it must give",
    "python": "a program: it must run; it is kept for the blocks below if it begins with `# NAME.py`",
    "text": "a picture, a form or an excerpt: nothing to run",
}

_FENCE = re.compile(r"^ *(```+|~~~+)(.*)$")


class Block(NamedTuple):
    """A fenced block.

    Args:
        document: where it is.
        line: of the opening fence, from 1.
        tag: the word behind the opening fence.
        text: what is between the fences, each line ended by a newline.
    """

    document: Path
    line: int
    tag: str
    text: str

    @property
    def place(self) -> str:
        """As ``docs/tutorial.md:12``."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(document: Path) -> Iterator[Block]:
    """The blocks of a document, in order; one that is not closed ends with the document."""
    fence, start, tag, inside = "", 0, "", []
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        match = _FENCE.match(line)
        if fence and line.strip() == fence:
            yield Block(document, start, tag, "".join(f"{text}\n" for text in inside))
            fence = ""
        elif fence:
            inside.append(line)
        elif match:
            fence, start, tag, inside = match[1], number, match[2].strip(), []
    if fence:
        yield Block(document, start, "unclosed", "".join(f"{text}\n" for text in inside))


def anchor(heading: str) -> str:
    """What a link to a heading names, as it is made on GitHub."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
