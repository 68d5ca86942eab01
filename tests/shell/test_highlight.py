"""Colour while typing follows the language's own words and loses no character."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from prompt_toolkit.document import Document

from folioshell.commands.lex import DEEPEST
from folioshell.shell.highlight import CommandLexer, spans


def rows(text: str) -> list[list[tuple[str, str]]]:
    """The pieces of each line of a text."""
    get_line = CommandLexer().lex_document(Document(text))
    return [[(piece[0], piece[1]) for piece in get_line(number)] for number in range(len(text.split("\n")))]


def classes(text: str) -> dict[str, str]:
    """The style class of each piece."""
    return {piece: style.removeprefix("class:fs.") for row in rows(text) for style, piece in row}


def test_words_have_classes() -> None:
    """Verb, option, number and place are told apart."""
    pieces = classes("B: mmap win 16 align=512 ; fault win[8]")

    assert pieces["B:"] == "process"
    assert pieces["mmap"] == pieces["fault"] == "verb"
    assert pieces["16"] == pieces["512"] == "number"
    assert pieces["align="] == "option"
    assert pieces["win[8]"] == "place"


def test_what_no_command_is_called() -> None:
    """A verb that nothing begins with is shown as such; one that may still become one is not."""
    assert classes("mmpa buf 4")["mmpa"] == "unknown"
    assert classes("mma")["mma"] == "verb"


def test_within_braces() -> None:
    """A race is colored within its braces, over several lines too, and comments there are comments."""
    pieces = classes("race {  # two }\n  A.t1: fault buf[0]\n} schedule=1 ; fork B")

    assert pieces["# two }"] == "comment"
    assert pieces["A.t1:"] == "process"
    assert pieces["fault"] == pieces["fork"] == "verb"
    assert pieces["buf[0]"] == "place"
    assert pieces["{"] == pieces["}"] == "brace"


@example("{>#\n")
@given(st.text(max_size=80) | st.text(alphabet="{}#;'|> \nab:", max_size=30))
def test_nothing_is_lost(text: str) -> None:
    """The pieces together are the lines, whatever was typed."""
    assert "\n".join("".join(piece for _, piece in row) for row in rows(text)) == text


def test_each_line_of_a_pasted_block() -> None:
    """Several lines are colored one by one; after the last there is nothing."""
    get_line = CommandLexer().lex_document(Document("fork B\nexit B"))

    assert [get_line(number)[0][:2] for number in (0, 1)] == [("class:fs.verb", "fork"), ("class:fs.verb", "exit")]
    assert get_line(2) == []


def test_spans_of_a_line() -> None:
    """Each part of a line is colored by what it is."""
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
def test_deep_braces_are_colored(inner: str, closing: str) -> None:
    """However many there are, coloring ends; at the limit it reaches the innermost word."""
    assert spans(inner * 4_000 + closing * 4_000)
    assert (2 * DEEPEST, 2 * DEEPEST + 4, "verb") in spans("{ " * DEEPEST + "fork" + " }" * DEEPEST)


def test_profiles_of_an_expect() -> None:
    """The verb stays one, closed bracket or not."""
    assert classes("expect[6.1,5.10] order f1 == 0") | {"expect": "verb", "[6.1,5.10]": "option"} == classes(
        "expect[6.1,5.10] order f1 == 0"
    )
    assert classes("expect[6.")["expect"] == "verb"
    assert classes("fails[6.1] EINVAL fork B") | {"fails[6.1]": "modifier", "fork": "verb"} == classes(
        "fails[6.1] EINVAL fork B"
    )
