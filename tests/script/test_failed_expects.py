"""Failed expects: the place, the step that made the value, and the command that opens the shell there."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from folioshell.report import Expect, Since
from folioshell.script.runner import EXPLAINED, FAILED, Runner, run_file, run_text
from folioshell.script.script import ScriptEvent
from tests.fingerprint import fingerprint

SETUP = "file lib 32 order=4\nmmap win 16 file=lib align=512 skew=504\n"


def failures(runner: Runner) -> list[ScriptEvent]:
    """What failed: expects, and the command that a script stopped at."""
    return [
        played
        for played in runner
        if played.failure or (played.report and played.report.expect and not played.report.expect.passed)
    ]


def failed_expect(script: str) -> Expect:
    (played,) = failures(run_text(script))
    assert played.report is not None and played.report.expect is not None
    return played.report.expect


def state_of(runner: Runner) -> tuple[str, str, list[str]]:
    """Everything that somebody who looks can see: prompt, kernel and schemes, what is shown."""
    return runner.session.prompt, fingerprint(runner.session.workspace.machine), runner.session.shown_schemes


@pytest.mark.parametrize(
    ("script", "since"),
    [
        (f"{SETUP}fault win[0]\nfault win[8]\nfork B\nexpect mapcount tuples f1 == 3", Since(4, "fault win[8]", "1")),
        ("mmap a 4\nmmap b 4\nexpect vmas A == 1", Since(2, "mmap b 4", "1")),
        ("mmap a 4\nfault a\nfork B\nexpect present? B:a[0] == no", Since(3, "fork B", "")),
        ("mmap a 4\nfault a\nfork B\nB: write a[0]\nexpect same a[0] B:a[0]", Since(4, "B: write a[0]", "yes")),
        ("expect vmas A == 1", None),
        ("mmap a 4\nfault a\nexpect locks == pt9", None),
    ],
)  # fmt: skip
def test_the_step_that_made_it(script: str, since: Since | None) -> None:
    """The last step that changed the value is named, with the value before it; what is not of the state has none."""
    assert failed_expect(script).since == since


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        ("expect vmas  A ==  3  # why", "==  3"),
        ("show processes ; expect vmas A >= 3 ; fork B", ">= 3"),
        ("A: expect free f1", "A: expect free f1"),
    ],
)
def test_columns(line: str, columns: str) -> None:
    """What did not hold is the comparison, or the whole assertion where there is none."""
    expect = failed_expect(f"mmap a 4\nfault a\n{line}")

    assert line[expect.start : expect.end] == columns


def test_a_line_that_goes_on() -> None:
    """Behind the braces of several lines, the place is that in the last of them."""
    (played,) = failures(run_text("mmap a 4\nrace {\n A.t1: fault a[0]\n} ; expect deadlocks > 0\n"))

    assert played.report is not None and played.report.expect is not None
    assert (played.line, played.text) == (4, "} ; expect deadlocks > 0")
    assert played.text[played.report.expect.start : played.report.expect.end] == "> 0"


def test_why_names_the_steps_of_mappings() -> None:
    """Each mapping that counts stands with the step that made it."""
    why = failed_expect(f"{SETUP}fault win[0]\nfork B\nB: fault win[8]\nexpect truth mms f1 == 1").why

    assert [line.rpartition(", ")[2] for line in why] == ["step 3", "step 5"]


def test_only_some_are_traced() -> None:
    """A script in which everything fails is not replayed again and again."""
    found = failures(run_text("mmap a 4\n" + "expect vmas A == 9\n" * (EXPLAINED + 2)))
    sinces = [played.report.expect.since for played in found if played.report and played.report.expect]

    assert [since is not None for since in sinces] == [True] * EXPLAINED + [False] * 2


@pytest.mark.parametrize(
    "script",
    [
        "mmap a 4\nfault a[0] ; fault a[1] ; expect vmas A == 7 ; fault a[2]\nfault a[3]\n",
        "mmap a 4\nmunmap a[2]\nfails ENOMEM mprotect a r\nset schemes vmas\nexpect vmas A == 7\nfork B\n",
        "mmap a 4\nfork B\nas B\nexpect vmas B == 7\nwrite a\n",
        "source more.fs\nfork C\nexpect vmas A == 7\nmmap c 4\n",
        "mmap a 4\nmmap b 4\nundo\nfault a\nexpect vmas A == 7\nfork C\n",
        "mmap a 4\nfork B\nundo 2\nexpect vmas A == 7\nfork C\n",
        "mmap a 4\nspawn t1: fault a[0]\nstep t1\nexpect vmas A == 7\nfinish\nfork C\n",
        "expect vmas A == 7\nmmap a 4\n",
    ],
)
def test_the_command_opens_that_very_state(tmp_path: Path, script: str) -> None:
    """Running the script again until there gives the same prompt, kernel, schemes and columns, and fails there."""
    (tmp_path / "more.fs").write_text("mmap b 4\nfault b ; fork B\nexpect vmas B == 1\nas B\n")
    path = tmp_path / "my script.fs"
    path.write_text(script)
    runner = run_file(path)
    for played in runner:
        if played.reopen:
            break
    words = shlex.split(played.reopen)
    kind, colon, line = words[words.index("--until") + 1].partition(":")
    again = run_file(words[2], until_line=int(line)) if colon else run_file(words[2], until=int(kind))

    assert words[-1] == "-i"
    assert [item.line for item in failures(again)] == [played.line]
    assert state_of(again) == state_of(runner)
    assert again.status == FAILED


def test_a_failure_within_a_sourced_script(tmp_path: Path) -> None:
    """The command names the script that was run, and stops before what follows in the sourced one."""
    (tmp_path / "more.fs").write_text("mmap b 4\nexpect vmas A == 7\nfault b\n")
    (tmp_path / "main.fs").write_text("mmap a 4\nsource more.fs\nfork B\n")
    (played,) = failures(run_file(tmp_path / "main.fs"))

    assert played.file.endswith("more.fs")
    assert played.reopen == f"folioshell run {tmp_path}/main.fs --until 2 -i"
    again = run_file(tmp_path / "main.fs", until=2)
    assert [item.line for item in again][-1] == 2
    assert again.session.prompt == "A 2>"


def test_a_stop_is_opened_before_the_command() -> None:
    """Whoever looks wants to try the command again; a script that is no file cannot be run again."""
    (played,) = failures(run_text("mmap a 4\nmunmap a[0]\n mprotect a r\n"))

    assert (played.line, played.column, played.reopen) == (3, 2, "")


def test_permissions_are_repeated(tmp_path: Path) -> None:
    """What the run was allowed is allowed again, and words of whoever started it are kept."""
    path = tmp_path / "a.fs"
    path.write_text("mmap a 4\nmprotect 0x1000 r\n")
    (played,) = failures(run_file(path, allow_files=True, options=["--scheme", "my one.py"]))

    assert played.reopen == f"folioshell run --scheme 'my one.py' --allow-files {path} --until 1 -i"
