"""The state behind ``--json=full``: in the form of recordings, as far as user space can see it."""

from __future__ import annotations

import json

from folioshell.commands import Session
from folioshell.recording.observe import emit
from folioshell.recording.to_scenario import scenario_of
from folioshell.session.step_report import snapshot

LINES = ("file lib 32 order=4", "mmap win 16 file=lib at=0x7f0000200000", "fault win[0]", "fork B", "B: fault win[3]")


def test_a_state_is_a_step_of_a_recording() -> None:
    """Processes and folios of the state are those of the recording that the same commands give."""
    session = Session()
    for line in LINES:
        session.execute(line)
    statements = [statement for line in LINES for statement in session.language.parse(line)]
    recording = emit(scenario_of(statements, "made"))

    state = snapshot(session.workspace)

    assert state["procs"] == recording["steps"][-1]["procs"]
    assert state["folios"] == recording["steps"][-1]["folios"]
    assert state["regions"]["win"] == {**recording["regions"]["win"], "address": "0x7f0000200000"}


def test_what_user_space_cannot_see() -> None:
    """The state also has page tables, references and every scheme's number, and is plain data."""
    session = Session()
    for line in LINES:
        session.execute(line)

    state = json.loads(json.dumps(snapshot(session.workspace)))

    assert {row["id"] for row in state["counts"]} == {1, 2}
    assert set(state["counts"][0]["mapcounts"]) == set(session.workspace.machine.schemes)
    assert state["processes"]["B"]["parent"] == "A"
