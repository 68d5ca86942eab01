"""The parser: a line becomes statements, by the declarations alone.

Rules:
- Nothing here looks at a session: a statement that can be parsed may still be refused when it is run, because a name
  does not exist.
- Errors say which words are allowed at that column, and the nearest one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from folioshell.commands.arguments import Arguments
from folioshell.commands.grammar import COMPARISON, MODEL, Arg, Command, Flag, Form, Option, registry
from folioshell.commands.lex import Token, normal_text, statements
from folioshell.commands.operands import nearest, read_name, refused
from folioshell.commands.statement import ParsedStatement
from folioshell.errors import Refused
from folioshell.session.language import Statement

#: what may stand after ``fails``
FAILURES = {
    "EINVAL": "an argument is invalid",
    "ENOMEM": "no VMA there, or no memory",
    "EEXIST": "something is mapped there",
    "EFAULT": "a page could not be faulted in",
    "EACCES": "the file does not permit it",
    "EAGAIN": "somebody holds a reference",
    "EBUSY": "somebody uses it",
    "ENOENT": "there is no such thing",
    "EPERM": "not permitted",
    "EBADF": "there is no file, and no swap either",
    "SIGSEGV": "an access was answered with SIGSEGV",
    "SIGBUS": "an access was answered with SIGBUS",
}


#: said where any command might stand
HELP = "`help` lists the commands"
#: what is often typed for an operator
_MISTAKEN = {"=": "==", "=<": "<=", "=>": ">=", "is": "==", "!": "!="}


class Grammar:
    """The command language as a session uses it."""

    def parse(self, line: str) -> Sequence[Statement]:
        """The statements of a line.

        Raises:
            Refused: the line cannot be read; columns refer to it.
        """
        return [_parse_statement(line, words) for words in statements(line)]


def _parse_statement(line: str, words: list[Token]) -> ParsedStatement:
    try:
        return read_statement(line, words)
    except Refused as error:
        if not error.text:
            error.text = line
        raise


def read_statement(line: str, words: list[Token]) -> ParsedStatement:
    """The statement that some words of a line are.

    Raises:
        Refused: they are none; columns refer to the line.
    """
    process: Token | None = None
    expected: Token | None = None
    thread = ""
    rest = list(words)
    while rest:
        word = rest[0]
        if word.kind == "word" and ":" in word.text and process is None:
            process, thread, remainder = split_prefix(word)
            rest[0:1] = remainder
        elif word.kind == "word" and word.text == "fails" and expected is None:
            expected = _expected_failure(rest)
            del rest[:2]
        else:
            break
    last = words[-1]
    if not rest:
        place = Token("", last.end, last.end + 1)
        raise refused(place, "a command is missing", hint=HELP)
    command = _verb(rest[0])
    form, arguments = parse_form(command, rest[1:], rest[0])
    kind = MODEL if form.step_option in arguments else form.kind or command.kind
    if expected is not None and kind != MODEL:
        raise refused(rest[0], f"{command.verb} cannot fail in the kernel", hint="`fails` goes with what changes state")
    text = normal_text(line, rest)
    if expected is not None:
        text = f"fails {expected.text} {text}"
    return ParsedStatement(
        text=text,
        process=process.text if process else "",
        process_token=process,
        expected=expected.text if expected else "",
        kind=kind,
        command=command,
        form=form,
        arguments=arguments,
        line=line,
        start=words[0].start,
        end=words[-1].end,
        thread=thread,
    )


def split_prefix(word: Token) -> tuple[Token, str, list[Token]]:
    """(process, thread, what follows) of ``A.t1:``; the thread is empty for the main one.

    Raises:
        Refused: one of them is no name.
    """
    prefix, _, rest = word.text.partition(":")
    name, dot, thread = prefix.partition(".")
    process = Token(name, word.start, word.start + max(len(name), 1))
    read_name(process)
    if dot:
        start = process.end + 1
        read_name(Token(thread, start, start + max(len(thread), 1)))
    return process, thread, [Token(rest, word.start + len(prefix) + 1, word.end)] if rest else []


def _expected_failure(rest: list[Token]) -> Token:
    if len(rest) < 2:
        place = Token("", rest[0].end, rest[0].end + 1)
        raise refused(place, "an errno or signal is missing", allowed=FAILURES)
    if rest[1].text not in FAILURES:
        hint = nearest(rest[1].text, FAILURES)
        raise refused(rest[1], "no such errno or signal", allowed=FAILURES, hint=hint)
    return rest[1]


def _verb(token: Token) -> Command:
    command = registry.commands.get(token.text)
    if command is None or token.kind != "word":
        if token.kind == "block":
            raise refused(token, "a command is missing before the braces", hint="`race { A.t1: … ; A.t2: … }`")
        near = nearest(token.text, registry.commands)
        raise refused(token, "unknown command", hint=f"{near} {HELP}" if near else HELP)
    return command


def parse_form(command: Command, words: Sequence[Token], verb: Token) -> tuple[Form, Arguments]:
    """Choose the form that the words have, and read them.

    Raises:
        Refused: they have none.
    """
    plain = command.plain
    if command.leads:
        if words:
            form = command.form_for(words[0].text)
            if form is not None:
                arguments = _read_form(command, form, words[1:], words[0])
                arguments.put("lead", words[0].text, words[0])
                return form, arguments
            if plain is None or not plain.args:
                raise _no_form(command, words[0])
        elif plain is None:
            place = Token("", verb.end, verb.end + 1)
            raise refused(place, f"{command.verb} wants a word", allowed=[form.lead for form in command.leads])
    assert plain is not None
    return plain, _read_form(command, plain, words, verb)


def _read_form(command: Command, form: Form, words: Sequence[Token], before: Token) -> Arguments:
    if form.compare is None:
        return _Reader(command, form, words, before).read()
    at = next((place for place, word in enumerate(words) if word.kind == "operator"), len(words))
    mistaken = next((word for word in words if word.text in _MISTAKEN), None)
    if at == len(words) and mistaken is not None:
        raise refused(mistaken, "not an operator", hint=f"did you mean `{_MISTAKEN[mistaken.text]}`?")
    arguments = _Reader(command, form, words[:at], before).read()
    last = words[at - 1] if at else before
    comparison = form.compare(words[at:], last)
    arguments.put(COMPARISON, comparison, Token("", words[at].start, words[-1].end))
    return arguments


def _no_form(command: Command, word: Token) -> Refused:
    leads = [form.lead for form in command.leads]
    return refused(word, f"{command.verb} knows no such word", allowed=leads, hint=nearest(word.text, leads))


class _Reader:
    """Reads the words of one form."""

    def __init__(self, command: Command, form: Form, words: Sequence[Token], before: Token) -> None:
        self.command = command
        self.form = form
        self.words = words
        self.before = before
        self.arguments = Arguments()
        self.waiting = list(form.args)
        self.flags = {flag.word: flag for flag in form.flags}
        self.options = {option.key: option for option in form.options}
        self.groups: dict[str, str] = {}

    def read(self) -> Arguments:
        """All the arguments.

        Raises:
            Refused: a word is wrong, is too many, or is missing.
        """
        last = self.before
        for place, word in enumerate(self.words):
            self._skip_optional(len(self.words) - place)
            self._take(word)
            last = word
        missing = [
            arg for arg in self.waiting if not arg.optional and not (arg.repeated and arg.name in self.arguments)
        ]
        required = [option for option in self.form.options if option.required and option.key not in self.arguments]
        if missing:
            operand = missing[0].operand
            # A name for what is missing is in the usage; words that may stand there are worth to be shown apart.
            raise self._missing(last, operand.wanted, operand.allowed)
        if required:
            raise self._missing(last, f"{required[0].key}=")
        return self.arguments

    def _skip_optional(self, nr_left: int) -> None:
        """An optional argument before required ones is left out if the words left are only enough for those."""
        required = sum(not arg.optional for arg in self.waiting)
        while required and self.waiting[0].optional and nr_left <= required:
            self.waiting.pop(0)

    def _missing(self, last: Token, what: str, allowed: Iterable[str] = ()) -> Refused:
        place = Token("", last.end, last.end + 1)
        hint = f"usage: {self.form.usage(self.command.verb)}"
        return refused(place, f"{what} is missing", allowed=allowed, hint=hint)

    def _take(self, word: Token) -> None:
        key, equals, _ = word.text.partition("=")
        if equals and word.kind == "word" and key in self.options:
            self._take_option(self.options[key], word)
        elif self.waiting and not self.waiting[0].optional:
            self._take_argument(self.waiting[0], word)
        elif word.text in self.flags and word.kind == "word":
            self._take_flag(self.flags[word.text], word)
        elif self.waiting and not (equals and word.kind == "word"):
            self._take_argument(self.waiting[0], word)
        else:
            raise self._unexpected(word, key if equals else "")

    def _take_option(self, option: Option, word: Token) -> None:
        start = word.start + len(option.key) + 1
        value = Token(word.text[len(option.key) + 1 :], start, max(word.end, start + 1))
        if option.key in self.arguments:
            raise refused(word, f"{option.key}= stands twice")
        if option.group and option.group in self.groups:
            raise refused(word, f"{option.key}= does not go with {self.groups[option.group]}=")
        if not value.text:
            hint = f"{option.usage.strip('[]')}, without a blank"
            raise refused(value, f"a value for {option.key}= is missing", hint=hint)
        self.groups[option.group or option.key] = option.key
        self.arguments.put(option.key, option.operand.read(value), value)

    def _take_flag(self, flag: Flag, word: Token) -> None:
        if flag.group in self.arguments:
            taken = self.arguments.get(flag.group, str)
            message = f"{flag.word} stands twice" if taken == flag.word else f"{flag.word} does not go with {taken}"
            raise refused(word, message)
        self.arguments.put(flag.group, flag.word, word)

    def _take_argument(self, arg: Arg, word: Token) -> None:
        if word.kind == "operator" or (word.kind == "block" and not arg.operand.block):
            raise self._unexpected(word, "")
        try:
            value = arg.operand.read(word)
        except Refused as error:
            # A number is meant for the argument, whatever is wrong with it; a word may be meant for an option.
            is_number = word.text[:1].isdigit()
            if arg.optional and not (error.allowed or is_number) and (self.flags or self.options):
                raise self._unexpected(word, "") from None
            raise
        if arg.repeated:
            self.arguments.append(arg.name, value, word)
        else:
            self.arguments.put(arg.name, value, word)
            self.waiting.pop(0)

    def _unexpected(self, word: Token, key: str) -> Refused:
        words = [arg.usage for arg in self.waiting]
        words += [flag.word for flag in self.form.flags if flag.group not in self.arguments]
        words += [f"{key}=" for key in self.options if key not in self.arguments]
        if not words:
            usage = f"usage: {self.form.usage(self.command.verb)}"
            return refused(word, "nothing more may follow here", hint=usage)
        if key:
            hint = nearest(f"{key}=", words)
            return refused(word, f"{self.command.verb} has no option {key}=", allowed=words, hint=hint)
        option = self.options.get(word.text)
        hint = f"{option.usage.strip('[]')}, without a blank" if option is not None else nearest(word.text, words)
        return refused(word, "this word has no place here", allowed=words, hint=hint)
