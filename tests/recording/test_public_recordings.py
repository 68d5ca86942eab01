"""The model against everything that a real kernel was recorded doing."""

from __future__ import annotations

from pathlib import Path

import pytest

from folioshell.live.format import load
from folioshell.recording.observe import emit, steps_of
from folioshell.recording.ptl import profile_of
from folioshell.recording.scenario import ScenarioRun
from folioshell.recording.verify import verify
from tests.recording.samples import BEYOND, BEYOND_SWEEP, FOLDER, RECORDINGS, RELEASES, RELEASES_SWEEP, SWEEP


def _name(path: Path) -> str:
    return path.name.removesuffix(".json.gz")


def test_all_recordings_are_here() -> None:
    """The 138 public recordings are all among the tests, 67 of random operations, and 138 of each of six releases."""
    assert (len(list(FOLDER.glob("*.json.gz"))), len(BEYOND), len(RELEASES)) == (138, 67, 6 * 138)


@pytest.mark.parametrize("path", [*SWEEP, *BEYOND_SWEEP, *RELEASES_SWEEP])
def test_recording(path: Path) -> None:
    """Every step of the recording is what the model does: result, VMAs, smaps, pages and folios, and the books."""
    recording = load(str(path))
    verdict = verify(recording, profile_of(recording), books=True)

    assert verdict.difference is None
    assert verdict.matched == verdict.steps > 0
    assert verdict.books == len(recording.books)


@pytest.mark.parametrize("path", [*SWEEP, *BEYOND_SWEEP, *RELEASES_SWEEP[::10]])
def test_invariants(path: Path) -> None:
    """No invariant of the model is broken after any step of the recording's scenario."""
    recording = load(str(path))
    replay = ScenarioRun(recording.scenario, profile_of(recording))

    for step in steps_of(replay, recording.scenario):
        assert (step["i"], replay.machine.check()) == (step["i"], [])


@pytest.mark.parametrize("path", RECORDINGS[::9], ids=_name)
def test_emitted_recording(path: Path) -> None:
    """The model's own recording of the scenario has the regions, files and steps of the kernel's."""
    recording = load(str(path))

    made = emit(recording.scenario)

    assert (made["regions"], made["files"], made["steps"]) == (recording.regions, recording.files, recording.steps)
