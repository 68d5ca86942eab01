"""``python -m tests.docs.sessions FILE…`` types the sessions of documents again and keeps what the shell says now.

What stands around a session is not touched: read it again, the program may have come to say something else.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

from tests.docs.blocks import blocks
from tests.docs.reader import Reader


def rewrite(document: Path) -> None:
    """Replace every session of a document by what the same lines give today."""
    lines = document.read_text(encoding="utf-8").splitlines()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        reader = Reader(Path(folder))
        moved = 0
        for block in blocks(document):
            if block.tag != "folioshell":
                list(reader.complaints(block))
                continue
            screen = reader.screen(block).rstrip().splitlines()
            start, length = block.line + moved, block.text.count("\n")
            lines[start : start + length] = screen
            moved += len(screen) - length
    document.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        rewrite(Path(name).resolve())
