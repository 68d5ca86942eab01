"""Tests of folioshell.script: scripts, their runner, and the commands that read and write them."""

from __future__ import annotations

from pathlib import Path

import pytest

from folioshell import Session
from folioshell.errors import KernelBug, Refused
from folioshell.script.runner import FAILED, PASSED, REFUSED, Runner, run_file, run_text
from folioshell.script.script import ScriptEvent
from tests.fingerprint import fingerprint

GOOD = """#!folioshell 1
# a comment
| ## The folio straddles two page tables
file lib 32 order=4
mmap win 16 file=lib align=512 skew=504

fault win[0] ; fault win[8]   # both halves
expect mapcount tuples f1 == 2
"""


def play(text: str, **options: object) -> tuple[Runner, list[ScriptEvent]]:
    runner = run_text(text, name="test.fs", **options)  # type: ignore[arg-type]
    return runner, list(runner)


def refusal(played: list[ScriptEvent]) -> Refused:
    error = played[-1].refused
    assert error is not None
    return error


def test_a_script_that_passes() -> None:
    """Prose and reports come in order, with the lines they stand in."""
    runner, played = play(GOOD)

    assert (runner.status, runner.steps, runner.expects, runner.failed) == (PASSED, 4, 1, 0)
    assert [item.line for item in played] == [3, 4, 5, 7, 7, 8]
    assert played[0].prose == "## The folio straddles two page tables"
    assert [item.report.step for item in played[1:] if item.report] == [1, 2, 3, 4, None]
    assert runner.session.prompt == "A 4>"


def test_failed_expects_do_not_stop_it() -> None:
    """All failures are reported, the status is 1."""
    runner, played = play("mmap a 4\nexpect vmas A == 2\nexpect vmas A == 3\nfault a\n")

    assert (runner.status, runner.expects, runner.failed, runner.steps) == (FAILED, 2, 2, 2)
    assert [item.report.expect.passed for item in played if item.report and item.report.expect] == [False, False]


@pytest.mark.parametrize(
    ("line", "failure"),
    [
        ("mprotect a r", "failed with ENOMEM (`fails ENOMEM …` would expect that)"),
        ("fails EINVAL mprotect a r", "expected EINVAL, but it ended with ENOMEM"),
        ("fails ENOMEM mprotect a[0] r", "expected ENOMEM, but it ended with ok"),
        ("write a[2]", "failed with SIGSEGV (`fails SIGSEGV …` would expect that)"),
        ("fails SIGBUS write a[2]", "expected SIGBUS, but it ended with SIGSEGV"),
        ("fails[6.1,5.10] ENOMEM mprotect a r", "failed with ENOMEM (`fails ENOMEM …` would expect that)"),
        ("fails[6.18,6.1] ENOMEM mprotect a[0] r", "expected ENOMEM, but it ended with ok"),
    ],
)
def test_unexpected_endings_stop_it(line: str, failure: str) -> None:
    """A command that fails without fails, or does not fail as announced: the script stops, status 1."""
    runner, played = play(f"mmap a 4\nmunmap a[2]\n{line}\nmmap b 4\n")

    assert (runner.status, runner.steps) == (FAILED, 3)
    assert (played[-1].line, played[-1].failure) == (3, failure)
    assert "b" not in runner.session.workspace.regions


def test_announced_failures_pass() -> None:
    """Fails with the right errno or signal is a step that went well."""
    runner, _ = play(
        "mmap a 4\nmunmap a[2]\nfails ENOMEM mprotect a r\n"
        "A: fails SIGSEGV write a[1..3]\nfails[6.1] ENOMEM read a[0]\n"
    )

    assert (runner.status, runner.steps) == (PASSED, 5)


