"""Tests of folioshell.script.lesson: the lines of a script for class, put together and checked."""

from __future__ import annotations

import json

import pytest

from folioshell import Session
from folioshell.errors import Refused
from folioshell.script import script
from folioshell.script.runner import FAILED, PASSED, run_text
from tests.command_line import folioshell

LESSON = """\
| # 3: Two processes, one page
|
| How a fork shares pages. 10 minutes.
set geometry classroom
mmap buf 8
write buf[0..3]
| After the fork the child has entries of its own.
? truth entries f1 == 2 | How many entries map f1 after the fork?
?hint Fork copies page tables, not pages.
?wrong 4 Page 0 alone is in f1.
?after Each process has an entry of its own.
fork B
? truth entries f1 == 1 | And after B has written?
?wrong 2 B gets a copy.
? locks == pt2 pt2 | Which locks does it take?
B: write buf[0]
?task two points=2 steps<=2 allow=fork,munmap,write | Let A and C map page 1, and no other process.
?goal truth mms buf[1] == 2 | two processes map it
?goal points=2 present? B:buf[1] == no
?hint B has to unmap it.
?solution fork C ; B: munmap buf[1]
?solution for i in 1..1 { B: munmap buf[1] } ; fork C
| The end.
"""


def parse(text: str) -> list[script.ScriptLine]:
    return script.parse(text, "a.fs", Session().language)


def test_put_together() -> None:
    """A question has its hints and wrong answers, the command line its questions, a task its goals and solutions."""
    lines = parse(LESSON)
    fork = next(line for line in lines if line.text == "fork B")
    write = next(line for line in lines if line.text == "B: write buf[0]")
    task = next(line.task for line in lines if line.task is not None)

    (asked,) = fork.asked
    assert (asked.line.text, asked.value, len(asked.hints), len(asked.wrong), len(asked.after)) == (
        "How many entries map f1 after the fork?",
        *("2", 1, 1, 1),
    )
    assert [one.value for one in write.asked] == ["1", "pt2 pt2"]
    assert (task.name, task.steps, task.verbs) == ("two", 2, ("fork", "munmap", "write"))
    assert (len(task.goals), len(task.solutions), len(task.hints)) == (2, 2, 1)
    assert lines[-1].prose == "The end."


@pytest.mark.parametrize(
    ("text", "place", "said"),
    [
        ("? vmas A | x\n| prose\nfork B", (1, "?"), "no command line follows this question"),
        ("mmap b 1\n? vmas A | x\n?hint y", (2, "?"), "no command line follows this question"),
        ("? vmas A | x\n?task a | y\n?goal vmas A == 1\nfork B", (1, "?"), "no command line follows this question"),
        ("?hint x\nfork B", (1, "?hint"), "there is no question above this `?hint`"),
        ("? vmas A | x\nfork B\n?after x", (3, "?after"), "there is no question above this `?after`"),
        ("? vmas A | x\n?goal vmas A == 1\nfork B", (2, "?goal"), "there is no task above this `?goal`"),
        ("?solution fork B", (1, "?solution"), "there is no task above this `?solution`"),
        ("?task a | x\nfork B", (1, "?task"), "this task has no goal"),
        ("?task a | x", (1, "?task"), "this task has no goal"),
        ("?task a | x\n?goal vmas A == 1\n?wrong 1 y", (3, "?wrong"), "a task has no wrong answers"),
        ("?task a | x\n?goal vmas A == 1\n?task a | x\n?goal vmas A == 1", (3, "?task"), "there is already a task a"),
        ("? vmas A | x\n?wrong no y\nfork B", (2, "no"), "not a number"),
        ("? locks | x\n?wrong four y\nfork B", (2, "four"), "these are no locks"),
        ("? vmas A | x\n?wrong 1 y\n?wrong 1 z\nfork B", (3, "1"), "there is already a `?wrong 1`"),
        ("? vmas A | x\n?hint a\n?hint b\n?hint c\n?hint d\nfork B", (5, "?hint"), "more than 3 hints"),
        ("? vmas A | x\n?after a\n?after b\nfork B", (3, "?after"), "more than one `?after`"),
        ("?task a | x\n?goal vmas A == 1\n?solution mmap b 1 ; undo", (3, "undo"), "`undo` cannot be part"),
        ("?task a | x\n?goal vmas A == 1\n?solution fork B ; quit", (3, "quit"), "`quit` cannot be part"),
        ("fork B\n? vmas A | x\n> x\n", (3, "> x"), "there is no command above this golden block"),
    ],
)
def test_wrong_places(text: str, place: tuple[int, str], said: str) -> None:
    """The error is about the line that may not stand there, or about the question that nothing follows."""
    with pytest.raises(Refused) as caught:
        parse(text)

    error = caught.value
    assert error.message.startswith(said)
    assert (error.line, error.text[error.start : error.end]) == place


