"""Replaying scenarios: placement, files, and operations that have nobody to do them."""

from __future__ import annotations

from typing import Any

import pytest

from folioshell.live.format import SLOT, placement
from folioshell.recording.scenario import ARENA, ScenarioRun
from tests.recording.samples import scenario


def _mmap(region: str, **keys: Any) -> dict[str, Any]:
    return {"op": "mmap", "proc": "A", "region": region, "kind": "anon", "pages": 8, "prot": "rw", **keys}


def test_placement() -> None:
    """Operation k that makes a region owns slot k, unless it lies behind another; mremap has its source's shape."""
    ops = [
        _mmap("r", align_pages=16, skew_pages=3),
        _mmap("s", after="r"),
        {"op": "mremap", "proc": "A", "region": "r", "page": 2, "count": 4, "new_region": "t"},
        _mmap("u"),
    ]
    assert placement(ops).regions == {
        "r": (19, 8),
        "s": (27, 8),
        "t": (2 * SLOT + 19, 4),
        "u": (3 * SLOT + 512, 8),
    }


def test_vpn() -> None:
    """A page of a region is where the placement says, from the arena's base on."""
    assert ScenarioRun(scenario()).vpn("r", 5) == ARENA + 512 + 5


_TWELVES = [[0, 3, 1], [8, 2, 2], [16, 3, 2], [32, 2, 2], [40, 3, 1], [48, 1, 1]]
_THOUSANDS = [
    *([0, 9, 1], [512, 8, 1], [768, 7, 1], [896, 6, 1], [960, 5, 1], [992, 3, 2], [1008, 4, 1]),
    *([1024, 8, 1], [1280, 4, 1], [1296, 2, 1]),
]


@pytest.mark.parametrize(
    ("spec", "layout"),
    [
        ({"pages": 50, "fs": "ext4"}, [[0, 0, 50]]),
        ({"pages": 50, "fs": "ext4", "chunk_pages": 16}, [[0, 4, 3], [48, 1, 1]]),
        ({"pages": 50, "fs": "ext4", "chunk_pages": 12}, _TWELVES),
        ({"pages": 1300, "fs": "tmpfs_within", "chunk_pages": 1000}, _THOUSANDS),
        ({"pages": 50, "fs": "tmpfs", "chunk_pages": 12}, [[0, 0, 50]]),
        ({"pages": 600, "fs": "tmpfs_huge"}, [[0, 9, 2]]),
        ({"pages": 20, "fs": "ext4", "cached": False}, []),
    ],
)
def test_layout(spec: dict[str, Any], layout: list[list[int]]) -> None:
    """The page cache of a new file is made of the folios that a 6.18 kernel made of the same writes."""
    replay = ScenarioRun({"setup": {"files": {"f": spec}}, "ops": []})

    assert replay.layout("f") == layout


def test_nobody_there() -> None:
    """An operation of a process that does not live, and a fork of a name that does, are skipped."""
    replay = ScenarioRun(scenario())
    touch = {"op": "touch", "proc": "Z", "region": "r", "page": 0, "count": 1, "access": "read"}
    fork = {"op": "fork", "proc": "A", "child": "B"}

    assert replay.run(touch) == {"skipped": "no such process"}
    assert replay.run(fork) == {"ok": True}
    assert replay.run(fork) == {"skipped": "process exists"}


def test_a_name_may_come_back() -> None:
    """A child may have the name of one that ended; it then is the youngest."""
    replay = ScenarioRun(scenario())
    for op in ("B", "C"):
        replay.run({"op": "fork", "proc": "A", "child": op})
    replay.run({"op": "exit", "proc": "B"})
    replay.run({"op": "fork", "proc": "A", "child": "B"})

    assert replay.processes == ["A", "C", "B"]


def test_thp_advice_that_fails() -> None:
    """An mmap whose advice fails stays mapped, and both results are told."""
    replay = ScenarioRun({"ops": [_mmap("r")]})

    assert replay.run({**_mmap("r"), "thp": "hugepage"}) == {"ok": True}
    assert replay.run({**_mmap("r"), "thp": "hugepage"}) == {"errno": "EEXIST"}
