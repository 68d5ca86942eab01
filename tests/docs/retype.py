"""``python -m tests.docs.retype FILE…`` types again what documents show, and keeps what is printed now.

The text around it is not touched: read it again, the program may have come to say something else.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

from tests.docs.blocks import blocks
from tests.docs.reader import Reader


def rewrite(document: Path) -> None:
    """Replace what a document shows by what the same lines give today."""
    lines = document.read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        reader = Reader(Path(folder))
        moved = 0
        for block in blocks(document):
            now = reader.again(block).splitlines()
            start, length = block.line + moved, block.text.count("\n")
            lines[start : start + length] = now
            moved += len(now) - length
    document.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        rewrite(Path(name).resolve())
