"""The machine that runs the tests: may it record, and is it as it was before?"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from folioshell.live import THP, CannotRecord, check_machine, sees_folios

_RELEASE = (6, 18)


def require_recorder() -> None:
    """Skip a test unless this machine can record everything: root, Linux 6.18 or later, THP."""
    try:
        check_machine()
    except CannotRecord as reason:
        pytest.skip(str(reason))
    if tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2]) < _RELEASE:
        pytest.skip("needs Linux 6.18")
    if os.geteuid() or not sees_folios():
        pytest.skip("needs root, and page frame numbers")


def machine_state(folder: Path) -> dict[str, object]:
    """What a recording changes meanwhile, and must not leave changed; its files are in ``folder``."""
    settings = [
        *THP.rglob("enabled"),
        THP / "defrag",
        THP / "shmem_enabled",
        *Path("/sys/block").glob("*/queue/read_ahead_kb"),
    ]
    return {
        **{str(one): one.read_text(encoding="utf-8") for one in sorted(settings)},
        "swaps": Path("/proc/swaps").read_text(encoding="utf-8"),
        "zram": sorted(one.name for one in Path("/sys/block").glob("zram*")),
        "mounts": Path("/proc/self/mountinfo").read_text(encoding="utf-8"),
        "files": sorted(one.name for one in folder.iterdir()),
        "run": sorted(one.name for one in Path("/run").glob("folioshell*")),
    }


def processes_of(session: int) -> list[int]:
    """The processes of a session."""
    found = []
    for one in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = one.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(one.parent.name))
    return found
