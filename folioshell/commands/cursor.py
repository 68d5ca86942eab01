"""Where the cursor stands: which command is being typed, and what of it is there. Completion and hints begin here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from folioshell.commands.grammar import COMPARISON, Arg, Command, Form, registry
from folioshell.commands.lex import Token, scan
from folioshell.commands.operands import Operand
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
        unnamed: the errno or signal behind ``fails`` is still to come.
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
        process: who runs what names nobody.
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
    labelled = failing = False
    words = [*statement, partial]
    while words[0].kind == "word":
        prefix, colon, rest = words[0].text.partition(":")
        if colon and not labelled and not failing:
            process, labelled = prefix.partition(".")[0] or process, True
            word = Token(rest, words[0].end - len(rest), words[0].end)
            words[0:1] = [word] if rest or len(words) == 1 else []
        elif words[0].text == "fails" and len(words) > 2 and not failing:
            failing = True
            del words[:2]
        else:
            break
    *typed, partial = words
    unnamed = not failing and [word.text for word in typed] == ["fails"]
    here = Typing(scope, process, tuple(labels), tuple(typed), partial, labelled, failing, unnamed)
    command = here.command
    if command is not None and scope == LINE and _thread_follows(command):
        inner = _read(THREADS, here.process, (), typed[1:], partial)
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
    if scope == LINE and plain is not None and any(arg.operand.block for arg in plain.args):
        return _typed(line, block.start + 1, THREADS, outer.process)
    return None


class Following(NamedTuple):
    """What may follow some words of a form.

    Args:
        args: arguments still to come.
        taken: names of the options and groups of flags that were given.
        comparing: an operator stands there.
    """

    args: tuple[Arg, ...]
    taken: frozenset[str]
    comparing: bool = False


def what_follows(form: Form, words: Sequence[Token], session: Session | None = None) -> Following:
    """What may follow ``words`` of a form, as far as they can be told apart.

    Args:
        session: its names tell which of two arguments a word is, if the first of them may be left out.
    """
    waiting = list(form.args)
    taken: set[str] = set()
    flags = {flag.word: flag.group for flag in form.flags}
    options = {option.key: option for option in form.options}
    for word in words:
        key, equals, _ = word.text.partition("=")
        if word.kind == "operator" and form.compare is not None:
            return Following((), frozenset({*taken, COMPARISON}), comparing=True)
        if equals and key in options:
            taken |= {key, options[key].group} - {""}
        elif word.text in flags and (not waiting or waiting[0].optional):
            taken.add(flags[word.text])
        else:
            while _may_be_left_out(waiting) and not _is_one(waiting[0].operand, word, session):
                waiting.pop(0)
            if waiting and not waiting[0].repeated:
                waiting.pop(0)
    return Following(tuple(waiting), frozenset(taken))


def _may_be_left_out(waiting: Sequence[Arg]) -> bool:
    return bool(waiting) and waiting[0].optional and not all(arg.optional for arg in waiting)


def _is_one(operand: Operand, word: Token, session: Session | None) -> bool:
    return session is None or any(word.text == text for text, _ in operand.candidates(session))


def form_at(command: Command, words: Sequence[Token]) -> tuple[Form | None, Sequence[Token]]:
    """(the form that the words behind a verb have, those of them that are its arguments)."""
    if words and command.leads:
        chosen = command.form_for(words[0].text)
        if chosen is not None:
            return chosen, words[1:]
    return command.plain, words
