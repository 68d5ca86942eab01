"""``live``: scripts on a real kernel, this one or one in a virtual machine, each step compared with the model.

Rules:
- A script becomes a scenario, which the recorder runs; the recording is replayed on the model, step by step.
- A script that no real kernel can run is named, and does not fail a run of several.
- An ``expect`` that an observation answers must hold for the kernel, too.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, NamedTuple, Protocol

from folioshell.commands.parse import ParsedStatement
from folioshell.errors import Refused
from folioshell.live import CannotRecord, RecorderOptions
from folioshell.live.files import write_recording
from folioshell.live.format import BadScenario, Recording
from folioshell.live.guest import GuestError
from folioshell.live.image import BadImage
from folioshell.live.recorder import record
from folioshell.model.release import DEFAULT, nearest_release
from folioshell.recording.answers import LiveExpect, LiveScript, answer_of
from folioshell.recording.scenario import operation_text
from folioshell.recording.verify import Difference, compared_steps
from folioshell.script import script
from folioshell.script.files import path_of
from folioshell.session.language import Language
from folioshell.shell.recordings import ROWS, difference_tables, json_line
from folioshell.views.blocks import Block, Line, Span, Tone, line
from folioshell.views.glyphs import visible
from folioshell.views.screen import Screen
from folioshell.wording import counted

SAME, DIFFERS, UNUSABLE = 0, 1, 2
#: seconds from which on a kernel was booted
_BOOT = 0.1


def live_script(name: str, lines: Sequence[script.ScriptLine], profile: str, *, may_include: bool) -> LiveScript:
    """A script as a real kernel runs it.

    Args:
        name: its path.
        lines: its lines.
        profile: the release that it runs under.
        may_include: ``source`` is permitted.

    Raises:
        Refused: no real kernel can run it; with its place.
    """
    live = LiveScript(profile)
    session = live.writer.session

    def add(name: str, lines: Sequence[script.ScriptLine]) -> None:
        for one in lines:
            for statement in (command for typed in one.statements for command in typed.expanded()):
                assert isinstance(statement, ParsedStatement)
                try:
                    if statement.command.verb == "source":
                        include(statement)
                    else:
                        live.add(statement, one.written.row_of(statement.start)[0])
                except Refused as error:
                    raise script.located(error, name, one.written) from None

    def include(statement: ParsedStatement) -> None:
        if not may_include:
            raise statement.refused_process("a script includes others on a real kernel only with --allow-live", ())
        path = script.included_script(session, statement)
        assert path is not None
        access = session.host.access
        sources = (*access.sources, os.path.realpath(path))
        session.host.access = access._replace(folder=script.folder_of(path), sources=sources)
        add(path, script.parse(script.read_text(path), path, session.language))
        session.host.access = access

    # Files that it includes are named from its folder.
    session.host.access = session.host.access._replace(folder=script.folder_of(name), sources=(os.path.realpath(name),))
    add(name, lines)
    return live


# Kernels.


class RealKernel(AbstractContextManager[Any], Protocol):
    """A kernel that records scenarios; ``release`` is as ``uname -r`` prints it."""

    release: str

    def record(self, scenario: dict[str, Any], options: RecorderOptions | None) -> dict[str, Any]:
        """Record a scenario.

        Raises:
            CannotRecord: it cannot be recorded there.
            GuestError: the kernel ended.
        """

    def described(self) -> str:
        """Where it runs, as a clause."""


class ThisKernel(AbstractContextManager[Any]):
    """The kernel that folioshell runs on."""

    def __init__(self) -> None:
        self.release = os.uname().release if hasattr(os, "uname") else ""

    def __exit__(self, *error: object) -> None:
        pass

    def record(self, scenario: dict[str, Any], options: RecorderOptions | None) -> dict[str, Any]:
        """Record a scenario with processes here."""
        return record(scenario, options)

    def described(self) -> str:
        """This machine."""
        return "this machine"


# Runs.


class LiveOutcome(NamedTuple):
    """What became of a script.

    Args:
        script: as a real kernel runs it.
        steps: its steps, compared.
        failed: assertions that do not hold for the kernel, and its answers.
        elsewhere: those that do not hold in this release: the model has the same answer.
        held: number of those that hold.
        partial: recorded without root.
    """

    script: LiveScript
    steps: list[Difference]
    failed: list[tuple[LiveExpect, str]]
    elsewhere: list[tuple[LiveExpect, str]]
    held: int
    partial: bool

    @property
    def differing(self) -> list[Difference]:
        """The steps that differ."""
        return [one for one in self.steps if one.rows]

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of steps and assertions, by what became of them."""
        nr, differ = len(self.script.commands), len(self.differing)
        # The model may have stopped.
        unseen = sum(bool(one.unseen) for one in self.steps) + nr - sum(one.step >= 0 for one in self.steps)
        counts = {"steps": nr, "same": nr - differ - unseen, "differ": differ, "not_comparable": unseen}
        asked = self.held + len(self.failed) + len(self.elsewhere)
        return counts | {"expects": asked, "held": self.held, "not_in_release": len(self.elsewhere)}


