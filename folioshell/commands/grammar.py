"""Declarations: what a command looks like. Parser, completion, help and reference are all made from these.

Rules:
- A command has one form, or several that their first word tells apart (``query shared?``, ``set decide``).
- In a form, positional arguments stand in order; flags and ``key=value`` options anywhere after those required.
- What a command does is said once, in its handler's docstring: summary, text, ``Example:`` and ``Kernel:``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from folioshell.records import NamedTuple, dataclass
from folioshell.session.language import MODEL, OUTPUT, PROGRAM, SESSION, VIEW

if TYPE_CHECKING:
    from folioshell.commands.compare import Values
    from folioshell.commands.operands import Operand
    from folioshell.session.session import Session

__all__ = [
    "MODEL",
    "OUTPUT",
    "PROGRAM",
    "SESSION",
    "VIEW",
    "Arg",
    "Command",
    "Flag",
    "Form",
    "Option",
    "command",
    "register",
    "registry",
]

#: takes a ``Call``, which knows its command: named here, the two would need each other
Handler = Callable[[Any], Any]
Declared = TypeVar("Declared", bound=Handler)

#: the argument that ``Form.compare`` reads, and that ``Form.text`` does
COMPARISON = "comparison"
TEXT = "TEXT"


class Arg(NamedTuple):
    """A positional argument.

    Args:
        name: as it stands in the usage line: ``PLACE``.
        operand: what it may be.
        help: what it means, in a few words.
        optional: it may be left out.
        repeated: it takes all words that are left, and is a list.
    """

    name: str
    operand: Operand
    help: str = ""
    optional: bool = False
    repeated: bool = False

    @property
    def usage(self) -> str:
        """As it stands in the usage line."""
        label = self.operand.usage or self.name
        label = f"{label} …" if self.repeated else label
        return f"[{label}]" if self.optional else label


class Flag(NamedTuple):
    """A bare word; of the flags of one ``group`` only one may stand, and the group is the name of its value."""

    word: str
    group: str
    help: str


def flags(group: str, **words: str) -> tuple[Flag, ...]:
    """Bare words of which one may stand, with their meanings."""
    return tuple(Flag(word, group, meaning) for word, meaning in words.items())


class Option(NamedTuple):
    """``key=value``; of the options of one ``group`` (unless empty) only one may stand."""

    key: str
    operand: Operand
    help: str
    required: bool = False
    group: str = ""

    @property
    def usage(self) -> str:
        """As it stands in the usage line."""
        label = f"{self.key}={self.operand.usage or self.operand.short}"
        return label if self.required else f"[{label}]"


class LineText(NamedTuple):
    """Text to the end of a line for class; ``bar``: a ``|`` stands before it."""

    help: str
    bar: bool = False
    optional: bool = False

    @property
    def usage(self) -> str:
        """As it stands in the usage line."""
        usage = f"| {TEXT}" if self.bar else TEXT
        return f"[{usage}]" if self.optional else usage


class UsagePart(NamedTuple):
    """A part of a usage line, and the argument, option or group of flags that it stands for; empty for fixed words."""

    text: str
    name: str = ""


@dataclass(eq=False)
class Form:
    """One way to write a command.

    Args:
        lead: the word that comes first and tells it from the others; empty if there is none.
        summary: what this form does, where the command has several.
        args, flags, options: what may follow.
        kind: overrides the command's kind where it is not empty.
        handler: overrides the command's handler.
        prefix: the first word may be any that begins with this; it becomes the argument ``lead``.
        expand: the first words that exist, for a form with a prefix.
        compare: what the words from the first operator on may be; they become the argument ``comparison``.
        step_option: with this option it is a step, whatever its kind.
        text: the text that ends it, of a line for class; it becomes the argument ``TEXT``.
    """

    lead: str = ""
    args: tuple[Arg, ...] = ()
    flags: tuple[Flag, ...] = ()
    options: tuple[Option, ...] = ()
    summary: str = ""
    kind: str = ""
    handler: Handler | None = None
    prefix: str = ""
    expand: Callable[[Session], Iterable[tuple[str, str]]] | None = None
    compare: Values | None = None
    step_option: str = ""
    text: LineText | None = None

    @cached_property
    def flags_by_word(self) -> dict[str, Flag]:
        """Its flags."""
        return {flag.word: flag for flag in self.flags}

    @cached_property
    def options_by_key(self) -> dict[str, Option]:
        """Its options."""
        return {option.key: option for option in self.options}

    def usage(self, verb: str) -> str:
        """The usage line: ``munmap PLACE``."""
        return " ".join(part.text for part in self.parts(verb))

    def parts(self, verb: str) -> list[UsagePart]:
        """The usage line in parts, each with the arguments that it stands for."""
        groups: dict[str, list[str]] = {}
        for flag in self.flags:
            groups.setdefault(flag.group, []).append(flag.word)
        required = max((place for place, arg in enumerate(self.args, 1) if not arg.optional), default=0)
        parts = [UsagePart(verb), UsagePart(self.lead)]
        parts += [UsagePart(arg.usage, arg.name) for arg in self.args[:required]]
        parts += [UsagePart(option.usage, option.key) for option in self.options if option.required]
        parts += [UsagePart(arg.usage, arg.name) for arg in self.args[required:]]
        parts += [UsagePart(f"[{'|'.join(words)}]", group) for group, words in groups.items()]
        parts += [UsagePart(option.usage, option.key) for option in self.options if not option.required]
        parts.append(UsagePart(self.compare.usage if self.compare else "", COMPARISON))
        parts.append(UsagePart(self.text.usage if self.text else "", TEXT))
        return [part for part in parts if part.text]


class Explanation(NamedTuple):
    """What a handler's docstring says; its parts are empty where Python runs without docstrings (``-OO``).

    Args:
        summary: one line, without a capital and a full stop.
        text: paragraphs.
        examples: lines that run in a fresh session.
        kernel: the kernel function that the command stands for.
    """

    summary: str
    text: tuple[str, ...]
    examples: tuple[str, ...]
    kernel: str


@cache
def explanation(docstring: str) -> Explanation:
    """The parts of a docstring."""
    from inspect import cleandoc

    summary, *rest = cleandoc(docstring).split("\n\n")
    text: list[str] = []
    examples: tuple[str, ...] = ()
    kernel = ""
    for paragraph in rest:
        first, *lines = map(str.strip, paragraph.split("\n"))
        if first == "Example:":
            examples = tuple(lines)
        elif first.startswith("Kernel: "):
            kernel = " ".join((first, *lines)).removeprefix("Kernel: ")
        else:
            text.append(" ".join((first, *lines)))
    return Explanation(summary_of(summary), tuple(text), examples, kernel)


def summary_of(docstring: str | None) -> str:
    """The first line of a docstring as a summary: without a capital and a full stop."""
    first = (docstring or "").partition("\n")[0]
    return first[:1].lower() + first[1:].rstrip(".?")


@dataclass(eq=False)
class Command:
    """A command of the language.

    Args:
        verb: its first word.
        forms: how it can be written.
        kind: ``model`` (recorded: a step), ``view`` (asks or shows: no step), ``session`` (changes where the session
            is, or what it shows), ``output`` (says where output goes) or ``program`` (files of the host, the end).
        topic: the group under which help lists it.
        handler: what it does; a model command returns how the kernel ended it, the others a report. Its docstring
            explains the command.
        subject: who did what, for the sentence after the step.
        host: a real kernel can be asked to do the same.
        races: its handler returns a kernel path, which other threads can come between, so that it can run in a race.
        pages: (first, number) of the ranges of virtual pages that it goes through in order; by default its PLACE.
        lead_name: what the words are called that tell its forms apart: ``view``.
        expand: the commands that one of its statements stands for, of a loop; with True only those of its ends.
        by_profile: profiles may stand in brackets at its verb, ``expect[6.1,5.10]``: under others it is skipped.
    """

    verb: str
    forms: tuple[Form, ...]
    kind: str
    topic: str
    handler: Handler
    subject: Callable[[Any], str] | None = None
    host: bool = False
    races: bool = False
    pages: Callable[[Any], Sequence[tuple[int, int]]] | None = None
    lead_name: str = "form"
    expand: Callable[[Any, bool], Iterator[Any]] | None = None
    by_profile: bool = False

    @property
    def explanation(self) -> Explanation:
        """What its handler's docstring says; read when it is first asked for."""
        return explanation(self.handler.__doc__ or "")

    @property
    def summary(self) -> str:
        """What it does, in one line."""
        return self.explanation.summary

    def usages(self) -> list[str]:
        """Its usage lines, one a form."""
        return [form.usage(self.verb) for form in self.forms]

    def form_for(self, word: str) -> Form | None:
        """The form that begins with this word."""
        for form in self.leads:
            if form.lead == word or (form.prefix and word.startswith(form.prefix)):
                return form
        return None

    @cached_property
    def leads(self) -> list[Form]:
        """The forms that a first word tells apart."""
        return [form for form in self.forms if form.lead]

    @cached_property
    def plain(self) -> Form | None:
        """The form without a first word of its own."""
        return next((form for form in self.forms if not form.lead), None)


class Registry:
    """The commands by verb, in the order in which they were declared."""

    def __init__(self) -> None:
        self.commands: dict[str, Command] = {}

    def __iter__(self) -> Iterator[Command]:
        return iter(self.commands.values())


registry = Registry()


def register(command: Command) -> None:
    """Add a command.

    Raises:
        ValueError: its verb is taken.
    """
    if command.verb in registry.commands:
        raise ValueError(f"the verb {command.verb} is taken")
    registry.commands[command.verb] = command


def command(
    verb: str,
    *forms: Form,
    kind: str,
    topic: str,
    subject: Callable[[Any], str] | None = None,
    host: bool = False,
    races: bool = False,
    pages: Callable[[Any], Sequence[tuple[int, int]]] | None = None,
    lead_name: str = "form",
    expand: Callable[[Any, bool], Iterator[Any]] | None = None,
    by_profile: bool = False,
) -> Callable[[Declared], Declared]:
    """Declare the decorated function as the handler of a command; the arguments are those of ``Command``."""

    def declare(handler: Declared) -> Declared:
        how = (subject, host, races, pages, lead_name, expand, by_profile)
        made = Command(verb, forms or (Form(),), kind, topic, handler, *how)
        register(made)
        return handler

    return declare
