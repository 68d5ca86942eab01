"""Where the cursor stands: which command is being typed, and what of it is there. Completion and hints begin here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial as bound

from folioshell.commands.grammar import Arg, Command, Form, registry
from folioshell.commands.lex import Token, scan
from folioshell.commands.reading import FormWalk, opening
from folioshell.records import NamedTuple
from folioshell.session.session import Session

#: where a statement stands: on the line, among the threads in braces, or within one of those threads
LINE, THREADS, COMMANDS = "line", "threads", "commands"


class Typing(NamedTuple):
    """A place in a line where something is being typed.

    Args:
        scope: LINE, THREADS or COMMANDS.
        process: who would run the command.
        labels: the threads that were named before, where threads are.
        words: the words of the statement before the cursor, without those that say who runs it and how it must end;
            the first one is the verb.
        partial: the word at the cursor, empty between words.
        labelled: a thread or process was named.
        failing: ``fails`` and an errno or signal were typed.
        unnamed: the errno or signal after ``fails`` is still to come.
    """

    scope: str
    process: str
    labels: tuple[str, ...]
    words: tuple[Token, ...]
    partial: Token
    labelled: bool = False
    failing: bool = False
    unnamed: bool = False

    @property
    def command(self) -> Command | None:
        """The command whose verb was typed."""
        return registry.commands.get(self.words[0].text) if self.words else None


def typing_at(line: str, cursor: int, process: str) -> Typing | None:
    """What stands before column ``cursor``; None within prose, comments, and blocks and quotes that mean nothing.

    Args:
        process: who runs a command that names no process.
    """
    return _typed(line[:cursor], 0, LINE, process)


def _typed(line: str, begin: int, scope: str, process: str) -> Typing | None:
    """What is typed at the end of a line whose first ``begin`` columns are blank for it."""
    tokens = scan(" " * begin + line[begin:])
    cursor = len(line)
    labels: list[str] = []
    statement: list[Token] = []
    for token in tokens:
        if token.kind in ("comment", "prose", "golden") or (token is not tokens[-1] and not token.closed):
            return None
        if token.kind != ";":
            statement.append(token)
            continue
        if statement and ":" in statement[0].text:
            labels.append(statement[0].text.partition(":")[0])
        statement = []
    last = statement[-1] if statement else None
    if last is not None and not last.closed:
        return _within(line, statement, scope, process)
    partial = Token("", cursor, cursor)
    if last is not None and last.end == cursor and last.kind in ("word", "operator"):
        partial = statement.pop()
    return _read(scope, process, labels, statement, partial)


def _read(scope: str, process: str, labels: Sequence[str], statement: list[Token], partial: Token) -> Typing:
    label, failure, words, *_ = opening([*statement, partial])
    unnamed = failure is partial
    if words:
        *words, partial = words
    elif not unnamed:  # the label took all of the word at the cursor
        partial = Token("", partial.end, partial.end)
    if label is not None:
        process = label.text.partition(":")[0].partition(".")[0] or process
    failing = failure is not None and not unnamed
    here = Typing(scope, process, tuple(labels), tuple(words), partial, label is not None, failing, unnamed)
    command = here.command
    if command is not None and scope == LINE and _thread_follows(command):
        inner = _read(THREADS, here.process, (), words[1:], partial)
        return inner._replace(scope=COMMANDS) if inner.labelled else inner
    return here


def _thread_follows(command: Command) -> bool:
    """Is what follows the verb a thread and its command, without braces?"""
    return command.plain is not None and any(arg.operand.thread for arg in command.plain.args)


def _within(line: str, statement: list[Token], scope: str, process: str) -> Typing | None:
    """What is typed within the brace that the last word of a statement opens."""
    block = statement.pop()
    if line[block.start] != "{":
        return None
    outer = _read(scope, process, (), statement, Token("", block.start, block.start))
    if scope == THREADS and outer.labelled and not outer.words:
        return _typed(line, block.start + 1, COMMANDS, outer.process)
    plain = outer.command.plain if outer.command is not None else None
    if scope == LINE and plain is not None:
        for operand in (arg.operand for arg in plain.args if arg.operand.block):
            return _typed(line, block.start + 1, LINE if operand.commands else THREADS, outer.process)
    return None


def walk_to(form: Form, words: Sequence[Token], session: Session) -> FormWalk:
    """The walk over the words of a form so far, as far as they can be told apart.

    An optional argument before a required one is left out if the word is none of its candidates in the session.
    """
    walk = FormWalk(form)
    for word in words:
        part = walk.part(word, bound(_is_no_candidate, session, word))
        if part is not None:
            walk.take(part)
        if walk.comparing:
            break
    return walk


def _is_no_candidate(session: Session, word: Token, arg: Arg, _: int) -> bool:
    return all(word.text != text for text, _ in arg.operand.candidates(session))
