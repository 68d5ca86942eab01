"""Tests of folioshell.commands.lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell import Session
from folioshell.commands.lines import is_open, logical_lines
from folioshell.errors import Refused

RACE = """race {  # two } threads
  A.t1: fault buf[0]

  A.t2: { fault buf[1]
          madvise dontneed buf[0] }
} max-states=9"""


def test_braces_hold_lines_together() -> None:
    """A block over several lines is one line, what stands before and behind it is not part of it."""
    lines = list(logical_lines(f"mmap buf 16\n{RACE}\nfork B"))

    assert [(line.number, line.nr_lines) for line in lines] == [(1, 1), (2, 6), (8, 1)]
    assert "\n" not in lines[1].text
    assert len(lines[1].text) == len(lines[1].raw)


def test_a_line_break_stands_for_a_semicolon() -> None:
    """The normal form of a race typed over several lines is that of the race on one line."""
    session = Session()
    session.execute("mmap buf 16")
    (line,) = logical_lines(RACE)
    (report,) = session.execute(line.text)

    assert report.command == (
        "race { A.t1: fault buf[0] ; A.t2: { fault buf[1] ; madvise dontneed buf[0] } } max-states=9"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("race {", True),
        ("race { A.t1: { fault buf[0]\n}", True),
        ("race { A.t1: fault buf[0] # }", True),
        ("race {\n}", False),
        ("save '{", False),
        ("# {", False),
        ("| {", False),
        ("fault buf }", False),
        ("race { } }", False),
        ("", False),
    ],
)
def test_is_open(text: str, expected: bool) -> None:
    """Only a brace of the language that was not closed asks for more."""
    assert is_open(text) is expected


def test_an_error_is_about_its_own_line() -> None:
    """Line and columns of a refusal are those of the line that was typed."""
    (line,) = logical_lines(RACE.replace("buf[1]", "buf[x]"))
    with pytest.raises(Refused) as caught:
        Session().execute(line.text)
    error = line.located(caught.value)

    assert error.line == 4
    assert error.start is not None
    assert error.text[error.start : error.end] == "[x]"


@given(st.text(alphabet="{}#;'|\n ab", max_size=40))
def test_nothing_is_lost(text: str) -> None:
    """Whatever is typed, the lines together are what was typed, and each is as long as what the parser reads."""
    lines = list(logical_lines(text))

    assert "\n".join(line.raw for line in lines) == text
    assert all(len(line.raw) == len(line.text) for line in lines)
    assert all(not line.open for line in lines[:-1])
