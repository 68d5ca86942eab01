"""The recorder by itself, as a virtual machine runs it: ``python -m folioshell.live SCENARIO.json… -o DIR``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from folioshell.live import CannotRecord, RecorderOptions
from folioshell.live.files import write_recording
from folioshell.live.format import BadScenario, load
from folioshell.live.host import restore
from folioshell.live.recorder import record


def main(arguments: Sequence[str] | None = None) -> int:
    """Record scenarios, each in a file of its own; returns 1 if one could not be recorded."""
    parser = argparse.ArgumentParser(prog="python -m folioshell.live", description="Record scenarios on this kernel.")
    parser.add_argument("files", nargs="*", metavar="SCENARIO", help="a scenario or recording, .json or .json.gz")
    parser.add_argument("-o", dest="folder", metavar="DIR", default=".", help="where NAME.json.gz goes (default: .)")
    parser.add_argument("--runs", type=int, default=2, metavar="N", help="runs that are compared (default: 2)")
    parser.add_argument("--folder", dest="files_on", metavar="DIR", default="", help="a folder on ext4 for files")
    parser.add_argument("--swap", metavar="DEVICE", default="", help="a prepared swap device (default: a zram device)")
    parser.add_argument("--restore", action="store_true", help="put back what a killed recorder has changed")
    chosen = parser.parse_args(arguments)
    options = RecorderOptions(runs=chosen.runs, folder=chosen.files_on, swap_device=chosen.swap)
    status = 0
    if chosen.restore:
        try:
            done = restore()
        except CannotRecord as reason:
            _say(str(reason))
            return 1
        _say("\n".join(done) or "nothing to restore")
    for name in chosen.files:
        try:
            recording = load(name)
            document = record(recording.scenario, options)
            target = Path(chosen.folder) / f"{Path(name).name.removesuffix('.gz').removesuffix('.json')}.json.gz"
            write_recording(document, str(target))
        except (BadScenario, CannotRecord, OSError) as reason:
            _say(f"{name}: {reason}")
            status = 1
            continue
        unstable = len(document["soft"]["unstable"])
        _say(f"{name}: {len(document['steps'])} steps, {unstable} unstable")
    return status


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
