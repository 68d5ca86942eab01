"""The model against everything that a real kernel was recorded doing."""

from __future__ import annotations

from pathlib import Path

import pytest

from folioshell.recording.load import load
from folioshell.recording.observe import emit, steps_of
from folioshell.recording.scenario import ScenarioRun
from folioshell.recording.verify import verify
from tests.recording.samples import BEYOND, BEYOND_SWEEP, FOLDER, RECORDINGS, SWEEP


def _name(path: Path) -> str:
    return path.name.removesuffix(".json.gz")


def test_all_recordings_are_here() -> None:
    """The 138 public recordings are all among the tests, and 32 of random operations."""
    assert (len(list(FOLDER.glob("*.json.gz"))), len(BEYOND)) == (138, 32)


@pytest.mark.parametrize("path", [*SWEEP, *BEYOND_SWEEP])
def test_recording(path: Path) -> None:
    """Every step of the recording is what the model does: result, VMAs, smaps, pages and folios."""
    verdict = verify(load(str(path)))

    assert verdict.difference is None
    assert verdict.matched == verdict.steps > 0


@pytest.mark.parametrize("path", [*SWEEP, *BEYOND_SWEEP])
def test_invariants(path: Path) -> None:
    """No invariant of the model is broken after any step of the recording's scenario."""
    replay = ScenarioRun(load(str(path)).scenario)

    for step in steps_of(replay, load(str(path)).scenario):
        assert (step["i"], replay.machine.check()) == (step["i"], [])


@pytest.mark.parametrize("path", RECORDINGS[::9], ids=_name)
def test_emitted_recording(path: Path) -> None:
    """The model's own recording of the scenario has the regions, files and steps of the kernel's."""
    recording = load(str(path))

    made = emit(recording.scenario)

    assert (made["regions"], made["files"], made["steps"]) == (recording.regions, recording.files, recording.steps)
