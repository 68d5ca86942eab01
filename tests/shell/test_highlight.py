"""Colour while typing follows the language's own words and loses no character."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.document import Document

from folioshell.shell.highlight import CommandLexer, styled


def test_words_have_classes() -> None:
    """Verb, option, number and place are told apart."""
    pieces = {text: style for style, text, *_ in styled("B: mmap win 16 align=512 ; fault win[8]")}

    assert pieces["B:"] == "class:fs.process"
    assert pieces["mmap"] == pieces["fault"] == "class:fs.verb"
    assert pieces["16"] == pieces["512"] == "class:fs.number"
    assert pieces["align="] == "class:fs.option"
    assert pieces["win[8]"] == "class:fs.place"


@given(st.text(max_size=80))
def test_nothing_is_lost(text: str) -> None:
    """The pieces together are the line, whatever was typed."""
    assert "".join(piece[1] for piece in styled(text)) == text


def test_each_line_of_a_pasted_block() -> None:
    """Several lines are coloured one by one; behind the last there is nothing."""
    get_line = CommandLexer().lex_document(Document("fork B\nexit B"))

    assert [get_line(number)[0][:2] for number in (0, 1)] == [("class:fs.verb", "fork"), ("class:fs.verb", "exit")]
    assert get_line(2) == []
