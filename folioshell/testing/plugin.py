"""What pytest loads: collects every ``.fs`` file whose first line is ``#!folioshell``, an item an ``expect``.

Rules:
- Nothing of folioshell is imported until such a file is found: whoever has folioshell installed pays for it only then.
- The entry point has the name of this module, so that ``-p folioshell.testing.plugin`` never registers it twice.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

SUFFIX = ".fs"
# Other languages have the same suffix, so only the first line tells. A byte-order mark may stand before it.
_MAGIC = re.compile(rb"(?:\xef\xbb\xbf)?#![ \t]*folioshell\b")
#: bytes in which the first words of a file are found
_HEAD = 64


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the settings of scripts in the configuration file."""
    parser.addini("folioshell_scheme", "Python files with definitions that scripts count by, too", "paths", [])
    parser.addini("folioshell_limit", "how much scripts may do, as `folioshell run --limit` takes it", "args", [])
    parser.addini("folioshell_check", "verify every invariant of the model after each step of a script", "bool", False)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a script."""
    if file_path.suffix != SUFFIX or not _is_script(file_path):
        return None
    from folioshell.testing.collect import ScriptFile

    return ScriptFile.from_parent(parent, path=file_path)


def _is_script(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return _MAGIC.match(stream.read(_HEAD)) is not None
