"""Showing what a script does while it runs: as at the prompt, or only what went wrong."""

from __future__ import annotations

from folioshell.errors import Refused
from folioshell.script.runner import FAILED, REFUSED, Runner
from folioshell.script.script_event import ScriptEvent
from folioshell.shell.failures import failure_blocks
from folioshell.shell.presenter import Presenter
from folioshell.shell.reproducer import statements
from folioshell.shell.waiting import waited_for
from folioshell.views.answer_view import Place
from folioshell.views.blocks import Line, Span, Tone
from folioshell.views.glyphs import visible
from folioshell.views.screen import Screen
from folioshell.wording import counted


class Replay:
    """Shows runs, one after another.

    Args:
        screen: where reports go.
        errors: where refusals go.
        echo: show each line as it would stand behind the prompt.
        quiet: show only what went wrong.
        summary: end each run with a line about it.
        updating: golden blocks are rewritten afterwards, so that it is no failure if they differ.
    """

    def __init__(
        self, screen: Screen, errors: Screen, *, echo: bool, quiet: bool, summary: bool, updating: bool = False
    ) -> None:
        self.screen = screen
        self.errors = errors
        self.echo = echo
        self.quiet = quiet
        self.summary = summary
        self.updating = updating
        self._presenter: Presenter
        self._echoed = ("", 0)
        self._last = ""
        self._prose: list[str] = []
        self._lines: dict[tuple[str, int], str] = {}

    def run(self, runner: Runner, name: str) -> int:
        """Run a script to its end, showing it; returns its status. ``name`` is what it is called."""
        self._presenter = Presenter(runner.session, self.screen, self.errors)
        self._echoed = ("", 0)
        self._lines = {}
        before = runner.session.script()
        played = waited_for(runner, runner.session, self.screen)
        while True:
            prompt = runner.session.prompt
            happened = next(played, None)
            if happened is None:
                break
            if happened.prose is None:
                self._tell()
                self._show(happened, prompt)
            elif not self.quiet:
                self._prose.append(visible(happened.prose))
        self._tell()
        if self.summary:
            self._begin("summary")
            self._presenter.write([_summary(runner, name)])
        if self._lines:
            self._presenter.reproduce([*before, *(one for line in self._lines.values() for one in statements(line))])
        self._presenter.flush()
        return runner.status

    def _show(self, played: ScriptEvent, prompt: str) -> None:
        place = Place(played.file, played.line, played.text, played.reopen)
        report = played.report
        if played.refused is not None:
            self._refuse(played.refused)
        elif played.failure is not None or played.golden is not None:
            blocks = failure_blocks(played)
            if blocks and not (played.golden is not None and self.updating):
                self._begin("failure")
                self._presenter.remark(blocks)
        elif report is not None:
            self._lines[played.file, played.line] = played.text
            if report.says_nothing and not self.echo and self._presenter.mode != "json":
                return
            if report.expect is not None and not (self.quiet and report.expect.passed and report.target is None):
                self._begin("expect")
                self._presenter.show([report], place)
            elif report.expect is None and not (self.quiet and report.target is None):
                self._echo(played, prompt)
                self._presenter.show([report], place)

    def _tell(self) -> None:
        """Show the prose that was gathered since something else was shown."""
        if self._prose:
            self._begin("prose")
            self._presenter.prose(self._prose)
            self._prose.clear()

    def _refuse(self, error: Refused) -> None:
        self.screen.flush()
        self.errors.refusal(error)
        self.errors.flush()

    def _echo(self, played: ScriptEvent, prompt: str) -> None:
        """Begin the output of a line with the line itself, once for all its commands."""
        if self._echoed == (played.file, played.line) and self.echo:
            if self._last == "command":
                self._presenter.part()
            else:
                self._begin("command")
            return
        self._echoed = (played.file, played.line)
        self._begin("command")
        if self.echo:
            first, *more = played.text.strip().split("\n")
            texts = [f"{prompt} {visible(first)}", *(" " * (len(prompt) + 1) + visible(text) for text in more)]
            self._presenter.echo(texts)

    def _begin(self, kind: str) -> None:
        """Set what follows apart from what stands above; lines of prose stand together, and so do expects."""
        together = kind == "prose" or (kind == "expect" and self._presenter.mode != "markdown")
        if self._last and not (together and kind == self._last) and not self.quiet:
            self._presenter.gap()
        self._last = kind


def _summary(runner: Runner, name: str) -> Line:
    counts = f"{counted(runner.steps, 'step')}, {counted(runner.expects, 'expect')}"
    if runner.goldens:
        counts += f", {counted(runner.goldens, 'golden block')}"
    word, tone = {REFUSED: ("refused", Tone.BAD), FAILED: ("FAILED", Tone.BAD)}.get(
        runner.status, ("passed", Tone.GOOD)
    )
    if runner.failed:
        counts += f", {runner.failed} of them failed"
    return Line((Span(f"{visible(name)}: "), Span(word, tone), Span(f": {counts}")))
