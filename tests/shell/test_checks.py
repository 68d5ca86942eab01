"""check-scheme: which laws a definition breaks; check-protocol: what races find under a protocol."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path

import pytest

from folioshell.contract.check import CheckResult
from folioshell.contract.histories import SearchBounds
from folioshell.schemes.base import Law
from folioshell.schemes.vmas import Vmas
from folioshell.shell.checks import RACES, check_blocks, check_files, family
from folioshell.views.plain import render
from folioshell.views.screen import Screen
from tests.command_line import folioshell

MINE = """
from folioshell.schemes.base import Law
from folioshell.schemes.{module} import {base}

class Mine({base}):
    name = "mine"
    laws = {base}.laws {change}
"""


#: enough to break what these schemes break
BOUNDS = SearchBounds(histories=40, mms=60)


def check(folder: Path, text: str) -> tuple[int, str, str]:
    path = folder / "mine.py"
    path.write_text(text)
    out, err = StringIO(), StringIO()
    screens = Screen(out, rich=False, width=100), Screen(err, rich=False, width=1000)
    status = check_files([str(path)], *screens, bounds=BOUNDS)
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
    assert "\nmine: all claimed laws hold; decides could be claimed\ntried: 40 histories" in out


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


# Protocols.

UNLOCKED = """\
from folioshell.paths.protocol import Protocol


class Unlocked(Protocol):
    name = "unlocked"
    about = "counts entries by a load and a store"
    scheme = "mm-id"

    def mapped(self, span, sign=1):
        total = self.word(span.folio, "total")
        entries = yield total.load()
        yield total.store(entries + sign * span.nr_entries)

    def unmapped(self, span):
        yield from self.mapped(span, -1)

    def counted(self, folio):
        return self.word(folio, "total").value
"""
ONE = ("--race", "dontneed, mprotect, beside")


@pytest.fixture
def unlocked(tmp_path: Path) -> Path:
    path = tmp_path / "unlocked.py"
    path.write_text(UNLOCKED)
    return path


def test_a_finding_with_its_script(unlocked: Path, tmp_path: Path) -> None:
    """The race, what is wrong, and a script that leads there; status 1. The script finds the same."""
    done = folioshell("--plain", "--width", "10000", "check-protocol", "--race", "unmap, unmap", str(unlocked))

    assert done.returncode == 1
    lines = done.stdout.splitlines()
    assert lines[1].split() == ["unmap,", "unmap", "miscount", "115"]
    assert lines[3] == "unmap, unmap: miscount: f1: counted 8, expected 0"
    assert lines[-1] == (
        "unlocked: findings in 1 of 1 race (miscount in 1), all exhausted; bound: 20,000 states a race"
    )
    setup, race = (line.strip() for line in lines[4:6])
    again = folioshell("--plain", "-c", f"{setup}\n{race}")
    assert "f1 miscounted: unlocked counts 8, expected 0" in again.stdout


def test_protocols_of_ours() -> None:
    """Names check built-in protocols; JSON has all that was found."""
    command = ("--json", "check-protocol", "folio-bit-lock", "exclude-own", "--race", "unmap some", *ONE)
    done = folioshell(*command)

    assert done.returncode == 1
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["protocol"], one["race"], one["deadlocks"] > 0) for one in documents] == [
        ("folio-bit-lock", "unmap some", False),
        ("folio-bit-lock", "dontneed, mprotect, beside copies", False),
        ("exclude-own", "unmap some", True),
        ("exclude-own", "dontneed, mprotect, beside copies", False),
    ]


def test_three_threads() -> None:
    """With --threads 3 the races are those of three threads, and no others."""
    race = "dontneed lower, dontneed upper, fork"
    command = ("--plain", "check-protocol", "lockless-look", "--threads", "3", "--race", race)
    done = folioshell(*command)

    assert done.returncode == 1
    assert [line.split()[-2] for line in done.stdout.splitlines()[1:3]] == ["miscount", "miscount"]
    assert "lockless-look: findings in 2 of 2 races (miscount in 2), all exhausted" in done.stdout
    assert "no race is called like" in folioshell("check-protocol", "pmd-lock", "--race", race).stderr


def test_a_bound_is_said() -> None:
    """A race that is not exhausted is not called right."""
    done = folioshell("--plain", "check-protocol", "pmd-lock", *ONE, "--max-states", "20")

    assert done.returncode == 0
    assert "ok so far" in done.stdout
    assert "1 NOT EXHAUSTED; bound: 20 states a race" in done.stdout


def test_what_cannot_be_checked(unlocked: Path, tmp_path: Path) -> None:
    """Unknown names, races and files are refused with status 2."""
    scheme = tmp_path / "scheme.py"
    scheme.write_text(MINE.format(module="vmas", base="Vmas", change=""))
    for arguments, text in (
        (["nothing"], "no such protocol: 'nothing'"),
        ([], "nothing to check"),
        ([str(unlocked), "--race", "x"], "no race is called like 'x'"),
        ([str(tmp_path / "none.py")], "cannot read"),
        ([str(scheme)], "this file defines no protocol"),
    ):
        done = folioshell("check-protocol", *arguments)
        assert (done.returncode, text in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("raise KeyError(sign)", "KeyError: -1, at {path}:12"),
        ("return total", "f1: counted 2, expected"),
        (
            "yield self.bit_lock(span.folio).acquire('x')",
            "ended without releasing MCL(f1.unlocked), taken at {path}:12",
        ),
        ("while True: yield total.load()", "livelock: A.t1"),
    ],
)
def test_a_broken_protocol_is_a_finding(unlocked: Path, line: str, text: str) -> None:
    """What fails in a race is a finding with the thread, the call and the line: status 1."""
    condition = "        if sign < 0:\n            " + line + "\n"
    unlocked.write_text(UNLOCKED.replace("        entries =", f"{condition}        entries ="))

    done = folioshell("--plain", "--width", "10000", "check-protocol", str(unlocked), *ONE)

    assert done.returncode == 1
    assert text.format(path=unlocked) in done.stdout


@pytest.mark.full
def test_jobs(unlocked: Path) -> None:
    """The output is the same for any number of processes."""
    command = ("--plain", "check-protocol", str(unlocked), "exclude-own", "--race", "unmap", *ONE)
    done = folioshell(*command)

    assert folioshell(*command, "--jobs", "2").stdout == done.stdout
    words = [line.split()[-2:] for line in done.stdout.splitlines()[3:6]]
    assert words == [["miscount", "deadlock"], ["miscount", "deadlock"], ["ok", "ok"]]


@pytest.mark.full
def test_the_family_is_clean_under_what_is_right() -> None:
    """Protocols that are right are right in all shipped and generated races, each exhausted."""
    done = folioshell("--plain", "check-protocol", "--quiet", "folio-bit-lock", "pmd-lock")

    assert done.returncode == 0
    assert done.stdout.count(f"no finding in {len((*RACES, *family()))} races, all exhausted") == 2