def test_nothing_runs_if_a_line_cannot_be_parsed() -> None:
    """The refusal has file, line and column."""
    runner, played = play("mmap a 4\nfault a\n  falut a\n")
    error = refusal(played)

    assert (runner.status, runner.steps, len(played)) == (REFUSED, 0, 1)
    assert (error.file, error.line, error.start, error.text) == ("test.fs", 3, 2, "  falut a")
    assert error.hint == "did you mean `fault`? `help` lists the commands"
    assert (played[0].file, played[0].line) == ("test.fs", 3)


def test_a_refusal_while_running_stops_it() -> None:
    """A name that does not exist is found when the line is reached."""
    runner, played = play("mmap a 4\nfault b\nfault a\n")
    error = refusal(played)

    assert (runner.status, runner.steps) == (REFUSED, 1)
    assert (error.file, error.line, error.start, error.end) == ("test.fs", 2, 6, 7)


def test_braces_over_several_lines() -> None:
    """A race may stand on several lines; what is wrong in it is shown on its own line."""
    lines = ["mmap buf 16", "race {", "  A.t1: fault buf[0]  # first", "  A.t2: fault bfu[1]", "}"]
    text = "\n".join(lines)
    runner = run_text(text.replace("bfu", "buf"))
    assert [played.line for played in runner] == [1, 2]
    assert runner.status == 0

    (*_, last) = run_text(text)
    assert last.refused is not None
    assert (last.refused.line, last.refused.text, last.refused.start) == (4, lines[3], lines[3].index("bfu"))


def test_until() -> None:
    """The run stops when so many steps were done; the session can be used from there."""
    runner, played = play(GOOD, until=3)

    assert (runner.steps, runner.session.prompt) == (3, "A 3>")
    assert played[-1].report is not None and played[-1].report.command == "fault win[0]"
    assert runner.session.execute("fault win[8]")[0].step == 4
    assert play(GOOD, until=0)[0].steps == 0
    assert play("mmap a 4\nset walks always\nmark m\nmmap b 4\n", until=1)[0].session.settings.walks


def test_quit_ends_it() -> None:
    """What follows quit is not run."""
    runner, _ = play("mmap a 4\nquit\nmmap b 4\n| prose\n")

    assert (runner.status, runner.steps, runner.has_quit) == (PASSED, 1, True)
    assert not runner.session.finished


def test_assertions_after_quit() -> None:
    """They are reported, each with its place, and fail the run."""
    runner, played = play("mmap a 4\nquit ; expect vmas A == 1\nexpect vmas A == 99\nshow vmas\n> old\n")

    left = [(item.line, item.column, item.unreached) for item in played if item.unreached]
    assert left == [(2, 8, "vmas A == 1"), (3, 1, "vmas A == 99"), (5, 0, "output of show vmas")]
    assert (runner.status, runner.expects) == (FAILED, 0)


def test_quit_ends_its_own_file(tmp_path: Path) -> None:
    """A script that includes one which quits continues."""
    (tmp_path / "inner.fs").write_text("mmap a 4\nquit\nmmap b 4\nexpect vmas A == 2\n")
    (tmp_path / "outer.fs").write_text("source inner.fs\nmmap c 4\nexpect vmas A == 2\n")
    runner = run_file(tmp_path / "outer.fs")
    played = list(runner)

    assert (runner.status, runner.steps, runner.expects, runner.failed) == (FAILED, 2, 1, 0)
    (left,) = [item for item in played if item.unreached]
    assert (left.file, left.line) == (str(tmp_path / "inner.fs"), 4)
    assert not runner.has_quit


#: a race that deadlocks and miscounts nothing, and a command that deadlocks on its own
SETUP = "file lib 32 order=4 ; mmap win 16 file=lib align=512 skew=504 ; fault win[0] ; madvise dontneed win[0..2]\n"
ALONE = f"{SETUP}set decide vmas ; set protocol as-mailed\nfault win[0]\n"
RACED = f"{SETUP}set decide vmas ; set protocol as-mailed\nrace {{ A.t1: fault win[0] }}\n"


