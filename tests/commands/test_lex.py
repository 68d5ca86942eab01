"""Tests of folioshell.commands.lex: words, and lines that go on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell import Session
from folioshell.commands.lex import DEEPEST, Token, is_open, is_prose, logical_lines, scan, statements, unquoted
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


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("> mmap buf 4", "mmap buf 4"),
        ("> > mmap buf 4\n> >\n> > fault buf", "mmap buf 4\n\nfault buf"),
        (">mmap buf 4\n>fault buf\nshow", "mmap buf 4\nfault buf\nshow"),
        ("show vmas\n> golden", "show vmas\n> golden"),
        ("mmap buf 4", "mmap buf 4"),
    ],
)
def test_mail_quotes(text: str, read: str) -> None:
    """Lines of a mail reply are read without their quotes; golden output stands below a command."""
    assert unquoted(text) == read
    assert is_open("> race {\n>  A.t1: fault buf")


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


@given(st.text(alphabet="ab1=!<>|?# ;:\t", max_size=30).map("a{}".format))
def test_a_line_of_words_alone_is_read_as_any_other(line: str) -> None:
    """The short way to read a line without quotes, braces and comments finds the same words."""
    found: list[list[Token]] = [[]]
    for token in scan(line):
        if token.kind == ";":
            found.append([])
        elif token.kind != "comment":
            found[-1].append(token)
    assert statements(line) == [words for words in found if words]


@pytest.mark.parametrize("inner", ["{", "{ ", "race { A.t1: "])
@pytest.mark.parametrize("closing", ["", "}"])
def test_braces_within_braces_have_a_limit(inner: str, closing: str) -> None:
    """However many there are, a line is refused at once, with words about them."""
    line = inner * 4_000 + closing * 4_000

    with pytest.raises(Refused, match="too many braces within braces"):
        statements(line)


def test_braces_that_are_deep_enough() -> None:
    """At the limit they are read."""
    line = "{ " * DEEPEST + "fork" + " }" * DEEPEST

    assert statements(line)


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


@pytest.mark.parametrize("sign", ["\x85", "\x9b", "\xad", "\u200b", "\u200d", "\u202e", "\u2066", "\ufeff"])
def test_what_is_not_seen_is_refused(sign: str) -> None:
    """A character that a terminal obeys or does not show is refused with its number, in a comment as well."""
    for line in (f"mmap bu{sign}f 4", f"mmap buf 4 # no{sign}te"):
        with pytest.raises(Refused, match=f"an invisible character, U\\+{ord(sign):04X}") as error:
            statements(line)
        assert (error.value.start, error.value.end) == (line.index(sign), line.index(sign) + 1)
