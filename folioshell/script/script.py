"""Scripts: from bytes to parsed lines, all of them before any is run; which files a script may read; writing files."""

from __future__ import annotations

import os
import re
import stat
import sys
from typing import TYPE_CHECKING

from folioshell.commands.call import Call
from folioshell.commands.lex import LogicalLine, is_for_class, is_golden, is_prose, logical_lines, scan
from folioshell.commands.parse import ParsedStatement
from folioshell.errors import Refused, reason_of
from folioshell.records import NamedTuple
from folioshell.report import Report
from folioshell.script.golden import Compared, Golden
from folioshell.script.lesson import ClassLine, ClassTask, Collector, Prediction
from folioshell.session.history import failure_of, is_failure
from folioshell.session.language import Language, Statement
from folioshell.session.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: optional first line of a script in this version of the language
MAGIC = "#!folioshell 1"
_MAGIC_FORM = re.compile(r"#!\s*folioshell\s+(\S+)\s*\Z")
#: maximum size of a script in bytes
SIZE = 1 << 24
#: maximum depth of nested `source` commands
DEPTH = 32


class ScriptLine(NamedTuple):
    """One line of a script that is not empty.

    Args:
        written: as it stands in the script; several physical lines if braces hold them together.
        statements: its commands.
        prose: Markdown for the reader; None if the line holds something else.
        comment: the text of a line that is a comment; None of any other.
        golden: the expected output of its commands, if the script has it.
        asked: the questions about its commands.
        task: the task that begins on it; it holds no commands then.
    """

    written: LogicalLine
    statements: tuple[Statement, ...] = ()
    prose: str | None = None
    golden: Golden | None = None
    comment: str | None = None
    asked: tuple[Prediction, ...] = ()
    task: ClassTask | None = None

    @property
    def number(self) -> int:
        """Of its first physical line, from 1."""
        return self.written.number

    @property
    def text(self) -> str:
        """As written."""
        return self.written.raw


class ScriptEvent(NamedTuple):
    """One thing that happened while a script ran: exactly one of prose to comment is set.

    Args:
        file, line: its place, lines from 1.
        text: the line as written.
        prose: Markdown for the reader.
        report: of a command; a failed ``expect`` is a report, too.
        failure: why the script stops with status 1: a command failed without ``fails``, or did not under it.
        refused: why the script stops with status 2.
        golden: the output of the line above, compared with its golden block.
        unreached: an assertion that `quit` left out; ``text`` is where it stands.
        unasked: what a race found that no ``expect`` asks for.
        comment: the text of a line that is one; only where reports carry everything (``Settings.full``).
        column: of the command, from 1; 0 without a command.
        reopen: the shell command that opens folioshell at a failure; empty if there is none, or no script file.
    """

    file: str
    line: int
    text: str
    prose: str | None = None
    report: Report | None = None
    failure: str | None = None
    refused: Refused | None = None
    golden: Compared | None = None
    unreached: str | None = None
    unasked: str | None = None
    comment: str | None = None
    column: int = 0
    reopen: str = ""


def unexpected(report: Report, expected: str) -> str:
    """Why a step did not end as expected; empty if it did.

    Args:
        expected: the errno or signal after ``fails``, or empty.
    """
    if report.result is None:
        return f"expected {expected}, but it did not complete" if expected else ""
    ending = failure_of(report.result)
    if expected:
        return "" if is_failure(report.result, expected) else f"expected {expected}, but it ended with {ending or 'ok'}"
    return f"failed with {ending} (`fails {ending} …` would expect that)" if ending else ""


