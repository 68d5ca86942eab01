"""for: commands that run once for each number of a range.

Rules:
- A loop is no command of its own: each command within, with the number in the place of ``$i``, is parsed, run, recorded
  and undone as if it had been typed. Only one round is in memory at a time.
- When the line is parsed, the first and the last round are, too, so that mistakes show before anything runs.
- Columns of a round's text are not those of the line; ``Round`` leads back to what was typed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from folioshell.commands.call import Call
from folioshell.commands.grammar import PROGRAM, Arg, Form, command
from folioshell.commands.lex import Token, statements
from folioshell.commands.operands import Operand, Pair, refused
from folioshell.commands.parse import ParsedStatement, read_statement
from folioshell.commands.statement import Replaced, Round
from folioshell.errors import Refused
from folioshell.report import Report
from folioshell.session.session import Session

#: loops within loops at most, the outermost included
DEEPEST = 4

# Letters only: in `f$i0`, as in `f$j$i` once the outer i is 0, the digit is none of the name.
_NAME = re.compile(r"[A-Za-z]+\Z")
_VARIABLE = re.compile(r"\$([A-Za-z]+)")
_RANGE = re.compile(r"(0|[1-9][0-9]{0,11})\.\.(0|[1-9][0-9]{0,11})\Z")


class Variable(Operand):
    """The name of a loop's variable."""

    label = "a variable"

    def read(self, token: Token) -> str:
        """The name."""
        if token.kind != "word" or not _NAME.match(token.text):
            raise refused(token, "not a variable: a word of letters is", hint="`for i in 1..8 { fork B$i }`")
        return token.text


class In(Operand):
    """The word ``in``."""

    label = "`in`"
    usage = "in"

    @property
    def allowed(self) -> Sequence[str]:
        """The word."""
        return ("in",)

    def candidates(self, session: Session) -> Iterable[Pair]:
        """The word."""
        return [("in", "then the first and the last number")]

    def read(self, token: Token) -> str:
        """The word."""
        if token.text != "in":
            raise refused(token, "`in` is missing", hint="`for i in 1..8 { … }`")
        return token.text


class Bounds(Operand):
    """The numbers that a loop goes through."""

    label = "a range of numbers"
    usage = "FIRST..LAST"

    def read(self, token: Token) -> range:
        """The numbers."""
        found = _RANGE.match(token.text)
        if found is None:
            raise refused(token, "not a range of numbers", hint="both ends included: 1..8")
        first, last = int(found[1]), int(found[2])
        if last < first:
            raise refused(token, "the last number is before the first")
        return range(first, last + 1)


class Commands(Operand):
    """Commands in braces."""

    label = "commands in braces"
    usage = "{ COMMAND ; … }"
    block = True
    commands = True

    def read(self, token: Token) -> str:
        """The text in the braces."""
        if token.kind != "block":
            raise refused(token, "the commands are written in braces", allowed=[self.usage])
        return token.text


def expanded(loop: ParsedStatement, ends: bool) -> Iterator[ParsedStatement]:
    """The commands of a loop, round by round, those of loops within it, too.

    Args:
        ends: only the first and the last round.
    Raises:
        Refused: a command cannot be parsed; columns are those of the line as typed.
    """
    try:
        _check(loop)
        name, numbers = loop.arguments.get("NAME", str), loop.arguments.get("RANGE", range)
        (block,) = loop.arguments.tokens("COMMANDS")
    except Refused as error:
        raise loop.placed(error) from None
    # Blanks before the text, so that up to the first variable its columns are those of the line.
    text = " " * (block.start + 1) + block.text
    for number in sorted({numbers[0], numbers[-1]}) if ends else numbers:
        line, replaced = _with_number(text, name, str(number))
        origin = Round(loop.line, replaced, f"{name} = {number}", loop.origin)
        for statement in _parsed(line, origin):
            yield from statement.expanded(ends)


def _check(loop: ParsedStatement) -> None:
    if loop.process_token is not None:
        hint = "name the process before each command: `for … { B: … }`"
        raise Refused("a loop belongs to no process", start=loop.start, end=loop.end, text=loop.line, hint=hint)
    (block,) = loop.arguments.tokens("COMMANDS")
    if not statements(block.text):
        raise refused(Token("", block.start, block.end), "there is no command in the braces")
    depth, around = 1, loop.origin
    while around is not None:
        depth, around = depth + 1, around.outer
    if depth > DEEPEST:
        raise refused(Token("", block.start, block.start + 1), f"more than {DEEPEST} loops within each other")


def _with_number(text: str, name: str, number: str) -> tuple[str, list[Replaced]]:
    """The text of a round, and where a number replaced the variable."""
    pieces: list[str] = []
    replaced: list[Replaced] = []
    end = length = 0
    for found in _VARIABLE.finditer(text):
        if found[1] == name:
            pieces += (text[end : found.start()], number)
            length += found.start() - end
            replaced.append(Replaced(length, len(number), found.start(), len(found[0])))
            length += len(number)
            end = found.end()
    return "".join((*pieces, text[end:])), replaced


def _parsed(line: str, origin: Round) -> Iterator[ParsedStatement]:
    """The statements of a round."""
    try:
        for words in statements(line):
            _check_variables(words)
            yield read_statement(line, words, origin)
    except Refused as error:
        error.text = error.text or line
        raise origin.placed(error, line) from None


def _check_variables(words: Sequence[Token]) -> None:
    """Refuse a ``$`` that is left, unless it may be the variable of a loop that begins here."""
    for word in words:
        if word.kind == "word" and (found := _VARIABLE.search(word.text)) is not None:
            place = Token(found[0], word.start + found.start(), word.start + found.end())
            raise refused(place, f"no loop here has a variable {found[1]}")


@command(
    "for",
    Form(
        args=(
            Arg("NAME", Variable(), "the variable; `$NAME` stands for the number"),
            Arg("IN", In(), "between the variable and its range"),
            Arg("RANGE", Bounds(), "first and last number"),
            Arg("COMMANDS", Commands(), "what is run for each of them"),
        )
    ),
    kind=PROGRAM,
    topic="session",
    expand=expanded,
)
def for_(call: Call) -> list[Report]:
    """Run commands once for each number of a range.

    `$NAME` in names, pages and numbers of the commands stands for the number. Each command is a step of its own: undo,
    history and `save` have the commands with their numbers. Loops may stand within loops, and a loop on several lines.

    Example:
        mmap buf 16 ; for i in 1..3 { fork B$i ; B$i: write buf[$i] }
        for i in 0..1 { for j in 0..1 { mmap m$i-$j 4 } }
    """
    assert isinstance(call.statement, ParsedStatement)
    return [report for one in call.statement.expanded() for report in call.session.run(one)]
