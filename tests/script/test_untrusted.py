"""Untrusted scripts: whatever they hold, they end, and what is not permitted is refused with its place."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from resource import RLIM_INFINITY, RLIMIT_AS, getrlimit
from threading import Thread
from time import monotonic

import pytest

from folioshell import Session
from folioshell.cli import main
from folioshell.errors import OutOfTime, Refused
from folioshell.script.budget import Budget, Telling
from folioshell.script.runner import REFUSED, run_file, run_text
from folioshell.session.host import STRICT, Limits
from tests.command_line import folioshell


def refusal(text: str, **limits: int) -> Refused:
    runner = run_text(text, name="a.fs", limits=STRICT._replace(**limits))
    played = list(runner)
    assert runner.status == REFUSED
    error = played[-1].refused
    assert error is not None
    return error


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("mmap x 1T ; fault x", (1, 18), "268,435,456 pages would exceed the limit of 524,288 pages mapped"),
        ("file f 100G cached", (1, 7), "100G is out of range"),
        ("mmap x 99999999999999999999", (1, 7), "that number is too large"),
        (f"mmap x {'9' * 5000}", (1, 7), "that number is too large"),
        (f"undo {'9' * 5000}", (1, 5), "not a number"),
        (f"fault 0x7f0000000000+{'9' * 5000}", (1, 21), "not a number of pages"),
        (f"race {{ A: fault 0x7f0000000000 }} schedule={'9' * 5000}", (1, 42), None),
        (f"{'a' * 70_000}", (1, 65_535), "this line has more than 65,536 characters"),
        (f"race {{{'x' * 70_000}", (1, 65_535), "this line has more than 65,536 characters"),
        ("{}" * 32_000, (1, 0), "a command is missing before the braces"),
        (f"race {'{' * 30_000}", (1, 5), "too many braces within braces"),
        ("set geometry x86-64 ; fork B ; set geometry classroom", (1, 35), None),
        ("mmap \ud800 4", (1, 5), "not a name"),
        ("mmap a\x00b 4", (1, 6), "this is not text"),
    ],
)
def test_what_is_refused(text: str, place: tuple[int, int], message: str | None) -> None:
    """At once, with the place."""
    error = refusal(text)

    assert (error.line, error.start) == place
    assert message in (None, error.message)


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("mmap x 400000 shared ; read x", 23),
        ("mmap x 64 ; race { A.t1: fault x ; A.t2: fault x ; A.t3: fault x ; A.t4: munmap x }", 12),
    ],
    ids=["a step", "a question"],
)
def test_time(text: str, start: int) -> None:
    """What takes too long is stopped where it is; the session can be used afterwards."""
    runner = run_text(text, name="a.fs", limits=STRICT._replace(seconds=1))
    *_, last = runner

    assert last.refused is not None
    assert last.refused.message == "the script exceeds the limit of 1 CPU second"
    assert (last.refused.line, last.refused.start) == (1, start)
    assert runner.session.execute("fork B")[0].step == 2


def test_time_is_that_of_the_whole_script() -> None:
    """Many short commands use it up as one long one does, and so do lines that are only read."""
    assert refusal("fork B ; undo\n" * 3000, seconds=0).message == "the script exceeds the limit of 0 CPU seconds"


def test_an_alarm_of_somebody_else() -> None:
    """It comes when it would have come, and to them."""
    rung = []
    before = signal.signal(signal.SIGPROF, lambda *_: rung.append(True))
    try:
        signal.setitimer(signal.ITIMER_PROF, 0.05)
        with Budget(Limits(seconds=30)).running():
            while not rung:
                pass
        signal.setitimer(signal.ITIMER_PROF, 40)
        with Budget(Limits(seconds=30)).running():
            pass
        assert 30 < signal.getitimer(signal.ITIMER_PROF)[0] < 40.1
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def test_code_of_others_is_not_stopped() -> None:
    """A library or a callback comes to its end first: it would take the exception for its own."""
    code = compile("while monotonic() < end:\n    pass\ndone.append(True)", "theirs.py", "exec")
    done: list[bool] = []
    budget = Budget(Limits(seconds=1))
    budget.left = 0.02
    with pytest.raises(OutOfTime), budget.running():
        exec(code, {"__name__": "theirs", "done": done, "monotonic": monotonic, "end": monotonic() + 0.2})
        exec(code, {"__name__": "folioshell.ours", "done": done, "monotonic": monotonic, "end": monotonic() + 30})

    assert done == [True]


def test_in_a_thread() -> None:
    """Where no signal comes, the time is looked at between commands."""
    late = []

    def run() -> None:
        budget = Budget(Limits(seconds=1))
        budget.left = 0.01
        begin = time.process_time()
        with budget.running():
            while time.process_time() < begin + 0.05:
                pass
        try:
            with budget.running():
                pass
        except OutOfTime:
            late.append(True)

    thread = Thread(target=run)
    thread.start()
    thread.join()

    assert late == [True]


def test_what_exceeds_it_while_it_is_shown() -> None:
    """What a caller does with an event is not interrupted by an exception of its own: the run is told."""
    told: list[BaseException] = []
    budget = Budget(Limits(seconds=1))
    with Telling(budget, told.append):
        raise OutOfTime
    budget.left = 0
    with Telling(budget, told.append):
        shown = True

    assert shown
    assert [type(error) for error in told] == [OutOfTime, OutOfTime]


def test_scripts_that_read_each_other(tmp_path: Path) -> None:
    """A cycle is refused, and so is what goes too deep."""
    for number in range(40):
        (tmp_path / f"s{number}.fs").write_text(f"source s{number + 1}.fs\n")
    *_, last = run_file(tmp_path / "s0.fs")
    assert last.refused is not None and last.refused.message == "more than 32 nested scripts"

    (tmp_path / "s5.fs").write_text("source ./../" + tmp_path.name + "/s1.fs\n")
    *_, last = run_file(tmp_path / "s1.fs")
    assert last.refused is not None and last.refused.message == "this script is already being run: endless recursion"


@pytest.mark.parametrize("line", ["source pipe.fs", "load pipe.fs", "source link.fs"])
def test_what_is_no_file(tmp_path: Path, line: str) -> None:
    """Reading a pipe might never end."""
    os.mkfifo(tmp_path / "pipe.fs")
    (tmp_path / "link.fs").symlink_to("pipe.fs")
    (tmp_path / "a.fs").write_text(f"{line}\n")
    *_, last = run_file(tmp_path / "a.fs")

    assert last.refused is not None and last.refused.message == "not a regular file"


def test_the_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--limit stands before or behind the action, and is repeated by the command that opens the shell."""
    path = tmp_path / "a.fs"
    path.write_text("mmap x 64\nfault x\nexpect vmas A == 7\n")

    assert main(["run", "--limit", "pages=10", str(path)]) == 2
    assert main(["--limit", "pages=10", "run", str(path), "--limit", "pages=100,steps=none"]) == 1
    assert "run --limit pages=100,steps=none " in capsys.readouterr().out
    assert main(["--limit", "pages=10", "-c", "mmap x 64 ; fault x"]) == 2
    assert main(["--limit", "none", "-c", "mmap x 64 ; fault x"]) == 0
    capsys.readouterr()
    assert main(["run", "--limit", "paegs=10", str(path)]) == 2
    assert "no such limit: 'paegs'" in capsys.readouterr().err


