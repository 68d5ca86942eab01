"""No behaviour of the package is tied to a recording."""

from __future__ import annotations

import re

from tests.repo.tree import ROOT, modules

RECORDINGS = ROOT / "tests" / "recordings"
#: recordings that are named after a field of the kernel
FIELDS = {"mlock_count"}


def test_no_recording_is_named_in_the_package() -> None:
    """What a recording shows follows from the rules of its kernel: no code knows its name."""
    names = {path.name.partition(".json")[0] for path in RECORDINGS.rglob("*.json*")} - FIELDS
    assert len(names) > 200
    word = re.compile(r"[a-z]+[0-9]*(?:_+[a-z0-9]+)+|fuzz[0-9]+")
    found = {
        f"{path.relative_to(ROOT)}: {name}"
        for path in modules()
        for name in word.findall(path.read_text(encoding="utf-8"))
        if name in names
    }

    assert found == set()
