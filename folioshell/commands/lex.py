"""Words with their columns: the first stage of reading a line.

Rules:
- Columns count characters of the line as typed, from 0, and ranges are half-open.
- ``;`` ends a statement, except within quotes and ``{}``. ``#`` at the start of a word begins a comment.
- A line that begins with ``|`` is prose, one that begins with ``>`` is output that a script expects; nothing in them
  is read.
- A line that begins with ``?`` is a question or task for class: its words, then text as it stands, to the end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from folioshell.errors import Refused
from folioshell.records import NamedTuple

#: characters of a line at most
LINE = 1 << 16
#: braces within braces at most; the language knows two, and reading them is recursive
DEEPEST = 20


_BLANK = " \t\r\n"
#: control characters, and what stands for bytes that were no UTF-8
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]")
#: what a terminal obeys or does not show: C1 controls, characters without width, marks of direction
_INVISIBLE = re.compile("[\x80-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]")
#: how a mail reply begins its lines
_QUOTE = re.compile(r"^[ \t]*> ?", re.MULTILINE)
_OPERATOR = re.compile(r"==|!=|<=|>=|<|>")
_WORD_END = re.compile(r"""[ \t\r\n;"'{}<>]|==|!=""")
# After these a `#` starts a comment; within a word it is part of it.
_COMMENT = re.compile(r"""(?:(?<=[ \t\r\n;"'{}<>])|(?<![\s\S]))#""")
#: a `|` that begins a word: text follows it in a line for class
_BAR = re.compile(r"(?<=[ \t])\|")
#: lines for class whose text follows a `|`, and those whose text follows so many words
_BAR_AFTER = ("?", "?task", "?goal")
_TEXT_AFTER = {"?hint": 1, "?after": 1, "?solution": 1, "?wrong": 2}
_BRACE_OR_COMMENT = re.compile(f"[{{}}]|{_COMMENT.pattern}")
#: one statement of words and operators alone, as most lines are: nothing in it is quoted, in braces or a comment
_PLAIN = re.compile(r"""[ ]*[A-Za-z][^;#"'{}\x00-\x1f\x7f-\U0010ffff]*\Z""")
_PLAIN_WORD = re.compile(r"(==|!=|<=|>=|[<>])|(?:[^ <>=!]|[=!](?!=))+")


