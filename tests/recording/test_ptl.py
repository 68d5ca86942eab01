"""Traces of page-table locks that real kernels took."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from folioshell.live.format import BadScenario
from folioshell.recording import ptl
from folioshell.recording.ptl import profile_of

FOLDER = Path(__file__).parents[1] / "recordings" / "ptl"
TRACES = sorted(FOLDER.glob("*.json.gz"))
#: the same operations, and others, on other kernels
RELEASES = sorted(FOLDER.glob("*/*.json.gz"))
#: each tenth of those on other kernels, besides all the others
SWEEP = [
    pytest.param(
        path,
        id=str(path.relative_to(FOLDER)).removesuffix(".json.gz"),
        marks=pytest.mark.full if number >= len(TRACES) and number % 10 else (),
    )
    for number, path in enumerate([*TRACES, *RELEASES])
]


def read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return document


def test_all_traces_are_there() -> None:
    """There are 116 of each of four kernels."""
    kernels = Counter(read(path)["kernel"] for path in (*TRACES, *RELEASES))

    assert kernels == {"6.1.192": 116, "6.12.117": 116, "6.18.15": 116, "7.3.4": 116}


@pytest.mark.parametrize("path", SWEEP)
def test_the_model_takes_the_locks_of_the_kernel(path: Path) -> None:
    """Result, locks, depths, functions and what is held together are those of the kernel."""
    document = read(path)
    kernel = ptl.parse(document)
    model = ptl.trace(kernel.scenario, profile_of(kernel))

    if "note" in document:
        model = _without_restart(model)
    assert ptl.first_difference(kernel, model) is None
    assert len(model.ptl) == document["n"]


def _without_restart(model: ptl.PtlRecording) -> ptl.PtlRecording:
    """6.18.15 ends a walk that has split a PMD entry, later 6.18.y restart it: without the lock of the PTE table."""
    split = [function for _, _, function in model.ptl].index("page_vma_mapped_walk")
    assert model.ptl[split + 1][2] == "map_pte"
    return replace(model, ptl=model.ptl[: split + 1] + model.ptl[split + 2 :])


def test_functions_have_the_names_of_the_release() -> None:
    """Three were renamed in 7.1."""
    scenario = ptl.parse(read(FOLDER / "madv_dontneed__pte_thp_whole__excl.json.gz")).scenario

    assert ptl.trace(scenario, "7.0").ptl[1][2] == "try_get_and_clear_pmd"
    assert ptl.trace(scenario, "7.3").ptl[1][2] == "zap_empty_pte_table"


def test_a_table_that_the_operation_installs_and_frees_is_named() -> None:
    """A THP moved to another offset in its block: its PTE table comes with the PMD split, and goes with the source."""
    thp = {"op": "mmap", "proc": "A", "region": "r", "kind": "anon", "pages": 512, "prot": "rw", "thp": "hugepage"}
    write = {"op": "touch", "proc": "A", "region": "r", "page": 0, "count": 1, "access": "write"}
    move = {"op": "mremap", "proc": "A", "region": "r", "page": 0, "count": 512, "new_region": "s", "skew_pages": 8}
    made = ptl.trace({"ops": [thp, write, move]}, "6.12")

    assert made.held_together == {("pte:A:r:0", "pte:A:s:0"), ("pte:A:r:0", "pte:A:s:1")}
    assert {lock.partition(":")[0] for lock, _, _ in made.ptl} == {"mm", "pmd", "pte"}


def test_rows_are_written_out() -> None:
    """A number behind a row repeats it; a star repeats a group, and groups nest."""
    rows = [["a", 0, "f", 2], ["*", 2, [["b", 1, "g"], ["*", 2, [["c", 2, "h"]]]]]]

    written = list(ptl.written_out(rows, 3))

    assert [lock for lock, _, _ in written] == list("aabccbcc")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"result": {"errno": "EINVAL"}}, "result"),
        ({"held_together": [["pte:A:r0:0", "pmd:A"]]}, "held together"),
        ({"ptl": []}, "lock 0"),
    ],
)
def test_a_difference_is_found(change: dict[str, Any], what: str) -> None:
    """Each part that may differ is compared, the result first."""
    path = next(path for path in TRACES if path.name.startswith("anon_write_new_pte_table"))
    kernel = ptl.parse(read(path) | change)

    difference = ptl.first_difference(kernel, ptl.trace(kernel.scenario, "6.12"))

    assert difference is not None
    assert difference[0] == what


@pytest.mark.parametrize("key", ["ops", "op", "ptl", "result"])
def test_a_damaged_trace_is_named(key: str) -> None:
    """A document without one of the parts is refused."""
    document = read(TRACES[0])
    del document[key]

    with pytest.raises(BadScenario):
        ptl.parse(document)
