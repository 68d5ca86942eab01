"""The fenced blocks of a document, and the meaning of each language tag."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.repo.tree import ROOT

DOCUMENTS = sorted(
    [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "scenarios").rglob("*.md")]
)

#: tag -> what the tests do with such a block
TAGS = {
    "folioshell": "a session: each line after a prompt is typed, and must print what follows it",
    "fs": "a script: it must pass; if it starts with `# NAME.fs`, later blocks can use it as that file",
    "sh": "shell commands: they must exit with status 0, unless listed as not run",
    "console": "shell commands, each after `$ ` and followed by the output that it must print",
    "python": "a program: it must run; if it starts with `# NAME.py`, later blocks can use it as that file",
    "text": "a drawing, a form or an excerpt: not run",
}

_FENCE = re.compile(r"^ *(```+|~~~+)(.*)$")


class Block(NamedTuple):
    """A fenced block.

    Args:
        document: the file.
        line: the line of the opening fence, from 1.
        tag: the word after the opening fence.
        text: the lines between the fences, each with its newline.
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
    """The blocks of a document, in order; an unclosed one ends with the document."""
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
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
