"""Colour while typing: the kinds of words that the language knows become style classes."""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.styles import Style

from folioshell.commands.lex import spans

#: from the eight colours that every terminal has, so that its own theme decides how they look
STYLE = Style.from_dict(
    {
        "prompt": "bold",
        "fs.verb": "bold ansiblue",
        "fs.modifier": "bold ansimagenta",
        "fs.process": "ansimagenta",
        "fs.option": "ansicyan",
        "fs.number": "ansigreen",
        "fs.address": "ansigreen",
        "fs.id": "ansiyellow",
        "fs.place": "ansiyellow",
        "fs.operator": "bold",
        "fs.separator": "bold",
        "fs.string": "ansigreen",
        "fs.comment": "italic",
        "fs.prose": "italic",
        "fs.golden": "italic",
        "bottom-toolbar": "noreverse",
        "bottom-toolbar.text": "",
        "completion-menu.meta.completion": "",
    }
)


class CommandLexer(Lexer):
    """Colours a line by ``commands.lex.spans``."""

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """A function from a line's number to its styled pieces."""
        lines = document.lines
        return lambda number: styled(lines[number]) if number < len(lines) else []


def styled(text: str) -> StyleAndTextTuples:
    """The pieces of a line, each with its style class; together they are the line."""
    pieces: StyleAndTextTuples = []
    at = 0
    for start, end, kind in spans(text):
        if start > at:
            pieces.append(("", text[at:start]))
        pieces.append((f"class:fs.{kind}", text[start:end]))
        at = end
    if at < len(text):
        pieces.append(("", text[at:]))
    return pieces
