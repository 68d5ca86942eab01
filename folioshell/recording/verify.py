"""Replaying what a real kernel was recorded doing, and where the model first does otherwise."""

from __future__ import annotations

import re
from dataclasses import dataclass

from folioshell.errors import KernelBug
from folioshell.events import Asked, Event, Finding
from folioshell.model.lock import LockOp
from folioshell.model.release import DEFAULT
from folioshell.recording.compare import ABSENT, Row, differences
from folioshell.recording.emit import files_of, regions_of, steps_of
from folioshell.recording.load import Recording
from folioshell.recording.scenario import Op, Replay
from folioshell.session.describe import Describer

#: events that explain a difference at most
RULES = 6


@dataclass(frozen=True, slots=True)
class Rule:
    """An event of the step that decided what the model says.

    Args:
        text: what happened.
        function: the kernel function that did it.
    """

    text: str
    function: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the model first does otherwise than the kernel.

    Args:
        step: number of the step; -1 for the state before the first.
        op: its operation.
        rows: all that differs then.
        rules: the events of the step that concern the first row, in order.
    """

    step: int
    op: Op | None
    rows: tuple[Row, ...]
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a recording and the model compare.

    Args:
        name: the recording's.
        steps: how many steps it has.
        matched: how many of them match from the first on.
        difference: the first difference; None if everything matches.
    """

    name: str
    steps: int
    matched: int
    difference: Difference | None = None


def verify(recording: Recording, profile: str = DEFAULT.version) -> Verdict:
    """Replay a recording up to the first step that differs.

    Args:
        recording: with steps.
        profile: which kernel the model is to behave like.
    """
    assert recording.steps is not None
    replay = Replay(recording.scenario, profile)
    before = _setup_rows(recording, replay)
    if before:
        return Verdict(recording.name, len(recording.steps), 0, Difference(-1, None, tuple(before)))
    made = steps_of(replay, recording.scenario)
    for number, (wanted, op) in enumerate(zip(recording.steps, recording.scenario["ops"], strict=True)):
        try:
            found = next(made)
        except KernelBug as bug:
            broken = Row("the model", "goes on", f"breaks: {bug.message}")
            return Verdict(
                recording.name, len(recording.steps), number, Difference(number, op, (broken,), _rules(replay, broken))
            )
        rows = differences(wanted, found)
        if rows:
            difference = Difference(number, op, tuple(rows), _rules(replay, rows[0]))
            return Verdict(recording.name, len(recording.steps), number, difference)
    return Verdict(recording.name, len(recording.steps), len(recording.steps))


def _setup_rows(recording: Recording, replay: Replay) -> list[Row]:
    regions, files = regions_of(replay), files_of(replay, recording.scenario)
    return [
        Row(f"{what} {name}", str(wanted.get(name, ABSENT)), str(found.get(name, ABSENT)))
        for what, wanted, found in (("region", recording.regions, regions), ("file", recording.files, files))
        for name in dict.fromkeys((*wanted, *found))
        if wanted.get(name) != found.get(name)
    ]


def _rules(replay: Replay, row: Row) -> tuple[Rule, ...]:
    """The last events of the step that concern what differs; without any, the last events at all."""
    about = _About(replay, row)
    events = [event for event in replay.machine.trace if not isinstance(event, LockOp)]
    chosen = [event for event in events if about.concerns(event)] or events
    asked = [event for event in chosen if isinstance(event, Asked | Finding)]
    # A sharing test decides more than all that follows from it.
    kept = [event for event in chosen if event in asked[-2:] or event in chosen[-RULES:]][-RULES - 2 :]
    describer = Describer(replay)
    return tuple(Rule(describer.text(event), describer.who(event)) for event in kept)


class _About:
    """What a difference is about, in the model's own terms.

    Args:
        replay: the replay, in the state after the step.
        row: the difference.
    """

    def __init__(self, replay: Replay, row: Row) -> None:
        self._folios: set[int] = set()
        self._vma = 0
        self._vpn = -1
        self._mm = 0
        mm = replay.machine.kernel.mms.get(row.process)
        if mm is None or row.region not in replay.regions:
            return
        self._mm, self._vpn = mm.mm_id, replay.vpn(row.region, row.page)
        vma = mm.vmas.find(self._vpn)
        self._vma = vma.id if vma is not None else 0
        found = replay.machine.kernel.folio_at(mm, self._vpn)
        if found is not None:
            self._folios.add(found[0].id)
        self._folios |= {
            folio
            for event in replay.machine.trace
            if getattr(event, "mm", 0) == self._mm and 0 <= self._vpn - getattr(event, "vpn", -1) < _length(event)
            for folio in _folios_of(event)
        }

    def concerns(self, event: Event) -> bool:
        """Does an event speak of the folio, the VMA or the page?"""
        if self._folios & set(_folios_of(event)):
            return True
        if self._vma and self._vma in (getattr(event, key, 0) for key in ("vma", "new", "gone", "to_vma")):
            return True
        text = getattr(event, "text", "")
        return any(re.search(rf"\bf{number}\b", text) for number in self._folios)


def _length(event: object) -> int:
    return max(getattr(event, "nr", 1), len(getattr(event, "folios", ())))


def _folios_of(event: object) -> tuple[int, ...]:
    folio = getattr(event, "folio", None)
    return tuple(getattr(event, "folios", () if folio is None else (folio,)))
