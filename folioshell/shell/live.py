"""``live``: scripts on a real kernel, this one or one in a virtual machine, each step compared with the model.

Rules:
- A script becomes a scenario, which the recorder runs; the recording is replayed on the model, step by step.
- A script that no real kernel can run is named, and does not fail a run of several.
- An ``expect`` that an observation answers must hold for the kernel, too.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from time import monotonic
from typing import Any, Protocol

from folioshell.commands import Session
from folioshell.commands.parse import ParsedStatement
from folioshell.errors import Refused
from folioshell.live import CannotRecord, RecorderOptions
from folioshell.live.files import write_recording
from folioshell.live.format import BadScenario
from folioshell.live.guest import GuestError
from folioshell.live.image import BadImage
from folioshell.live.recorder import record
from folioshell.model.release import nearest_release
from folioshell.recording.answers import Branches, LiveOutcome, LiveScript, compared
from folioshell.recording.scenario import operation_text
from folioshell.records import dataclass
from folioshell.script import script
from folioshell.script.files import path_of
from folioshell.session.language import Language
from folioshell.shell.recordings import ROWS, check_distinct, difference_tables, json_line, located
from folioshell.views.blocks import Block, Line, Span, Tone, line
from folioshell.views.glyphs import visible
from folioshell.views.screen import Screen
from folioshell.wording import counted

SAME, DIFFERS, UNUSABLE = 0, 1, 2
_INCLUDES = "a script includes others on a real kernel only with --allow-live"
#: seconds from which on a kernel was booted
_BOOT = 0.1


def live_scripts(name: str, lines: Sequence[script.ScriptLine], profile: str, *, may_include: bool) -> list[LiveScript]:
    """A script as a real kernel runs it: one for each branch of its history.

    Args:
        name: its path.
        lines: its lines.
        profile: the release that it runs under.
        may_include: ``source`` is permitted.

    Raises:
        Refused: no real kernel can run it; with its place.
    """
    branches, reader = Branches(profile), Session(counting=())
    typed = list(_statements(name, lines, reader, may_include=may_include))
    places = {id(statement): (path, one) for path, one, statement in typed}
    for path, one, statement in typed:
        with located(path, one):
            branches.add(statement)
    found: list[LiveScript] = []
    cut: Refused | None = None
    for branch in branches.all():
        live = LiveScript(profile)
        for statement in branch:
            path, one = places[id(statement)]
            with located(path, one):
                live.add(statement, one.written.row_of(statement.start)[0])
            if live.writer.cut is not None:
                cut = script.located(live.writer.cut, path, one.written)
        if live.commands and (
            live.expects or not any(live.commands == one.commands[: len(live.commands)] for one in found)
        ):
            found.append(live)
    if cut is not None and not found:
        raise cut
    return found


def _statements(
    name: str, lines: Sequence[script.ScriptLine], reader: Session, *, may_include: bool
) -> Iterator[tuple[str, script.ScriptLine, ParsedStatement]]:
    """(script, line, statement) of a script and of those that it includes; files are named from the folder of each."""
    access = reader.host.access
    sources = (*access.sources, os.path.realpath(name))
    reader.host.access = access._replace(folder=script.folder_of(name), sources=sources)
    for one in lines:
        for statement in (command for typed in one.statements for command in typed.expanded()):
            assert isinstance(statement, ParsedStatement)
            if statement.command.verb != "source":
                yield name, one, statement
                continue
            with located(name, one):
                if not may_include:
                    raise statement.refused_process(
                        "a script includes others on a real kernel only with --allow-live", ()
                    )
                path = script.included_script(reader, statement)
                assert path is not None
                inner = script.parse(script.read_text(path), path, reader.language)
            yield from _statements(path, inner, reader, may_include=True)
    reader.host.access = access


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


@dataclass(frozen=True, slots=True)
class LiveChoice:
    """What ``live`` runs, and how.

    Args:
        profile: the release to model; empty: that of the kernel, or the nearest.
        folder: where the recordings are written to; empty: nowhere.
        allow_live: what is piped in may run, and scripts may include others.
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


