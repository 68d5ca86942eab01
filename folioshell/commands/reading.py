"""The walk over the words of a statement: which part of a declaration each word is, and what may come next.

Parser, completion and hints read with it: the parser whole statements, the other two as far as one is typed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from folioshell.commands.compare import Values
from folioshell.commands.grammar import COMPARISON, Arg, Command, Flag, Form, Option
from folioshell.commands.lex import Token
from folioshell.commands.operands import nearest, read_name, refused
from folioshell.model.release import RELEASES

#: a part of a form that a word may be
FormPart = Arg | Flag | Option | Values


class Opening(NamedTuple):
    """What stands before the verb of a statement.

    Args:
        label: the process or thread that runs it, with its colon: ``A.t1:``.
        failure: the errno or signal after ``fails``.
        words: the verb and what follows.
        profiles: what stands in brackets at the verb: ``6.1,5.10``.
    """

    label: Token | None
    failure: Token | None
    words: list[Token]
    profiles: Token | None = None


def opening(words: Sequence[Token]) -> Opening:
    """What stands before the verb, or in brackets at it.

    A ``fails`` or ``expect[6.1]`` without another word is left where the verb stands.
    """
    label = failure = profiles = None
    rest = list(words)
    while rest and rest[0].kind == "word":
        if ":" in rest[0].text and label is None:
            label, rest[:1] = split_at_colon(rest[0])
        elif rest[0].text == "fails" and failure is None and len(rest) > 1:
            failure = rest[1]
            del rest[:2]
        else:
            break
    if len(rest) > 1 and rest[0].kind == "word" and rest[0].text.endswith("]"):
        rest[0], profiles = split_at_bracket(rest[0])
    return Opening(label, failure, rest, profiles)


def split_at_bracket(word: Token) -> tuple[Token, Token | None]:
    """(``expect``, ``6.1,5.10``) of ``expect[6.1,5.10]``, closed or not; None for a word without a bracket."""
    verb, bracket, inner = word.text.partition("[")
    if not bracket:
        return word, None
    inner = inner.removesuffix("]")
    start = word.start + len(verb) + 1
    return Token(verb, word.start, start - 1), Token(inner, start, start + max(len(inner), 1))


def split_at_colon(word: Token) -> tuple[Token, list[Token]]:
    """(``A.t1:``, what stands after it without a blank) of a word with a colon."""
    prefix, _, after = word.text.partition(":")
    label = Token(f"{prefix}:", word.start, word.end - len(after))
    return label, [Token(after, label.end, word.end)] if after else []


def split_label(label: Token) -> tuple[Token, str]:
    """(process, thread) of ``A.t1:``; the thread is empty for the main one.

    Raises:
        Refused: one of them is no name.
    """
    name, dot, thread = label.text.removesuffix(":").partition(".")
    process = Token(name, label.start, label.start + max(len(name), 1))
    read_name(process)
    if dot:
        start = process.end + 1
        read_name(Token(thread, start, start + max(len(thread), 1)))
    return process, thread


def read_profiles(command: Command, token: Token | None) -> tuple[str, ...]:
    """The profiles in brackets at a verb, each once, in the order in which they were typed.

    Raises:
        Refused: the command has none, or there is no such profile.
    """
    if token is None:
        return ()
    if not command.by_profile:
        hint = "`expect[6.1,5.10] …` limits an assertion to profiles"
        raise refused(token, f"{command.verb} takes no profiles in brackets", hint=hint)
    column = token.start
    for word in token.text.split(","):
        if word not in RELEASES:
            part = Token(word, column, column + max(len(word), 1))
            raise refused(part, "no such profile", allowed=RELEASES, hint=nearest(word, RELEASES))
        column += len(word) + 1
    return tuple(dict.fromkeys(token.text.split(",")))


def form_of(command: Command, words: Sequence[Token]) -> tuple[Form | None, Sequence[Token]]:
    """(the form that the words after a verb have, those of them that follow its first word)."""
    if words and command.leads:
        chosen = command.form_for(words[0].text)
        if chosen is not None:
            return chosen, words[1:]
    return command.plain, words


class FormWalk:
    """A walk over the words of one form.

    Attributes:
        waiting: arguments still to come.
        taken: names of the options and groups of flags that were given.
        comparing: an operator was met.
    """

    def __init__(self, form: Form) -> None:
        self.form = form
        self.waiting = list(form.args)
        self.taken: set[str] = set()
        self.comparing = False
        self._flags = {flag.word: flag for flag in form.flags}
        self._options = {option.key: option for option in form.options}

    def part(self, word: Token, is_left_out: Callable[[Arg, int], bool]) -> FormPart | None:
        """Which part a word is; None if it has no place here.

        Args:
            is_left_out: whether an optional argument is, of one that stands before so many required ones.
        """
        key, equals, _ = word.text.partition("=") if word.kind == "word" else ("", "", "")
        if word.kind == "operator" and self.form.compare is not None:
            return self.form.compare
        if equals and key in self._options:
            return self._options[key]
        required = sum(not arg.optional for arg in self.waiting) if self.waiting and self.waiting[0].optional else 0
        while required and self.waiting[0].optional and is_left_out(self.waiting[0], required):
            self.waiting.pop(0)
        first = next(iter(self.waiting), None)
        if first is not None and not first.optional:
            return first
        if word.kind == "word" and word.text in self._flags:
            return self._flags[word.text]
        return None if equals else first

    def take(self, part: FormPart) -> None:
        """Continue after a word that is this part."""
        if isinstance(part, Arg):
            if not part.repeated:
                self.waiting.pop(0)
        elif isinstance(part, Flag):
            self.taken.add(part.group)
        elif isinstance(part, Option):
            self.taken |= {part.key, part.group} - {""}
        else:
            self.waiting.clear()
            self.taken.add(COMPARISON)
            self.comparing = True

    def following(self) -> Iterator[FormPart]:
        """What may come next, what must come first: nothing else before a required argument."""
        compare = self.form.compare
        if self.comparing and compare is not None:
            yield compare
            return
        if any(not arg.optional for arg in self.waiting):
            for arg in self.waiting:
                yield arg
                if not arg.optional:
                    return
        free = [option for option in self.form.options if not {option.key, option.group} & self.taken]
        yield from (option for option in free if option.required)
        yield from self.waiting
        if compare is not None:
            yield compare
        yield from (flag for flag in self.form.flags if flag.group not in self.taken)
        yield from (option for option in free if not option.required)
