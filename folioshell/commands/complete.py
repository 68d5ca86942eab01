"""Completion and hints: what may stand at the cursor, from the declarations and the session's names.

Candidates come each with a description; a hint is the usage line of the command, with the part at the cursor marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from folioshell.commands.compare import MEANINGS
from folioshell.commands.cursor import COMMANDS, LINE, THREADS, Typing, typing_at, walk_to
from folioshell.commands.grammar import COMPARISON, MODEL, Arg, Command, Flag, Form, Option, UsagePart, registry
from folioshell.commands.lex import Token
from folioshell.commands.operands import Asking, Operand, Pair
from folioshell.commands.parse import FAILURES
from folioshell.commands.places import thread_pairs
from folioshell.commands.reading import FormWalk, form_of, split_at_bracket
from folioshell.model.release import RELEASES
from folioshell.records import NamedTuple
from folioshell.session.session import Session

#: candidates at most; who wants others types on
MOST = 200


class Candidate(NamedTuple):
    """One way to continue the line.

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
        yield from _profiles(here.partial)


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
        yield "{", "several commands, separated by ;"
    if here.scope != LINE or here.failing:
        return
    yield "fails", "the next command must fail with this errno or signal"
    if not here.labelled:
        yield from ((f"{name}:", f"run by process {name}") for name in session.workspace.kernel.mms)
        yield from ((f"{label}:", f"run by {what}") for label, what in thread_pairs(session))


def _profiles(partial: Token) -> Iterator[Candidate]:
    """What may stand in the brackets of a verb or of ``fails``: ``expect[6.1,``."""
    verb, inside = split_at_bracket(partial)
    command = registry.commands.get(verb.text)
    if verb.text != "fails" and (command is None or not command.by_profile):
        return
    if inside is None:
        yield Candidate(f"{verb.text}[", partial.start, "under some profiles only")
    elif not partial.text.endswith("]"):
        chosen = inside.text.split(",")
        start = partial.end - len(chosen[-1])
        offered = [row for row in RELEASES.values() if row.version not in chosen[:-1]]
        yield from _plain(((row.version, f"Linux {row.point}") for row in offered), partial, start)
        if chosen[-1] in RELEASES:
            yield Candidate("]", partial.end, "no more profiles")


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
        yield f"{name}.t{number}:", f"commands of thread t{number} of {name}"


def _after_verb(session: Session, here: Typing, command: Command) -> Iterator[Candidate]:
    words = here.words[1:]
    if command.leads and not words:
        for form in command.leads:
            pairs = form.expand(session) if form.expand else [(form.lead, form.summary or command.summary)]
            yield from _plain(pairs, here.partial)
    found, rest = form_of(command, words)
    if found is not None:
        yield from _in_form(session, found, rest, here)


def _in_form(session: Session, form: Form, words: Sequence[Token], here: Typing) -> Iterator[Candidate]:
    partial = here.partial
    key, equals, _ = partial.text.partition("=")
    option = next((option for option in form.options if equals and option.key == key), None)
    if option is not None:
        yield from _values(session, option.operand, here, partial.start + len(key) + 1)
        return
    walk = walk_to(form, words, session)
    for part in walk.following():
        if isinstance(part, Arg):
            yield from _values(session, part.operand, here, partial.start)
        elif isinstance(part, Flag):
            yield from _plain([(part.word, part.help)], partial)
        elif isinstance(part, Option):
            yield from _plain([(f"{part.key}=", part.help)], partial)
        elif walk.comparing:
            yield from _plain(part.candidates(session, walk.taken), partial)
        else:
            yield from _plain(((sign, MEANINGS[sign]) for sign in part.signs), partial)


def _values(session: Session, operand: Operand, here: Typing, start: int) -> Iterator[Candidate]:
    typed = here.partial.text[start - here.partial.start :]
    if operand.block:
        what = "commands" if operand.commands else "threads and their commands"
        yield Candidate("{", start, f"{what}, up to the closing }}")
    if operand.separator:
        begin = typed.rfind(operand.separator) + 1
        chosen = typed[:begin].split(operand.separator)
        start += begin
        offered = operand.offered(session, Asking(typed[begin:], here.process))
        yield from _plain((pair for pair in offered if pair[0] not in chosen), here.partial, start)
        return
    yield from _plain(operand.offered(session, Asking(typed, here.process)), here.partial, start)


#: written out in a hint, at most, of the words that tell the forms of a command apart
LEADS = 12


class Hint(NamedTuple):
    """What the command at the cursor looks like.

    Args:
        parts: its usage line in parts.
        current: index of the part that is being typed; -1 if nothing more may follow.
        meaning: what that part means, and how it is written; empty if it says so itself.
    """

    parts: tuple[str, ...]
    current: int
    meaning: str


def hint(session: Session, text: str, cursor: int) -> Hint | None:
    """The hint for column ``cursor`` of ``text``; None where no command is; never fails."""
    here = typing_at(text, cursor, session.process)
    if here is None:
        return None
    if here.unnamed:
        return Hint(("fails", "ERRNO|SIGNAL", "COMMAND"), 1, "how the command must fail")
    if here.words:
        return None if here.command is None else _of_command(session, here)
    verb = here._replace(words=(here.partial,), partial=Token("", cursor, cursor))
    if verb.command is not None:
        return _of_command(session, verb)._replace(current=0, meaning=verb.command.summary)
    if here.scope == THREADS:
        meaning = "its command, or several in { … }" if here.labelled else "a thread, A.t1:, and its command"
        return Hint(("THREAD:", "COMMAND", "; …", "}"), int(here.labelled), meaning)
    if here.scope == COMMANDS:
        return Hint(("COMMAND", "; …", "}"), 0, "commands of the thread, in order")
    return None


def _of_command(session: Session, here: Typing) -> Hint:
    command = here.command
    assert command is not None
    form, words = form_of(command, here.words[1:])
    if form is None or (command.leads and len(here.words) == 1 and not form.args):
        return _of_leads(command)
    parts = form.parts(command.verb)
    key, equals, _ = here.partial.text.partition("=")
    option = next((option for option in form.options if equals and option.key == key), None)
    if option is not None:
        return _marked(parts, option.key, _meaning(option))
    name, meaning = _next(walk_to(form, words, session))
    return _marked(parts, name, meaning)


def _of_leads(command: Command) -> Hint:
    leads = [form.lead for form in command.leads]
    shown = [*leads[:LEADS], "…"] if len(leads) > LEADS else leads
    words = "|".join(shown)
    return Hint((command.verb, f"[{words}]" if command.plain is not None else words), 1, command.summary)


def _marked(parts: Sequence[UsagePart], name: str, meaning: str) -> Hint:
    current = next((at for at, part in enumerate(parts) if name and part.name == name), -1)
    return Hint(tuple(part.text for part in parts), current, meaning)


def _next(walk: FormWalk) -> tuple[str, str]:
    """(name of the part that comes next, what it means); empty if nothing may follow."""
    part = next(walk.following(), None)
    if isinstance(part, Arg):
        return part.name, _meaning(part)
    if isinstance(part, Option):
        return part.key, _meaning(part)
    if isinstance(part, Flag):
        return part.group, ""
    return (COMPARISON, "") if part is not None else ("", "")


def _meaning(part: Arg | Option) -> str:
    return "; ".join(text for text in (part.help, part.operand.note) if text)