@pytest.mark.parametrize("verb", ["load", "source", "load scheme", "save"])
def test_a_name_that_no_file_can_have(verb: str) -> None:
    """What the host cannot spell is refused like any file that is not there."""
    with pytest.raises(Refused, match=r"cannot (read|write) .*surrogates not allowed"):
        Session().execute(f"{verb} a\ud800.py")


def test_time_to_show_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A golden block that takes forever to compare, and a report that takes forever to show, are stopped as well."""

    def endless(*_: object) -> list[str]:
        while True:
            pass

    monkeypatch.setattr("folioshell.script.budget._PATIENCE", 0.01)
    limits = STRICT._replace(seconds=1)
    *_, last = run_text("mmap a 4\nshow vmas\n> x\n", name="a.fs", limits=limits, render=endless)
    assert last.refused is not None
    assert (last.refused.message, last.line) == ("the script exceeds the limit of 1 CPU second", 3)

    monkeypatch.setattr("folioshell.shell.presenter.Presenter.show", endless)
    done = folioshell("run", "--limit", "seconds=1", "-", stdin="mmap a 4\nfork B\n")
    assert done.returncode == 2
    assert "-:1: error: the script exceeds the limit of 1 CPU second" in done.stderr


def test_waiting_is_no_time() -> None:
    """Time during which another process has the processor does not count."""
    with Budget(Limits(seconds=1)).running():
        time.sleep(1.1)


def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that takes more memory than the script may is refused, and the session can be used afterwards."""

    def greedy(*_: object, **__: object) -> Iterator[int]:
        kept = bytearray(1 << 28)
        yield from kept

    with monkeypatch.context() as patch:
        patch.setattr("folioshell.commands.access.touch", greedy)
        runner = run_text("mmap x 4\nwrite x", name="a.fs", limits=Limits(memory=64))
        *_, last = runner

    assert last.refused is not None
    assert last.refused.message == "the script exceeds the limit of 64 MB of memory"
    assert (last.refused.hint, last.line) == ("`--limit memory=N` raises it", 2)
    assert runner.session.execute("fork B")[0].step == 2
    assert getrlimit(RLIMIT_AS)[0] == RLIM_INFINITY