def compared(live: LiveScript, document: dict[str, Any], profile: str) -> LiveOutcome:
    """Compare a recording with the model, and make the assertions of its script of it."""
    soft = document.get("soft", {})
    unstable = {path.split("/")[1] for path in soft.get("unstable", ()) if path.startswith("steps/")}
    steps = [{} if str(number) in unstable else step for number, step in enumerate(document["steps"])]
    partial = document.get("partial") is True
    shown = {key: document[key] for key in ("name", "scenario", "regions", "files")}
    recording = Recording(steps=steps, partial=partial, **shown)
    found = list(compared_steps(recording, profile))
    same = {one.step for one in found if not one.rows}
    outcome = LiveOutcome(live, found, [], [], 0, partial)
    held = 0
    for expect in live.expects:
        answer = answer_of(expect, recording)
        if answer is None:
            live.unasked += 1
        elif answer[0]:
            held += 1
        elif profile != DEFAULT.version and expect.step in same:
            # It was written for the default release.
            outcome.elsewhere.append((expect, answer[1]))
        else:
            outcome.failed.append((expect, answer[1]))
    return outcome._replace(held=held)


@dataclass(frozen=True, slots=True)
class LiveChoice:
    """What ``live`` runs, and how.

    Args:
        profile: the release to model; empty: that of the kernel, or the nearest.
        folder: where the recordings are written to; empty: nowhere.
        allow_live: what is piped in may run, and scripts may include others.
        folder: where recordings go, too; empty for nowhere.
        verbose: list the steps that are the same, too.
        quiet: show only what differs.
        as_json: print JSON Lines.
        options: of the recorder.
    """

    profile: str = ""
    folder: str = ""
    allow_live: bool = False
    verbose: bool = False
    quiet: bool = False
    as_json: bool = False
    options: RecorderOptions | None = None


class LiveComparison:
    """Runs scripts on a kernel and shows how they compare.

    Args:
        kernel: where they run.
        language: what they are written in.
        screen, errors: where results and complaints go.
        choice: what is shown.
    """

    def __init__(
        self, kernel: RealKernel, language: Language, screen: Screen, errors: Screen, choice: LiveChoice
    ) -> None:
        self._kernel = kernel
        self._language = language
        self._screen = screen
        self._errors = errors
        self._choice = choice
        self._profile = choice.profile
        self._counts: Counter[str] = Counter()

    def run(self, names: Sequence[str]) -> int:
        """Run scripts: 0 if what can run is the same, 1 if something differs, 2 if none can run or one is unread."""
        try:
            scripts = [(name, self._lines(name)) for name in names]
        except Refused as error:
            self._errors.refusal(error)
            return UNUSABLE
        began = monotonic()
        try:
            with self._kernel:
                booted = monotonic()
                self._begin(booted - began)
                statuses = [self._one(name, lines) for name, lines in scripts]
        except (BadImage, GuestError) as error:
            self._complain(f"error: {error}")
            return UNUSABLE
        self._sum_up(monotonic() - booted)
        return max((status for status in statuses if status is not None), default=UNUSABLE)

    def _lines(self, name: str) -> list[script.ScriptLine]:
        path = path_of(name)
        if name == "-" and not self._choice.allow_live:
            raise Refused("what is piped in runs on a real kernel only with --allow-live")
        return script.parse(script.read_text(path), path, self._language)

    def _begin(self, boot: float) -> None:
        """Choose the profile, and say what runs."""
        release = self._kernel.release
        nearest = nearest_release(release)
        self._profile = self._choice.profile or nearest.version
        if self._choice.quiet or self._choice.as_json:
            return
        known = self._choice.profile or release.startswith(f"{nearest.version}.")
        profile = f"profile {self._profile}{'' if known else ', the nearest to it'}"
        booted = f", booted in {boot:.1f} s" if boot >= _BOOT else ""
        self._write([line(visible(f"Linux {release}, {self._kernel.described()}{booted}; {profile}"))])

    def _one(self, name: str, lines: Sequence[script.ScriptLine]) -> int | None:
        """Run one script; None if no kernel, or not this one, can run it."""
        try:
            live = live_script(path_of(name), lines, self._profile, may_include=self._choice.allow_live)
            document = self._kernel.record(live.scenario(Path(name).stem), self._choice.options)
            if self._choice.folder:
                write_recording(document, f"{self._choice.folder}/{Path(name).stem}.json.gz")
        except Refused as error:
            self._leave_out(name, f"line {error.line}: {error.message}")
            return None
        except (BadScenario, CannotRecord) as error:
            self._leave_out(name, str(error))
            return None
        except GuestError as error:
            self._counts["ended"] += 1
            self._complain(f"{name}: {error}")
            return DIFFERS
        outcome = compared(live, document, self._profile)
        counts = outcome.counts
        self._counts.update(counts, scripts=1)
        differs = bool(outcome.differing or outcome.failed)
        if self._choice.as_json:
            self._document({"script": name, **counts, **_details(outcome)})
        elif differs or not self._choice.quiet:
            self._write(_blocks(name, outcome, every=self._choice.verbose))
        return DIFFERS if differs else SAME

    def _leave_out(self, name: str, why: str) -> None:
        self._counts["left_out"] += 1
        if self._choice.as_json:
            self._document({"script": name, "cannot_run": why})
        elif not self._choice.quiet:
            self._write([Line((Span(f"{visible(name)}: "), Span(visible(f"cannot run live: {why}"), Tone.DIM)))])

    def _sum_up(self, seconds: float) -> None:
        counts = {key: self._counts[key] for key in ("scripts", *_COUNTED, "left_out", "ended")}
        if self._choice.as_json:
            where = {"release": self._kernel.release, "where": self._kernel.described(), "profile": self._profile}
            self._document({"summary": where | counts})
            return
        what = f"{counted(counts['scripts'], 'script')} under profile {self._profile}: "
        failed = counts["expects"] - counts["held"] - counts["not_in_release"]
        tone = Tone.BAD if counts["differ"] or failed or counts["ended"] else Tone.GOOD
        left = f"; {counts['left_out']} cannot run live" if counts["left_out"] else ""
        left += f"; the kernel ended in {counts['ended']}" if counts["ended"] else ""
        self._write([Line((Span(what), Span(_counts_text(counts), tone), Span(f"{left} ({seconds:.1f} s)")))])

    def _write(self, blocks: Sequence[Block]) -> None:
        self._screen.write(blocks)
        self._screen.flush()

    def _complain(self, text: str) -> None:
        # The end of a console has several lines.
        self._errors.write([line(visible(part), Tone.BAD) for part in text.splitlines()])

    def _document(self, document: dict[str, Any]) -> None:
        self._screen.stream.write(json_line(document))
        self._screen.flush()


