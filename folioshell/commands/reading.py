"""Reading the words of a statement: which part of a declaration each word is, what may come next, what it says.

Parser, completion and hints walk over the words alike: the parser over whole statements (``FormReader``), the other
two as far as one is typed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from folioshell.commands.compare import Values
from folioshell.commands.grammar import COMPARISON, TEXT, Arg, Command, Flag, Form, LineText, Option
from folioshell.commands.lex import Token
from folioshell.commands.operands import nearest, read_name, refused
from folioshell.commands.statement import Arguments
from folioshell.errors import Refused
from folioshell.model.release import RELEASES
from folioshell.records import NamedTuple

#: a part of a form that a word may be
FormPart = Arg | Flag | Option | Values


#: words of earlier versions of the language -> what stands for them now
RETIRED = {"expect drifts": "expect miscounts", "expect exclusions": "expect unlocked", "trace facts": "trace events"}
#: what is often typed for an operator
_MISTAKEN = {"=": "==", "=<": "<=", "=>": ">=", "is": "==", "!": "!="}


class Opening(NamedTuple):
    """What stands before the verb of a statement.

    Args:
        label: the process or thread that runs it, with its colon: ``A.t1:``.
        failure: the errno or signal after ``fails``.
        words: the verb and what follows.
        profiles: what stands in brackets at the verb: ``6.1,5.10``.
        failing: what stands in brackets at ``fails``.
    """

    label: Token | None
    failure: Token | None
    words: list[Token]
    profiles: Token | None = None
    failing: Token | None = None


def opening(words: Sequence[Token]) -> Opening:
    """What stands before the verb, or in brackets at it.

    A ``fails`` or ``expect[6.1]`` without another word is left where the verb stands.
    """
    label = failure = profiles = failing = None
    rest = list(words)
    while rest and rest[0].kind == "word":
        text = rest[0].text
        if ":" in text and label is None:
            label, rest[:1] = split_at_colon(rest[0])
        elif text.startswith("fails") and is_fails(rest[0]) and failure is None and len(rest) > 1:
            failing, failure = split_at_bracket(rest[0])[1], rest[1]
            del rest[:2]
        else:
            break
    if len(rest) > 1 and rest[0].kind == "word" and rest[0].text.endswith("]"):
        rest[0], profiles = split_at_bracket(rest[0])
    return Opening(label, failure, rest, profiles, failing)


def is_fails(word: Token) -> bool:
    """Is a word ``fails``, or ``fails[6.1]`` with its brackets closed?"""
    return word.text == "fails" or (word.text.startswith("fails[") and word.text.endswith("]"))


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


def read_profiles(token: Token | None, command: Command | None = None) -> tuple[str, ...]:
    """The profiles in brackets at a verb or ``fails``, each once, in the order in which they were typed.

    Args:
        command: whose verb it is.

    Raises:
        Refused: the command has none, or there is no such profile.
    """
    if token is None:
        return ()
    if command is not None and not command.by_profile:
        hint = "`expect[6.1,5.10] …` limits an assertion to profiles, `fails[6.1,5.10] EINVAL …` a failure"
        raise refused(token, f"{command.verb} takes no profiles in brackets", hint=hint)
    column = token.start
    for word in token.text.split(","):
        if word not in RELEASES:
            part = Token(word, column, column + max(len(word), 1))
            raise refused(part, "no such profile", allowed=RELEASES, hint=nearest(word, RELEASES))
        column += len(word) + 1
    return tuple(dict.fromkeys(token.text.split(",")))


def form_of(command: Command, words: Sequence[Token]) -> tuple[Form | None, Sequence[Token]]:
    """(the form that the words after a verb have, those of them that do not choose it)."""
    if words and command.leads:
        lead = lead_of(words)
        chosen = command.form_for(lead.text)
        if chosen is not None:
            return chosen, [word for word in words if word is not lead]
    return command.plain, words


def lead_of(words: Sequence[Token]) -> Token:
    """The word that tells the forms of a command apart: the first that is no option."""
    return next((word for word in words if word.kind != "word" or "=" not in word.text), words[0])


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

    def part(self, word: Token, is_left_out: Callable[[Arg, int], bool]) -> FormPart | None:
        """Which part a word is; None if it has no place here.

        Args:
            is_left_out: whether an optional argument is, of one that stands before so many required ones.
        """
        form, waiting = self.form, self.waiting
        if word.kind == "operator" and form.compare is not None:
            return form.compare
        key, equals, _ = word.text.partition("=") if word.kind == "word" else ("", "", "")
        if equals and key in form.options_by_key:
            return form.options_by_key[key]
        required = sum(not arg.optional for arg in waiting) if waiting and waiting[0].optional else 0
        while required and waiting[0].optional and is_left_out(waiting[0], required):
            waiting.pop(0)
        first = waiting[0] if waiting else None
        if first is not None and not first.optional:
            return first
        if word.kind == "word" and word.text in form.flags_by_word:
            return form.flags_by_word[word.text]
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


def retired(command: Command, word: Token) -> Refused | None:
    """The error about a word of an earlier version of the language; None about any other."""
    new = RETIRED.get(f"{command.verb} {word.text}")
    return refused(word, f"`{command.verb} {word.text}` is now `{new}`") if new else None


class FormReader:
    """Reads the words of one form."""

    def __init__(self, command: Command, form: Form, words: Sequence[Token], before: Token) -> None:
        self.command = command
        self.form = form
        self.words = words
        self.before = before
        self.arguments = Arguments()
        self.walk = FormWalk(form)
        self.nr_left = 0

    def read(self) -> Arguments:
        """All the arguments.

        Raises:
            Refused: a word is wrong, is too many, or is missing.
        """
        if self.form.text is not None:
            self._read_text(self.form.text)
        compare = self.form.compare
        end = len(self.words)
        if compare is not None:
            end = next((at for at, word in enumerate(self.words) if word.kind == "operator"), end)
            self._check_operator(end)
        last = self.before
        for at, word in enumerate(self.words[:end]):
            self._take(word, end - at)
            last = word
        self._check_complete(last)
        if compare is not None and (end < len(self.words) or not compare.optional):
            comparison = compare.read(self.words[end:], last)
            self.arguments.put(COMPARISON, comparison, Token("", self.words[end].start, self.words[-1].end))
        return self.arguments

    def _read_text(self, text: LineText) -> None:
        """Take the text off the end of the words.

        Raises:
            Refused: it is missing.
        """
        *words, last = (self.before, *self.words)
        if last.kind == "text":
            self.arguments.put(TEXT, last.text, last)
            self.words = words[1:]
        elif not text.optional:
            raise self._missing(last, "the text", [text.usage] if text.bar else ())

    def _check_operator(self, end: int) -> None:
        mistaken = next((word for word in self.words if word.text in _MISTAKEN), None)
        if end == len(self.words) and mistaken is not None:
            raise refused(mistaken, "not an operator", hint=f"did you mean `{_MISTAKEN[mistaken.text]}`?")

    def _check_complete(self, last: Token) -> None:
        for arg in self.walk.waiting:
            if not arg.optional and not (arg.repeated and arg.name in self.arguments):
                # A name for what is missing is in the usage; words that may stand there are worth to be shown apart.
                raise self._missing(last, arg.operand.wanted, arg.operand.allowed)
        for option in self.form.options:
            if option.required and option.key not in self.arguments:
                raise self._missing(last, f"{option.key}=")

    def _missing(self, last: Token, what: str, allowed: Iterable[str] = ()) -> Refused:
        place = Token("", last.end, last.end + 1)
        hint = f"usage: {self.form.usage(self.command.verb)}"
        return refused(place, f"{what} is missing", allowed=allowed, hint=hint)

    def _take(self, word: Token, nr_left: int) -> None:
        self.nr_left = nr_left
        part = self.walk.part(word, self._is_left_out)
        if isinstance(part, Arg):
            self._take_argument(part, word)
        elif isinstance(part, Option):
            self._take_option(part, word)
        elif isinstance(part, Flag):
            self._take_flag(part, word)
        else:
            raise self._unexpected(word)
        self.walk.take(part)

    def _is_left_out(self, _: Arg, required: int) -> bool:
        """Are the words left only enough for the required arguments after an optional one?"""
        return self.nr_left <= required

    def _take_option(self, option: Option, word: Token) -> None:
        start = word.start + len(option.key) + 1
        value = Token(word.text[len(option.key) + 1 :], start, max(word.end, start + 1))
        if option.key in self.arguments:
            raise refused(word, f"{option.key}= is given twice")
        if option.group in self.walk.taken:
            other = next(
                one.key for one in self.form.options if one.group == option.group and one.key in self.arguments
            )
            raise refused(word, f"{option.key}= does not go with {other}=")
        if not value.text:
            raise refused(value, f"a value for {option.key}= is missing", hint=_without_blank(option))
        self.arguments.put(option.key, option.operand.read(value), value)

    def _take_flag(self, flag: Flag, word: Token) -> None:
        if flag.group in self.arguments:
            taken = self.arguments.get(flag.group, str)
            message = f"{flag.word} is given twice" if taken == flag.word else f"{flag.word} does not go with {taken}"
            raise refused(word, message)
        self.arguments.put(flag.group, flag.word, word)

    def _take_argument(self, arg: Arg, word: Token) -> None:
        if word.kind == "operator" or (word.kind == "block" and not arg.operand.block):
            raise self._unexpected(word)
        try:
            value = arg.operand.read(word)
        except Refused as error:
            # A number is meant for the argument, whatever is wrong with it; a word may be meant for an option.
            is_number = word.text[:1].isdigit()
            if arg.optional and not (error.allowed or is_number) and (self.form.flags or self.form.options):
                raise self._unexpected(word) from None
            raise
        put = self.arguments.append if arg.repeated else self.arguments.put
        put(arg.name, value, word)

    def _unexpected(self, word: Token) -> Refused:
        if (error := retired(self.command, word)) is not None:
            return error
        words = [_label(part) for part in self.walk.following() if not isinstance(part, Values)]
        if not words:
            return refused(word, "nothing more may follow here", hint=f"usage: {self.form.usage(self.command.verb)}")
        key, equals, _ = word.text.partition("=") if word.kind == "word" else ("", "", "")
        if equals:
            hint = nearest(f"{key}=", words)
            return refused(word, f"{self.command.verb} has no option {key}=", allowed=words, hint=hint)
        option = next((option for option in self.form.options if option.key == word.text), None)
        hint = _without_blank(option) if option is not None else nearest(word.text, words)
        return refused(word, "unexpected word", allowed=words, hint=hint)


def _label(part: Arg | Flag | Option) -> str:
    return f"{part.key}=" if isinstance(part, Option) else part.usage if isinstance(part, Arg) else part.word


def _without_blank(option: Option) -> str:
    return f"{option.usage.strip('[]')}, without a blank"