class Token(NamedTuple):
    """A word of a line.

    Args:
        text: the word, without its quotes.
        start, end: its columns, quotes included.
        kind: ``word``, ``string``, ``operator``, ``block`` (braces and what they hold), ``;``, ``comment``, ``prose``,
            ``golden``, ``text`` (of a line for class, ``|`` within its columns).
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


def is_for_class(line: str) -> bool:
    """Is this line a question or a task, or belongs to one?"""
    return line.lstrip(_BLANK).startswith("?")


def unquoted(text: str) -> str:
    """What was typed or pasted, without the ``>`` of a mail reply.

    A text whose first line begins with ``>`` is a reply: golden output would stand below a command.
    """
    while is_golden(text):
        text = _QUOTE.sub("", text)
    return text


def scan(line: str) -> list[Token]:
    """All words of a line, separators and comments included; never fails, see ``Token.closed``."""
    if is_prose(line):
        start = line.index("|")
        return [Token(line[start + 1 :].strip(), start, len(line), "prose")]
    if is_golden(line):
        start = line.index(">")
        return [Token(line[start + 1 :], start, len(line), "golden")]
    return _scan_for_class(line) if is_for_class(line) else _words(line)


def _scan_for_class(line: str) -> list[Token]:
    verb = line.split(maxsplit=1)[0]
    if verb in _BAR_AFTER:
        bar = _BAR.search(line)
        head, end = (line, len(line)) if bar is None else (line[: bar.start()], bar.end())
        # In `steps<=7` of a task nothing is compared: its words are what blanks are between.
        of_task = [Token(found[0], *found.span()) for found in re.finditer(r"\S+", head)] if verb == "?task" else None
        words = of_task or _words(head)
    else:
        words, end = [], 0
        while len(words) < _TEXT_AFTER.get(verb, 1) and (rest := line[end:].lstrip(_BLANK)):
            words.append(_next(line, len(line) - len(rest), after_word=False))
            end = words[-1].end
        bar = None
    if text := line[end:].strip(_BLANK):
        start = line.index(text, end)
        words.append(Token(text, start if bar is None else bar.start(), start + len(text), "text"))
    return words


def _plain_words(line: str) -> list[Token]:
    """The words of a line that consists of words and operators alone, in one go."""
    found = _PLAIN_WORD.finditer(line)
    return [Token(word[0], word.start(), word.end(), "operator" if word[1] else "word") for word in found]


def _words(line: str) -> list[Token]:
    """The words of a line of commands."""
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
    return " ".join([_normal_block(word) if word.kind == "block" else line[word.start : word.end] for word in words])


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
    if _PLAIN.match(line):
        return [_plain_words(line)]
    if foreign := _NO_TEXT.search(line):
        start, end = foreign.span()
        raise Refused("this is not text", start=start, end=end, text=line, hint="a script is UTF-8 text")
    if hidden := _INVISIBLE.search(line):
        start, end = hidden.span()
        message = f"an invisible character, U+{ord(hidden.group()):04X}"
        raise Refused(message, start=start, end=end, text=line, hint="remove it: a reader would not see it")
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


#: lines before the cursor in which its brace is looked for
_LOOKED_BACK = 200


class LogicalLine(NamedTuple):
    """A line as it is parsed: one line that was typed, or several that braces hold together.

    Args:
        number: of its first line, from 1.
        raw: as typed, line breaks included.
        text: the same for the parser: as long as ``raw``, without line breaks.
        open: it ends within braces.
    """

    number: int
    raw: str
    text: str
    open: bool = False

    @property
    def nr_lines(self) -> int:
        """Number of lines that were typed."""
        return self.raw.count("\n") + 1

    def located(self, error: Refused) -> Refused:
        """The same error about the one line of several that it means; others stay as they are."""
        if error.start is None or error.text != self.text or self.nr_lines == 1:
            return error
        number, error.text, first = self.row_of(error.start)
        error.end = None if error.end is None else min(error.end - first, len(error.text))
        error.start -= first
        error.line = number
        return error

    def row_of(self, column: int) -> tuple[int, str, int]:
        """(number, text, column of its first character) of the one line of several that a column lies in."""
        before = self.raw[:column]
        row = before.count("\n")
        return self.number + row, self.raw.split("\n")[row], before.rfind("\n") + 1


def logical_lines(text: str) -> Iterator[LogicalLine]:
    """The lines of a text, those that braces hold together as one."""
    typed: list[str] = []
    read: list[str] = []
    depth = first = 0
    for number, line in enumerate(text.split("\n"), 1):
        if depth:
            piece = _without_comment(line, 0)
            depth += _depth(piece)
        elif (start := _open_block(line)) is None:
            yield LogicalLine(number, line, line)
            continue
        else:
            first = number
            piece = _without_comment(line, start + 1)
            depth = _depth(piece[start:])
        typed.append(line)
        read.append(piece)
        if depth <= 0:
            yield LogicalLine(first, "\n".join(typed), ";".join(read))
            typed, read, depth = [], [], 0
    if typed:
        yield LogicalLine(first, "\n".join(typed), ";".join(read), open=True)


def is_open(text: str) -> bool:
    """Does a text end within braces, so that it is not all that is to be typed?"""
    return "{" in text and any(line.open for line in logical_lines(unquoted(text)))


def line_before(text: str) -> str:
    """The line that ends a text, as the parser reads it: the part of the line before a cursor.

    A comment in braces is left in it, so that nothing is completed there.
    """
    *_, line = logical_lines("\n".join(text.split("\n")[-_LOOKED_BACK:]))
    last = line.raw.rpartition("\n")[2]
    return line.text[: len(line.text) - len(last)] + last


def _open_block(line: str) -> int | None:
    """The column of the brace that stays open at the end of a line; None if none does."""
    if "{" not in line or len(line) > LINE:
        return None
    last = scan(line)[-1]
    return last.start if last.kind == "block" and not last.closed and line[last.start] == "{" else None


def _without_comment(line: str, start: int) -> str:
    """A line of a block with blanks for its comment, so that it keeps its length."""
    at = comment_at(line, start)
    return line if at is None else line[:at] + " " * (len(line) - at)


def _depth(piece: str) -> int:
    return piece.count("{") - piece.count("}")
