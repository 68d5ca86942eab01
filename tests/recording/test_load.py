"""Reading recordings and scenarios: what is good, and what names its fault."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from folioshell.recording.form import BadScenario
from folioshell.recording.load import load, parse
from tests.recording.samples import RECORDINGS, scenario, small_recording


def test_gzipped_and_plain_are_read_alike(tmp_path: Path) -> None:
    """What a file is called does not matter: gzip is known by its first bytes."""
    plain = tmp_path / "plain.json"
    plain.write_bytes(gzip.decompress(RECORDINGS[0].read_bytes()))

    assert load(str(plain)) == load(str(RECORDINGS[0]))


def test_a_bare_scenario_has_no_steps() -> None:
    """A scenario without a recording around it is read, and has no steps."""
    found = parse(json.dumps(scenario()).encode())

    assert (found.name, found.steps, found.scenario) == ("small", None, scenario())


def _without(key: str) -> dict[str, Any]:
    found = small_recording()
    del found[key]
    return found


def _with_step(**changes: Any) -> dict[str, Any]:
    found = small_recording()
    found["steps"][1].update(changes)
    return found


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends too early"),
        (b'{"format": "mm-oracle-reco', "ends too early"),
        (b'{"format": "mm",\n "name" 3}', "line 2, column 9"),
        (b"[1, 2]", "an object is wanted"),
        (b"\xff\xfe\xfd{}", "not UTF-8"),
        (
            b'{"format": "mm-oracle-recording/2"}',
            "'mm-oracle-recording/1' and 'mm-ptl-recording/1'",
        ),
        (b"[" * 100_000, "no JSON that we can read"),
    ],
)
def test_bad_text(data: bytes, message: str) -> None:
    """Text that is no recording is named as what it is."""
    with pytest.raises(BadScenario, match=message):
        parse(data)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (_without("steps"), "a list `steps`"),
        (_without("regions"), "objects `regions`"),
        (_without("scenario"), "no scenario"),
        (_without("format"), "format None"),
        ({**small_recording(), "steps": small_recording()["steps"][:-1]}, "5 steps for 6 operations"),
        (_with_step(procs=[]), "step 1: objects"),
        (_with_step(procs={"A": {"vmas": [3], "pages": {}}}), "step 1, A: a VMA is an object"),
        (_with_step(procs={"A": {"vmas": [], "pages": {"r": [[0, 1]]}}}), "step 1, A, r: runs are"),
        (_with_step(folios=[{"id": 1}]), "step 1: a folio has numbers"),
    ],
)
def test_damaged_recording(found: dict[str, Any], message: str) -> None:
    """A recording with a part that is missing or of another shape says which."""
    with pytest.raises(BadScenario, match=message):
        parse(json.dumps(found).encode())


def test_damaged_gzip(tmp_path: Path) -> None:
    """A gzip file that was cut, or changed, is called damaged."""
    data = RECORDINGS[0].read_bytes()
    cut, changed = tmp_path / "cut.json.gz", tmp_path / "changed.json.gz"
    cut.write_bytes(data[: len(data) // 2])
    changed.write_bytes(data[:40] + bytes(byte ^ 0x55 for byte in data[40:80]) + data[80:])

    for path in (cut, changed):
        with pytest.raises(BadScenario, match=r"damaged gzip file|cannot be read"):
            load(str(path))


def test_no_file(tmp_path: Path) -> None:
    """A file that is not there, and a name that is none, cannot be read."""
    for name in (str(tmp_path / "none.json"), str(tmp_path), "a\0b"):
        with pytest.raises(BadScenario, match="cannot be read"):
            load(name)
