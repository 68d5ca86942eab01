"""Running a script: every command of it, what it reported, and the exit status.

Rules:
- A script is parsed whole before its first command runs.
- A failed ``expect`` does not stop it; a command does that is refused, fails without ``fails``, or does not under it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from folioshell.errors import OutOfTime, Refused, SchemeError
from folioshell.report import Report
from folioshell.script import script
from folioshell.script.deadline import Deadline
from folioshell.script.golden import Golden, compared
from folioshell.script.script_event import ScriptEvent, unexpected
from folioshell.script.verbs import included_script
from folioshell.session.access import Access
from folioshell.session.language import MODEL, OUTPUT, VIEW, Statement
from folioshell.session.limits import STRICT, Limits, raised_by
from folioshell.session.session import Session

PASSED, FAILED, REFUSED = 0, 1, 2

#: the lines that the reports of a line of a script are shown as
Render = Callable[[Sequence[Report]], list[str]]


#: failed expects of a run whose values are traced through the history, which replays it
EXPLAINED = 10

#: commands that are no steps and neither move in the history nor end the session
_STAYING = ("as ", "mark ", "branch", "set ", "watch", "unwatch", "save ", "source ", "load scheme ")


class Runner:
    """Iterate over it to run the script, once; then look at the attributes.

    Args:
        name: path of the script, ``-`` for standard input, or what messages call the text.
        text: the script; None to read it from ``name``.
        session: where it runs.
        until: stop when the session has done this many steps, and what follows them without being a step.
        access: what its commands may do with files.
        limits: how much it may grow, and how long it may take.
        until_line: stop behind this line of the script.
        render: the lines that reports are shown as in golden blocks; without it those are not compared.
        note: is told everything that happens before whoever iterates is.
        options: words that whoever runs the script again has to repeat, ``--scheme mine.py``.

    Attributes:
        session: stays usable afterwards (``-i``).
        status: 0 passed, 1 an expect or a command failed, 2 refused; final when the iteration has ended.
        steps, expects, goldens: numbers of steps done, of expects evaluated, of golden blocks compared.
        failed: number of expects and golden blocks that failed.
        line: line of the script's own that is being run, or that was run last, a ``source`` while what it names is; 0
            before the first.
        stopped: there was something that the script does not go on behind.
        place: (line, column), from 1, of the script's own command that is being run, a ``source`` while what it names
            is; column 0 is a golden block.
    """

    def __init__(
        self,
        name: str,
        text: str | None,
        session: Session,
        until: int | None,
        access: Access,
        *,
        limits: Limits = STRICT,
        until_line: int | None = None,
        render: Render | None = None,
        note: Callable[[ScriptEvent], None] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.session = session
        self.status = PASSED
        self.steps = 0
        self.expects = 0
        self.goldens = 0
        self.failed = 0
        self.line = 0
        self.place = (0, 0)
        self.stopped = False
        self._text = text
        self._until = until
        self._until_line = until_line
        self._access = access
        self._limits = limits
        self._deadline = Deadline(limits.seconds)
        self._render = render
        self._note = note
        self._options = options
        #: the session went back or forth in its history, so that its steps do not tell where it is
        self._moved = False

    def __iter__(self) -> Iterator[ScriptEvent]:
        session = self.session
        before = session.access, session.limits, session.settings.explain
        session.access, session.limits = self._access, self._limits
        try:
            for played in self._play_script(self.name, self._text):
                if self._note is not None:
                    self._note(played)
                yield played
        finally:
            session.access, session.limits, session.settings.explain = before

    def _play_script(self, name: str, text: str | None) -> Iterator[ScriptEvent]:
        try:
            lines = self._lines(name, text)
        except Refused as error:
            yield self._refuse(error, name, error.line, error.text)
            return
        for line in lines:
            if name == self.name and not self.stopped:
                self.line = line.number
            if line.prose is not None and not self._done(None):
                yield ScriptEvent(name, line.number, line.text, prose=line.prose)
            shown: list[Report] = []
            for statement in line.statements:
                if self._done(statement):
                    self.stopped = True
                    return
                if name == self.name:
                    number, _, first = line.written.row_of(statement.start)
                    self.place = (number, statement.start - first + 1)
                for played in self._play_statement(name, line, statement):
                    if played.report is not None:
                        shown.append(played.report)
                    yield played
            if line.golden is not None and self._render is not None and not self.stopped:
                if name == self.name:
                    self.place = (line.golden.number, 0)
                yield self._compared(name, line, line.golden, self._render(shown))

    def _lines(self, name: str, text: str | None) -> list[script.Line]:
        """The lines of a script, which is read unless it is at hand.

        Raises:
            Refused: it cannot be read.
        """
        text = script.read_text(name) if text is None else text
        try:
            with self._deadline.running():
                return script.parse(text, name, self.session.language)
        except OutOfTime:
            raise self._out_of_time(file=name) from None

    def _done(self, following: Statement | None) -> bool:
        """Is the run over before this statement, or before a line of prose?"""
        if self.stopped or self.session.finished:
            return True
        if self._until_line is not None and self.line > self._until_line:
            return True
        reached = self._until is not None and self.session.step >= self._until
        return reached and (following is None or not _stays(following))

    def _play_statement(self, name: str, line: script.Line, statement: Statement) -> Iterator[ScriptEvent]:
        self._moved |= statement.kind != MODEL and not _stays(statement)
        self.session.settings.explain = self.failed < EXPLAINED
        reports: Sequence[Report] = ()
        try:
            with self._deadline.running():
                included = included_script(self.session, statement)
                if included is None:
                    reports = self.session.run(statement)
        except Refused as error:
            yield self._refuse(script.located(error, name, line.written), name, line.number, line.text)
            return
        except OutOfTime:
            late = self._out_of_time(start=statement.start, end=statement.end, text=line.written.text)
            yield self._refuse(script.located(late, name, line.written), name, line.number, line.text)
            return
        except SchemeError as error:
            self.stopped = True
            self.status = max(self.status, FAILED)
            yield ScriptEvent(name, line.number, line.text, failure=f"a loaded definition failed: {error}")
            return
        if included is not None:
            yield from self._play_included(included)
        for report in reports:
            self._count(report)
            yield self._reported(name, line, statement, report)
            failure = unexpected(report, statement.expected)
            if failure:
                self.stopped = True
                self.status = max(self.status, FAILED)
                reopen = self._reopen(self.session.step - (report.step is not None), self.line - 1)
                column = statement.start + 1
                yield ScriptEvent(name, line.number, line.text, failure=failure, column=column, reopen=reopen)
                return

    def _reported(self, name: str, line: script.Line, statement: Statement, report: Report) -> ScriptEvent:
        """What a command did; a failed expect with the one line of several that it stands in."""
        expect = report.failed_expect
        if expect is None:
            return ScriptEvent(name, line.number, line.text, report=report, column=statement.start + 1)
        number, text, first = line.written.row_of(expect.start)
        report.expect = expect._replace(start=expect.start - first, end=expect.end - first)
        reopen = self._reopen(self.session.step, self.line)
        return ScriptEvent(name, number, text, report=report, column=statement.start - first + 1, reopen=reopen)

    def _compared(self, name: str, line: script.Line, golden: Golden, actual: Sequence[str]) -> ScriptEvent:
        found = compared(golden, actual)
        self.goldens += 1
        if not found.passed:
            self.failed += 1
            self.status = max(self.status, FAILED)
        reopen = "" if found.passed else self._reopen(self.session.step, self.line)
        return ScriptEvent(name, golden.number, line.text, golden=found, reopen=reopen)

    def _reopen(self, step: int, line: int) -> str:
        """The command that opens the shell after a step, or behind a line where steps do not tell the place."""
        if self._text is not None or self.name == "-":
            return ""
        # Needed when something failed only.
        from shlex import join

        allowed = [*["--allow-files"] * self._access.may_write, *["--allow-code"] * self._access.may_load]
        until = f"line:{line}" if self._moved else str(step)
        # A name that begins with a dash would be taken for an option.
        name = f"./{self.name}" if self.name.startswith("-") else self.name
        return join(["folioshell", "run", *self._options, *allowed, name, "--until", until, "-i"])

    def _play_included(self, path: str) -> Iterator[ScriptEvent]:
        access = self.session.access
        sources = (*access.sources, os.path.realpath(path))
        self.session.access = access._replace(folder=script.folder_of(path), sources=sources)
        try:
            yield from self._play_script(path, None)
        finally:
            self.session.access = access

    def _out_of_time(self, **place: Any) -> Refused:
        message = f"the script passes the limit of {self._deadline.seconds} seconds"
        return Refused(message, hint=raised_by("seconds"), **place)

    def _refuse(self, error: Refused, name: str, line: int, text: str) -> ScriptEvent:
        self.stopped = True
        self.status = REFUSED
        return ScriptEvent(error.file or name, error.line or line, text, refused=error)

    def _count(self, report: Report) -> None:
        if report.step is not None:
            self.steps += 1
        if report.expect is not None:
            self.expects += 1
            if report.failed_expect:
                self.failed += 1
                self.status = max(self.status, FAILED)


def _stays(statement: Statement) -> bool:
    """True for what is no step and leaves the session at its step."""
    return statement.kind in (VIEW, OUTPUT) or (statement.kind != MODEL and statement.text.startswith(_STAYING))


def run_file(
    path: str | os.PathLike[str],
    *,
    session: Session | None = None,
    until: int | None = None,
    until_line: int | None = None,
    allow_files: bool = False,
    allow_code: bool = False,
    confined: bool = True,
    limits: Limits = STRICT,
    render: Render | None = None,
    note: Callable[[ScriptEvent], None] | None = None,
    options: Sequence[str] = (),
) -> Runner:
    """A runner for a script file, ``-`` for standard input; nothing runs until it is iterated over.

    Args:
        path: where the script is.
        session: run in this one instead of a fresh one.
        until: stop when this many steps were done, and what follows them without being a step.
        until_line: stop behind this line.
        allow_files, allow_code: permit commands that write files, that load code.
        confined: ``source`` and ``load`` read only below the script's folder.
        limits: how much it may grow, and how long it may take.
        render: the lines that reports are shown as in golden blocks; without it those are not compared.
        note: is told everything that happens before whoever iterates is.
        options: words that whoever runs the script again has to repeat.
    A file that is missing, unreadable or cannot be parsed gives one ``ScriptEvent`` with ``refused`` and status 2.
    """
    name = os.fspath(path)
    folder = "" if name == "-" else script.folder_of(name)
    sources = () if name == "-" else (os.path.realpath(name),)
    access = Access(folder, confined, folder, allow_files, allow_code, sources)
    return Runner(
        name,
        None,
        session or Session(),
        until,
        access,
        limits=limits,
        until_line=until_line,
        render=render,
        note=note,
        options=options,
    )


def run_text(
    text: str,
    *,
    name: str = "-",
    session: Session | None = None,
    until: int | None = None,
    allow_files: bool = False,
    allow_code: bool = False,
    limits: Limits = STRICT,
    render: Render | None = None,
) -> Runner:
    """As ``run_file``, for a script already at hand (``-c``); ``source`` reads below the working directory."""
    access = Access("", True, "", allow_files, allow_code)
    return Runner(name, text, session or Session(), until, access, limits=limits, render=render)
