"""Showing a script while it runs: as at the prompt, or only failures."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from folioshell.errors import Refused
from folioshell.report import Report
from folioshell.script.golden import WIDTH, difference
from folioshell.script.runner import FAILED, REFUSED, Runner
from folioshell.script.script import ScriptEvent, comment_of
from folioshell.session.session import Session
from folioshell.shell.presenter import Presenter, statements
from folioshell.views.blocks import Block, Line, Span, Tone
from folioshell.views.glyphs import visible
from folioshell.views.plain import render
from folioshell.views.refusal_view import refusal_blocks
from folioshell.views.report_view import (
    ScriptPlace,
    golden_blocks,
    plain_lines,
    report_blocks,
    stop_blocks,
    unasked_blocks,
    unreached_blocks,
)
from folioshell.views.screen import Screen, waited_for
from folioshell.wording import counted


class Replay:
    """Shows runs, one after another.

    Args:
        screen: where reports go.
        errors: where refusals go.
        echo: show each line after a prompt.
        quiet: show only failures.
        summary: end each run with a summary line.
        updating: golden blocks are rewritten afterwards, so a difference is not shown as a failure.
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
        """Run a script and show it; returns its status. ``name`` appears in the summary."""
        self._presenter = Presenter(runner.session, self.screen, self.errors)
        self._echoed = ("", 0)
        self._lines = {}
        before = runner.session.script()
        events = waited_for(runner, runner.session, self.screen)
        while True:
            prompt = runner.session.prompt if self.echo else ""
            event = next(events, None)
            if event is None:
                break
            if event.report is not None:
                self._lines[event.file, event.line] = event.text
                if self.quiet and self._goes_without_saying(event.report):
                    del event
                    continue
            with runner.showing():
                if event.prose is None and event.comment is None:
                    self._flush_prose()
                    self._show(event, prompt)
                elif runner.session.settings.full:
                    self._presenter.show_text(event)
                elif event.prose is not None and not self.quiet:
                    self._prose.append(visible(event.prose))
            del event
        self._flush_prose()
        if self.summary:
            self._begin("summary")
            self._presenter.write([_summary(runner, name)])
        if self._lines:
            typed = (one for line in self._lines.values() for one in statements(line))
            self._presenter.reproduce(chain(before, typed))
        self._presenter.flush()
        return runner.status

    def compare(self, session: Session, profiles: Sequence[str]) -> None:
        """Show where the history of the session of the last run parts under several profiles."""
        if session.step:
            from folioshell.session.profiles import compared_profiles

            sentence, sections = compared_profiles(session, profiles)
            command = f"compare profiles {','.join(profiles)}"
            report = Report(command=command, process=session.process, sentence=sentence, sections=sections)
            self._presenter.gap()
            self._presenter.show([report])
            self._presenter.gap()
            self._presenter.flush()

    def _show(self, event: ScriptEvent, prompt: str) -> None:
        comment = comment_of(event.text) if self._presenter.session.settings.full else ""
        place = ScriptPlace(event.file, event.line, event.text, event.reopen, comment)
        report = event.report
        if event.refused is not None:
            self._refuse(event.refused)
        elif report is None:
            blocks = failure_blocks(event)
            if blocks and not (event.golden is not None and self.updating):
                self._begin("failure")
                self._presenter.remark(blocks)
        else:
            if report.says_nothing and not self.echo and self._presenter.mode != "json":
                return
            if report.expect is None:
                self._echo(event, prompt)
                self._presenter.show([report], place)
            elif not self._goes_without_saying(report):
                self._begin("expect")
                self._presenter.show([report], place)

    def _goes_without_saying(self, report: Report) -> bool:
        """Is this an assertion that holds, or a step of a quiet run, not to be shown? That a wrong answer is, never."""
        expect = report.expect
        told = self.quiet or (expect is not None and expect.kind == "wrong" and self._presenter.mode != "json")
        return told and (expect is None or expect.passed) and report.target is None

    def _flush_prose(self) -> None:
        """Show the prose collected since the last output."""
        if self._prose:
            self._begin("prose")
            self._presenter.prose(self._prose)
            self._prose.clear()

    def _refuse(self, error: Refused) -> None:
        self.screen.flush()
        self.errors.refusal(error)
        self.errors.flush()

    def _echo(self, event: ScriptEvent, prompt: str) -> None:
        """Echo a line before the output of its first command."""
        if self._echoed == (event.file, event.line) and self.echo:
            if self._last == "command":
                self._presenter.part()
            else:
                self._begin("command")
            return
        self._echoed = (event.file, event.line)
        self._begin("command")
        if self.echo:
            first, *more = event.text.strip().split("\n")
            texts = [f"{prompt} {visible(first)}", *(" " * (len(prompt) + 1) + visible(text) for text in more)]
            self._presenter.echo(texts)

    def _begin(self, kind: str) -> None:
        """Separate the following output from the one above; consecutive prose and consecutive expects stay together."""
        together = kind == "prose" or (kind == "expect" and self._presenter.mode != "markdown")
        if self._last and not (together and kind == self._last) and not self.quiet:
            self._presenter.gap()
        self._last = kind


def _summary(runner: Runner, name: str) -> Line:
    counts = f"{counted(runner.steps, 'step')}, {counted(runner.expects, 'expect')}"
    if runner.skipped:
        counts += f" and {runner.skipped:,} skipped"
    if runner.questions:
        counts += f", {counted(runner.questions, 'question')}"
    if runner.tasks:
        counts += f", {counted(runner.tasks, 'task')}"
    if runner.goldens:
        counts += f", {counted(runner.goldens, 'golden block')}"
    word, tone = {REFUSED: ("refused", Tone.BAD), FAILED: ("FAILED", Tone.BAD)}.get(
        runner.status, ("passed", Tone.GOOD)
    )
    if runner.failed:
        counts += f", {runner.failed} of them failed"
    return Line((Span(f"{visible(name)}: "), Span(word, tone), Span(f": {counts}")))


def failure_blocks(event: ScriptEvent) -> list[Block]:
    """What is shown of an event that is a failure; nothing for others."""
    place = ScriptPlace(event.file, event.line, event.text, event.reopen)
    if event.refused is not None:
        return refusal_blocks(event.refused, WIDTH)
    if event.failure is not None:
        return list(stop_blocks(event.failure, place, max(event.column - 1, 0)))
    if event.unreached is not None:
        return list(unreached_blocks(event.unreached, place, max(event.column - 1, 0)))
    if event.unasked is not None:
        return list(unasked_blocks(event.unasked, place, max(event.column - 1, 0)))
    if event.golden is not None and not event.golden.passed:
        # Imported for a failure only.
        from shlex import join

        diff = difference(event.golden.golden.lines, event.golden.actual)
        return list(golden_blocks(diff, place, join(["folioshell", "run", "--update", event.file])))
    if event.report is not None and event.report.failed_expect is not None:
        return report_blocks(event.report, place)
    return []


def failure_text(event: ScriptEvent) -> str:
    """The same as plain text; empty if the event is no failure."""
    return render(failure_blocks(event), WIDTH).rstrip()


def golden_lines(reports: Sequence[Report]) -> list[str]:
    """The output of reports as golden blocks hold it."""
    return plain_lines(reports, WIDTH)
