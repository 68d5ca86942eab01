"""Scripts as pytest sees them: a file, with an item for each assertion, and the run that its items share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import Any

import pytest

from folioshell.errors import Refused
from folioshell.records import NamedTuple
from folioshell.script import Session, script
from folioshell.script.golden import WIDTH
from folioshell.script.loading import load_into
from folioshell.script.runner import Runner, run_file
from folioshell.script.script import ScriptEvent
from folioshell.session.host import STRICT, read_limits
from folioshell.shell.replay import failure_text, golden_lines
from folioshell.views.plain import render
from folioshell.views.refusal_view import bug_blocks, refusal_blocks


class ScriptFailed(Exception):
    """An assertion of a script failed; the text is the whole report."""


class ScriptFile(pytest.File):
    """A script. Its items share one run, which is advanced to the item that pytest runs."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        schemes = [str(path) for path in self.config.getini("folioshell_scheme")]
        check = self.config.getini("folioshell_check")
        self.replay = ScriptReplay(self._shown_path(), schemes, self.config.getini("folioshell_limit"), check=check)

    def _shown_path(self) -> str:
        """The path relative to where pytest was started."""
        here = self.config.invocation_params.dir
        return str(self.path.relative_to(here)) if self.path.is_relative_to(here) else str(self.path)

    def collect(self) -> Iterator[pytest.Item]:
        """An item for each expect, golden block and included script, and one for the script as a whole."""
        name = self.replay.name
        try:
            lines = script.parse(script.read_text(os.fspath(self.path)), name, Session().language)
        except Refused as error:
            # Raised here it would stop the collection, and the tests of all other files with it.
            yield UnreadableItem.from_parent(self, name="cannot be read", error=error)
            return
        taken: set[str] = set()
        for key, number, text in _checks(lines):
            title = f"{number}: {text}"
            if title in taken:
                title = f"{number}:{key.column}: {text}"
            taken.add(title)
            yield ScriptItem.from_parent(self, name=title, key=key)
        yield ScriptItem.from_parent(self, name="runs to its end", key=END)

    def teardown(self) -> None:
        """Free the session: there may be many scripts."""
        self.replay.drop()