@pytest.mark.parametrize("text", [ALONE, RACED, RACED.replace("}", "} schedule=1,1,1,1,1,1")])
def test_a_deadlock_fails_the_run(text: str) -> None:
    """A deadlock fails the run, unless an expect asks for it before the next race."""
    runner, played = play(text)
    assert (runner.status, runner.stopped) == (FAILED, False)
    assert [(item.line, item.unasked) for item in played if item.unasked] == [(3, "deadlocks")]

    assert play(f"{text}expect deadlocks == 1\n")[0].status == PASSED
    assert play(f"{text}expect miscounts == 0\n")[0].status == FAILED
    (_, played) = play(f"{text}race {{ A.t1: read win[3] }}\nexpect deadlocks == 0\n")
    assert [item.line for item in played if item.unasked] == [3]


def test_a_deadlock_that_was_typed(tmp_path: Path) -> None:
    """At the prompt a deadlock is what the user wants to see."""
    runner = Runner("pasted", RACED, Session(), Session().host.access, typed=True)

    assert not [item for item in runner if item.unasked]
    assert runner.status == PASSED


@pytest.mark.parametrize(
    ("data", "place", "message"),
    [
        (b"mmap a 4\nmmap \xff\xfe 4\n", (2, 5), "this is not UTF-8 text"),
        (b"mmap a 4\nmmap \x00b 4\n", (2, 5), "this is not text"),
        (b"| prose with \x01\n", (1, 13), "this is not text"),
        (b"mmap a 4\nfau", (2, 0), "unknown command"),
        (b"#!folioshell 2\n", (1, 13), "unknown version 2 of the language"),
        (b"#!/bin/sh\n", (1, 0), "a script for another program"),
    ],
)
def test_files_that_are_no_scripts(tmp_path: Path, data: bytes, place: tuple[int, int], message: str) -> None:
    """Binary junk, half a word, another language: refused where it shows, nothing run, status 2."""
    path = tmp_path / "junk.fs"
    path.write_bytes(data)
    runner = run_file(path)
    error = refusal(list(runner))

    assert (runner.status, runner.steps) == (REFUSED, 0)
    assert ((error.line, error.start), error.message) == (place, message)
    assert error.file == str(path)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing file and a directory are refused by name."""
    for path in (tmp_path / "missing.fs", tmp_path):
        runner = run_file(path)
        error = refusal(list(runner))
        assert runner.status == REFUSED
        assert error.message.startswith(f"cannot read {path}: ")


def test_a_script_with_other_line_ends(tmp_path: Path) -> None:
    """A byte-order mark and CRLF line ends do not matter."""
    path = tmp_path / "dos.fs"
    path.write_bytes(b"\xef\xbb\xbf#!folioshell 1\r\nmmap a 4\r\n| text\r\n")
    runner = run_file(path)
    played = list(runner)

    assert (runner.status, runner.steps) == (PASSED, 1)
    assert played[-1].prose == "text"


def test_save_and_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A saved session replays to the same state, at the prompt and by run."""
    monkeypatch.chdir(tmp_path)
    session = Session()
    session.execute("mmap a 4 ; fault a ; fork B ; as B ; write a[0] ; munmap a[1] ; mprotect a r ; set schemes vmas")
    (report,) = session.execute("save 'my session.fs'")
    assert report.sentence == "6 steps written to my session.fs."
    before = fingerprint(session.workspace.machine)

    runner = run_file("my session.fs")
    list(runner)
    assert (runner.status, runner.session.prompt) == (PASSED, "B 6>")
    assert fingerprint(runner.session.workspace.machine) == before
    assert runner.session.shown_schemes == ["vmas"]

    other = Session()
    other.execute("mmap zzz 4 ; load 'my session.fs'")
    assert fingerprint(other.workspace.machine) == before
    assert other.prompt == "B 6>"


