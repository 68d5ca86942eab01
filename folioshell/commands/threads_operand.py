"""``{ A.t1: fault win[0] ; A.t2: { … ; … } }``: threads and their commands, as an operand."""

from __future__ import annotations

from collections.abc import Iterator

from folioshell.commands.grammar import registry
from folioshell.commands.lex import Token, statements
from folioshell.commands.operands import Operand, refused
from folioshell.commands.parse import ParsedStatement, read_statement
from folioshell.commands.reading import split_at_colon, split_label
from folioshell.errors import Refused


class ThreadText:
    """A thread of a race as it was typed.

    Attributes:
        process: the word that names its process.
        name: its name within the process; empty for the main thread.
        commands: what it does.
    """

    __slots__ = ("commands", "name", "process")

    def __init__(self, process: Token, name: str, commands: list[ParsedStatement]) -> None:
        self.process = process
        self.name = name
        self.commands = commands

    @property
    def label(self) -> str:
        """As it is printed: ``A.t1``."""
        return f"{self.process.text}.{self.name}" if self.name else self.process.text


def raceable() -> list[str]:
    """The verbs of commands that can race."""
    return [command.verb for command in registry if command.races]


class Threads(Operand):
    """Threads in braces, each with its commands."""

    label = "a block of threads"
    usage = "{ A.t1: COMMAND ; A.t2: { COMMAND ; … } }"
    block = True

    def read(self, token: Token) -> list[ThreadText]:
        """The threads, in order.

        Raises:
            Refused: columns are those of the line.
        """
        if token.kind != "block":
            raise refused(token, "threads are written in braces", allowed=[self.usage])
        threads: list[ThreadText] = []
        for line, words in _inner(token):
            thread = _thread(line, words)
            if any(thread.label == other.label for other in threads):
                hint = f"write {thread.label}: {{ COMMAND ; COMMAND }}"
                raise refused(words[0], f"{thread.label} is given twice", hint=hint)
            threads.append(thread)
        if not threads:
            raise refused(token, "there is no thread in the braces", allowed=[self.usage])
        return threads


def _inner(token: Token) -> Iterator[tuple[str, list[Token]]]:
    """(a line on which columns are those of the whole line, words) of each statement within braces."""
    line = " " * (token.start + 1) + token.text
    for words in statements(line):
        yield line, words


def _thread(line: str, words: list[Token]) -> ThreadText:
    first = words[0]
    if first.kind != "word" or ":" not in first.text:
        raise refused(first, "a thread is missing before its command", allowed=["A.t1: COMMAND"])
    label, rest = split_at_colon(first)
    process, name = split_label(label)
    words = [*rest, *words[1:]]
    if not words:
        raise refused(Token("", first.end, first.end + 1), "a command is missing", allowed=raceable())
    if words[0].kind != "block":
        return ThreadText(process, name, [thread_command(line, words)])
    if len(words) > 1:
        raise refused(words[1], "nothing more may follow here", hint="threads are separated by `;`")
    commands = [thread_command(inner, parts) for inner, parts in _inner(words[0])]
    if not commands:
        raise refused(words[0], "a command is missing", allowed=raceable())
    return ThreadText(process, name, commands)


def thread_command(line: str, words: list[Token]) -> ParsedStatement:
    """A command of a thread.

    Raises:
        Refused: the words are none, or one that cannot be raced.
    """
    try:
        statement = read_statement(line, words)
    except Refused as error:
        # The line within braces is not the one that was typed; the reader of that one fills it in.
        error.text = ""
        raise
    if statement.process:
        raise refused(words[0], "a command in a race belongs to its thread", hint="name the thread once, before it")
    if statement.expected:
        raise refused(words[0], "`fails` does not go with a race", hint="a race shows how each command ended")
    if not statement.command.races:
        verbs = raceable()
        hint = "only commands that run a kernel path can be raced"
        raise refused(words[0], f"{statement.command.verb} cannot be raced", allowed=verbs, hint=hint)
    return statement
