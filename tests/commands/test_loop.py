"""for: rounds of a loop, what is recorded of them, and where their mistakes are shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from folioshell import Session
from folioshell.commands.complete import complete
from folioshell.errors import Refused
from folioshell.script.runner import FAILED, PASSED, REFUSED, Runner, run_file, run_text
from folioshell.session.host import STRICT
from tests.command_line import folioshell


def executed(line: str) -> Session:
    session = Session()
    session.execute(line)
    return session


@pytest.mark.parametrize(
    ("line", "steps"),
    [
        ("for i in 1..3 { fork B$i }", ["fork B1", "fork B2", "fork B3"]),
        ("for i in 2..2 { mmap b$i $i at=0x$i000 }", ["mmap b2 2 at=0x2000"]),
        (
            "for i in 1..2 { mmap b$i 4 ; write b$i[$i..3] }",
            ["mmap b1 4", "write b1[1..3]", "mmap b2 4", "write b2[2..3]"],
        ),
        ("for i in 0..1 { for j in $i..1 { mmap m$i-$j 4 } }", ["mmap m0-0 4", "mmap m0-1 4", "mmap m1-1 4"]),
        ("for i in 1..2 { fork B$i ; B$i: fork C$i }", ["fork B1", "B1: fork C1", "fork B2", "B2: fork C2"]),
        ("for i in 1..2 { fails ENOMEM mprotect 0x$i000 r }", [f"fails ENOMEM mprotect 0x{i}000 r" for i in (1, 2)]),
        ("for i in 1..1 { for j in 2..2 { fork B$i$j$j$i } }", ["fork B1221"]),
    ],
)
def test_rounds(line: str, steps: list[str]) -> None:
    """Each command is a step of its own, recorded with its number."""
    session = executed(line)

    assert session.history.script() == steps
    assert session.step == len(steps)


def test_undo_takes_one_command() -> None:
    """Undo and redo count the commands of the rounds."""
    session = executed("for i in 1..3 { fork B$i } ; undo 2")

    assert list(session.workspace.kernel.mms) == ["A", "B1"]
    session.execute("redo 2")
    assert list(session.workspace.kernel.mms) == ["A", "B1", "B2", "B3"]


@pytest.mark.parametrize(
    ("line", "word", "message"),
    [
        ("for i in 1..3 { exit C$i }", "C$i", "no such process (i = 1)"),
        ("fork C1 ; for i in 1..3 { exit C$i }", "C$i", "no such process (i = 2)"),
        ("for i in 1..3 { falut b$i }", "falut", "unknown command (i = 1)"),
        ("for number in 10..12 { fork B$number now }", "now", "unexpected word (number = 10)"),
        ("for i in 0..1 { for j in 5..6 { fork B$i-$j$k } }", "$k", "no loop here has a variable k (i = 0, j = 5)"),
        ("mmap b 9 ; for i in 8..9 { read b[$i] }", "[$i]", "outside b (i = 9)"),
        ("for i in 7..8 { for j in 1..$i { expect free f$i$j$j$i } }", "f$i$j$j$i", "no such folio (i = 7, j = 1)"),
        ("for i in 9..9 { B$i: fork C }", "B$i:", "no such process (i = 9)"),
        ("for i in 3..1 { fork B$i }", "3..1", "the last number is before the first"),
        ("for i in 3 { fork B$i }", "3", "not a range of numbers"),
        ("for i of 1..3 { fork B$i }", "of", "`in` is missing"),
        ("for i in 1..3 fork", "fork", "the commands are written in braces"),
        ("for i in 1..3 { }", "{ }", "there is no command in the braces"),
        ("for 1 in 1..3 { fork B }", "1", "not a variable: a word of letters is"),
        ("B: for i in 1..3 { fork B$i }", "B: for i in 1..3 { fork B$i }", "a loop belongs to no process"),
        ("race { A.t1: for i in 1..2 { fork B$i } }", "for", "for cannot be raced"),
    ],
)
def test_mistakes(line: str, word: str, message: str) -> None:
    """A mistake is shown in the line as typed, with the numbers of the round."""
    with pytest.raises(Refused) as caught:
        executed(line)
    error = caught.value

    assert error.message == message
    assert error.text == line
    assert error.start is not None and error.end is not None
    start, end = line.index(word), line.index(word) + len(word.rstrip(":"))
    assert (error.start, error.end) == (start, end)


def test_deep_loops() -> None:
    """Four loops within each other are enough."""
    line = "fork B"
    for name in "abcde":
        line = f"for {name} in 1..1 {{ {line} }}"
        if name != "e":
            executed(line)
    with pytest.raises(Refused, match="more than 4 loops"):
        executed(line)


def test_nothing_runs_if_a_round_cannot_be_parsed() -> None:
    """The last round is parsed, too, before the first one runs."""
    runner = run_text("mmap b 8\n\nfor i in 1..8 {\n  fork B\n  read b[$i..4]\n}\n")
    (event,) = runner

    assert event.refused is not None
    assert (runner.status, event.line, event.refused.text) == (REFUSED, 5, "  read b[$i..4]")
    assert event.refused.message == "the last page is before the first (i = 8)"


def test_a_million_rounds() -> None:
    """Rounds are made as they are needed, so that the limits of scripts end a loop without end."""
    runner = run_text("for i in 1..100000000000 { fork B ; exit B }", limits=STRICT._replace(steps=20))
    *_, last = runner

    assert last.refused is not None
    assert (runner.steps, last.refused.message) == (20, "the limit of 20 steps is reached (i = 11)")


def test_assertions(tmp_path: Path) -> None:
    """They fail round by round, shown in their line of the script; --until stops within a loop."""
    (tmp_path / "a.fs").write_text("mmap b 4\nfor i in 0..2 {\n  write b[$i]\n  expect order f1 == $i\n}\n")
    runner = run_file(tmp_path / "a.fs")
    failed = [(event.line, event.text) for event in runner if event.report and event.report.failed_expect]

    assert (runner.status, runner.expects, runner.failed) == (FAILED, 3, 2)
    assert failed == [(4, "  expect order f1 == $i")] * 2
    stopped = run_file(tmp_path / "a.fs", until=2)
    list(stopped)
    assert (stopped.steps, stopped.status) == (2, PASSED)


def test_what_stops_a_loop() -> None:
    """A failure without `fails`, and `quit`."""
    runner = run_text("mmap b 4\nfor i in 3..5 { munmap b ; write b[0] }\nfork B\n")
    *_, last = runner
    assert (runner.status, runner.steps, last.failure is not None) == (FAILED, 3, True)

    runner = run_text("for i in 1..3 { fork B$i ; quit ; expect vmas B$i == 0 }\n")
    *_, last = runner
    assert (runner.status, runner.steps) == (FAILED, 1)
    assert last.unreached == "for i in 1..3 { fork B$i ; quit ; expect vmas B$i == 0 }"


def test_golden_blocks_and_documents(tmp_path: Path) -> None:
    """A golden block has the output of all rounds; --json has a document for each command."""
    path = tmp_path / "a.fs"
    path.write_text("for i in 1..2 {\n  fork B$i\n}\n> fork() = B1, 0 VMAs copied.\n>\n> fork() = B2, 0 VMAs copied.\n")
    done = folioshell("run", "--json", str(path))

    assert done.returncode == 0
    assert [line.count('"fork B1"') - line.count('"fork B2"') for line in done.stdout.splitlines()] == [1, -1]


def test_files(tmp_path: Path) -> None:
    """A loop may include scripts, and what `save` writes has the commands of the rounds."""
    for number in (1, 2):
        (tmp_path / f"s{number}.fs").write_text(f"fork B{number}\n")
    (tmp_path / "a.fs").write_text(f"for i in 1..2 {{ source s$i.fs }}\nsave '{tmp_path}/saved.fs'\n")
    runner = run_file(tmp_path / "a.fs", allow_files=True)
    list(runner)

    assert runner.status == PASSED
    assert (tmp_path / "saved.fs").read_text() == "#!folioshell 1\nfork B1\nfork B2\n"


def test_pasted() -> None:
    """Several lines at the prompt."""
    session = Session()
    list(Runner("pasted", "for i in 1..2 {\n  fork B$i\n}\nfork C", session, session.host.access, typed=True))

    assert list(session.workspace.kernel.mms) == ["A", "B1", "B2", "C"]


def test_completion() -> None:
    """What may follow `for`; in its braces, any command, loops and other processes' commands included."""
    session = executed("fork B")

    def offered(text: str) -> set[str]:
        return {found.text for found in complete(session, text, len(text))}

    assert offered("for i ") == {"in"}
    assert offered("for i in 1..3 ") == {"{"}
    assert {"mmap", "expect", "for", "B:"} <= offered("for i in 1..3 { fork C$i ; ")
    assert {"shared?", "order"} <= offered("for i in 1..3 { for j in 1..3 { expect ")


def test_help() -> None:
    """A loop is no step; its commands are."""
    (report,) = Session().execute("help for")

    assert "each of them that changes state is a step" in str(report.sections)