def profile_for(kernel: RealKernel, choice: LiveChoice, boot: float) -> tuple[str, str]:
    """The release that is modeled for a kernel, and a line that says so; ``boot`` is how many seconds it took."""
    nearest = nearest_release(kernel.release)
    profile = choice.profile or nearest.version
    known = choice.profile or kernel.release.startswith(f"{nearest.version}.")
    far = "" if known else ", the nearest to it"
    booted = f", booted in {boot:.1f} s" if boot >= _BOOT else ""
    return profile, f"Linux {kernel.release}, {kernel.described()}{booted}; profile {profile}{far}"


class LiveOutput:
    """What is run on a kernel, and where its results go.

    Args:
        kernel: where it runs.
        screen, errors: where results and complaints go.
        choice: what is shown.
    """

    def __init__(self, kernel: RealKernel, screen: Screen, errors: Screen, choice: LiveChoice) -> None:
        self._kernel = kernel
        self._screen = screen
        self._errors = errors
        self._choice = choice
        self._profile = choice.profile
        self._counts: Counter[str] = Counter()

    def _write(self, blocks: Sequence[Block]) -> None:
        self._screen.write(blocks)
        self._screen.flush()

    def _complain(self, text: str) -> None:
        # The end of a console has several lines.
        self._errors.write([line(visible(part), Tone.BAD) for part in text.splitlines()])

    def _document(self, document: dict[str, Any]) -> None:
        self._screen.stream.write(json_line(document))
        self._screen.flush()


class LiveComparison(LiveOutput):
    """Runs scripts on a kernel and shows how they compare.

    Args:
        language: what they are written in.
        kernel, screen, errors, choice: as of LiveOutput.
    """

    def __init__(
        self, kernel: RealKernel, language: Language, screen: Screen, errors: Screen, choice: LiveChoice
    ) -> None:
        super().__init__(kernel, screen, errors, choice)
        self._language = language

    def run(self, names: Sequence[str]) -> int:
        """Run scripts: 0 if what can run is the same, 1 if something differs, 2 if none can run or one is unread."""
        try:
            scripts = [(name, self._lines(name)) for name in names]
            if self._choice.folder:
                check_distinct(names, [Path(name).stem for name in names])
        except Refused as error:
            self._errors.refusal(error)
            return UNUSABLE
        if self._choice.folder:
            Path(self._choice.folder).mkdir(parents=True, exist_ok=True)
        began = monotonic()
        try:
            with self._kernel:
                booted = monotonic()
                self._profile, text = profile_for(self._kernel, self._choice, booted - began)
                if not self._choice.quiet and not self._choice.as_json:
                    self._write([line(visible(text))])
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

    def _one(self, name: str, lines: Sequence[script.ScriptLine]) -> int | None:
        """Run one script; None if no kernel, or not this one, can run it."""
        try:
            branches = live_scripts(path_of(name), lines, self._profile, may_include=self._choice.allow_live)
            outcomes = [self._outcome(Path(name).stem, number, live) for number, live in enumerate(branches, 1)]
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
        counts = dict.fromkeys(_COUNTED, 0)
        for outcome in outcomes:
            counts = {key: nr + outcome.counts[key] for key, nr in counts.items()}
        self._counts.update(counts, scripts=1)
        differs = any(outcome.differing or outcome.failed for outcome in outcomes)
        if self._choice.as_json:
            self._document({"script": name, **counts, **_details(outcomes)})
        elif differs or not self._choice.quiet:
            self._write(_blocks(name, counts, outcomes, every=self._choice.verbose))
        return DIFFERS if differs else SAME

    def _outcome(self, stem: str, number: int, live: LiveScript) -> LiveOutcome:
        """What becomes of one branch of a script."""
        document = self._kernel.record(live.scenario(stem), self._choice.options)
        if self._choice.folder:
            own = "" if number == 1 else f"-{number}"
            write_recording(document, f"{self._choice.folder}/{stem}{own}.json.gz")
        return compared(live, document, self._profile)

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


_COUNTED = ("steps", "same", "differ", "not_comparable", "expects", "held", "not_in_release")


