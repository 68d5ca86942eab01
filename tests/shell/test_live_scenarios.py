"""``pytest -m live``: every shipped script that a real kernel can run, here and in guests, does what the model does.

FOLIOSHELL_KERNELS names kernel images, separated by colons; each is booted in QEMU once.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from folioshell.live import CannotRecord
from folioshell.live.recorder import check_machine
from tests.command_line import folioshell
from tests.repo.tree import ROOT

pytestmark = pytest.mark.live

SCENARIOS = sorted((ROOT / "scenarios").rglob("*.fs"))
KERNELS = [path for path in os.environ.get("FOLIOSHELL_KERNELS", "").split(":") if path]


def documents(*arguments: str) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The document of each script, and the summary."""
    done = folioshell("live", "--json", *arguments, *map(str, SCENARIOS))
    assert done.returncode in (0, 1), done.stderr
    *scripts, last = map(json.loads, done.stdout.splitlines())
    assert len(scripts) == len(SCENARIOS)
    return scripts, last["summary"]


def unlike(scripts: list[dict[str, Any]]) -> list[Any]:
    return [
        (Path(one["script"]).name, one["unlike"], one["failed"])
        for one in scripts
        if one.get("unlike") or one.get("failed")
    ]


@pytest.fixture
def _this_machine() -> None:
    """Root, and a kernel that scripts were written for."""
    try:
        check_machine()
    except CannotRecord as reason:
        pytest.skip(str(reason))
    release = tuple(map(int, os.uname().release.split("-")[0].split(".")[:2]))
    if os.geteuid() or release < (6, 18):
        pytest.skip("needs root and Linux 6.18")


@pytest.mark.usefixtures("_this_machine")
def test_all_scenarios_on_this_kernel() -> None:
    """All steps are the same, and all assertions hold."""
    scripts, summary = documents()
    assert unlike(scripts) == []
    assert summary["scripts"] >= 53
    assert summary["same"] == summary["steps"] - summary["not_comparable"]
    assert summary["held"] == summary["expects"]


@pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="needs QEMU")
@pytest.mark.parametrize("kernel", KERNELS or [pytest.param("", marks=pytest.mark.skip(reason="FOLIOSHELL_KERNELS"))])
def test_all_scenarios_in_a_guest(kernel: str) -> None:
    """One boot runs them all; what an older release does differently the model does as well."""
    scripts, summary = documents("--kernel", kernel)
    assert unlike(scripts) == []
    assert summary["scripts"] >= 41
    assert summary["held"] + summary["not_in_release"] == summary["expects"]
