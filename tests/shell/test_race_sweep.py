"""race-sweep: which pairs are explored, what is printed, and the exit status."""

from __future__ import annotations

import json
import re

import pytest

from folioshell.commands.sweep import SETUPS, PairFinding, PairResult
from folioshell.shell.race_sweep import SweepChoice, explored, sweep_blocks
from folioshell.views.plain import render
from tests.command_line import folioshell

FOUND = PairResult(
    "anon",
    "read, split",
    ("mmap w 4", "race { A.t1: read w[1] ; A.t2: split f1 }"),
    12,
    findings=(
        PairFinding("invariant", "f1: 2 references, expected 1", 3, "1,2"),
        PairFinding("invariant", "f1 is lost", 1, "1,2,2"),
        PairFinding("deadlock", "A.t1 waits for pt1", 1, "1,1,2"),
    ),
)
STOPPED = PairResult("anon", "read, write", ("mmap w 4", "race …"), 50_000, "max-states", loop="1,2,1")
REFUSED = PairResult("tmpfs", "read, file", ("mmap w 4", "race …"), refused="file cannot race")


#: pairs of every run, and a tenth of all for a full one; docs/locking.md has the result of all
SAMPLES = [pytest.param(12, 2_000, id="some"), pytest.param(830, 5_000, id="a tenth", marks=pytest.mark.full)]


@pytest.mark.parametrize(("nr", "most"), SAMPLES)
def test_a_seeded_part_is_right(nr: int, most: int) -> None:
    """Under the kernel's own bookkeeping no pair has a finding, and each of them can race."""
    results = list(explored(SweepChoice(sample=nr, seed=6, most=most)))

    assert len(results) == nr
    assert [result for result in results if result.findings or result.refused] == []
    assert sum(result.exhausted for result in results) >= nr * 9 // 10


def test_choices() -> None:
    """Set-ups, pairs and a sample; one name is all pairs with that command."""
    both = SweepChoice(setups=["anon", "tmpfs"], pairs=["split, read"]).chosen()
    all_with = SweepChoice(setups=["anon"], pairs=["split"]).chosen()

    assert [(pair.setup.name, pair.name) for pair in both] == [("anon", "read, split"), ("tmpfs", "read, split")]
    assert len(all_with) == len(SETUPS[0].commands)
    assert len(SweepChoice(sample=7).chosen()) == 7
    assert SweepChoice(sample=7).chosen() != SweepChoice(sample=7, seed=2).chosen()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--setup", "none"), "no such set-up: 'none'"),
        (("--pair", "read,walk"), "no such command: 'walk'"),
        (("--pair", "read,read,read"), "not a pair"),
        (("--protocol", "prayer"), "no such protocol: 'prayer'"),
        (("--jobs", "0"), "not a number from 1"),
        (("--max-states", "x"), "not a number"),
    ],
)
def test_bad_use(arguments: tuple[str, ...], message: str) -> None:
    """What cannot be done has status 2, and says what can be."""
    done = folioshell("race-sweep", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr


def test_a_clean_run() -> None:
    """Status 0, a row for each set-up, and the same output from two processes."""
    arguments = ("race-sweep", "--setup", "anon", "--setup", "ext4, order 2", "--pair", "read,mprotect")
    done = folioshell(*arguments)

    assert done.returncode == 0
    assert re.search(r"^  anon +1 +1 +1 +\d+ +0 +0$", done.stdout, re.MULTILINE)
    assert re.search(r"^  all +2 +2 +2 +\d+ +0 +0$", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("\n2 pairs explored, 2 exhausted: no findings\n")
    assert folioshell(*arguments, "--jobs", "2") == done
    assert folioshell(*arguments, "--quiet").stdout == "2 pairs explored, 2 exhausted: no findings\n"


def test_findings() -> None:
    """Status 1; a finding comes with a script that repeats it."""
    straddling = ("--setup", "ext4, straddling two tables", "--pair", "dontneed,dontneed")
    done = folioshell("race-sweep", *straddling, "--protocol", "exclude-own", "-v")
    lines = [text.strip() for text in done.stdout.splitlines()]
    at = next(number for number, text in enumerate(lines) if text.startswith("set geometry classroom ; file lib"))
    again = folioshell("-c", "\n".join(lines[at : at + 2]))

    assert done.returncode == 1
    assert re.search(r"dontneed, dontneed: exhausted, \d+ states, \d+ findings?", done.stdout)
    assert "dontneed, dontneed: " in lines[at - 1]
    assert again.returncode == 1
    assert "FINDING" in again.stdout


def test_json() -> None:
    """A document for each pair, one a line."""
    arguments = ("race-sweep", "--setup", "tmpfs", "--pair", "read,mprotect", "--pair", "read,munmap", "--json")
    documents = [json.loads(text) for text in folioshell(*arguments).stdout.splitlines()]

    assert [(one["setup"], one["pair"]) for one in documents] == [
        ("tmpfs", "read, munmap"),
        ("tmpfs", "read, mprotect"),
    ]
    assert all(one["exhausted"] and one["states"] > 1 and one["findings"] == [] for one in documents)
    assert all(len(one["script"]) == 2 for one in documents)


def test_list() -> None:
    """The set-ups with their scripts, and the commands."""
    done = folioshell("race-sweep", "--list")

    assert done.returncode == 0
    assert all(setup.script in done.stdout for setup in SETUPS)


def test_blocks() -> None:
    """Kinds that were found have columns; pairs that are not exhausted or cannot race are named."""
    lines = render(list(sweep_blocks([FOUND, STOPPED, REFUSED], 50_000)), 200).splitlines()
    text = "\n".join(lines)

    assert lines[0].split("  ")[-2:] == ["deadlocks", "invariants"]
    assert lines[1].split()[1:] == ["2", "2", "1", "50,012", "1", "1", "1", "1"]
    assert "not exhausted:\n  anon: read, write: max-states, 50,000 states\n" in text
    assert "not explored:\n  1 pair: file cannot race\n" in text
    assert "anon: read, split: invariant: f1: 2 references, expected 1 (and 1 more)\n  mmap w 4\n  race {" in text
    assert "split f1 } schedule=1,2\n" in text
    assert lines[-1] == "2 pairs explored, 1 exhausted: 1 pair with findings"
