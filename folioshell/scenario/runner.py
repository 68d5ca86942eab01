"""Running a script: every command of it, what it reported, and the exit status.

Rules:
- A script is parsed whole before its first command runs.
- A failed ``expect`` does not stop it; a command does that is refused, fails without ``fails``, or does not under it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from folioshell.errors import Refused, SchemeError
from folioshell.report import Report
from folioshell.scenario import script
from folioshell.scenario.verbs import included_script
from folioshell.session.access import Access
from folioshell.session.language import Statement
from folioshell.session.session import Session
from folioshell.session.workspace import is_failure

PASSED, FAILED, REFUSED = 0, 1, 2


class Played(NamedTuple):
    """One thing that happened while a script ran: exactly one of the last four is set.

    Args:
        file, line: where, lines from 1.
        text: the line as written.
        prose: Markdown for the reader.
        report: what a command did or answered; a failed ``expect`` is a report too.
        failure: why the script stops here with status 1: a command failed without ``fails``, or did not under it.
        refused: why the script stops here with status 2.
    """

    file: str
    line: int
    text: str
    prose: str | None = None
    report: Report | None = None
    failure: str | None = None
    refused: Refused | None = None


class Runner:
    """Iterate over it to run the script, once; then look at the attributes.

    Args:
        name: path of the script, ``-`` for standard input, or what messages call the text.
        text: the script; None to read it from ``name``.
        session: where it runs.
        until: stop when the session has done this many steps.
        access: what its commands may do with files.

    Attributes:
        session: stays usable afterwards (``-i``).
        status: 0 passed, 1 an expect or a command failed, 2 refused; final when the iteration has ended.
        steps, expects, failed: numbers of steps done, of expects evaluated, and of those that failed.
    """

    def __init__(self, name: str, text: str | None, session: Session, until: int | None, access: Access) -> None:
        self.name = name
        self.session = session
        self.status = PASSED
        self.steps = 0
        self.expects = 0
        self.failed = 0
        self._text = text
        self._until = until
        self._access = access
        self._stopped = False

    def __iter__(self) -> Iterator[Played]:
        before = self.session.access
        self.session.access = self._access
        try:
            yield from self._play_script(self.name, self._text)
        finally:
            self.session.access = before

    def _play_script(self, name: str, text: str | None) -> Iterator[Played]:
        try:
            lines = script.parse(script.read_text(name) if text is None else text, name, self.session.language)
        except Refused as error:
            yield self._refuse(error, name, error.line, error.text)
            return
        for line in lines:
            if line.prose is not None and not self._done():
                yield Played(name, line.number, line.text, prose=line.prose)
            for statement in line.statements:
                if self._done():
                    return
                yield from self._play_statement(name, line, statement)

    def _done(self) -> bool:
        reached = self._until is not None and self.session.step >= self._until
        return self._stopped or reached or self.session.finished

    def _play_statement(self, name: str, line: script.Line, statement: Statement) -> Iterator[Played]:
        try:
            included = included_script(self.session, statement)
            if included is not None:
                yield from self._play_included(included)
                return
            reports = self.session.run(statement)
        except Refused as error:
            yield self._refuse(script.located(error, name, line.written), name, line.number, line.text)
            return
        except SchemeError as error:
            self._stopped = True
            self.status = max(self.status, FAILED)
            yield Played(name, line.number, line.text, failure=f"a loaded definition failed: {error}")
            return
        for report in reports:
            self._count(report)
            yield Played(name, line.number, line.text, report=report)
            failure = unexpected(report, statement.expected)
            if failure:
                self._stopped = True
                self.status = max(self.status, FAILED)
                yield Played(name, line.number, line.text, failure=failure)
                return

    def _play_included(self, path: str) -> Iterator[Played]:
        access = self.session.access
        sources = (*access.sources, os.path.realpath(path))
        self.session.access = access._replace(folder=script.folder_of(path), sources=sources)
        try:
            yield from self._play_script(path, None)
        finally:
            self.session.access = access

    def _refuse(self, error: Refused, name: str, line: int, text: str) -> Played:
        self._stopped = True
        self.status = REFUSED
        return Played(error.file or name, error.line or line, text, refused=error)

    def _count(self, report: Report) -> None:
        if report.step is not None:
            self.steps += 1
        if report.expect is not None:
            self.expects += 1
            if not report.expect.passed:
                self.failed += 1
                self.status = max(self.status, FAILED)


def unexpected(report: Report, expected: str) -> str:
    """Why a step did not end as its script says; empty if it did.

    Args:
        expected: the errno or signal after ``fails``, or empty.
    """
    if report.result is None:
        return f"{expected} expected, it did not come to an end" if expected else ""
    ending = report.result.get("errno") or next((row[2] for row in report.result.get("signals", ())), "")
    if expected:
        return "" if is_failure(report.result, expected) else f"{expected} expected, it ended with {ending or 'ok'}"
    return f"failed with {ending}, which `fails {ending} …` would expect" if ending else ""


def run_file(
    path: str | os.PathLike[str],
    *,
    session: Session | None = None,
    until: int | None = None,
    allow_files: bool = False,
    allow_code: bool = False,
    confined: bool = True,
) -> Runner:
    """A runner for a script file, ``-`` for standard input; nothing runs until it is iterated over.

    Args:
        path: where the script is.
        session: run in this one instead of a fresh one.
        until: stop when this many steps were done.
        allow_files, allow_code: permit commands that write files, that load code.
        confined: ``source`` and ``load`` read only below the script's folder.
    A file that is missing, unreadable or cannot be parsed gives one ``Played`` with ``refused`` and status 2.
    """
    name = os.fspath(path)
    folder = "" if name == "-" else script.folder_of(name)
    sources = () if name == "-" else (os.path.realpath(name),)
    access = Access(folder, confined, folder, allow_files, allow_code, sources)
    return Runner(name, None, session or Session(), until, access)


def run_text(
    text: str,
    *,
    name: str = "-",
    session: Session | None = None,
    until: int | None = None,
    allow_files: bool = False,
    allow_code: bool = False,
) -> Runner:
    """As ``run_file``, for a script already at hand (``-c``); ``source`` reads below the working directory."""
    access = Access("", True, "", allow_files, allow_code)
    return Runner(name, text, session or Session(), until, access)
