"""``live --fuzz``: what a kernel with one rule changed does otherwise is found, and comes back as a short script."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import pytest

from folioshell.engine import machine
from folioshell.live import CannotRecord, RecorderOptions
from folioshell.live.format import check_scenario, load
from folioshell.live.guest import GuestError
from folioshell.model.release import RELEASES
from folioshell.recording.observe import emit
from folioshell.recording.random_scenario import random_scenario
from folioshell.recording.verify import verify
from folioshell.shell import live_fuzz
from folioshell.shell.live import LiveChoice
from folioshell.shell.live_fuzz import LiveFuzz, shortest
from folioshell.views.screen import Screen
from tests.command_line import folioshell


class FakeKernel:
    """A kernel that does as the model does, but for rules of its own.

    Args:
        before: is called with each scenario, and the number of recordings of it before.
        rules: fields of its release that have another value.
    """

    release = "6.18.44-test"

    def __init__(
        self, before: Callable[[dict[str, Any], int], None] = lambda scenario, nr: None, **rules: bool
    ) -> None:
        row = replace(RELEASES["6.18"], **rules)
        self._releases = {**RELEASES, "6.18": row}
        self._before = before
        self._seen: dict[str, int] = {}
        self.recordings = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def record(self, scenario: dict[str, Any], options: RecorderOptions | None) -> dict[str, Any]:
        self.recordings += 1
        nr = self._seen[scenario["name"]] = self._seen.get(scenario["name"], -1) + 1
        self._before(scenario, nr)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(machine, "RELEASES", self._releases)
            return emit(scenario, "6.18")

    def described(self) -> str:
        return "in a test"


def fuzz(kernel: FakeKernel, nr: int = 12, seed: int = 1, **choice: Any) -> tuple[int, str, str]:
    """Status, what is printed, and complaints."""
    texts = io.StringIO(), io.StringIO()
    screen, errors = (Screen(text, rich=False, width=1000) for text in texts)
    status = LiveFuzz(kernel, screen, errors, LiveChoice(**choice), nr, seed).run()
    return status, texts[0].getvalue(), texts[1].getvalue()


def test_a_kernel_that_does_the_same() -> None:
    """A line for the kernel, and a summary; status 0, and one recording of each."""
    kernel = FakeKernel()
    status, text, _ = fuzz(kernel, 3)
    first, last = text.splitlines()

    assert (status, kernel.recordings) == (0, 3)
    assert first == "Linux 6.18.44-test, in a test; profile 6.18"
    steps = sum(len(random_scenario(1, number)["ops"]) for number in range(3))
    assert last.startswith(f"3 scenarios of seed 1 under profile 6.18: {steps} steps, none differs (")


def test_a_changed_rule_is_found_and_minimized(tmp_path: Path) -> None:
    """A kernel whose madvise knows no guard regions: a script of two operations shows it, and its recording differs."""
    kernel = FakeKernel(has_guard_regions=False)
    status, text, _ = fuzz(kernel, 1, 7, folder=str(tmp_path), as_json=True)
    *found, last = map(json.loads, text.splitlines())

    assert status == 1
    assert all(one["operations"] <= 3 for one in found)
    assert found[0]["kind"] == "guard_install: result"
    assert found[0]["differences"][0] == {"what": "result", "kernel": "EINVAL", "model": "ok"}
    assert last["summary"]["differ"] >= len(found) == len(last["summary"]["kinds"])
    name = found[0]["scenario"]
    script = tmp_path / f"{name}.fs"
    assert script.read_text() == found[0]["script"]
    recording = load(str(tmp_path / f"{name}.json.gz"))
    difference = verify(recording, "6.18").difference
    assert difference is not None
    assert difference.step == found[0]["step"] == len(recording.scenario["ops"]) - 1
    # The script is the same scenario.
    assert folioshell("run", str(script)).returncode == 0


def test_later_differences_of_a_kind_are_counted_with_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are not minimized again, and are listed by number."""
    monkeypatch.setattr(live_fuzz, "_RECORDINGS", 0)

    class StrictKernel(FakeKernel):
        """No memory may be locked."""

        def record(self, scenario: dict[str, Any], options: RecorderOptions | None) -> dict[str, Any]:
            document = super().record(scenario, options)
            for op, step in zip(scenario["ops"], document["steps"], strict=True):
                step["result"] = {"errno": "EPERM"} if op["op"] == "mlock" else step["result"]
            return document

    status, text, _ = fuzz(StrictKernel(), 4, as_json=True)
    summary = json.loads(text.splitlines()[-1])["summary"]
    (kind,) = summary["kinds"]

    assert (status, kind["kind"]) == (1, "mlock: result")
    assert summary["differ"] == 1 + len(kind["like"]) > 1
    assert all(int(kind["scenario"].rpartition("-")[2]) < number for number in kind["like"])


