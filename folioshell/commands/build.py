"""Short forms for declarations, and the operands that many commands share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from folioshell.commands.call import Call
from folioshell.commands.grammar import Arg, Command, Flag, Form, Option, register
from folioshell.commands.name_candidates import file_pairs, process_pairs, region_pairs
from folioshell.commands.operands import Choice, ExistingName, NewName, Number, Operand
from folioshell.commands.places import FolioOrPlace, Place
from folioshell.report import Report

Handler = TypeVar("Handler", bound=Callable[[Call], Any])

NEW_NAME = NewName()
PLACE = Place()
OWN_PLACE = Place(own=True)
FOLIO = FolioOrPlace()
COUNT = Number(least=1)


def command(
    verb: str,
    *forms: Form,
    kind: str,
    topic: str,
    summary: str,
    explained: str,
    examples: tuple[str, ...],
    subject: Callable[[Call], str] | None = None,
    host: bool = False,
    kernel: str = "",
    races: bool = False,
    pages: Callable[[Call], Sequence[tuple[int, int]]] | None = None,
) -> Callable[[Handler], Handler]:
    """Declare the decorated function as the handler of a command; as in ``Command``; ``explained`` is its help."""

    def declare(handler: Handler) -> Handler:
        register(
            Command(
                verb,
                forms or (Form(),),
                kind,
                topic,
                summary,
                explained,
                examples,
                handler,
                subject,
                host,
                kernel,
                races,
                pages,
            )
        )
        return handler

    return declare


def arg(name: str, operand: Operand, meaning: str = "", *, optional: bool = False, repeated: bool = False) -> Arg:
    """A positional argument."""
    return Arg(name, operand, meaning, optional, repeated)


def place(meaning: str = "the pages", name: str = "PLACE") -> Arg:
    """A place that must be given."""
    return Arg(name, PLACE, meaning)


def own_place(meaning: str = "the pages") -> Arg:
    """A place in the memory of the process that runs the command."""
    return Arg("PLACE", OWN_PLACE, meaning)


def flags(group: str, **words: str) -> tuple[Flag, ...]:
    """Bare words of which one may stand."""
    return tuple(Flag(word, group, meaning) for word, meaning in words.items())


def option(key: str, operand: Operand, meaning: str, *, required: bool = False, group: str = "") -> Option:
    """A ``key=value``."""
    return Option(key, operand, meaning, required, group)


def choice(words: dict[str, str] | Callable[[], dict[str, str]], label: str, *, show: bool = True) -> Choice:
    """One of fixed words."""
    return Choice(words, label, show)


def file_operand() -> ExistingName:
    """A file that exists."""
    return ExistingName("a file", "F", file_pairs)


def process_operand() -> ExistingName:
    """A living process."""
    return ExistingName("a process", "NAME", process_pairs)


def region_operand() -> ExistingName:
    """A region that exists."""
    return ExistingName("a region", "REGION", region_pairs)


def done(call: Call, text: str = "", **parts: Any) -> Report:
    """The report of a command that is no step."""
    return Report(command=call.statement.text, process=call.process, sentence=text, **parts)