def read_text(path: str) -> str:
    """The text of a script file, ``-`` for standard input.

    Raises:
        Refused: it cannot be read, or is not UTF-8 text.
    """
    try:
        if path == "-":
            data = sys.stdin.buffer.read(SIZE + 1)
        else:
            # pathlib would be a tenth of what a short script takes to start.
            with open(path, "rb") as stream:  # noqa: PTH123
                data = stream.read(SIZE + 1)
    except (OSError, ValueError) as error:
        raise Refused(f"cannot read {path}: {reason_of(error)}", file=path) from None
    if len(data) > SIZE:
        raise Refused(f"script too large: more than {SIZE >> 20}M bytes", file=path)
    return decoded(data, path)


def would_wait(path: str) -> bool:
    """True for a FIFO or device: reading it may block forever."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 - pathlib would be a tenth of what a short script takes to start
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def folder_of(path: str) -> str:
    """The folder of a script."""
    return path.rpartition("/")[0] or ("/" if path.startswith("/") else ".")


def below(folder: str, name: str) -> str:
    """The path of a script named relative to a folder; an absolute name is unchanged."""
    return name if name.startswith("/") or folder in ("", ".") else f"{folder}/{name}"


def decoded(data: bytes, name: str) -> str:
    """The text of UTF-8 bytes.

    Raises:
        Refused: they are not UTF-8; line and column are those of the first invalid byte.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        line = before.count("\n") + 1
        column = len(before) - before.rfind("\n") - 1
        text = data.split(b"\n")[line - 1].decode("utf-8", "replace").rstrip("\r")
        raise Refused("this is not UTF-8 text", start=column, end=column + 1, text=text, file=name, line=line) from None


def parse(text: str, name: str, language: Language) -> list[ScriptLine]:
    """The lines of a script, without empty ones.

    Args:
        name: what messages call the script.

    Raises:
        Refused: a line cannot be parsed; file, line and columns say where.
    """
    lines: list[ScriptLine] = []
    block: list[LogicalLine] = []
    collector = Collector(language)
    line = LogicalLine(1, "", "")
    try:
        for line in logical_lines(text.replace("\r\n", "\n")):
            if line.number == 1 and line.raw.startswith("#!"):
                _check_magic(line.raw)
            statements = tuple(language.parse(line.text))
            lines += _class_tasks(collector, line, statements)
            if is_for_class(line.text):
                continue
            if is_golden(line.text):
                _check_golden(line, block[-1] if block else lines[-1].written if lines else None, lines)
                block.append(line)
                lines[-1] = lines[-1]._replace(golden=Golden(block[0].number, tuple(one.raw for one in block)))
                continue
            block.clear()
            if is_prose(line.text):
                lines.append(ScriptLine(line, prose=scan(line.text)[0].text))
            elif statements:
                lines.append(ScriptLine(line, statements, asked=collector.asked()))
            elif (comment := comment_of(line.text)) and not line.raw.startswith("#!"):
                lines.append(ScriptLine(line, comment=comment))
        collector.check_no_question()
        lines += _of_task(collector.end_task())
    except Refused as error:
        raise located(error, name, line) from None
    return lines


def comment_of(line: str) -> str:
    """The comment that ends a line, or is all of it; empty if there is none."""
    words = scan(line)
    return words[-1].text if words and words[-1].kind == "comment" else ""


def _class_tasks(collector: Collector, line: LogicalLine, statements: Sequence[Statement]) -> list[ScriptLine]:
    """The lines for class up to this line, put together: returns the task that ends above it.

    Raises:
        Refused: this line may not stand here.
    """
    ended = None
    if is_for_class(line.text):
        for statement in statements:
            assert isinstance(statement, ParsedStatement)
            ended = collector.take(ClassLine(line, statement))
    elif statements or is_prose(line.text) or is_golden(line.text):
        ended = collector.end_task()
        if is_prose(line.text):
            collector.check_no_question()
    return _of_task(ended)


def _of_task(task: ClassTask | None) -> list[ScriptLine]:
    """The line of a task, if there is one."""
    return [] if task is None else [ScriptLine(task.line.written, task=task)]


#: columns of the places at which the questions about a line are checked: after its commands
_CHECKED = 1 << 20


