"""The parser: a line becomes statements, by the declarations alone.

Rules:
- Nothing here looks at a session: a statement that can be parsed may still be refused when it is run, because a name
  does not exist.
- Errors say which words are allowed at that column, and the nearest one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

from folioshell.commands.call import Call
from folioshell.commands.grammar import MODEL, Command, Form, registry
from folioshell.commands.lex import Token, is_for_class, normal_text, statements
from folioshell.commands.operands import nearest, refused
from folioshell.commands.reading import (
    FormReader,
    form_of,
    is_fails,
    lead_of,
    opening,
    read_profiles,
    retired,
    split_at_bracket,
    split_label,
)
from folioshell.commands.statement import Arguments, Parsed, Round
from folioshell.errors import Refused
from folioshell.paths import Path
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
    "ERESTARTNOINTR": "faults were faster; to be called again",
    "SIGSEGV": "an access raised SIGSEGV",
    "SIGBUS": "an access raised SIGBUS",
}


#: said where any command might stand
HELP = "`help` lists the commands"


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
        words = statements(line)
        if len(words) > 1 and is_for_class(line):
            hint = f"`{words[0][0].text}` stands on a line of its own"
            first, *_ = words[1]
            raise Refused("nothing more may follow here", start=first.start, end=first.end, text=line, hint=hint)
        found = [_parse_statement(line, one) for one in words]
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
    label, expected, rest, bracket, failing = opening(words)
    process, thread = split_label(label) if label is not None else (None, "")
    if expected is not None and expected.text not in FAILURES:
        hint = nearest(expected.text, FAILURES)
        raise refused(expected, "no such errno or signal", allowed=FAILURES, hint=hint)
    last = words[-1]
    if not rest:
        place = Token("", last.end, last.end + 1)
        raise refused(place, "a command is missing", hint=HELP)
    if expected is None and is_fails(rest[0]):
        raise refused(Token("", rest[0].end, rest[0].end + 1), "an errno or signal is missing", allowed=FAILURES)
    command = _verb(rest)
    if command.verb.startswith("?") and (rest[0] is not words[0] or origin is not None or not is_for_class(line)):
        raise refused(rest[0], f"`{command.verb}` begins a line of its own")
    profiles, failing_under = read_profiles(bracket, command), read_profiles(failing)
    form, arguments = parse_form(command, rest[1:], rest[0])
    kind = MODEL if form.step_option and form.step_option in arguments else form.kind or command.kind
    if expected is not None and kind != MODEL:
        raise refused(
            rest[0], f"{command.verb} cannot fail in the kernel", hint="`fails` is for commands that change state"
        )
    text = normal_text(line, rest)
    if profiles:
        text = f"{command.verb}[{','.join(profiles)}]{text.removeprefix(command.verb)}"
    if expected is not None:
        under = f"[{','.join(failing_under)}]" if failing_under else ""
        text = f"fails{under} {expected.text} {text}"
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
        failing_under=failing_under,
    )


def _verb(words: Sequence[Token]) -> Command:
    token = words[0]
    command = registry.commands.get(token.text)
    if command is None or token.kind != "word":
        if token.text.startswith("?"):
            ours = [verb for verb in registry.commands if verb.startswith("?")]
            raise refused(token, "no such line for class", allowed=ours, hint=nearest(token.text, ours))
        if token.kind == "block":
            raise refused(token, "a command is missing before the braces", hint="`race { A.t1: … ; A.t2: … }`")
        verb, profiles = split_at_bracket(token)
        if profiles is not None and (verb.text == "fails" or verb.text in registry.commands):
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
        lead = lead_of(words)
        arguments = FormReader(command, form, rest, lead).read()
        arguments.put("lead", lead.text, lead)
        return form, arguments
    if form is None or (command.leads and words and not form.args):
        leads = [choice.lead for choice in command.leads]
        if not words:
            raise refused(Token("", verb.end, verb.end + 1), f"{command.verb} needs a word", allowed=leads)
        raise retired(command, words[0]) or refused(
            words[0],
            f"`{command.verb}` has no {command.lead_name} `{words[0].text}`",
            allowed=leads,
            hint=nearest(words[0].text, leads),
        )
    return form, FormReader(command, form, rest, verb).read()
