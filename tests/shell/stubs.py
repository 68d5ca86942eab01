"""Sessions, runs and people made by hand, for tests of the shell alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from io import StringIO

from folioshell.report import Report
from folioshell.script.script import ScriptEvent
from folioshell.session.host import Host
from folioshell.session.session import Session
from folioshell.session.step_report import Settings
from folioshell.session.workspace import Workspace
from folioshell.views.screen import Screen


class StubSession(Session):
    """Executes nothing: answers each line with what the test prepared for it."""

    def __init__(self, answers: dict[str, Report | BaseException]) -> None:
        self.answers = answers
        self.executed: list[str] = []
        self.finished = self.is_cut_off = False
        self.host = Host()
        self.settings = Settings()
        self.workspace = Workspace({}, (), {})
        self.teacher = None

    @property
    def prompt(self) -> str:
        return f"A {self.step}>"

    @property
    def step(self) -> int:
        return len(self.executed)

    def stream(self, line: str) -> Iterator[list[Report]]:
        answer = self.answers.get(line) or Report(line, "A", self.step, {"ok": True}, f"did {line}.")
        if isinstance(answer, BaseException):
            raise answer
        self.executed.append(line)
        self.finished = line == "quit"
        yield [answer]

    def script(self) -> list[str]:
        return list(self.executed)


class StubRunner:
    """A run in which happens what the test says."""

    def __init__(self, *played: ScriptEvent, status: int = 0, failed: int = 0) -> None:
        self.played = played
        self.session: Session = StubSession({})
        self.status = status
        self.steps = sum(1 for item in played if item.report is not None and item.report.step is not None)
        self.expects = sum(1 for item in played if item.report is not None and item.report.expect is not None)
        self.goldens = self.questions = self.tasks = 0
        self.skipped = 0
        self.failed = failed

    def __iter__(self) -> Iterator[ScriptEvent]:
        yield from self.played

    def showing(self) -> AbstractContextManager[None]:
        return nullcontext()


class Typist:
    """Somebody who types the given lines; an exception among them is what happens instead."""

    def __init__(self, *lines: str | BaseException) -> None:
        self.lines = list(lines)
        self.prompts: list[str] = []
        self.kept: list[str] = []
        self.warnings: list[str] = []

    def waiting(self) -> bool:
        return False

    def warn(self, text: str) -> None:
        self.warnings.append(text)

    def keep(self, text: str) -> bool:
        self.kept.append(text)
        return True

    def read(self, prompt: str) -> str:
        self.prompts.append(prompt)
        line = self.lines.pop(0) if self.lines else EOFError()
        if isinstance(line, BaseException):
            raise line
        return line


def plain_screen() -> tuple[Screen, StringIO]:
    """A plain screen and what will be written on it."""
    out = StringIO()
    return Screen(out, rich=False), out
