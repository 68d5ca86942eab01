"""One run of a script, done as far as somebody asks, and what failed where."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import NamedTuple

from folioshell.errors import Refused
from folioshell.script import Session
from folioshell.script.definitions import define
from folioshell.script.golden import WIDTH
from folioshell.script.runner import Runner, run_file
from folioshell.script.script_event import ScriptEvent
from folioshell.session.limits import STRICT, read_limits
from folioshell.shell.failures import failure_text, golden_lines
from folioshell.views.plain import render
from folioshell.views.refusal_view import bug_blocks, refusal_blocks


class Key(NamedTuple):
    """A place in a script: line and column, both from 1; column 0 is a golden block."""

    line: int
    column: int


#: behind all of the script
END = Key(sys.maxsize, 0)


class ScriptReplay:
    """A run of one script; asked for what failed at a place, it goes on until that is behind.

    Args:
        name: path of the script, as messages show it.
        schemes: files with definitions that count, too.
        limits: how much it may do, as ``--limit`` takes it.
        check: verify every invariant of the model after each step.
    """

    def __init__(
        self, name: str, schemes: Sequence[str] = (), limits: Sequence[str] = (), *, check: bool = False
    ) -> None:
        self.name = name
        self._limits = limits
        self._check = check
        self._schemes = schemes
        self._failures: dict[Key, list[str]] = {}
        #: what is being run, or END; and the last assertion that was evaluated
        self._place = self._asserted = Key(0, 0)
        self._stopped = ""
        self._over = False
        self._runner: Runner | None = None
        self._played: Iterator[ScriptEvent] = iter(())

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
        """Let go of the session; what is known stays known, and the rest is run from the beginning when it is asked."""
        self._runner, self._played = None, iter(())

    def _begin(self) -> None:
        session = Session()
        session.clock = monotonic
        session.settings.check = self._check
        for path in self._schemes:
            define(session, path)
        options = [word for path in self._schemes for word in ("--scheme", path)]
        options += [word for text in self._limits for word in ("--limit", text)]
        chosen = {name: most for text in self._limits for name, most in read_limits(text).items()}
        self._failures.clear()
        self._runner = run_file(
            self.name, session=session, limits=STRICT._replace(**chosen), render=golden_lines, options=options
        )
        self._played = iter(self._runner)

    def _step(self) -> None:
        """Let one more thing happen."""
        assert self._runner is not None
        try:
            played = next(self._played, None)
        except Exception as error:  # noqa: BLE001 - a bug of ours fails the script that met it
            self._stopped = render(bug_blocks(error), WIDTH).rstrip()
            played = None
        self._place = Key(*self._runner.place)
        if played is None:
            self._end(self._runner)
            return
        if failure := failure_text(played):
            self._failures.setdefault(self._place, []).append(failure)
        if played.failure is not None or played.refused is not None:
            self._stopped = failure
        if played.file == self.name and (played.golden is not None or (played.report and played.report.expect)):
            self._asserted = self._place

    def _end(self, runner: Runner) -> None:
        self._over = True
        if runner.session.finished:
            self._stopped = self._stopped or f"the script ends at line {self._place.line}"
        elif not self._stopped:
            self._place = END
        self.drop()


def refusal_text(error: Refused) -> str:
    """A refusal with its place and caret."""
    return render(refusal_blocks(error, WIDTH), WIDTH).rstrip()
