"""Tests of folioshell.commands.teaching: how the lines for class are read."""

from __future__ import annotations

import pytest

from folioshell import Session
from folioshell.commands.complete import complete, hint
from folioshell.commands.parse import Grammar, ParsedStatement
from folioshell.errors import Refused


def read(line: str) -> ParsedStatement:
    (statement,) = Grammar().parse(line)
    assert isinstance(statement, ParsedStatement)
    return statement


@pytest.mark.parametrize(
    "line",
    [
        "?hint It's one; no command # and no comment | is in it",
        '?after "Don\'t" {',
        "?wrong 4 it isn't; really",
        "? vmas A == 1 | How many; isn't it # two?",
        "?task a steps<=4 | a; b's",
    ],
)
def test_text_is_taken_as_it_stands(line: str) -> None:
    """No sign in the text means anything, and the normal form is the line."""
    statement = read(line)

    assert line.endswith(statement.arguments.get("TEXT", str))
    assert statement.text == line


def test_task() -> None:
    """A task has points, a bound on steps, and verbs."""
    arguments = read("?task two points=2 steps<=4 allow=fork,write | Do it.").arguments

    assert (arguments.get("points", int), arguments.get("steps<", int)) == (2, 4)
    assert arguments.get("allow", tuple) == ("fork", "write")


def test_goal_has_points_before_its_expectation() -> None:
    """`points=` stands before the question, or after it."""
    (first,) = Session().execute("?goal points=2 vmas A == 0 | no VMA")
    (second,) = Session().execute("?goal vmas A points=2 == 0")

    assert first.expect is not None and second.expect is not None
    assert (first.expect.text, first.expect.passed) == ("vmas A == 0", True)
    assert second.expect.text == "vmas A == 0"


def test_question_at_the_prompt() -> None:
    """It is answered at once, with a value and without one."""
    for line in ("? vmas A == 0 | How many?", "? vmas A | How many?"):
        (report,) = Session().execute(line)
        assert report.expect is not None
        assert (report.expect.actual, report.expect.passed, report.expect.kind) == ("0", True, "question")
        assert report.extra == {"asked": "How many?"}


@pytest.mark.parametrize(
    ("line", "marked", "said"),
    [
        ("?hnt x", "?hnt", "no such line for class"),
        ("?truth x", "?truth", "no such line for class"),
        ("? vmas A != 0 | x", "!=", "not an operator here"),
        ("? vmas A == four | x", "four", "not a number"),
        ("? shared? tuples f1 == perhaps | x", "perhaps", "no such answer"),
        ("? vmas A == 0", "", "the text is missing"),
        ("?hint", "", "the text is missing"),
        ("?wrong 4", "", "the text is missing"),
        ("? vmas A ; x | y", "x", "nothing more may follow here"),
        ("mmap b 1 ; ?hint x", "?hint", "`?hint` begins a line of its own"),
        ("for i in 1..2 { ?hint x }", "?hint", "`?hint` begins a line of its own (i = 1)"),
        ("B: ?hint x", "?hint", "`?hint` begins a line of its own"),
        ("?task a steps<=0 | x", "0", "0 is out of range"),
        ("?task a allow=fork,show | x", "show", "no such command that is a step"),
        ("?goal pints=1 vmas A == 0", "pints=1", ""),
        ("?goal vmas A", "", "an operator is missing"),
    ],
)
def test_refused(line: str, marked: str, said: str) -> None:
    """The caret stands under the word that is wrong."""
    with pytest.raises(Refused) as caught:
        Grammar().parse(line)

    assert caught.value.message.startswith(said)
    assert line[caught.value.start : caught.value.end] == marked


def test_solution_is_read_where_it_stands() -> None:
    """What is wrong in a solution is marked in its line."""
    line = "?solution mmap b 1 ; wrte b"
    with pytest.raises(Refused) as caught:
        Session().execute(line)

    assert line[caught.value.start : caught.value.end] == "wrte"


def test_completion_and_hint() -> None:
    """They come from the same declarations as those of `expect`."""
    session = Session()

    assert complete(session, "? shared? tu", 12)[0].text == "tuples"
    assert [one.text for one in complete(session, "?task a st", 10)] == ["steps<="]
    found = hint(session, "? truth ", 8)
    assert found is not None
    assert found.parts[-1] == "| TEXT"
