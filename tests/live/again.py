"""The recordings of 6.18.44 made again on the kernel here as root: ``python -m tests.live.again`` writes the result."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from folioshell.live import CannotRecord
from folioshell.live.format import load
from folioshell.live.recorder import record
from tests.recording.samples import BEYOND, RECORDINGS

RESULT = Path(__file__).parents[2] / "docs/results/recorder.json"


def main() -> int:
    """Record, compare in files, regions and steps, and write the counts; 1 if one differs."""
    counts = {"recordings": 0, "equal": 0, "steps": 0, "disturbed_runs": 0}
    differ = []
    for path in (*RECORDINGS, *BEYOND):
        known = load(str(path))
        counts["recordings"] += 1
        counts["steps"] += len(known.steps or ())
        try:
            made = record(known.scenario)
        except CannotRecord as reason:
            differ.append(f"{path.name}: {reason}")
            continue
        counts["disturbed_runs"] += made["disturbed_runs"]
        if (made["files"], made["regions"], made["steps"]) == (known.files, known.regions, known.steps):
            counts["equal"] += 1
        else:
            differ.append(path.name)
    found = {"command": "python -m tests.live.again", "uname": os.uname().release, **counts, "differ": differ}
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main())
