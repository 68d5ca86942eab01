"""Tests of folioshell.commands.lex."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.commands.lex import DEEPEST, is_prose, scan, spans, statements
from folioshell.errors import Refused


def words(line: str) -> list[list[str]]:
    return [[token.text for token in statement] for statement in statements(line)]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        ("   \t", []),
        ("# only a comment ; with words", []),
        ("| prose ; with # signs { and 'quotes", []),
        ("fault win[0]   # half", [["fault", "win[0]"]]),
        ("a ; b;c", [["a"], ["b"], ["c"]]),
        (";;a;", [["a"]]),
        ("save 'x ; y.fs' ; b", [["save", "x ; y.fs"], ["b"]]),
        ('mmap win 16 file="my lib"', [["mmap", "win", "16", "file=my lib"]]),
        ("race { a ; { b } } x", [["race", " a ; { b } ", "x"]]),
        ("expect order f1>=4", [["expect", "order", "f1", ">=", "4"]]),
        ("expect locks!=pt1", [["expect", "locks", "!=", "pt1"]]),
        ("at=0x7f00 a#b", [["at=0x7f00", "a#b"]]),
    ],
)
def test_statements(line: str, expected: list[list[str]]) -> None:
    """Statements end at semicolons outside quotes and braces; comments and prose hold none."""
    assert words(line) == expected


def test_columns() -> None:
    """Tokens know where they stand, quotes included."""
    ((save, name),) = statements("  save 'a b'")

    assert (save.start, save.end) == (2, 6)
    assert (name.start, name.end) == (7, 12)


@pytest.mark.parametrize(
    ("line", "start", "message"),
    [
        ("save 'abc", 5, "the line ends within the quotes"),
        ("race { a", 5, "the closing } is missing"),
        ("a } b", 2, "no { for this }"),
        ("mmap \x00", 5, "this is not text"),
        ("mmap \ufffd", 5, "this is not text"),
    ],
)
def test_what_is_refused(line: str, start: int, message: str) -> None:
    """Open quotes, unmatched braces and control characters are refused where they stand."""
    with pytest.raises(Refused) as error:
        statements(line)

    assert (error.value.start, error.value.message) == (start, message)
    assert error.value.text == line


def test_is_prose() -> None:
    """A bar begins prose only at the start of a line."""
    assert is_prose("  | text")
    assert not is_prose("a | b")


@given(st.text(max_size=60))
def test_scanning_never_fails_and_covers_the_words(line: str) -> None:
    """Tokens ascend without overlap, and all that they leave out is blank."""
    position = 0
    for token in scan(line):
        assert position <= token.start < token.end <= len(line)
        assert not line[position : token.start].strip(" \t\r\n")
        position = token.end
    assert not line[position:].strip(" \t\r\n")


def test_spans_of_a_line() -> None:
    """Each part of a line is coloured by what it is."""
    line = "B: fails ENOMEM mmap buf 64K file=lib at=0x7f00 ; query shared? B:buf[3] # why"
    kinds = [(line[start:end], kind) for start, end, kind in spans(line)]

    assert kinds == [
        ("B:", "process"),
        ("fails", "modifier"),
        ("ENOMEM", "word"),
        ("mmap", "verb"),
        ("buf", "word"),
        ("64K", "number"),
        ("file=", "option"),
        ("lib", "word"),
        ("at=", "option"),
        ("0x7f00", "address"),
        (";", "separator"),
        ("query", "verb"),
        ("shared?", "word"),
        ("B:buf[3]", "place"),
        ("# why", "comment"),
    ]


@given(st.text(alphabet="ab:;=#'{}[]<0x1 |", max_size=40))
def test_spans_ascend(line: str) -> None:
    """Spans never overlap, whatever is typed."""
    position = 0
    for start, end, _ in spans(line):
        assert position <= start < end <= len(line)
        position = end


@pytest.mark.parametrize("inner", ["{", "{ ", "race { A.t1: "])
@pytest.mark.parametrize("closing", ["", "}"])
def test_braces_within_braces_have_a_limit(inner: str, closing: str) -> None:
    """However many there are, a line is coloured and refused at once, with words about them."""
    line = inner * 4_000 + closing * 4_000

    assert spans(line)
    with pytest.raises(Refused, match="too many braces within braces"):
        statements(line)


def test_braces_that_are_deep_enough() -> None:
    """At the limit they are read, and coloured, to the innermost."""
    line = "{ " * DEEPEST + "fork" + " }" * DEEPEST

    assert statements(line)
    assert (2 * DEEPEST, 2 * DEEPEST + 4, "verb") in spans(line)