def test_noise_is_set_apart() -> None:
    """What differs once and not again is no difference."""

    class NoisyKernel(FakeKernel):
        def record(self, scenario: dict[str, Any], options: RecorderOptions | None) -> dict[str, Any]:
            document = super().record(scenario, options)
            if not self._seen[scenario["name"]]:
                document["steps"][0]["result"] = {"errno": "ENOMEM"}
            return document

    status, text, _ = fuzz(NoisyKernel(), 2)
    assert status == 0
    assert "none differs, 2 differed once, not again" in text


def test_what_cannot_be_recorded_is_counted_by_its_reason() -> None:
    """All of them: status 2."""

    def refuse(scenario: dict[str, Any], nr: int) -> None:
        raise CannotRecord("only root can do that")

    status, text, _ = fuzz(FakeKernel(refuse), 3)
    assert status == 2
    assert text.splitlines()[-1] == "  3 cannot run live: only root can do that"


def test_a_kernel_that_ends(tmp_path: Path) -> None:
    """Its end is told, and the script that led to it is kept; status 1."""

    def end(scenario: dict[str, Any], nr: int) -> None:
        if scenario["name"] == "fuzz-1-1":
            raise GuestError("vmlinuz ended; its console ends:\n    Oops")

    status, text, complaints = fuzz(FakeKernel(end), 3, folder=str(tmp_path))
    assert status == 1
    assert "fuzz-1-1: vmlinuz ended" in complaints
    assert "the kernel ended in 1" in text
    assert [path.name for path in tmp_path.iterdir()] == ["fuzz-1-1.fs"]


def test_an_internal_error_of_the_model_is_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scenario that leads to it comes back, too, and the others are run."""
    compare = live_fuzz.compared_steps

    def broken(recording: Any, profile: str) -> Any:
        for one in compare(recording, profile):
            if one.op is not None and one.op["op"] == "mlock":
                raise ValueError("negative shift count")
            yield one

    monkeypatch.setattr(live_fuzz, "compared_steps", broken)
    status, text, _ = fuzz(FakeKernel(), 1, as_json=True)
    found = json.loads(text.splitlines()[0])

    assert (status, found["kind"], found["operations"]) == (1, "mlock: the model", 2)
    assert found["differences"][0]["model"] == "fails: ValueError: negative shift count"


@pytest.mark.parametrize("arguments", [(), ("--fuzz", "3", "s.fs")])
def test_scripts_or_random_scenarios(arguments: tuple[str, ...]) -> None:
    """One of them is to be run."""
    done = folioshell("live", *arguments)

    assert done.returncode == 2
    assert "expected scripts or --fuzz N, and not both" in done.stderr


def _scenario(*ops: dict[str, Any], **setup: Any) -> dict[str, Any]:
    return check_scenario({"name": "s", "doc": "", "setup": setup, "ops": list(ops)})


_MAP = {"op": "mmap", "proc": "A", "kind": "anon", "prot": "rw", "pages": 64, "align_pages": 512, "skew_pages": 16}
_RANGE = {"page": 3, "count": 40}


def test_what_is_not_needed_is_dropped() -> None:
    """Of all operations, settings and values those that show it remain, at their plainest."""
    scenario = _scenario(
        _MAP | {"region": "x", "thp": "hugepage"},
        _MAP | {"region": "r", "kind": "file_shared", "file": "f"},
        {"op": "fork", "proc": "A", "child": "B"},
        {"op": "touch", "proc": "B", "region": "r", **_RANGE, "access": "write"},
        {"op": "mlock", "proc": "B", "region": "r", **_RANGE},
        {"op": "exit", "proc": "A"},
        mthp={"64": "always"},
        swap=True,
        files={"f": {"pages": 100, "fs": "ext4", "chunk_pages": 4}},
    )

    def shows(candidate: dict[str, Any]) -> bool:
        """A range of two pages or more is locked."""
        return any(op["op"] == "mlock" and op["count"] > 1 for op in candidate["ops"])

    short = shortest(scenario, shows, 1000)
    assert short["setup"] == {}
    assert short["ops"] == [
        {"op": "mmap", "proc": "A", "kind": "anon", "prot": "rw", "pages": 2, "skew_pages": 0, "region": "r"},
        {"op": "mlock", "proc": "A", "region": "r", "page": 0, "count": 2},
    ]


def test_a_move_that_is_not_needed() -> None:
    """What is done to the new region is done to the old one instead."""
    scenario = _scenario(
        _MAP | {"region": "r"},
        {"op": "mremap", "proc": "A", "region": "r", "page": 0, "count": 64, "new_region": "q"},
        {"op": "mlock", "proc": "A", "region": "q", "page": 0, "count": 1},
    )
    short = shortest(scenario, lambda candidate: any(op["op"] == "mlock" for op in candidate["ops"]), 1000)

    assert [op["op"] for op in short["ops"]] == ["mmap", "mlock"]


@pytest.mark.parametrize("most", [0, 1, 7])
def test_tests_are_bounded(most: int) -> None:
    """No more scenarios are tried than permitted; what was found so far is the result."""
    tried = []

    def shows(candidate: dict[str, Any]) -> bool:
        tried.append(candidate)
        return True

    scenario = random_scenario(1, 1)
    assert check_scenario(shortest(scenario, shows, most))
    assert len(tried) <= most
