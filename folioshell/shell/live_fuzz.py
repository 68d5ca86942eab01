"""``live --fuzz``: random scenarios on a real kernel, each compared with the model, and differences as short scripts.

Rules:
- A difference counts only if it is there again in repeats: what is not is noise of the machine, and counted apart.
- A difference is minimized on the kernel, and only once: later ones in the same operation and of the same kind are
  counted with it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

from folioshell.live import CannotRecord, RecorderOptions
from folioshell.live.files import write_recording
from folioshell.live.format import BadScenario, check_scenario
from folioshell.live.guest import GuestError
from folioshell.live.image import BadImage
from folioshell.recording.answers import stable_recording
from folioshell.recording.random_scenario import plainer_files, plainer_ops, plainer_setups, random_scenario, without
from folioshell.recording.scenario import operation_text
from folioshell.recording.to_script import script_of
from folioshell.recording.verify import Difference, DiffRow, compared_steps
from folioshell.records import NamedTuple, dataclass, field
from folioshell.shell.live import DIFFERS, SAME, UNUSABLE, LiveChoice, LiveOutput, RealKernel, profile_for
from folioshell.shell.recordings import ROWS, difference_tables
from folioshell.views.blocks import Block, Line, Span, Tone, line
from folioshell.views.glyphs import visible
from folioshell.views.screen import Screen
from folioshell.wording import counted

#: recordings after the first that must show a difference
_REPEATS = 2
#: recordings in which a difference is minimized, at most
_RECORDINGS = 150


class FuzzOutcome(NamedTuple):
    """What became of a scenario.

    Args:
        document: its recording.
        steps: all steps that were compared.
    """

    document: dict[str, Any]
    steps: list[Difference]

    @property
    def first(self) -> Difference | None:
        """The first step that differs."""
        return next((one for one in self.steps if one.rows), None)

    @property
    def kind(self) -> str:
        """The operation of the first difference, and what differs; empty if nothing does."""
        if self.first is None:
            return ""
        op = self.first.op or {}
        what = self.first.rows[0].what.split(", ")[-1]
        word = re.sub(r"\w*\[.*", "page", what).rstrip(" 0123456789")
        return f"{op.get('advice', op.get('op', 'setup'))}: {word}"


@dataclass(slots=True)
class FuzzFinding:
    """A kind of difference.

    Args:
        name: of the first scenario that shows it.
        kind: operation, and what differs.
        outcome: of the shortest scenario.
        like: numbers of later scenarios that show this kind.
    """

    name: str
    kind: str
    outcome: FuzzOutcome
    like: list[int] = field(default_factory=list)

    @property
    def script(self) -> str:
        """The shortest script."""
        return _script(self.outcome.document["scenario"])


class LiveFuzz(LiveOutput):
    """Compares random scenarios on a kernel with the model.

    Args:
        kernel, screen, errors: as of LiveOutput.
        choice: what is shown; ``folder`` is where the scripts and recordings of differences go.
        scenarios: how many.
        seed: equal seeds give equal scenarios.
    """

    def __init__(
        self, kernel: RealKernel, screen: Screen, errors: Screen, choice: LiveChoice, scenarios: int, seed: int
    ) -> None:
        super().__init__(kernel, screen, errors, choice)
        self._scenarios = scenarios
        self._seed = seed
        self._reasons: Counter[str] = Counter()
        self._findings: dict[str, FuzzFinding] = {}

    def run(self) -> int:
        """Run them: 0 if all that could run are the same, 1 if one differs, 2 if none could run."""
        began = monotonic()
        try:
            with self._kernel:
                booted = monotonic()
                self._profile, text = profile_for(self._kernel, self._choice, booted - began)
                if not self._choice.quiet and not self._choice.as_json:
                    self._write([line(visible(text))])
                for number in range(self._scenarios):
                    self._one(number)
        except (BadImage, GuestError) as error:
            self._complain(f"error: {error}")
            return UNUSABLE
        self._sum_up(monotonic() - booted)
        if not self._counts["scenarios"]:
            return DIFFERS if self._counts["ended"] else UNUSABLE
        return DIFFERS if self._counts["differ"] or self._counts["ended"] else SAME

    # A scenario.

    def _one(self, number: int) -> None:
        scenario = random_scenario(self._seed, number)
        try:
            outcome = self._outcome(scenario)
        except CannotRecord as reason:
            self._counts["left_out"] += 1
            self._reasons[str(reason)] += 1
            return
        except GuestError as error:
            self._counts["ended"] += 1
            self._complain(f"{scenario['name']}: {error}")
            self._keep(scenario["name"], _script(scenario), None)
            return
        unseen = sum(bool(one.unseen) for one in outcome.steps)
        differ = sum(bool(one.rows) for one in outcome.steps)
        self._counts.update(scenarios=1, steps=len(scenario["ops"]), not_comparable=unseen)
        if not differ:
            return
        if not all(self._shows(scenario, outcome.kind) for _ in range(_REPEATS)):
            self._counts["noise"] += 1
            return
        self._counts["differ"] += 1
        if (known := self._findings.get(outcome.kind)) is not None:
            known.like.append(number)
            return
        finding = FuzzFinding(scenario["name"], outcome.kind, self._shortened(outcome))
        self._findings[finding.kind] = finding
        self._keep(finding.name, finding.script, finding.outcome.document)
        self._show(finding)

    def _outcome(self, scenario: dict[str, Any], options: RecorderOptions | None = None) -> FuzzOutcome:
        document = self._kernel.record(scenario, options or self._choice.options)
        return FuzzOutcome(document, _compared(document, self._profile))

    def _shows(self, scenario: dict[str, Any], kind: str, options: RecorderOptions | None = None) -> bool:
        """Does a new recording of a scenario show this kind of difference first?"""
        try:
            return self._outcome(scenario, options).kind == kind
        except (BadScenario, CannotRecord, GuestError):
            return False

    def _shortened(self, outcome: FuzzOutcome) -> FuzzOutcome:
        """The outcome of the shortest scenario that shows the same kind of difference, each time."""
        assert outcome.first is not None
        scenario = outcome.document["scenario"]
        begun = {**scenario, "ops": scenario["ops"][: max(outcome.first.step, 0) + 1]}

        # The last one is recorded as often as all others are.
        once = (self._choice.options or RecorderOptions()).once()

        def shows(candidate: dict[str, Any]) -> bool:
            return self._shows(candidate, outcome.kind, once)

        for candidate in (shortest(begun, shows, _RECORDINGS), begun):
            try:
                short = self._outcome(candidate)
            except (CannotRecord, GuestError):
                continue
            if short.kind == outcome.kind:
                return short
        return outcome

    # What is shown, and kept.

    def _keep(self, name: str, text: str, document: dict[str, Any] | None) -> None:
        if not self._choice.folder:
            return
        folder = Path(self._choice.folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.fs").write_text(text, encoding="utf-8")
        if document is not None:
            write_recording(document, str(folder / f"{name}.json.gz"))

    def _show(self, finding: FuzzFinding) -> None:
        first = finding.outcome.first
        assert first is not None
        nr = len(finding.outcome.document["scenario"]["ops"])
        if self._choice.as_json:
            rows = [{"what": row.what, "kernel": row.kernel, "model": row.model} for row in first.rows[:ROWS]]
            self._document(
                {
                    "scenario": finding.name,
                    "kind": finding.kind,
                    "operations": nr,
                    "step": first.step,
                    **({"operation": operation_text(first.op)} if first.op is not None else {}),
                    "differences": rows,
                    "more": max(len(first.rows) - ROWS, 0),
                    "script": finding.script,
                }
            )
            return
        head = f"{finding.name} differs ({finding.kind}); the shortest script has {counted(nr, 'operation')}:"
        text = [line(visible(one), indent=2) for one in finding.script.splitlines()]
        self._write([line(visible(head), Tone.BAD), *text, *difference_tables(first)])

    def _sum_up(self, seconds: float) -> None:
        counts = {key: self._counts[key] for key in _COUNTED}
        findings = list(self._findings.values())
        if self._choice.as_json:
            where = {"release": self._kernel.release, "where": self._kernel.described(), "profile": self._profile}
            kinds = [{"scenario": one.name, "kind": one.kind, "like": one.like} for one in findings]
            drawn = {"seed": self._seed, "drawn": self._scenarios}
            self._document({"summary": where | drawn | counts | {"reasons": dict(self._reasons), "kinds": kinds}})
            return
        words = [counted(counts["steps"], "step")]
        differ = f"{counts['differ']:,} {'differs' if counts['differ'] == 1 else 'differ'}"
        differ += f" in {counted(len(findings), 'way')}" if findings else ""
        words.append(differ if counts["differ"] else "none differs")
        words += [f"{counts['noise']:,} differed once, not again"] if counts["noise"] else []
        words += [f"{counted(counts['not_comparable'], 'step')} not comparable"] if counts["not_comparable"] else []
        words += [f"the kernel ended in {counts['ended']:,}"] if counts["ended"] else []
        tone = Tone.BAD if counts["differ"] or counts["ended"] else Tone.GOOD
        head = f"{counted(counts['scenarios'], 'scenario')} of seed {self._seed} under profile {self._profile}: "
        blocks: list[Block] = [Line((Span(head), Span(", ".join(words), tone), Span(f" ({seconds:.1f} s)")))]
        blocks += [
            line(visible(f"{nr:,} cannot run live: {why}"), Tone.DIM, indent=2) for why, nr in self._reasons.items()
        ]
        blocks += [
            line(visible(f"{one.kind}: {one.name}, and {counted(len(one.like), 'scenario')} like it"), indent=2)
            for one in findings
            if one.like
        ]
        self._write(blocks)


# The shortest scenario.


def shortest(scenario: dict[str, Any], shows: Callable[[dict[str, Any]], bool], most: int) -> dict[str, Any]:
    """The shortest scenario found that still shows something: first without operations, then with plainer ones.

    Args:
        shows: does a scenario show it?
        most: tests of a scenario, at most.
    """
    left = most

    def tested(candidate: dict[str, Any]) -> bool:
        nonlocal left
        try:
            check_scenario(candidate)
        except BadScenario:
            return False
        left -= 1
        return left >= 0 and shows(candidate)

    before = None
    while before != scenario and left > 0:
        before = scenario
        scenario = _plainer(_with_fewer(scenario, tested), tested)
    return scenario


def _with_fewer(scenario: dict[str, Any], shows: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Delta debugging: drop half of the operations, then quarters, down to single ones, from the last to the first."""
    size = max(len(scenario["ops"]) // 2, 1)
    while True:
        end, dropped = len(scenario["ops"]), False
        while end > 0:
            start = max(end - size, 0)
            candidate = without(scenario, range(start, end))
            if candidate["ops"] and shows(candidate):
                scenario, dropped = candidate, True
            end = min(start, len(scenario["ops"]))
        if size == 1 and not dropped:
            return scenario
        size = max(size // 2, 1)


def _plainer(scenario: dict[str, Any], shows: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Plainer settings, files and operations, one value after another."""
    for alter in (plainer_setups, plainer_files, plainer_ops):
        # A candidate is made from what was found so far, so each change is tried in turn.
        number = 0
        while (candidate := next((one for at, one in enumerate(alter(scenario)) if at == number), None)) is not None:
            if shows(candidate):
                scenario = candidate
            else:
                number += 1
    return scenario


def _compared(document: dict[str, Any], profile: str) -> list[Difference]:
    """All steps that are compared. A step that is an internal error in the model differs, and is the last."""
    steps: list[Difference] = []
    try:
        steps.extend(compared_steps(stable_recording(document), profile))
    except Exception as error:  # noqa: BLE001 - the scenario that leads to it is what is wanted
        number = len(steps)
        row = DiffRow("the model", "continues", f"fails: {type(error).__name__}: {error}")
        steps.append(Difference(number, document["scenario"]["ops"][number], (row,)))
    return steps


_COUNTED = ("scenarios", "steps", "differ", "noise", "not_comparable", "left_out", "ended")


def _script(scenario: dict[str, Any]) -> str:
    """The script of a scenario; a comment if the language cannot express it."""
    try:
        return script_of(scenario)
    except BadScenario as reason:
        return f"# {reason}\n"