class ScriptItem(pytest.Item):
    """One assertion of a script, at ``key``."""

    def __init__(self, *, key: Key, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.key = key

    def runtest(self) -> None:
        """Advance the run to this place, unless it is there already."""
        assert isinstance(self.parent, ScriptFile)
        if failure := self.parent.replay.failure_at(self.key):
            raise ScriptFailed(failure)
        if skipped := self.parent.replay.skipped.get(self.key):
            pytest.skip(skipped)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The same as `folioshell run` prints."""
        if isinstance(excinfo.value, ScriptFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """The place in the script."""
        return self.path, self.key.line - 1 if self.key != END else None, self.name


class UnreadableItem(pytest.Item):
    """Stands for a script that cannot be read or parsed: an error of that file alone."""

    def __init__(self, *, error: Refused, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.error = error

    def setup(self) -> None:
        """Say what is wrong, with a caret under the place: in the setup it is an error rather than a failure."""
        pytest.fail(refusal_text(self.error), pytrace=False)

    def runtest(self) -> None:
        """Not reached."""

    def reportinfo(self) -> tuple[os.PathLike[str] | str, int | None, str]:
        """The place in the script."""
        return self.path, self.error.line - 1 if self.error.line else None, self.name


def _checks(lines: list[script.ScriptLine]) -> Iterator[tuple[Key, int, str]]:
    """(place in the run, number of the line, text) of the assertions of a script."""
    for line in lines:
        for statement in line.statements:
            if script.has_command(statement, "expect", "source", "load"):
                number, _, first = line.written.row_of(statement.start)
                yield Key(number, statement.start - first + 1), number, statement.text.removeprefix("expect ")
        if line.golden is not None:
            yield Key(line.golden.number, 0), line.golden.number, f"output of {line.statements[-1].text}"
        for place, (_, check) in script.checks_at(line):
            yield Key(*place), check.written.number, check.statement.text.partition(" | ")[0]
        for solution in line.task.solutions if line.task is not None else ():
            number = solution.line.written.number
            yield Key(number, 1), number, solution.line.statement.text


class Key(NamedTuple):
    """A place in a script: line and column, both from 1; column 0 is a golden block."""

    line: int
    column: int


#: the end of the script
END = Key(sys.maxsize, 0)


class ScriptReplay:
    """A run of one script, advanced as far as its items ask.

    Args:
        name: path of the script, as messages show it.
        schemes: files with schemes that also count.
        limits: resource limits, in the syntax of ``--limit``.
        check: check all invariants of the model after each step.

    Attributes:
        skipped: place of an assertion of other profiles -> what is said of it.
    """

    def __init__(
        self, name: str, schemes: Sequence[str] = (), limits: Sequence[str] = (), *, check: bool = False
    ) -> None:
        self.name = name
        self._limits = limits
        self._check = check
        self._schemes = schemes
        self.skipped: dict[Key, str] = {}
        self._failures: dict[Key, list[str]] = {}
        #: the current place, or END; and the last assertion that was evaluated
        self._place = self._asserted = Key(0, 0)
        self._stopped = ""
        self._over = False
        self._runner: Runner | None = None
        self._events: Iterator[ScriptEvent] = iter(())

    def failure_at(self, key: Key) -> str:
        """What failed at a place; empty if nothing did. At END: why the script did not get there."""
        while not self._over and self._place <= key != self._asserted:
            if self._runner is None:
                self._begin()
            self._step()
        if key in self._failures:
            return "\n".join(self._failures[key])
        if key > self._place:
            return self._stopped if key == END else f"not reached: {self._stopped}"
        return ""

    def drop(self) -> None:
        """Free the session; known results are kept, and another item restarts the script."""
        self._runner, self._events = None, iter(())

    def _begin(self) -> None:
        session = Session(counting=())
        session.host.clock = monotonic
        session.settings.check = self._check
        for path in self._schemes:
            load_into(session, path)
        options = [word for path in self._schemes for word in ("--scheme", path)]
        options += [word for text in self._limits for word in ("--limit", text)]
        chosen = {name: most for text in self._limits for name, most in read_limits(text).items()}
        self._failures.clear()
        self._runner = run_file(
            self.name, session=session, limits=STRICT._replace(**chosen), render=golden_lines, options=options
        )
        self._events = iter(self._runner)

    def _step(self) -> None:
        """Advance by one script event."""
        assert self._runner is not None
        try:
            event = next(self._events, None)
        except Exception as error:  # noqa: BLE001 - an internal error fails the script
            self._stopped = render(bug_blocks(error), WIDTH).rstrip()
            event = None
        self._place = Key(*self._runner.place)
        if event is None:
            self._end(self._runner)
            return
        failure = ""
        with self._runner.showing():
            failure = failure_text(event)
        if failure:
            # A race fails the script as a whole, and so does what `quit` left out of a file that the script includes.
            place = END if event.unasked or event.unreached else self._place
            self._failures.setdefault(place, []).append(failure)
        if event.failure is not None or event.refused is not None:
            self._stopped = failure
        if event.report and event.report.skipped and event.file == self.name:
            self.skipped[self._place] = event.report.sentence
        # The assertions of a loop share their place: all of them must be evaluated.
        done = event.golden is not None or (event.report and event.report.expect and not self._runner.looping)
        if event.file == self.name and done:
            self._asserted = self._place

    def _end(self, runner: Runner) -> None:
        self._over = True
        if runner.has_quit:
            self._stopped = self._stopped or f"`quit` ended the script at line {self._place.line}"
        elif not self._stopped:
            self._place = END
        self.drop()


def refusal_text(error: Refused) -> str:
    """A refusal with its place and caret."""
    return render(refusal_blocks(error, WIDTH), WIDTH).rstrip()