def test_run_prints_and_counts() -> None:
    """Questions and tasks are text; hints, wrong answers and solutions are not printed."""
    runner = run_text(LESSON)
    prose = [event.prose for event in runner if event.prose is not None]

    assert runner.status == PASSED
    assert (runner.steps, runner.questions, runner.tasks, runner.expects) == (5, 3, 1, 0)
    assert "? How many entries map f1 after the fork?" in prose
    assert "Task two: Let A and C map page 1, and no other process." in prose
    assert "- two processes map it" in prose
    shown = "\n".join(prose)
    assert "Fork copies" not in shown and "Page 0 alone" not in shown and "munmap" not in shown


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("f1 == 2 |", "f1 == 3 |", "8:20", "is 2, expected == 3"),
        ("?wrong 4", "?wrong 2", "10:8", "is 2, expected != 2"),
        ("?wrong 2 B", "?wrong 1 B", "14:8", "is 1, expected != 1"),
        ("fork C ; B: munmap buf[1]", "fork C ; B: munmap buf[2]", "21:11", "is 3 at its goal `two processes map it`"),
        ("fork C ; B: munmap buf[1]", "fork C ; B: munmap buf[9]", "21:33", "is refused: outside buf"),
        ("fork C ; B: munmap buf[1]", "fork C ; exit B", "21:20", "is not allowed: this task allows only fork, munmap"),
        ("fork C ; B: munmap buf[1]", "fork C ; fork D ; B: munmap buf[1]", "21:11", "is 3 steps, more than 2"),
        ("fork C ; B: munmap buf[1]", "fork C ; fails EINVAL B: write buf[1]", "21:20", "is not done: "),
    ],
)
def test_run_checks(old: str, new: str, place: str, said: str) -> None:
    """A wrong value, a wrong answer that is right, and a solution that solves nothing fail, at their places."""
    assert old in LESSON
    done = folioshell("run", "--quiet", "-", stdin=LESSON.replace(old, new, 1))

    assert done.returncode == FAILED
    assert f"FAIL  -:{place}: {said}" in done.stdout
    assert "1 of them failed" in done.stdout


def test_summary_and_json() -> None:
    """The last line counts questions and tasks; each check is a document."""
    assert (
        folioshell("run", "--quiet", "-", stdin=LESSON).stdout == "-: passed: 5 steps, 0 expects, 3 questions, 1 task\n"
    )

    documents = [json.loads(line) for line in folioshell("run", "--json", "-", stdin=LESSON).stdout.splitlines()]
    kinds = [document["expect"]["kind"] for document in documents if "expect" in document]
    assert kinds == ["question", "wrong", "question", "wrong", "question", "solution", "solution"]
    assert next(document["asked"] for document in documents if "asked" in document).startswith("How many entries")


def test_quit_leaves_questions_unanswered() -> None:
    """`quit` before a question fails the run, as it does before an expect."""
    events = list(runner := run_text("quit\n? vmas A == 1 | How many?\nfork B\n"))

    assert runner.status == FAILED
    assert [event.unreached for event in events if event.unreached] == ["? vmas A == 1"]