_COUNTED = ("steps", "same", "differ", "not_comparable", "expects", "held", "not_in_release")


def _counts_text(counts: dict[str, int]) -> str:
    """``14 steps: 12 same, 2 not comparable on this kernel; 5 of 5 expects hold``."""
    words = [f"{counts['same']:,} same"]
    words += [f"{counts['differ']:,} {'differs' if counts['differ'] == 1 else 'differ'}"] if counts["differ"] else []
    words += [f"{counts['not_comparable']:,} not comparable on this kernel"] if counts["not_comparable"] else []
    expects = f"; {counts['held']:,} of {counted(counts['expects'], 'expect')} hold" if counts["expects"] else ""
    elsewhere = f", {counts['not_in_release']:,} not in this release" if counts["not_in_release"] else ""
    return f"{counted(counts['steps'], 'step')}: {', '.join(words)}{expects}{elsewhere}"


def _blocks(name: str, outcome: LiveOutcome, *, every: bool) -> list[Block]:
    """A script's counts, tables of the steps that differ, and the assertions that fail."""
    counts = outcome.counts
    tone = Tone.BAD if outcome.differing or outcome.failed else Tone.GOOD
    without = " (without root: no folios, no mapcounts)" if outcome.partial else ""
    blocks: list[Block] = [
        Line((Span(f"{visible(name)}: "), Span(_counts_text(counts), tone), Span(without, Tone.DIM)))
    ]
    for one in outcome.steps:
        command = outcome.script.commands[one.step] if one.step >= 0 else "initial state"
        if one.rows:
            blocks += difference_tables(one)
        elif every or one.unseen:
            verdict = f"not comparable: {one.unseen}" if one.unseen else "same"
            blocks.append(line(visible(f"{one.step}  {command}: {verdict}"), indent=2))
    for rows, note, row_tone in (
        (outcome.failed, "", Tone.BAD),
        (outcome.elsewhere if every else [], ", and the model under this profile the same", Tone.DIM),
    ):
        blocks += [
            line(visible(f"line {one.line}: expect {one.text}: the kernel says {answer}{note}"), row_tone, indent=2)
            for one, answer in rows
        ]
    return blocks


def _details(outcome: LiveOutcome) -> dict[str, Any]:
    """What is not the same, as data."""
    steps = [
        {
            "step": one.step,
            "command": outcome.script.commands[one.step] if one.step >= 0 else "",
            **({"operation": operation_text(one.op)} if one.op is not None else {}),
            **({"why": one.unseen} if one.unseen else {}),
            "differences": [{"what": row.what, "kernel": row.kernel, "model": row.model} for row in one.rows[:ROWS]],
            "more": max(len(one.rows) - ROWS, 0),
        }
        for one in outcome.steps
        if one.rows or one.unseen
    ]
    failed = [{"line": one.line, "expect": one.text, "kernel": answer} for one, answer in outcome.failed]
    return {"unlike": steps, "failed": failed, "unasked": outcome.script.unasked, "partial": outcome.partial}