def checks_at(line: ScriptLine) -> Iterator[tuple[tuple[int, int], tuple[Prediction, ClassLine]]]:
    """The checks of the questions about a line, each with its place in the run."""
    end = line.number + line.written.nr_lines - 1
    if line.golden is not None:
        end = line.golden.number + len(line.golden.written) - 1
    checks = [(asked, check) for asked in line.asked for check in (asked.line, *asked.wrong)]
    for at, check in enumerate(checks):
        yield (end, _CHECKED + at), check


def _check_golden(line: LogicalLine, above: LogicalLine | None, lines: list[ScriptLine]) -> None:
    """Check that a line of a golden block stands directly below its command.

    Raises:
        Refused: it does not.
    """
    what = "a golden block stands directly below the command whose output it is"
    end = len(line.text)
    if above is None or above.number + above.nr_lines != line.number or not lines[-1].statements:
        raise Refused("there is no command above this golden block", start=line.text.index(">"), end=end, hint=what)
    if any(has_command(statement, "source", "load") for statement in lines[-1].statements):
        hint = "put the block into the included script"
        raise Refused("`source` and `load` cannot have a golden block", start=line.text.index(">"), end=end, hint=hint)


def has_command(statement: Statement, *verbs: str) -> bool:
    """Is this a command with one of these verbs, or a loop that holds one?"""
    text = statement.text
    if text.startswith("for "):
        return any(f"{before} {verb}{after}" in text for verb in verbs for before in "{;" for after in " [")
    return text.split()[0].partition("[")[0] in verbs


def located(error: Refused, name: str, line: LogicalLine) -> Refused:
    """The same error, with its place in a script unless it already has one."""
    if not error.file:
        error.text = error.text or line.text
        error.line = error.line or line.number
        error = line.located(error)
        error.file = name
    return error


def _check_magic(line: str) -> None:
    form = _MAGIC_FORM.match(line)
    if form is None:
        raise Refused("a script for another program", start=0, end=len(line), hint=f"ours begin with `{MAGIC}`")
    if form[1] != "1":
        raise Refused(f"unknown version {form[1]} of the language", start=form.start(1), end=form.end(1), allowed=["1"])


def readable(call: Call, name: str = "FILE") -> str:
    """The path of the script that an argument of ``source``, ``load`` or ``learn`` names.

    Raises:
        Refused: access is denied, or it cannot be read or parsed.
    """
    access = call.session.host.access
    path = below(access.folder, call.word(name))
    try:
        real = os.path.realpath(path)
    except ValueError as error:
        raise call.refused_at(name, f"cannot read {path}: {reason_of(error)}") from None
    root = os.path.realpath(access.root or ".")
    if access.confined and os.path.commonpath([root, real]) != root:
        raise call.refused_at(
            name, "a script may read only files below its own folder", hint=f"that is {access.root or '.'}"
        )
    if access.confined and would_wait(real):
        raise call.refused_at(name, "not a regular file")
    if len(access.sources) >= DEPTH:
        raise call.refused_at(name, f"more than {DEPTH} nested scripts")
    if real in access.sources:
        raise call.refused_at(name, "this script is already being run: endless recursion")
    try:
        parse(read_text(path), path, call.session.language)
    except Refused as error:
        if error.line:
            raise
        raise call.refused_at(name, error.message) from None
    return path


def included_script(session: Session, statement: Statement) -> str | None:
    """The script that a ``source`` or ``load`` names; None for any other command.

    Raises:
        Refused: as in ``readable``.
    """
    if not isinstance(statement, ParsedStatement) or statement.command.verb not in ("source", "load"):
        return None
    if statement.form.lead:
        return None
    call = Call(statement, session.workspace, session.process, session)
    try:
        path = readable(call)
    except Refused as error:
        raise statement.placed(error) from None
    if statement.command.verb == "load":
        session.reset()
    return path
