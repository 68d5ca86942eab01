"""Showing what a script does while it runs: as at the prompt, only what went wrong, or as JSON Lines."""

from __future__ import annotations

from typing import Protocol, TextIO

from folioshell.errors import Refused
from folioshell.scenario.golden import difference
from folioshell.scenario.runner import FAILED, REFUSED, Played, Runner
from folioshell.shell.waiting import waited_for
from folioshell.views.answer_view import Place, golden_blocks, stop_blocks
from folioshell.views.blocks import Block, Line, Span, Tone, laid_out, line
from folioshell.views.prose import paragraphs
from folioshell.views.report_view import report_blocks
from folioshell.views.runs import counted
from folioshell.views.screen import Screen
from folioshell.views.signs import visible


class Replay(Protocol):
    """Shows runs, one after another."""

    def run(self, runner: Runner, name: str) -> int:
        """Run a script to its end, showing it; returns its status. ``name`` is what it is called."""
        ...


class TextReplay:
    """Shows runs to a person.

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
        self._echoed = ("", 0)
        self._last = ""
        self._prose: list[str] = []

    def run(self, runner: Runner, name: str) -> int:
        """Run a script to its end, showing it; see Replay."""
        self._echoed = ("", 0)
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
            self.screen.write([_summary(runner, name)])
        self.screen.flush()
        return runner.status

    def _show(self, played: Played, prompt: str) -> None:
        place = Place(played.file, played.line, played.text, played.reopen)
        if played.refused is not None:
            self._refuse(played.refused)
        elif played.failure is not None:
            self._begin("failure")
            self.screen.write(list(stop_blocks(played.failure, place, max(played.column - 1, 0))))
        elif played.golden is not None:
            if not played.golden.passed and not self.updating:
                self._begin("failure")
                self.screen.write(mismatch_blocks(played))
        elif played.report is not None and played.report.expect is not None:
            if not (self.quiet and played.report.expect.passed):
                self._begin("expect")
                self.screen.write(report_blocks(played.report, place))
        elif played.report is not None and not self.quiet:
            self._echo(played, prompt)
            self.screen.write(report_blocks(played.report, place))

    def _tell(self) -> None:
        """Show the prose that was gathered since something else was shown."""
        if self._prose:
            self._begin("prose")
            self.screen.write([laid_out(text) for text in paragraphs(self._prose)])
            self._prose.clear()

    def _refuse(self, error: Refused) -> None:
        self.screen.flush()
        self.errors.refusal(error)
        self.errors.flush()

    def _echo(self, played: Played, prompt: str) -> None:
        """Begin the output of a line with the line itself, once for all its commands."""
        if self._echoed == (played.file, played.line):
            self._begin("command")
            return
        self._echoed = (played.file, played.line)
        self._begin("command")
        if self.echo:
            first, *more = played.text.strip().split("\n")
            texts = [f"{prompt} {visible(first)}", *(" " * (len(prompt) + 1) + visible(text) for text in more)]
            self.screen.write([Line((Span(text, Tone.STRONG),), wraps=False) for text in texts])

    def _begin(self, kind: str) -> None:
        """Set what follows apart from what stands above; lines of prose and expects stand together."""
        if self._last and (kind != self._last or kind == "command") and not self.quiet:
            self.screen.write([line("")])
        self._last = kind


def mismatch_blocks(played: Played) -> list[Block]:
    """What is shown of a golden block that is not the output of the line above it."""
    assert played.golden is not None
    # Names are quoted in what failed only.
    from shlex import join

    place = Place(played.file, played.line, played.text, played.reopen)
    diff = difference(played.golden.golden.lines, played.golden.actual)
    return list(golden_blocks(diff, place, join(["folioshell", "run", "--update", played.file])))


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


class JsonReplay:
    """Shows runs to a program: a document a command on one stream, refusals on the other.

    Args:
        stream: where documents go, one a line.
        errors: where refusals go.
    """

    def __init__(self, stream: TextIO, errors: Screen) -> None:
        self.stream = stream
        self.errors = errors

    def run(self, runner: Runner, name: str) -> int:
        """Run a script to its end, a line each for its reports; see Replay."""
        from folioshell.export.document import document_line

        for played in runner:
            if played.refused is not None:
                self.stream.flush()
                self.errors.refusal(played.refused)
            elif played.failure is not None:
                self.stream.flush()
                place = Place(played.file, played.line, played.text, played.reopen)
                self.errors.write(list(stop_blocks(played.failure, place, max(played.column - 1, 0))))
            elif played.golden is not None:
                if not played.golden.passed:
                    self.errors.write(mismatch_blocks(played))
            elif played.report is not None:
                self.stream.write(
                    document_line(played.report, file=played.file, line=played.line, reopen=played.reopen)
                )
        self.stream.flush()
        return runner.status
