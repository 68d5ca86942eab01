"""Completion: what may stand at the cursor, from the declarations and the session's names, each with a description."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from folioshell.commands.compare import EQUALITY, MEANINGS, ORDERED
from folioshell.commands.cursor import LINE, THREADS, Typing, form_at, typing_at, what_follows
from folioshell.commands.grammar import COMPARISON, MODEL, Arg, Command, Form, registry
from folioshell.commands.lex import Token
from folioshell.commands.name_candidates import lock_pairs, thread_pairs
from folioshell.commands.operands import Asking, Operand, Pair
from folioshell.commands.parse import FAILURES
from folioshell.session.session import Session

#: candidates at most; who wants others types on
MOST = 200


class Candidate(NamedTuple):
    """One way to go on.

    Attributes:
        text: what replaces the line from ``start`` to the cursor.
        start: column.
        description: what it means, in a few words.
    """

    text: str
    start: int
    description: str


def complete(session: Session, text: str, cursor: int) -> list[Candidate]:
    """Candidates at column ``cursor`` of ``text``, in the order in which they should be shown; never fails."""
    here = typing_at(text, cursor, session.process)
    if here is None:
        return []
    if here.process not in session.workspace.kernel.mms:
        here = here._replace(process=session.process)
    return list(islice(_matching(_offers(session, here), here.partial), MOST))


def _matching(offers: Iterable[Candidate], partial: Token) -> Iterator[Candidate]:
    seen = set()
    for offer in offers:
        typed = partial.text[offer.start - partial.start :]
        if offer.text.startswith(typed) and offer.text not in seen:
            seen.add(offer.text)
            yield offer


def _offers(session: Session, here: Typing) -> Iterator[Candidate]:
    command = here.command
    if here.unnamed:
        yield from _plain(FAILURES.items(), here.partial)
    elif command is not None:
        yield from _after_verb(session, here, command)
    elif not here.words:
        yield from _plain(_first_words(session, here), here.partial)


def _plain(pairs: Iterable[Pair], partial: Token, start: int | None = None) -> Iterator[Candidate]:
    for text, description in pairs:
        yield Candidate(text, partial.start if start is None else start, description)


def _first_words(session: Session, here: Typing) -> Iterator[Pair]:
    """What a statement may begin with: a verb, or who is to run it."""
    if here.scope == THREADS and not here.labelled:
        yield from _new_labels(session, here)
        return
    for command in registry:
        if (here.scope == LINE and (not here.failing or _may_fail(command))) or command.races:
            yield command.verb, command.summary
    if here.scope == THREADS:
        yield "{", "several commands, with ; between them"
    if here.scope != LINE or here.failing:
        return
    yield "fails", "the command that follows must end with an errno or signal"
    if not here.labelled:
        yield from ((f"{name}:", f"run by process {name}") for name in session.workspace.kernel.mms)
        yield from ((f"{label}:", f"run by {what}") for label, what in thread_pairs(session))


def _may_fail(command: Command) -> bool:
    return any((form.kind or command.kind) == MODEL for form in command.forms)


def _new_labels(session: Session, here: Typing) -> Iterator[Pair]:
    """For each process its next thread, that of the current process first."""
    living = session.workspace.kernel.mms
    first = [here.process] if here.process in living else []
    for name in (*first, *(other for other in living if other not in first)):
        number = 1
        while f"{name}.t{number}" in here.labels:
            number += 1
        yield f"{name}.t{number}:", f"what thread t{number} of {name} does"


def _after_verb(session: Session, here: Typing, command: Command) -> Iterator[Candidate]:
    words = here.words[1:]
    if command.leads and not words:
        for form in command.leads:
            pairs = form.expand(session) if form.expand else [(form.lead, form.summary or command.summary)]
            yield from _plain(pairs, here.partial)
    form_here, arguments = form_at(command, words)
    if form_here is not None:
        yield from _in_form(session, form_here, arguments, here)


def _in_form(session: Session, form: Form, words: Sequence[Token], here: Typing) -> Iterator[Candidate]:
    partial = here.partial
    options = {option.key: option for option in form.options}
    key, equals, _ = partial.text.partition("=")
    if equals and key in options:
        yield from _values(session, options[key].operand, here, partial.start + len(key) + 1)
        return
    following = what_follows(form, words, session)
    if following.comparing:
        yield from _plain(_answers(session, form, following.taken), partial)
        return
    waiting = following.args
    yield from _arguments(session, waiting, here)
    if waiting and not waiting[0].optional:
        return
    if form.compare is not None and COMPARISON not in following.taken:
        signs = ORDERED if "NUMBER" in form.compare_usage else EQUALITY
        yield from _plain(((sign, MEANINGS[sign]) for sign in signs), partial)
    yield from _plain(((flag.word, flag.help) for flag in form.flags if flag.group not in following.taken), partial)
    yield from _plain(
        (
            (f"{option.key}=", option.help)
            for option in form.options
            if not {option.key, option.group} & following.taken
        ),
        partial,
    )


def _answers(session: Session, form: Form, taken: Collection[str]) -> Iterable[Pair]:
    if "LOCK" in form.compare_usage:
        return (pair for pair in lock_pairs(session) if "which" in taken or pair[0].startswith("pt"))
    last = form.compare_usage.split(" ")[-1]
    return [(word, MEANINGS[word]) for word in last.split("|") if word in MEANINGS]


def _arguments(session: Session, waiting: Sequence[Arg], here: Typing) -> Iterator[Candidate]:
    """The candidates of the next argument, and of the one behind it if that one may be left out."""
    for item in waiting:
        yield from _values(session, item.operand, here, here.partial.start)
        if not item.optional:
            return


def _values(session: Session, operand: Operand, here: Typing, start: int) -> Iterator[Candidate]:
    typed = here.partial.text[start - here.partial.start :]
    if operand.block:
        yield Candidate("{", start, "threads and their commands, to the closing }")
    if operand.separator:
        begin = typed.rfind(operand.separator) + 1
        chosen = typed[:begin].split(operand.separator)
        start += begin
        offered = operand.offered(session, Asking(typed[begin:], here.process))
        yield from _plain((pair for pair in offered if pair[0] not in chosen), here.partial, start)
        return
    yield from _plain(operand.offered(session, Asking(typed, here.process)), here.partial, start)
