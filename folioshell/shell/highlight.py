"""Syntax highlighting: the kinds of words that the language knows become style classes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.styles import Style

from folioshell.commands.grammar import registry
from folioshell.commands.lex import LogicalLine, Token, comment_at, logical_lines, scan

#: Weight, slant and underline distinguish the kinds of words, whatever the colors of the terminal. Of the eight colors
#: that every terminal has, only red and magenta are readable on both black and white; no others are used.
STYLE = Style.from_dict(
    {
        "prompt": "bold",
        "fs.verb": "bold",
        "fs.unknown": "underline ansired",
        "fs.modifier": "bold italic",
        "fs.process": "bold ansimagenta",
        "fs.option": "ansimagenta",
        "fs.number": "",
        "fs.address": "",
        "fs.id": "",
        "fs.place": "",
        "fs.operator": "bold",
        "fs.separator": "bold",
        "fs.brace": "bold",
        "fs.string": "",
        "fs.comment": "italic",
        "fs.prose": "italic",
        "fs.golden": "italic",
        "bottom-toolbar": "noreverse",
        "bottom-toolbar.text": "",
        "bottom-toolbar.hint": "",
        "bottom-toolbar.current": "bold underline",
        "bottom-toolbar.meaning": "italic",
        "bottom-toolbar.warning": "bold",
        "completion-menu.meta.completion": "",
    }
)


#: kinds of words that are told apart by their form
_KINDS = (
    ("address", re.compile(r"([A-Za-z_][\w-]*:)?0x[0-9a-fA-F]*(\+\d*)?\Z")),
    ("number", re.compile(r"-?\d+(\.\.\d*)?[KMGT]?\Z")),
    ("id", re.compile(r"(f|v|pt|pmd|av)[1-9]\d*\Z")),
    ("place", re.compile(r"([A-Za-z_][\w-]*:)?[A-Za-z_][\w-]*\[[^\]]*\]?\Z")),
)


class CommandLexer(Lexer):
    """Highlights lines by ``spans``."""

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """A function from a line's number to its styled pieces; a line is scanned on demand."""
        rows = [(line, row) for line in logical_lines(document.text) for row in range(line.nr_lines)]
        done: dict[int, list[StyleAndTextTuples]] = {}

        def styled_row(number: int) -> StyleAndTextTuples:
            if number >= len(rows):
                return []
            line, row = rows[number]
            if line.number not in done:
                done[line.number] = styled(line)
            return done[line.number][row]

        return styled_row


def styled(line: LogicalLine) -> list[StyleAndTextTuples]:
    """The pieces of each row of a line, each with its style class."""
    rows: list[StyleAndTextTuples] = []
    begin = 0
    found = [(start, end, _kind_of(line.text, start, end, kind)) for start, end, kind in spans(line.text)]
    for raw in line.raw.split("\n"):
        end_of_row = begin + len(raw)
        comment = comment_at(raw, 0) if line.nr_lines > 1 else None
        end_of_words = end_of_row if comment is None else begin + comment
        inside = [(start, min(end, end_of_words), kind) for start, end, kind in found if begin <= start < end_of_words]
        if comment is not None:
            inside.append((end_of_words, end_of_row, "comment"))
        rows.append(_pieces(raw, begin, inside))
        begin = end_of_row + 1
    return rows


def _pieces(raw: str, begin: int, found: Sequence[tuple[int, int, str]]) -> StyleAndTextTuples:
    pieces: StyleAndTextTuples = []
    at = 0
    for start, end, kind in found:
        if start - begin > at:
            pieces.append(("", raw[at : start - begin]))
        pieces.append((f"class:fs.{kind}", raw[start - begin : end - begin]))
        at = end - begin
    if at < len(raw):
        pieces.append(("", raw[at:]))
    return pieces


def _kind_of(text: str, start: int, end: int, kind: str) -> str:
    """``kind``, or ``unknown`` for a verb that is no prefix of any command."""
    if kind != "verb" or any(command.verb.startswith(text[start:end]) for command in registry):
        return kind
    return "unknown"


def spans(line: str) -> list[tuple[int, int, str]]:
    """(start, end, kind) of the colored parts of a line, those within braces too, ascending; never fails.

    Kinds: ``prose golden comment string brace operator separator process modifier verb option number address id place
    word``.
    An option is only its ``key=``; its value follows as a span of its own.
    """
    found: list[tuple[int, int, str]] = []
    verb_wanted = True
    for token in scan(line):
        if token.kind == ";":
            found.append((token.start, token.end, "separator"))
            verb_wanted = True
        elif token.kind == "block":
            _spans_of_block(line, token, found)
        elif token.kind != "word":
            found.append((token.start, token.end, token.kind))
        elif verb_wanted or token.text.endswith(":"):
            verb_wanted = _spans_before_verb(token, found)
        else:
            _spans_of_word(token, found)
    return found


def _spans_of_block(line: str, token: Token, found: list[tuple[int, int, str]]) -> None:
    found.append((token.start, token.start + 1, "brace"))
    if line[token.start] == "{":
        inner = token.start + 1
        found += [(inner + start, inner + end, kind) for start, end, kind in spans(token.text)]
        if token.closed:
            found.append((token.end - 1, token.end, "brace"))


def _spans_before_verb(token: Token, found: list[tuple[int, int, str]]) -> bool:
    """Append the spans of a word where a verb may stand; True if the verb is still to come."""
    colon = token.text.find(":")
    start = token.start
    if colon > 0:
        found.append((start, start + colon + 1, "process"))
        start += colon + 1
        if start == token.end:
            return True
    word = token.text[start - token.start :]
    if word == "fails" or word.startswith("fails["):
        found.append((start, token.end, "modifier"))
        return True
    if found and found[-1][2] == "modifier":
        found.append((start, token.end, "word"))
        return True
    bracket = word.find("[")
    end = start + bracket if bracket > 0 else token.end
    found.append((start, end, "verb"))
    if end < token.end:
        found.append((end, token.end, "option"))
    return False


def _spans_of_word(token: Token, found: list[tuple[int, int, str]]) -> None:
    key, equals, value = token.text.partition("=")
    start = token.start
    if equals and key:
        start += len(key) + 1
        found.append((token.start, start, "option"))
        if not value:
            return
    else:
        value = token.text
    for kind, pattern in _KINDS:
        if pattern.match(value):
            found.append((start, token.end, kind))
            return
    found.append((start, token.end, "word"))
