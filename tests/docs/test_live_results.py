"""The results of ``live`` that stand in docs/fidelity.md agree with themselves, and nothing in them differs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.docs.live_results import RESULTS, tables

RUNS: list[dict[str, Any]] = json.loads(RESULTS.read_text(encoding="utf-8"))


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run["release"])
def test_a_run(run: dict[str, Any]) -> None:
    """The counts are the sums of those of the scripts; no step differs, and no assertion fails for the kernel alone."""
    ran = [one for one in run["results"] if "cannot_run" not in one]

    for key in ("steps", "same", "differ", "not_comparable", "expects", "held", "not_in_release"):
        assert run[key] == sum(one[key] for one in ran), key
    assert (run["scripts"], run["left_out"]) == (len(ran), len(run["results"]) - len(ran))
    assert run["same"] + run["not_comparable"] == run["steps"]
    assert run["held"] + run["not_in_release"] == run["expects"]


def test_kernels() -> None:
    """This machine, and stock kernels of two releases in QEMU."""
    assert [(run["profile"], run["where"].partition(" (")[0]) for run in RUNS] == [
        ("6.18", "this machine"),
        ("6.1", "in QEMU"),
        ("6.12", "in QEMU"),
    ]


def test_tables() -> None:
    """A row for each kernel with its command, and one for each script that one of them cannot run, or not whole."""
    rows = tables(RUNS).splitlines()

    assert sum("`folioshell live " in row for row in rows) == len(RUNS)
    left_out = {one["script"] for run in RUNS for one in run["results"] if one.get("cannot_run") or one.get("left_out")}
    assert {row.split(" | ")[0].removeprefix("| ") for row in rows if ".fs |" in row} == left_out
