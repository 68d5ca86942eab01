"""The form of scenarios: what is wrong is named with its place."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from folioshell.live.format import (
    _FILE,
    _SETUP,
    FILE_SYSTEMS,
    KINDS,
    OPERATIONS,
    PROTECTIONS,
    BadScenario,
    check_scenario,
    load,
    parse,
)
from folioshell.recording.observe import emit
from tests.recording.samples import RECORDINGS, recording, scenario, small_recording


def test_a_good_scenario_comes_back() -> None:
    """A scenario with nothing wrong is returned as it is."""
    assert check_scenario(scenario()) == scenario()


def _changed(number: int, **keys: Any) -> dict[str, Any]:
    found = scenario()
    found["ops"][number].update(keys)
    return found


def _without(number: int, key: str) -> dict[str, Any]:
    found = scenario()
    del found["ops"][number][key]
    return found


def _setup(**parts: Any) -> dict[str, Any]:
    return {**scenario(), "setup": {**scenario()["setup"], **parts}}


_SECOND = {"op": "mmap", "proc": "A", "region": "s", "kind": "anon", "pages": 8, "prot": "rw"}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "not a scenario"),
        ({"ops": 3}, "not a scenario"),
        ({"ops": [3]}, "operation 0: an object"),
        (_changed(1, op="tuch"), "operation 1: no operation 'tuch'; did you mean 'touch'"),
        (_changed(1, op=["touch"]), "operation 1: no operation"),
        (_changed(1, access="wrote"), "operation 1, touch: `access` is 'wrote'; did you mean 'write'"),
        (_changed(1, count=-1), "operation 1, touch: `count` is -1; expected a number"),
        (_changed(1, count=True), "operation 1, touch: `count` is True"),
        (_changed(1, count=1 << 60), "operation 1, touch: `count`"),
        (_without(1, "page"), "operation 1, touch: `page` is missing"),
        (_changed(1, region="q"), "operation 1, touch: no earlier region 'q'"),
        (_changed(2, child=""), "operation 2, fork: `child`"),
        (_changed(3, region="r"), "operation 3, mmap: region 'r' exists"),
        (_changed(3, file="g"), "operation 3, mmap: no file 'g'"),
        (_changed(3, align_pages=3), "operation 3, mmap: `align_pages` is 3; expected a power of two"),
        (_changed(3, kind="hugetlb"), "operation 3, mmap: `kind`"),
        (_changed(3, pages=262144), "region 'm' does not fit its slot"),
        (_changed(3, after="q"), "operation 3, mmap: no earlier region 'q'"),
        (_setup(files={"f": {"pages": 0, "fs": "ext4"}}), "file f: `pages` is 0"),
        (_setup(files={"f": {"pages": 4, "fs": "xfs"}}), "file f: `fs` is 'xfs'"),
        (_setup(files=3), "setup: expected objects `files` and `mthp`"),
        (_setup(mthp={"48": "always"}), "setup: no anonymous folios of 48 kB"),
        (_setup(mthp={"64": "allways"}), "did you mean 'always'"),
    ],
)
def test_bad_scenario(found: Any, message: str) -> None:
    """What a scenario cannot have is refused, with the operation and the word."""
    with pytest.raises(BadScenario, match=message):
        check_scenario(found)


def test_regions_that_overlap() -> None:
    """Two regions behind the same one would lie over each other."""
    found = scenario()
    found["ops"] = [found["ops"][0], {**_SECOND, "after": "r"}, {**_SECOND, "region": "u", "after": "r"}]
    with pytest.raises(BadScenario, match="overlap"):
        check_scenario(found)


def test_unknown_keys_are_left_alone() -> None:
    """Keys that no operation has are ignored, as the recorder does."""
    assert check_scenario(_changed(1, note="the first write"))["ops"][1]["note"] == "the first write"


def test_gzipped_and_plain_are_read_alike(tmp_path: Path) -> None:
    """What a file is called does not matter: gzip is known by its first bytes."""
    plain = tmp_path / "plain.json"
    plain.write_bytes(gzip.decompress(RECORDINGS[0].read_bytes()))

    assert load(str(plain)) == load(str(RECORDINGS[0]))


def test_a_bare_scenario_has_no_steps() -> None:
    """A scenario without a recording around it is read, and has no steps."""
    found = parse(json.dumps(scenario()).encode())

    assert (found.name, found.steps, found.scenario) == ("small", None, scenario())


def _recording_without(key: str) -> dict[str, Any]:
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
        (b"", "truncated JSON"),
        (b'{"format": "mm-oracle-reco', "truncated JSON"),
        (b'{"format": "mm",\n "name" 3}', "line 2, column 9"),
        (b"[1, 2]", "expected an object"),
        (b"\xff\xfe\xfd{}", "not UTF-8"),
        (
            b'{"format": "mm-oracle-recording/2"}',
            "unknown format 'mm-oracle-recording/2'",
        ),
        (b"[" * 100_000, "unreadable JSON"),
    ],
)
def test_bad_text(data: bytes, message: str) -> None:
    """Text that is no recording is named as what it is."""
    with pytest.raises(BadScenario, match=message):
        parse(data)


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (_recording_without("steps"), "a list `steps`"),
        (_recording_without("regions"), "objects `regions`"),
        (_recording_without("scenario"), "not a scenario"),
        (_recording_without("format"), "format None"),
        ({**small_recording(), "steps": small_recording()["steps"][:-1]}, "5 steps for 6 operations"),
        (_with_step(procs=[]), "step 1: expected objects"),
        (_with_step(procs={"A": {"vmas": [3], "pages": {}}}), "step 1, A: a VMA must be an object"),
        (_with_step(procs={"A": {"vmas": [], "pages": {"r": [[0, 1]]}}}), "step 1, A, r: expected runs"),
        (_with_step(folios=[{"id": 1}]), "step 1: a folio must have numbers"),
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


def test_books() -> None:
    """Books are optional; a step whose books differed in a second run has none, and malformed ones are refused."""
    found = json.loads(json.dumps(emit(scenario(), books=True)))
    books = recording(found).books
    assert len(books) == len(found["steps"]) and None not in books
    assert recording({**found, "soft": {}}).books == ()

    found["soft"]["varies"] = {"steps/1/raw/folios/0/2/ref": [1, 2], "steps/2/vmas/A": []}
    assert [step is None for step in recording(found).books[:3]] == [False, True, False]

    found["soft"]["steps"][0]["raw"]["tables"] = {"A": [[1, [[0, 1]]]]}
    with pytest.raises(BadScenario, match="step 0: expected `raw`"):
        recording(found)


def test_the_format_is_documented() -> None:
    """docs/recordings.md names every operation, key, file system, kind and setting of the format."""
    text = (Path(__file__).parents[2] / "docs/recordings.md").read_text(encoding="utf-8")
    keys = {key for must, may in OPERATIONS.values() for key in (*must, *may)}
    words = {*OPERATIONS, *keys, *KINDS, *FILE_SYSTEMS, *PROTECTIONS, *_SETUP, "files", "mthp", *_FILE[0], *_FILE[1]}

    assert [word for word in sorted(words) if f"`{word}`" not in text] == []
