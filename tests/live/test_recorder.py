"""What is decided before and after a recording: obstacles, and what several runs agree in."""

from __future__ import annotations

import copy
import json
import platform
import sys
from typing import Any

import pytest

from folioshell.live import CannotRecord, RecorderOptions, check_machine
from folioshell.live.files import write_recording
from folioshell.live.format import load
from folioshell.live.recorder import _hard, _over_limits
from tests.live.again import RESULT
from tests.recording.samples import small_recording

_OPS: list[dict[str, Any]] = [
    {"op": "mmap", "proc": "A", "region": "r", "kind": "anon", "pages": 4096, "prot": "rw"},
    {"op": "touch", "proc": "A", "region": "r", "page": 0, "count": 4096, "access": "write"},
    {"op": "fork", "proc": "A", "child": "B"},
    {"op": "exit", "proc": "B"},
    {"op": "fork", "proc": "A", "child": "C"},
]


@pytest.mark.parametrize(
    ("where", "value", "sentence"),
    [
        ("platform", "darwin", "needs Linux"),
        ("machine", "aarch64", "needs an x86-64 processor, and this is aarch64"),
        ("PAGESIZE", 16384, "needs pages of 4K, and this kernel has 16K"),
    ],
)
def test_machines_that_cannot_record(monkeypatch: pytest.MonkeyPatch, where: str, value: Any, sentence: str) -> None:
    """Another system, architecture or page size is refused in one sentence."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    match where:
        case "platform":
            monkeypatch.setattr(sys, where, value)
        case "machine":
            monkeypatch.setattr(platform, where, lambda: value)
        case _:
            monkeypatch.setattr(f"mmap.{where}", value)

    with pytest.raises(CannotRecord, match=sentence):
        check_machine()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/meminfo")
def test_limits() -> None:
    """Processes that live at once count, and pages that operations can bring in, those of files too."""
    found = {"ops": _OPS, "setup": {"files": {"f": {"pages": 100, "fs": "tmpfs"}}}}
    pages = 100 + 4096 + 2 * 512

    assert list(_over_limits(found, RecorderOptions(processes=2, pages=pages))) == []
    assert list(_over_limits(found, RecorderOptions(processes=1, pages=pages - 1))) == [
        "the scenario needs 2 processes; the limit is 1",
        f"the scenario may need {pages} pages; the limit is {pages - 1}",
    ]


def test_what_runs_differ_in_is_left_out() -> None:
    """A value in which two runs differ is unstable, with both values; the rest is kept."""
    run = small_recording()
    other = copy.deepcopy(run)
    name, process = next(iter(other["steps"][1]["procs"].items()))
    process["vmas"][0]["smaps"]["Rss"] += 4
    unstable: dict[str, Any] = {}

    files, steps = _hard([run, other], unstable)

    rss = run["steps"][1]["procs"][name]["vmas"][0]["smaps"]["Rss"]
    assert unstable == {f"steps/1/procs/{name}/vmas/0/smaps/Rss": [rss, rss + 4]}
    assert "Rss" not in steps[1]["procs"][name]["vmas"][0]["smaps"]
    assert (files, steps[0]) == (run["files"], run["steps"][0])


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_a_written_recording_is_read_again(tmp_path: Any, name: str) -> None:
    """A recording comes back from its file, gzipped or not; a step is a line."""
    document = small_recording()

    write_recording(document, str(tmp_path / name))

    read = load(str(tmp_path / name))
    assert (read.regions, read.files, read.steps) == (document["regions"], document["files"], document["steps"])
    if name == "a.json":
        text = (tmp_path / name).read_text()
        assert sum(line.startswith("  {") for line in text.splitlines()) >= len(document["steps"])


def test_the_result_of_recording_again_is_documented() -> None:
    """All recordings made again are equal, and docs/fidelity.md has the counts of the result."""
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    text = (RESULT.parents[1] / "fidelity.md").read_text(encoding="utf-8")

    assert result["equal"] == result["recordings"]
    assert f"all {result['recordings']} recordings of 6.18.44 again, {result['steps']:,} steps" in text
    assert f"`{result['command']}`" in text