def _counts_text(counts: dict[str, int]) -> str:
    """``14 steps: 12 same, 2 not comparable on this kernel; 5 of 5 expects hold``."""
    words = [f"{counts['same']:,} same"]
    words += [f"{counts['differ']:,} {'differs' if counts['differ'] == 1 else 'differ'}"] if counts["differ"] else []
    words += [f"{counts['not_comparable']:,} not comparable on this kernel"] if counts["not_comparable"] else []
    expects = f"; {counts['held']:,} of {counted(counts['expects'], 'expect')} hold" if counts["expects"] else ""
    elsewhere = f", {counts['not_in_release']:,} not in this release" if counts["not_in_release"] else ""
    return f"{counted(counts['steps'], 'step')}: {', '.join(words)}{expects}{elsewhere}"


def _blocks(name: str, counts: dict[str, int], outcomes: Sequence[LiveOutcome], *, every: bool) -> list[Block]:
    """A script's counts, tables of the steps that differ, and the assertions that fail."""
    tone = Tone.BAD if any(outcome.differing or outcome.failed for outcome in outcomes) else Tone.GOOD
    notes = f" in {len(outcomes)} branches" if len(outcomes) > 1 else ""
    hidden = " (page frame numbers are hidden: no folios, no mapcounts)"
    notes += hidden if any(outcome.partial for outcome in outcomes) else ""
    blocks: list[Block] = [Line((Span(f"{visible(name)}: "), Span(_counts_text(counts), tone), Span(notes, Tone.DIM)))]
    for number, outcome in enumerate(outcomes, 1):
        shown = [*_step_blocks(outcome, every=every), *_expect_blocks(outcome, every=every)]
        if shown and len(outcomes) > 1:
            blocks.append(line(f"branch {number}", Tone.STRONG, indent=2))
        blocks += shown
    cuts = {(cut.line, cut.message) for outcome in outcomes if (cut := outcome.script.writer.cut) is not None}
    blocks += [
        line(visible(f"what depends on line {at} is left out: {message}"), Tone.DIM, indent=2)
        for at, message in sorted(cuts)
    ]
    return blocks


def _step_blocks(outcome: LiveOutcome, *, every: bool) -> Iterator[Block]:
    for one in outcome.steps:
        command = outcome.script.commands[one.step] if one.step >= 0 else "initial state"
        if one.rows:
            yield from difference_tables(one)
        elif every or one.unseen:
            verdict = f"not comparable: {one.unseen}" if one.unseen else "same"
            yield line(visible(f"{one.step}  {command}: {verdict}"), indent=2)


def _expect_blocks(outcome: LiveOutcome, *, every: bool) -> Iterator[Block]:
    note = ", and the model under this profile the same"
    for rows, more, tone in ((outcome.failed, "", Tone.BAD), (outcome.elsewhere if every else [], note, Tone.DIM)):
        for one, answer in rows:
            text = f"line {one.line}: expect {one.text}: the kernel says {answer}{more}"
            yield line(visible(text), tone, indent=2)


def _details(outcomes: Sequence[LiveOutcome]) -> dict[str, Any]:
    """What is not the same, as data."""
    steps = [
        {
            "branch": number,
            "step": one.step,
            "command": outcome.script.commands[one.step] if one.step >= 0 else "",
            **({"operation": operation_text(one.op)} if one.op is not None else {}),
            **({"why": one.unseen} if one.unseen else {}),
            "differences": [{"what": row.what, "kernel": row.kernel, "model": row.model} for row in one.rows[:ROWS]],
            "more": max(len(one.rows) - ROWS, 0),
        }
        for number, outcome in enumerate(outcomes, 1)
        for one in outcome.steps
        if one.rows or one.unseen
    ]
    failed = [
        {"line": one.line, "expect": one.text, "kernel": answer}
        for outcome in outcomes
        for one, answer in outcome.failed
    ]
    cuts = [f"line {cut.line}: {cut.message}" for one in outcomes if (cut := one.script.writer.cut) is not None]
    found: dict[str, Any] = {"branches": len(outcomes), "unlike": steps, "failed": failed}
    unasked = sum(outcome.script.unasked for outcome in outcomes)
    return found | {"unasked": unasked, "left_out": sorted({*cuts}), "partial": any(one.partial for one in outcomes)}
