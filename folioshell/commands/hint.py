"""Hints: the signature of the command at the cursor, with the argument that is being typed marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from folioshell.commands.cursor import COMMANDS, THREADS, Following, Typing, form_at, typing_at, what_follows
from folioshell.commands.grammar import COMPARISON, Arg, Command, Form, Option, Part
from folioshell.commands.lex import Token
from folioshell.session.session import Session

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
        return Hint(("fails", "ERRNO|SIGNAL", "COMMAND"), 1, "how the command must end")
    if here.words:
        return None if here.command is None else _of_command(session, here)
    verb = here._replace(words=(here.partial,), partial=Token("", cursor, cursor))
    if verb.command is not None:
        return _of_command(session, verb)._replace(current=0, meaning=verb.command.summary)
    if here.scope == THREADS:
        meaning = "what this thread does, several in { … }" if here.labelled else "a thread, A.t1:, and its command"
        return Hint(("THREAD:", "COMMAND", "; …", "}"), int(here.labelled), meaning)
    if here.scope == COMMANDS:
        return Hint(("COMMAND", "; …", "}"), 0, "what the thread does, in order")
    return None


def _of_command(session: Session, here: Typing) -> Hint:
    command = here.command
    assert command is not None
    form, words = form_at(command, here.words[1:])
    if form is None or (command.leads and len(here.words) == 1 and not form.args):
        return _of_leads(command)
    parts = form.parts(command.verb)
    key, equals, _ = here.partial.text.partition("=")
    option = next((option for option in form.options if equals and option.key == key), None)
    if option is not None:
        return _marked(parts, option.key, _of_option(option))
    following = what_follows(form, words, session)
    name, meaning = _current(form, following)
    return _marked(parts, name, meaning)


def _of_leads(command: Command) -> Hint:
    leads = [form.lead for form in command.leads]
    shown = [*leads[:LEADS], "…"] if len(leads) > LEADS else leads
    words = "|".join(shown)
    return Hint((command.verb, f"[{words}]" if command.plain is not None else words), 1, command.summary)


def _marked(parts: Sequence[Part], name: str, meaning: str) -> Hint:
    current = next((at for at, part in enumerate(parts) if name and part.name == name), -1)
    return Hint(tuple(part.text for part in parts), current, meaning)


def _current(form: Form, following: Following) -> tuple[str, str]:
    """(name of the part that comes next, what it means); empty if nothing may follow."""
    if following.args and not following.args[0].optional:
        return following.args[0].name, _of_arg(following.args[0])
    required = next((item for item in form.options if item.required and item.key not in following.taken), None)
    if required is not None:
        return required.key, _of_option(required)
    if following.args:
        return following.args[0].name, _of_arg(following.args[0])
    if form.compare is not None:
        return COMPARISON, ""
    group = next((flag.group for flag in form.flags if flag.group not in following.taken), "")
    free = next((item.key for item in form.options if not {item.key, item.group} & following.taken), "")
    return group or free, ""


def _of_arg(arg: Arg) -> str:
    return "; ".join(text for text in (arg.help, arg.operand.note) if text)


def _of_option(option: Option) -> str:
    return "; ".join(text for text in (option.help, option.operand.note) if text)
