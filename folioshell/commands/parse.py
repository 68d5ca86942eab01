"""The parser: a line becomes statements, by the declarations alone.

Rules:
- Nothing here looks at a session: a statement that can be parsed may still be refused when it is run, because a name
  does not exist.
- Errors say which words are allowed at that column, and the nearest one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from folioshell.commands.call import Call
from folioshell.commands.compare import Values
from folioshell.commands.grammar import COMPARISON, MODEL, Arg, Command, Flag, Form, Option, registry
from folioshell.commands.lex import Token, normal_text, statements
from folioshell.commands.operands import nearest, refused
from folioshell.commands.reading import FormWalk, form_of, opening, read_profiles, split_at_bracket, split_label
from folioshell.commands.statement import Arguments, Parsed, Round
from folioshell.errors import Refused
from folioshell.paths.step import Path
from folioshell.report import Report
from folioshell.session.history import Ending
from folioshell.session.language import Statement
from folioshell.session.session import Session
from folioshell.session.workspace import Workspace

#: what may stand after ``fails``
FAILURES = {
    "EINVAL": "an argument is invalid",
    "ENOMEM": "no VMA there, or no memory",
    "EEXIST": "something is already mapped there",
    "EFAULT": "a page could not be faulted in",
    "EACCES": "the file does not permit it",
    "EAGAIN": "the folio has extra references",
    "EBUSY": "it is in use",
    "ENOENT": "no such file or mapping",
    "EPERM": "not permitted",
    "EBADF": "neither a file nor swap to read from",
    "SIGSEGV": "an access raised SIGSEGV",
    "SIGBUS": "an access raised SIGBUS",
}


#: words of earlier versions of the language -> what stands for them now
RETIRED = {"expect drifts": "expect miscounts", "expect exclusions": "expect unlocked", "trace facts": "trace events"}
#: said where any command might stand
HELP = "`help` lists the commands"
#: what is often typed for an operator
_MISTAKEN = {"=": "==", "=<": "<=", "=>": ">=", "is": "==", "!": "!="}


class ParsedStatement(Parsed):
    """One command of a line, ready to be run in a session; see ``session.language.Statement``."""

    __slots__ = ()

    def path(self, workspace: Workspace, process: str) -> Path[Ending]:
        """The kernel path of a command that can race, to be driven by the caller.

        Raises:
            Refused: there is none in this state.
        """
        assert self.command.races, self.command.verb
        path: Path[Ending] = self._handle(Call(self, workspace, process, None))
        return path

    def apply(self, workspace: Workspace, process: str) -> Ending:
        """Run a model command; see ``Statement``."""
        if self.command.races:
            return workspace.machine.run(self.path(workspace, process))
        ending: Ending = self._handle(Call(self, workspace, process, None))
        return ending

    def pages(self, workspace: Workspace, process: str) -> Sequence[tuple[int, int]]:
        """The pages that a model command goes through; see ``Statement``."""
        call = Call(self, workspace, process, None)
        if self.command.pages is not None:
            return self.command.pages(call)
        if "PLACE" not in self.arguments:
            return ()
        found = call.own_range("PLACE")
        return [(found.start, found.nr)]

    def answer(self, session: Session, process: str) -> Sequence[Report]:
        """Run a command that is no step; see ``Statement``."""
        answer = self._handle(Call(self, session.workspace, process, session))
        return [answer] if isinstance(answer, Report) else list(answer)

    def expanded(self, ends: bool = False) -> Iterator[ParsedStatement]:
        """The commands that it stands for; see ``Statement``. With ``ends`` only the first and last of a loop."""
        if self.command.expand is None:
            yield self
        else:
            yield from self.command.expand(self, ends)

    def subject(self, workspace: Workspace, process: str) -> str:
        """Who did what, for the sentence after the step."""
        call = Call(self, workspace, process, None)
        return self.command.subject(call) if self.command.subject else f"{process} ran {self.command.verb}"

    def _handle(self, call: Call) -> Any:
        try:
            return (self.form.handler or self.command.handler)(call)
        except Refused as error:
            if error.file:
                raise
            raise self.placed(error) from error.__cause__


class Grammar:
    """The command language as a session uses it."""

    def parse(self, line: str) -> Sequence[Statement]:
        """The statements of a line.

        Raises:
            Refused: the line cannot be read; columns refer to it.
        """
        found = [_parse_statement(line, words) for words in statements(line)]
        for statement in found:
            if statement.command.expand is not None:
                # What is wrong in a loop shows before any of the line is run.
                deque(statement.expanded(ends=True), maxlen=0)
        return found


def _parse_statement(line: str, words: list[Token]) -> ParsedStatement:
    try:
        return read_statement(line, words)
    except Refused as error:
        if not error.text:
            error.text = line
        raise


def read_statement(line: str, words: list[Token], origin: Round | None = None) -> ParsedStatement:
    """The statement that some words of a line are; ``origin`` if that is the text of a loop's round.

    Raises:
        Refused: they are none; columns refer to the line.
    """
    label, expected, rest, bracket = opening(words)
    process, thread = split_label(label) if label is not None else (None, "")
    if expected is not None and expected.text not in FAILURES:
        hint = nearest(expected.text, FAILURES)
        raise refused(expected, "no such errno or signal", allowed=FAILURES, hint=hint)
    last = words[-1]
    if not rest:
        place = Token("", last.end, last.end + 1)
        raise refused(place, "a command is missing", hint=HELP)
    if rest[0].text == "fails" and expected is None:
        raise refused(Token("", rest[0].end, rest[0].end + 1), "an errno or signal is missing", allowed=FAILURES)
    command = _verb(rest)
    profiles = read_profiles(command, bracket)
    form, arguments = parse_form(command, rest[1:], rest[0])
    kind = MODEL if form.step_option in arguments else form.kind or command.kind
    if expected is not None and kind != MODEL:
        raise refused(
            rest[0], f"{command.verb} cannot fail in the kernel", hint="`fails` is for commands that change state"
        )
    text = normal_text(line, rest)
    if profiles:
        text = f"{command.verb}[{','.join(profiles)}]{text.removeprefix(command.verb)}"
    if expected is not None:
        text = f"fails {expected.text} {text}"
    start, end = words[0].start, last.end
    if origin is not None:
        start, end = origin.span(start, end)
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
        start=start,
        end=end,
        thread=thread,
        origin=origin,
        profiles=profiles,
    )


def _verb(words: Sequence[Token]) -> Command:
    token = words[0]
    command = registry.commands.get(token.text)
    if command is None or token.kind != "word":
        if token.kind == "block":
            raise refused(token, "a command is missing before the braces", hint="`race { A.t1: … ; A.t2: … }`")
        verb, profiles = split_at_bracket(token)
        if profiles is not None and verb.text in registry.commands:
            # A bracket that is closed is left here only if nothing follows it.
            message = "a command is missing" if token.text.endswith("]") else "the closing ] is missing"
            raise refused(Token("", token.end, token.end + 1), message, hint=f"`{verb.text}[6.1,5.10] …`")
        near = _term([word.text for word in words]) or nearest(token.text, registry.commands)
        raise refused(token, "unknown command", hint=f"{near} {HELP}" if near else HELP)
    return command


def _term(words: Sequence[str]) -> str:
    """A hint if a question or a term of the glossary was typed in place of a command."""
    from folioshell.commands.glossary import lookup, named_in

    text = " ".join(words)
    name = text if lookup(text) else named_in(words) if text.endswith("?") else ""
    return f"`help {name}` explains the term;" if name else ""


def parse_form(command: Command, words: Sequence[Token], verb: Token) -> tuple[Form, Arguments]:
    """Choose the form that the words have, and read them.

    Raises:
        Refused: they have none.
    """
    form, rest = form_of(command, words)
    if form is not None and form.lead:
        arguments = _Reader(command, form, rest, words[0]).read()
        arguments.put("lead", words[0].text, words[0])
        return form, arguments
    if form is None or (command.leads and words and not form.args):
        leads = [choice.lead for choice in command.leads]
        if not words:
            raise refused(Token("", verb.end, verb.end + 1), f"{command.verb} needs a word", allowed=leads)
        raise _retired(command, words[0]) or refused(
            words[0],
            f"`{command.verb}` has no {command.lead_name} `{words[0].text}`",
            allowed=leads,
            hint=nearest(words[0].text, leads),
        )
    return form, _Reader(command, form, rest, verb).read()


def _retired(command: Command, word: Token) -> Refused | None:
    """The error about a word of an earlier version of the language; None about any other."""
    new = RETIRED.get(f"{command.verb} {word.text}")
    return refused(word, f"`{command.verb} {word.text}` is now `{new}`") if new else None


class _Reader:
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
        if (retired := _retired(self.command, word)) is not None:
            return retired
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
