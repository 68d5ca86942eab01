"""check-scheme: which laws a definition breaks, with the shortest history that was found."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path

from folioshell.contract.check import CheckResult
from folioshell.schemes.base import Law
from folioshell.schemes.vmas import Vmas
from folioshell.shell.scheme_check import check_blocks, check_files
from folioshell.views.plain import render
from folioshell.views.screen import Screen

MINE = """
from folioshell.schemes.base import Law
from folioshell.schemes.{module} import {base}

class Mine({base}):
    name = "mine"
    laws = {base}.laws {change}
"""


def check(folder: Path, text: str) -> tuple[int, str, str]:
    path = folder / "mine.py"
    path.write_text(text)
    out, err = StringIO(), StringIO()
    status = check_files([str(path)], Screen(out, rich=False, width=100), Screen(err, rich=False, width=1000))
    return status, out.getvalue(), err.getvalue()


def test_a_true_declaration(tmp_path: Path) -> None:
    """A definition that keeps what it declares gives 0; what it breaks otherwise is told with a history, and what it
    could declare is named.
    """
    status, out, _ = check(tmp_path, MINE.format(module="vmas", base="Vmas", change="- {Law.DECIDES}"))

    assert status == 0
    assert re.search(r"^  never-false-positive +no +violated \(not claimed\)$", out, re.MULTILINE)
    assert re.search(r"^  never-false-negative +yes +holds$", out, re.MULTILINE)
    assert "never-false-positive violated after " in out
    assert re.search(r"^  decides +no +holds \(could be claimed\)$", out, re.MULTILINE)
    assert "\nmine: all claimed laws hold; decides could be claimed\ntried: 240 histories" in out


def test_a_false_declaration(tmp_path: Path) -> None:
    """A declared law that is broken gives 1, and the history that breaks it has as few steps as it takes: two."""
    text = MINE.format(module="vmas", base="Vmas", change="| {Law.NEVER_FALSE_POSITIVE}")
    status, out, _ = check(tmp_path, text)

    assert status == 1
    assert re.search(r"^  never-false-positive +yes +! VIOLATED$", out, re.MULTILINE)
    assert "never-false-positive violated after 2 steps:" in out
    assert "mine: violates never-false-positive" in out


def test_quietly() -> None:
    """A last line, and above it what breaks a promise; not what is broken as declared."""
    kept = [
        CheckResult(Law.DECIDES, True),
        CheckResult(Law.NEVER_FALSE_POSITIVE, False, "yes, but no", ("a folio", "a step")),
    ]
    broken = CheckResult(Law.NEVER_FALSE_NEGATIVE, True, "no, but yes", ("a folio", "a step"))

    assert render(list(check_blocks(Vmas, kept, quiet=True)), 100) == "vmas: all claimed laws hold\n"
    assert render(list(check_blocks(Vmas, [*kept, broken], quiet=True)), 100).splitlines()[1:] == [
        "never-false-negative violated after 1 step:",
        "  a folio",
        "  1  a step",
        "  then: no, but yes",
        "",
        "vmas: violates never-false-negative",
    ]


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    """Status 2, and the place in the file."""
    status, out, err = check(tmp_path, "class Mine(:\n")

    assert (status, out) == (2, "")
    assert f"{tmp_path}/mine.py:1:" in err
