"""Recordings of the tests, and small scenarios to damage."""

from __future__ import annotations

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from folioshell.live.format import Recording, parse
from folioshell.recording.observe import emit

FOLDER = Path(__file__).parents[1] / "recordings"
#: recordings of real kernels: the public ones, and those of rules that random operations brought up
RECORDINGS = sorted([*FOLDER.glob("*.json.gz"), *FOLDER.glob("found/*.json.gz")])
#: recordings of random operations: holes, truncation, MAP_FIXED over mappings, mremap to other sizes, pins
BEYOND = sorted(FOLDER.glob("beyond/*.json.gz"))
#: the public scenarios on other kernels
RELEASES = sorted(FOLDER.glob("releases/*/*.json.gz"))


def _sweep(paths: list[Path], every: int = 6) -> list[Any]:
    """For parametrization: all of them in a full run, else those that were found and one of ``every`` others."""
    return [
        pytest.param(
            path,
            id=f"{path.parent.name}-{path.name}".removeprefix("recordings-").removesuffix(".json.gz"),
            marks=() if path.parent.name == "found" or number % every == 0 else pytest.mark.full,
        )
        for number, path in enumerate(paths)
    ]


SWEEP = _sweep(RECORDINGS)
BEYOND_SWEEP = _sweep(BEYOND)
RELEASES_SWEEP = _sweep(RELEASES, every=30)


def document(name: str) -> dict[str, Any]:
    """The JSON document of a recording, by the beginning of its name."""
    (path,) = FOLDER.glob(f"{name}*.json.gz")
    loaded: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return loaded


def recording(found: dict[str, Any]) -> Recording:
    """The recording that a document is."""
    return parse(json.dumps(found).encode())


_SMALL: dict[str, Any] = {
    "name": "small",
    "doc": "A child and a file.",
    "setup": {"files": {"f": {"pages": 20, "fs": "ext4", "cached": True, "chunk_pages": 4}}, "mthp": {"64": "always"}},
    "ops": [
        {"op": "mmap", "proc": "A", "region": "r", "kind": "anon", "pages": 32, "prot": "rw"},
        {"op": "touch", "proc": "A", "region": "r", "page": 0, "count": 16, "access": "write"},
        {"op": "fork", "proc": "A", "child": "B"},
        {"op": "mmap", "proc": "B", "region": "m", "kind": "file_private", "file": "f", "pages": 8, "prot": "r"},
        {"op": "touch", "proc": "B", "region": "m", "page": 2, "count": 1, "access": "read"},
        {"op": "munmap", "proc": "A", "region": "r", "page": 4, "count": 4},
    ],
}


def scenario() -> dict[str, Any]:
    """A scenario of six operations with an mTHP folio, a fork and a file; a new copy each time."""
    return copy.deepcopy(_SMALL)


def small_recording() -> dict[str, Any]:
    """The document of the model's own recording of ``scenario()``."""
    made: dict[str, Any] = json.loads(json.dumps(emit(scenario())))
    return made
