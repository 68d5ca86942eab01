"""Running a script: every command of it, what it reported, and the exit status.

Rules:
- A script is parsed whole before its first command runs.
- A failed ``expect`` does not stop it; a refused command does, one that fails without ``fails``, and one that does not
  fail under it.
- ``quit`` ends its own file only. Assertions after it fail the run: they were meant to hold, and it is unknown whether
  they do.
- So does a race that finds something, unless an ``expect`` asks for that before the next race.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from folioshell.errors import LoadedCodeError, Refused
from folioshell.records import dataclass, field
from folioshell.report import Report
from folioshell.script import script
from folioshell.script.budget import EXCEEDED, Budget, Telling
from folioshell.script.golden import Golden, compared
from folioshell.script.lesson import ClassLine, ClassTask, check_of_solution, check_of_wrong, goal_item
from folioshell.script.script import ScriptEvent, unexpected
from folioshell.session.host import STRICT, Access, Limits
from folioshell.session.language import MODEL, Statement, stays
from folioshell.session.session import Session

PASSED, FAILED, REFUSED = 0, 1, 2

#: the output of a line: its reports as lines of text
Render = Callable[[Sequence[Report]], list[str]]


#: number of failed expects whose values are traced through the history, which costs a replay each
EXPLAINED = 10


@dataclass(eq=False)
class Runner:
    """Runs a script while it is iterated over, once; then the attributes are final.

    Args:
        name: path of the script, ``-`` for standard input, or what messages call the text.
        text: the script; None to read it from ``name``.
        session: where it runs.
        access: which files its commands may read and write.
        until: stop after this many steps and the commands that follow them without being steps.
        until_line: stop after this line of the script.
        limits: resource limits, including time.
        render: renders the output that golden blocks are compared with; None: do not compare.
        note: called with each event before it is handed out.
        options: words to repeat when the script is run again: ``--scheme mine.py``.
        typed: the text was typed at a prompt: ``quit`` ends the session, and a race may find what it likes.

    Attributes:
        session: stays usable afterwards (``-i``).
        status: 0 passed, 1 an expect or a command failed, 2 refused.
        steps, expects, goldens: numbers of steps, of evaluated expects, of compared golden blocks.
        questions, tasks: numbers of questions that were answered, and of tasks.
        skipped: number of expects of other profiles.
        failed: number of expects and golden blocks that failed.
        line: the current or last line of the script itself, not of one that it includes; 0 before the first.
        place: (line, column), from 1, of its current command; column 0 is a golden block.
        stopped: a refusal or an unexpected failure stopped the script.
        has_quit: ``quit`` ended it.
        looping: its current command belongs to a loop.
    """

    name: str
    text: str | None
    session: Session
    access: Access
    until: int | None = None
    until_line: int | None = None
    limits: Limits = STRICT
    render: Render | None = None
    note: Callable[[ScriptEvent], None] | None = None
    options: Sequence[str] = ()
    typed: bool = False
    status: int = field(default=PASSED, init=False)
    steps: int = field(default=0, init=False)
    expects: int = field(default=0, init=False)
    goldens: int = field(default=0, init=False)
    questions: int = field(default=0, init=False)
    tasks: int = field(default=0, init=False)
    skipped: int = field(default=0, init=False)
    failed: int = field(default=0, init=False)
    line: int = field(default=0, init=False)
    place: tuple[int, int] = field(default=(0, 0), init=False)
    stopped: bool = field(default=False, init=False)
    has_quit: bool = field(default=False, init=False)
    looping: bool = field(default=False, init=False)
    #: the session has moved in its history, so a number of steps does not identify the place
    _moved: bool = field(default=False, init=False)
    #: the last race that found something, and the kinds of findings that no expect asked for yet
    _race: ScriptEvent | None = field(default=None, init=False)
    _unasked: list[str] = field(default_factory=list, init=False)
    #: what was done with the last event exceeded the limits
    _exceeded: BaseException | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._budget = Budget(self.limits)

    def __iter__(self) -> Iterator[ScriptEvent]:
        session = self.session
        before = session.host.access, session.host.limits, session.settings.explain
        session.host.access, session.host.limits = self.access, self.limits
        try:
            for event in self._play():
                if self.note is not None:
                    with self.showing():
                        self.note(event)
                yield event
                if self._exceeded is not None and not self.stopped:
                    late = self._cut_short(self._exceeded, event.file, event.line, event.text)
                    if self.note is not None:
                        self.note(late)
                    yield late
                # A report that no one has any more when the next command runs is never made in full.
                del event
        finally:
            session.host.access, session.host.limits, session.settings.explain = before

    def showing(self) -> AbstractContextManager[None, bool | None]:
        """Count what the caller does with an event against the limits; the next event says what exceeded them."""
        return nullcontext() if self.stopped else Telling(self._budget, self._note_excess)

    def _note_excess(self, error: BaseException) -> None:
        self._exceeded = error

    def _play(self) -> Iterator[ScriptEvent]:
        yield from self._play_script(self.name, self.text)
        if not self.stopped:
            yield from self._unasked_findings()
        self.session.finished |= self.typed and self.has_quit

    def _play_script(self, name: str, text: str | None) -> Iterator[ScriptEvent]:
        try:
            lines = self._lines(name, text)
        except Refused as error:
            yield self._refuse(error, name, error.line, error.text)
            return
        for at, line in enumerate(lines):
            if name == self.name and not self.stopped:
                self.line = line.number
            says = line.prose is not None or (line.comment is not None and self.session.settings.full)
            if says and not self._done(None):
                yield ScriptEvent(name, line.number, line.text, prose=line.prose, comment=line.comment)
            nr_done = yield from self._play_line(name, line)
            if line.task is not None and not self._done(None):
                yield from self._play_task(name, line.task)
            if self.session.finished:
                yield from self._quit(name, [line._replace(statements=line.statements[nr_done:]), *lines[at + 1 :]])
                return
            if self.stopped:
                return

    def _at(self, name: str, place: tuple[int, int]) -> None:
        """The run is at a place; one in a script that is included does not count."""
        self.place = place if name == self.name else self.place

    def _play_line(self, name: str, line: script.ScriptLine) -> Generator[ScriptEvent, None, int]:
        """Run the commands of a line; returns how many were run, until one ended the script."""
        shown: list[Report] = []
        if line.asked and not self._done(line.statements[0]):
            for asked in line.asked:
                yield from _prose(name, asked.line, "", f"? {asked.line.text}")
        for at, statement in enumerate(line.statements):
            number, _, first = line.written.row_of(statement.start)
            self._at(name, (number, statement.start - first + 1))
            for event in self._play_expanded(name, line, statement):
                if event.report is not None and line.golden is not None:
                    shown.append(event.report)
                yield event
                del event
            # A loop that `quit` leaves is not done.
            nr_done = at if self.looping else at + 1
            if self.session.finished and nr_done < len(line.statements):
                return nr_done
        if line.golden is not None and self.render is not None and not self.stopped:
            self._at(name, (line.golden.number, 0))
            try:
                with self._budget.running():
                    event = self._compared(name, line, line.golden, self.render(shown))
            except EXCEEDED as error:
                event = self._cut_short(error, name, line.golden.number, line.text)
            yield event
        if line.asked and not self.stopped:
            yield from self._check_asked(name, line)
        return len(line.statements)

    def _check_asked(self, name: str, line: script.ScriptLine) -> Iterator[ScriptEvent]:
        """Answer the questions about a line that has run, and check what their author says of the answers."""
        actual = ""
        for place, (asked, check) in script.checks_at(line):
            self._at(name, place)
            if check is not asked.line:
                report = check_of_wrong(self.session, check, actual)
                yield self._reported(name, script.ScriptLine(check.written), check.statement, report)
                continue
            self.questions += 1
            for event in self._play_statement(name, script.ScriptLine(check.written), check.statement):
                if event.report is not None and event.report.expect is not None:
                    actual = event.report.expect.actual
                yield event
            if self.stopped:
                return
            for after in asked.after:
                yield from _prose(name, after, after.text)

    def _play_task(self, name: str, task: ClassTask) -> Iterator[ScriptEvent]:
        """Say what a task wants, and check its solutions; the state stays that before it."""
        self.tasks += 1
        yield from _prose(name, task.line, "", f"Task {task.name}: {task.line.text}", *map(goal_item, task.goals))
        for solution in task.solutions:
            written = solution.line.written
            self._at(name, (written.number, 1))
            try:
                with self._budget.running():
                    report = check_of_solution(self.session, task, solution)
            except EXCEEDED as error:
                yield self._cut_short(error, name, written.number, written.raw)
                return
            yield self._reported(name, script.ScriptLine(written), solution.line.statement, report)

    def _play_expanded(self, name: str, line: script.ScriptLine, statement: Statement) -> Iterator[ScriptEvent]:
        """Run a command, or those of a loop."""
        try:
            for one in statement.expanded():
                if self._done(one):
                    self.stopped = True
                if self.stopped or self.session.finished:
                    return
                self.looping = one is not statement
                yield from self._play_statement(name, line, one)
        except Refused as error:
            yield self._refuse(script.located(error, name, line.written), name, line.number, line.text)

    def _quit(self, name: str, left: Sequence[script.ScriptLine]) -> Iterator[ScriptEvent]:
        """``quit`` ended a script: the assertions that it left out."""
        self.session.finished = False
        self.has_quit |= name == self.name
        for line in left:
            for one in line.asked:
                what = one.line.statement.text.partition(" | ")[0]
                self.status = max(self.status, FAILED)
                yield ScriptEvent(name, one.line.written.number, one.line.written.raw, unreached=what, column=1)
            for statement in line.statements:
                if script.has_command(statement, "expect"):
                    number, text, first = line.written.row_of(statement.start)
                    what = statement.text.removeprefix("expect ")
                    self.status = max(self.status, FAILED)
                    yield ScriptEvent(name, number, text, unreached=what, column=statement.start - first + 1)
            if line.golden is not None and line.statements:
                what = f"output of {line.statements[-1].text}"
                self.status = max(self.status, FAILED)
                yield ScriptEvent(name, line.golden.number, line.text, unreached=what)

    def _lines(self, name: str, text: str | None) -> list[script.ScriptLine]:
        """The parsed lines of a script; ``text`` None: read it.

        Raises:
            Refused: it cannot be read or parsed.
        """
        text = script.read_text(name) if text is None else text
        try:
            with self._budget.running():
                return script.parse(text, name, self.session.language)
        except EXCEEDED as error:
            late = self._budget.refusal(error)
            late.file = name
            raise late from None

    def _done(self, following: Statement | None) -> bool:
        """Does the run end before this statement, or before a line of prose?"""
        if self.stopped:
            return True
        if self.until_line is not None and self.line > self.until_line:
            return True
        reached = self.until is not None and self.session.step >= self.until
        return reached and (following is None or not stays(following))

    def _play_statement(self, name: str, line: script.ScriptLine, statement: Statement) -> Iterator[ScriptEvent]:
        self._moved |= statement.kind != MODEL and not stays(statement)
        self.session.settings.explain = self.failed < EXPLAINED
        reports: Sequence[Report] = ()
        verdict = self.session.verdict
        try:
            with self._budget.running():
                included = script.included_script(self.session, statement)
                if included is None:
                    reports = self.session.run(statement)
        except Refused as error:
            yield self._refuse(script.located(error, name, line.written), name, line.number, line.text)
            return
        except EXCEEDED as error:
            late = self._budget.refusal(error)
            late.start, late.end, late.text = statement.start, statement.end, line.written.text
            yield self._refuse(script.located(late, name, line.written), name, line.number, line.text)
            return
        except LoadedCodeError as error:
            self.stopped = True
            self.status = max(self.status, FAILED)
            yield ScriptEvent(name, line.number, line.text, failure=str(error))
            return
        if included is not None:
            yield from self._play_included(included)
        elif self.session.verdict not in (None, verdict):
            yield from self._unasked_findings()
            self._note_race(ScriptEvent(name, line.number, line.text, column=statement.start + 1))
        for report in reports:
            yield self._reported(name, line, statement, report)
            failure = unexpected(report, statement.expected_under(self.session.profile))
            if failure:
                self.stopped = True
                self.status = max(self.status, FAILED)
                reopen = self._reopen(self.session.step - (report.step is not None), self.line - 1)
                column = statement.start + 1
                yield ScriptEvent(name, line.number, line.text, failure=failure, column=column, reopen=reopen)
                return

    def _reported(self, name: str, line: script.ScriptLine, statement: Statement, report: Report) -> ScriptEvent:
        """The report of a command, counted; a failed expect with its place in a line of several physical lines."""
        self._count(report)
        expect = report.failed_expect
        if expect is None:
            return ScriptEvent(name, line.number, line.text, report=report, column=statement.start + 1)
        number, text, first = line.written.row_of(expect.start)
        report.expect = expect._replace(start=expect.start - first, end=expect.end - first)
        reopen = self._reopen(self.session.step, self.line)
        return ScriptEvent(name, number, text, report=report, column=statement.start - first + 1, reopen=reopen)

    def _note_race(self, race: ScriptEvent) -> None:
        """A race has just been explored: from now on an expect may ask for what it found."""
        verdict = self.session.verdict
        if verdict is not None and not self.typed:
            self._race, self._unasked = race, verdict.kinds

    def _unasked_findings(self) -> Iterator[ScriptEvent]:
        """The findings of the last race for which no expect asked."""
        if self._race is not None and self._unasked:
            self.status = max(self.status, FAILED)
            yield self._race._replace(unasked=" and ".join(self._unasked))
        self._race, self._unasked = None, []

    def _compared(self, name: str, line: script.ScriptLine, golden: Golden, actual: Sequence[str]) -> ScriptEvent:
        found = compared(golden, actual)
        self.goldens += 1
        if not found.passed:
            self.failed += 1
            self.status = max(self.status, FAILED)
        reopen = "" if found.passed else self._reopen(self.session.step, self.line)
        return ScriptEvent(name, golden.number, line.text, golden=found, reopen=reopen)

    def _reopen(self, step: int, line: int) -> str:
        """The command that opens folioshell after a step, or after a line where steps do not identify the place."""
        if self.text is not None or self.name == "-":
            return ""
        # Imported for a failure only.
        from shlex import join

        allowed = [*["--allow-files"] * self.access.may_write, *["--allow-code"] * self.access.may_load]
        until = f"line:{line}" if self._moved else str(step)
        # A name that begins with a dash would be taken for an option.
        name = f"./{self.name}" if self.name.startswith("-") else self.name
        return join(["folioshell", "run", *self.options, *allowed, name, "--until", until, "-i"])

    def _play_included(self, path: str) -> Iterator[ScriptEvent]:
        access = self.session.host.access
        sources = (*access.sources, os.path.realpath(path))
        self.session.host.access = access._replace(folder=script.folder_of(path), sources=sources)
        try:
            yield from self._play_script(path, None)
        finally:
            self.session.host.access = access

    def _cut_short(self, exceeded: BaseException, name: str, line: int, text: str) -> ScriptEvent:
        error = self._budget.refusal(exceeded)
        error.file, error.line, error.text = name, line, text
        return self._refuse(error, name, line, text)

    def _refuse(self, error: Refused, name: str, line: int, text: str) -> ScriptEvent:
        self.stopped = True
        self.status = REFUSED
        return ScriptEvent(error.file or name, error.line or line, text, refused=error)

    def _count(self, report: Report) -> None:
        if report.step is not None:
            self.steps += 1
        self.skipped += report.skipped
        if report.expect is not None:
            self.expects += report.expect.kind == "expect"
            asked = report.expect.text.split()[0]
            self._unasked = [kind for kind in self._unasked if kind != asked]
            if report.failed_expect:
                self.failed += 1
                self.status = max(self.status, FAILED)


def _prose(name: str, line: ClassLine, *texts: str) -> Iterator[ScriptEvent]:
    """What a line for class says to the reader."""
    return (ScriptEvent(name, line.written.number, line.written.raw, prose=text) for text in texts)


def run_file(
    path: str | os.PathLike[str],
    *,
    session: Session | None = None,
    allow_files: bool = False,
    allow_code: bool = False,
    confined: bool = True,
    **settings: Any,
) -> Runner:
    """A runner for a script file, ``-`` for standard input; nothing runs until it is iterated over.

    Args:
        path: of the script.
        session: run in this one instead of a fresh one.
        allow_files, allow_code: permit commands that write files, that load code.
        confined: ``source`` and ``load`` read only below the script's folder.
        settings: ``until``, ``until_line``, ``limits``, ``render``, ``note`` and ``options`` of Runner.
    A file that is missing, unreadable or cannot be parsed gives one ``ScriptEvent`` with ``refused`` and status 2.
    """
    name = os.fspath(path)
    folder = "" if name == "-" else script.folder_of(name)
    sources = () if name == "-" else (os.path.realpath(name),)
    access = Access(folder, confined, folder, allow_files, allow_code, sources)
    return Runner(name, None, session or Session(counting=()), access, **settings)


def run_text(
    text: str,
    *,
    name: str = "-",
    session: Session | None = None,
    allow_files: bool = False,
    allow_code: bool = False,
    **settings: Any,
) -> Runner:
    """As ``run_file``, for a text (``-c``); ``source`` reads below the working directory."""
    access = Access("", True, "", allow_files, allow_code)
    return Runner(name, text, session or Session(counting=()), access, **settings)
