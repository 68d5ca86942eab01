"""Lines that go on: a brace that is not closed on its line holds the lines that follow together.

Rules:
- Within braces a line break is a ``;``, and a comment ends at its line. So a block may be typed over several lines, and
  what the parser reads stays one line, as long as what was typed: columns are places in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from folioshell.commands.lex import LINE, comment_at, scan
from folioshell.errors import Refused

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
    return "{" in text and any(line.open for line in logical_lines(text))


def line_before(text: str) -> str:
    """The line that ends a text, as the parser reads it: what of the line at a cursor stands before it.

    A comment in braces is left in it, so that it can be told from what may be completed.
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
