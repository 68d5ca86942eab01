"""Words with their columns: the first stage of reading a line.

Rules:
- Columns count characters of the line as typed, from 0, and ranges are half-open.
- ``;`` ends a statement, except within quotes and ``{}``. ``#`` at the start of a word begins a comment.
- A line that begins with ``|`` is prose, one that begins with ``>`` is output that a script expects; nothing in them
  is read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from folioshell.errors import Refused

#: characters of a line at most
LINE = 1 << 16
#: braces within braces at most; the language knows two, and reading them is recursive
DEEPEST = 20


_BLANK = " \t\r\n"
#: control characters, and what stands for bytes that were no UTF-8
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]")
_OPERATOR = re.compile(r"==|!=|<=|>=|<|>")
_WORD_END = re.compile(r"""[ \t\r\n;"'{}<>]|==|!=""")
# Behind these a `#` begins a comment; within a word it is part of it.
_COMMENT = re.compile(r"""(?:(?<=[ \t\r\n;"'{}<>])|(?<![\s\S]))#""")
_BRACE_OR_COMMENT = re.compile(f"[{{}}]|{_COMMENT.pattern}")
_KINDS = (
    ("address", re.compile(r"([A-Za-z_][\w-]*:)?0x[0-9a-fA-F]*(\+\d*)?\Z")),
    ("number", re.compile(r"-?\d+(\.\.\d*)?[KMGT]?\Z")),
    ("id", re.compile(r"(f|v|pt|pmd|av)[1-9]\d*\Z")),
    ("place", re.compile(r"([A-Za-z_][\w-]*:)?[A-Za-z_][\w-]*\[[^\]]*\]?\Z")),
)


class Token(NamedTuple):
    """A word of a line.

    Args:
        text: the word, without its quotes.
        start, end: its columns, quotes included.
        kind: ``word``, ``string``, ``operator``, ``block`` (braces and what they hold), ``;``, ``comment``, ``prose``,
            ``golden``.
        closed: False if a quote or brace was not closed before the line ended.
    """

    text: str
    start: int
    end: int
    kind: str = "word"
    closed: bool = True


def is_prose(line: str) -> bool:
    """Is this line Markdown for the reader rather than commands?"""
    return line.lstrip(_BLANK).startswith("|")


def is_golden(line: str) -> bool:
    """Is this line output that a script expects?"""
    return line.lstrip(_BLANK).startswith(">")


def scan(line: str) -> list[Token]:
    """All words of a line, separators and comments included; never fails, see ``Token.closed``."""
    if is_prose(line):
        start = line.index("|")
        return [Token(line[start + 1 :].strip(), start, len(line), "prose")]
    if is_golden(line):
        start = line.index(">")
        return [Token(line[start + 1 :], start, len(line), "golden")]
    tokens: list[Token] = []
    at = 0
    while at < len(line):
        if line[at] in _BLANK:
            at += 1
            continue
        before = tokens[-1] if tokens and tokens[-1].end == at and tokens[-1].kind == "word" else None
        token = _next(line, at, after_word=before is not None)
        if before is not None and token.kind == "string" and before.text.endswith("="):
            tokens[-1] = Token(before.text + token.text, before.start, token.end, closed=token.closed)
        else:
            tokens.append(token)
        at = token.end
    return tokens


def _next(line: str, at: int, after_word: bool) -> Token:
    char = line[at]
    if char == ";":
        return Token(";", at, at + 1, ";")
    if char == "#" and not after_word:
        return Token(line[at + 1 :].strip(), at, len(line), "comment")
    if char in "\"'":
        close = line.find(char, at + 1)
        if close < 0:
            return Token(line[at + 1 :], at, len(line), "string", closed=False)
        return Token(line[at + 1 : close], at, close + 1, "string")
    if char == "{":
        return _block(line, at)
    if char == "}":
        return Token("}", at, at + 1, "block", closed=False)
    operator = _OPERATOR.match(line, at)
    if operator:
        return Token(operator[0], at, operator.end(), "operator")
    end = _WORD_END.search(line, at + 1)
    stop = end.start() if end else len(line)
    return Token(line[at:stop], at, stop)


def _block(line: str, at: int) -> Token:
    depth = 0
    for found in _BRACE_OR_COMMENT.finditer(line, at):
        if found[0] == "#":
            break
        depth += 1 if found[0] == "{" else -1
        if not depth:
            return Token(line[at + 1 : found.start()], at, found.end(), "block")
        if depth > DEEPEST:
            return Token("", at, len(line), "block", closed=False)
    return Token(line[at + 1 :], at, len(line), "block", closed=False)


def comment_at(line: str, start: int) -> int | None:
    """Where the comment of a line begins, from column ``start`` on; None if there is none."""
    found = _COMMENT.search(line, start)
    return found.start() if found else None


def normal_text(line: str, words: Sequence[Token]) -> str:
    """Words of a line with one blank between them, those in braces too."""
    return " ".join(_normal_block(word) if word.kind == "block" else line[word.start : word.end] for word in words)


def _normal_block(block: Token) -> str:
    inner = [normal_text(block.text, words) for words in statements(block.text)]
    return f"{{ {' ; '.join(inner)} }}"


def statements(line: str) -> list[list[Token]]:
    """The words of each statement of a line, comments dropped; statements without words are left out.

    Raises:
        Refused: a quote or brace is not closed, or the line holds control characters.
    """
    if len(line) > LINE:
        raise Refused(f"this line has more than {LINE:,} characters", text=line[:LINE], start=LINE - 1, end=LINE)
    if foreign := _NO_TEXT.search(line):
        start, end = foreign.span()
        raise Refused("this is not text", start=start, end=end, text=line, hint="a script is UTF-8 text")
    found: list[list[Token]] = [[]]
    for token in scan(line):
        if not token.closed:
            raise _unclosed(line, token)
        if token.kind == ";":
            found.append([])
        elif token.kind not in ("comment", "prose", "golden"):
            found[-1].append(token)
    return [words for words in found if words]


def _unclosed(line: str, token: Token) -> Refused:
    if token.kind == "block" and line[token.start] == "}":
        return Refused("no { for this }", start=token.start, end=token.end, text=line)
    if token.kind == "block" and not token.text and token.end > token.start + 1:
        hint = "`race { A.t1: { … } }` is as deep as it gets"
        return Refused("too many braces within braces", start=token.start, end=token.start + 1, text=line, hint=hint)
    if token.kind == "block":
        return Refused("the closing } is missing", start=token.start, end=token.start + 1, text=line)
    return Refused("the line ends within the quotes", start=token.start, end=token.end, text=line)


def spans(line: str) -> list[tuple[int, int, str]]:
    """(start, end, kind) of the coloured parts of a line, those within braces too, ascending; never fails.

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
    if word == "fails":
        found.append((start, token.end, "modifier"))
        return True
    if found and found[-1][2] == "modifier":
        found.append((start, token.end, "word"))
        return True
    found.append((start, token.end, "verb"))
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
