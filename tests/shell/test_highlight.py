"""Colour while typing follows the language's own words and loses no character."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st
from prompt_toolkit.document import Document

from folioshell.shell.highlight import CommandLexer


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
    """A race is coloured within its braces, over several lines too, and comments there are comments."""
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
    """Several lines are coloured one by one; behind the last there is nothing."""
    get_line = CommandLexer().lex_document(Document("fork B\nexit B"))

    assert [get_line(number)[0][:2] for number in (0, 1)] == [("class:fs.verb", "fork"), ("class:fs.verb", "exit")]
    assert get_line(2) == []