def test_source_runs_in_the_same_session(tmp_path: Path) -> None:
    """Sourced lines are steps of the session; their reports name their own file."""
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "setup.fs").write_text("file lib 32 order=4\nsource more.fs\n")
    (tmp_path / "lib" / "more.fs").write_text("mmap win 16 file=lib\nexpect vmas A == 1\n")
    (tmp_path / "main.fs").write_text("source lib/setup.fs\nfault win[0]\n")
    runner = run_file(tmp_path / "main.fs")
    played = list(runner)

    assert (runner.status, runner.steps, runner.expects) == (PASSED, 3, 1)
    assert [(Path(item.file).name, item.line) for item in played] == [
        ("setup.fs", 1), ("more.fs", 1), ("more.fs", 2), ("main.fs", 2),
    ]  # fmt: skip
    assert [entry.text for entry in runner.session.history.entries] == [
        "file lib 32 order=4", "mmap win 16 file=lib", "fault win[0]",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("source ../outside.fs", "a script may read only files below its own folder"),
        ("source /etc/hostname", "a script may read only files below its own folder"),
        ("load ../outside.fs", "a script may read only files below its own folder"),
        ("source link.fs", "a script may read only files below its own folder"),
        ("source main.fs", "this script is already being run: endless recursion"),
        ("source missing.fs", "cannot read"),
        ("save out.fs", "scripts may not write files"),
    ],
)
def test_scripts_are_confined(tmp_path: Path, line: str, message: str) -> None:
    """A script reads below its folder only, never itself, and writes nothing."""
    folder = tmp_path / "scripts"
    folder.mkdir()
    (tmp_path / "outside.fs").write_text("mmap a 4\n")
    (folder / "link.fs").symlink_to(tmp_path / "outside.fs")
    (folder / "main.fs").write_text(f"mmap x 4\n{line}\n")
    runner = run_file(folder / "main.fs")
    error = refusal(list(runner))

    assert runner.status == REFUSED
    assert error.message.startswith(message)
    assert (error.line, error.start) == (2, line.index(" ") + 1)
    assert not (folder / "out.fs").exists()


def test_a_broken_sourced_script_is_refused_at_its_own_line(tmp_path: Path) -> None:
    """The place is that in the sourced file, and load resets nothing then."""
    (tmp_path / "bad.fs").write_text("mmap b 4\nfalut b\n")
    (tmp_path / "main.fs").write_text("mmap a 4\nload bad.fs\n")
    runner = run_file(tmp_path / "main.fs")
    error = refusal(list(runner))

    assert (Path(error.file).name, error.line, error.start) == ("bad.fs", 2, 0)
    assert list(runner.session.workspace.regions) == ["a"]


def test_allow_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With permission a script may save."""
    monkeypatch.chdir(tmp_path)
    runner, _ = play("mmap a 4\nsave out.fs\n", allow_files=True)

    assert runner.status == PASSED
    assert (tmp_path / "out.fs").read_text() == "#!folioshell 1\nmmap a 4\n"


def test_source_at_the_prompt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the prompt every file may be read; what goes wrong in it is refused with its place."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.fs").write_text(
        "mmap a 4\nexpect vmas A == 2\nwrite a ; mprotect a r\nmprotect 0x1000 r\nmmap b 4\n"
    )
    (tmp_path / "b.fs").write_text("fault nowhere\n")
    session = Session()
    reports = session.execute(f"source {tmp_path}/a.fs")

    assert [report.step for report in reports] == [1, None, 2, 3, 4, None]
    assert reports[-1].sentence.endswith(
        "a.fs:4: failed with ENOMEM (`fails ENOMEM …` would expect that); script stopped."
    )
    with pytest.raises(Refused) as error:
        session.execute("source b.fs")
    assert (error.value.file, error.value.line) == ("b.fs", 1)
    assert session.host.access.may_write


def test_a_kernel_bug_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The runner lets it through, with the state before the command restored."""
    runner = run_text("mmap a 4\nfault a\n")
    monkeypatch.setattr(runner.session.settings, "check", True)
    monkeypatch.setattr(runner.session.workspace.machine, "check", lambda: ["broken"])

    with pytest.raises(KernelBug):
        list(runner)
    assert runner.session.step == 0
