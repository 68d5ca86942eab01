"""Completion: what may stand at the cursor, from the declarations and the session's names, each with a description."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from folioshell.commands.compare import EQUALITY, ORDERED
from folioshell.commands.grammar import Arg, Command, Form, registry
from folioshell.commands.lex import Token, scan
from folioshell.commands.operands import Operand, Pair
from folioshell.commands.parse import FAILURES
from folioshell.commands.places import FolioOrPlace, Place, region_pairs
from folioshell.session.session import Session


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
    words = [token for token in scan(text[:cursor]) if token.kind != ";" or token.end <= cursor]
    if words and words[-1].kind == "block" and not words[-1].closed and words[-1].start < cursor:
        inside = words[-1].start + 1
        return complete(session, " " * inside + text[inside:], cursor) if text[inside - 1] == "{" else []
    if any(token.kind in ("comment", "prose", "golden") or not token.closed for token in words):
        return []
    statement: list[Token] = []
    for token in words:
        statement = [] if token.kind == ";" else [*statement, token]
    if statement and statement[-1].end == cursor and statement[-1].kind in ("word", "operator"):
        partial = statement.pop()
    else:
        partial = Token("", cursor, cursor)
    return list(_matching(_offers(session, statement, partial), partial))


def _matching(offers: Iterable[Candidate], partial: Token) -> Iterator[Candidate]:
    seen = set()
    for offer in offers:
        typed = partial.text[offer.start - partial.start :]
        if offer.text.startswith(typed) and offer.text not in seen:
            seen.add(offer.text)
            yield offer


def _offers(session: Session, words: Sequence[Token], partial: Token) -> Iterator[Candidate]:
    rest = list(words)
    while rest:
        if rest[0].text.endswith(":"):
            rest.pop(0)
        elif rest[0].text == "fails":
            if len(rest) == 1:
                yield from _plain(FAILURES.items(), partial)
                return
            del rest[:2]
        else:
            break
    if not rest:
        yield from _verbs(session, partial)
        return
    verb = rest[0].text.rpartition(":")[2]
    command = registry.commands.get(verb)
    if command is not None:
        yield from _after_verb(session, command, rest[1:], partial)


def _plain(pairs: Iterable[Pair], partial: Token, start: int | None = None) -> Iterator[Candidate]:
    for text, description in pairs:
        yield Candidate(text, partial.start if start is None else start, description)


def _verbs(session: Session, partial: Token) -> Iterator[Candidate]:
    colon = partial.text.find(":")
    start = partial.start + colon + 1
    yield from _plain(((command.verb, command.summary) for command in registry), partial, start)
    yield Candidate("fails", start, "the command that follows must end with an errno or signal")
    if colon < 0:
        yield from _plain(((f"{name}:", f"run by process {name}") for name in session.workspace.kernel.mms), partial)


def _after_verb(session: Session, command: Command, words: Sequence[Token], partial: Token) -> Iterator[Candidate]:
    if command.leads and not words:
        for form in command.leads:
            pairs = form.expand(session) if form.expand else [(form.lead, form.summary)]
            yield from _plain(pairs, partial)
        if command.plain is not None:
            yield from _in_form(session, command.plain, [], partial)
        return
    chosen = command.form_for(words[0].text) if words and command.leads else None
    if chosen is not None:
        yield from _in_form(session, chosen, words[1:], partial)
    elif command.plain is not None:
        yield from _in_form(session, command.plain, words, partial)


def _in_form(session: Session, form: Form, words: Sequence[Token], partial: Token) -> Iterator[Candidate]:
    options = {option.key: option for option in form.options}
    key, equals, _ = partial.text.partition("=")
    if equals and key in options:
        yield from _values(session, options[key].operand, partial, partial.start + len(key) + 1)
        return
    if form.compare is not None and any(word.kind == "operator" for word in words):
        yield from _plain(((word, "") for word in _answers(form)), partial)
        return
    waiting, taken = _taken(form, words)
    if waiting:
        yield from _argument(session, waiting, partial)
    elif form.compare is not None:
        signs = ORDERED if "NUMBER" in form.compare_usage else EQUALITY
        yield from _plain(((sign, "compare") for sign in signs), partial)
    if not waiting or waiting[0].optional:
        yield from _plain(((flag.word, flag.help) for flag in form.flags if flag.group not in taken), partial)
        yield from _plain(
            (
                (f"{option.key}=", option.help)
                for option in form.options
                if option.key not in taken and (not option.group or option.group not in taken)
            ),
            partial,
        )


def _answers(form: Form) -> list[str]:
    last = form.compare_usage.split(" ")[-1]
    return last.split("|") if last.islower() else []


def _taken(form: Form, words: Sequence[Token]) -> tuple[list[Arg], set[str]]:
    """(arguments still to come, names and groups of what was given), as far as the words can be told apart."""
    waiting = list(form.args)
    taken: set[str] = set()
    flags = {flag.word: flag.group for flag in form.flags}
    options = {option.key: option for option in form.options}
    for word in words:
        key, equals, _ = word.text.partition("=")
        if equals and key in options:
            taken |= {key, options[key].group} - {""}
        elif word.text in flags and (not waiting or waiting[0].optional):
            taken.add(flags[word.text])
        elif waiting and not waiting[0].repeated:
            waiting.pop(0)
    return waiting, taken


def _argument(session: Session, waiting: Sequence[Arg], partial: Token) -> Iterator[Candidate]:
    """The candidates of the next argument, and of the one behind it if that one may be left out."""
    for item in waiting:
        yield from _values(session, item.operand, partial, partial.start)
        if not item.optional:
            return


def _values(session: Session, operand: Operand, partial: Token, start: int) -> Iterator[Candidate]:
    typed = partial.text[start - partial.start :]
    if operand.separator:
        start += typed.rfind(operand.separator) + 1
    if isinstance(operand, Place | FolioOrPlace):
        yield from _places(session, operand, typed, partial, start)
        return
    yield from _plain(operand.candidates(session), partial, start)


def _places(session: Session, operand: Operand, typed: str, partial: Token, start: int) -> Iterator[Candidate]:
    process, colon, rest = typed.rpartition(":")
    inner = start + len(process) + len(colon)
    region = session.workspace.regions.get(rest.partition("[")[0])
    if region is not None and "[" in rest:
        pages = [(f"{region.name}[{page}]", "one page") for page in range(min(region.nr, 64))]
        yield from _plain(pages, partial, inner)
        yield from _plain([(f"{region.name}[0..{region.nr - 1}]", "all its pages")], partial, inner)
        return
    if colon:
        yield from _plain(region_pairs(session), partial, inner)
        return
    yield from _plain(operand.candidates(session), partial, start)
    others = [name for name in session.workspace.kernel.mms if name != session.process]
    yield from _plain(((f"{name}:", f"a place in {name}") for name in others), partial, start)
