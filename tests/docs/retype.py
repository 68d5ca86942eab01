"""``python -m tests.docs.retype FILE…`` runs the sessions of documents again and records their current output.

It does not change the text around them: read that again, the program may say something else now.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
from pathlib import Path

from tests.docs.blocks import blocks
from tests.docs.reader import Reader


def rewrite(document: Path) -> None:
    """Replace the output shown in a document by the current output of the same lines."""
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
