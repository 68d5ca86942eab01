"""The pytest plugin: collects every ``.fs`` file whose first line is ``#!folioshell``, one item per ``expect``.

Rules:
- pytest always imports this module, so it imports nothing of folioshell until it finds such a file.
- The entry point has the name of this module, so that ``-p folioshell.testing.plugin`` never registers it twice.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SUFFIX = ".fs"
# Other languages use the same suffix, so the first line decides. A byte-order mark may precede it.
_MAGIC = re.compile(rb"(?:\xef\xbb\xbf)?#![ \t]*folioshell\b")
#: bytes read of a file to find that line
_HEAD = 64


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the configuration options."""
    parser.addini("folioshell_scheme", "Python files with schemes that scripts also count with", "paths", [])
    parser.addini(
        "folioshell_limit", "resource limits of scripts, in the syntax of `folioshell run --limit`", "args", []
    )
    parser.addini("folioshell_check", "check all invariants of the model after each step", "bool", False)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a script."""
    if file_path.suffix != SUFFIX or not _is_script(file_path):
        return None
    from folioshell.testing.collect import ScriptFile

    return ScriptFile.from_parent(parent, path=file_path)


def _is_script(path: Path) -> bool:
    if not path.is_file():
        return False
    try:
        with path.open("rb") as stream:
            return _MAGIC.match(stream.read(_HEAD)) is not None
    except OSError:
        # What cannot be read is an error of this file; raised here it would stop the collection of all.
        return True
