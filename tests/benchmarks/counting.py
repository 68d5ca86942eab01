"""Prints how long counting under all schemes takes, as ratios to counting under none.

Run: python tests/benchmarks/counting.py [ROUNDS]
"""

from __future__ import annotations

import gc
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from folioshell.engine.machine import Machine
from folioshell.model.mapping import AddressSpace
from folioshell.paths import fault, mmap

BASE = 0x7F0000000
GOAL = 3.0


def machine(counting: bool) -> Machine:
    """A machine whose schemes all count, or none."""
    made = Machine()
    if not counting:
        made.schemes.callbacks.clear()
    return made


def small_faults(made: Machine) -> float:
    """Seconds for 100,000 write faults of anonymous order-0 folios."""
    mm = made.kernel.mms["A"]
    made.run(mmap.do_mmap(made.kernel, mm, BASE, 100_000))
    made.begin()
    start = time.process_time()
    made.run(fault.touch(made.kernel, mm, BASE, 100_000, True))
    return time.process_time() - start


def large_faults(made: Machine) -> float:
    """Seconds for mapping 1,000 order-9 folios by PTEs, each through two page tables."""
    mm, pages = made.kernel.mms["A"], 512_000
    made.kernel.create_file(AddressSpace("f", pages, "tmpfs"), 9, True)
    made.run(mmap.do_mmap(made.kernel, mm, BASE + 256, pages, kind="shared", file=made.kernel.files["f"]))
    made.begin()
    start = time.process_time()
    for half in range(0, pages, 256):
        made.run(fault.touch(made.kernel, mm, BASE + 256 + half, 1, False))
    return time.process_time() - start


def ratio(work: Callable[[Machine], float], rounds: int) -> float:
    """Median of the ratios; each round measures both, so that a slow spell of the machine meets both."""
    ratios = []
    for _ in range(rounds + 1):
        none = work(machine(counting=False))
        gc.collect()
        ratios.append(work(machine(counting=True)) / none)
        gc.collect()
    # The first round warms the caches.
    return statistics.median(ratios[1:])


def main(rounds: int) -> None:
    """Measure both."""
    for title, work in (
        ("100,000 order-0 faults: all schemes : none", small_faults),
        ("1,000 order-9 folios by PTEs: all schemes : none", large_faults),
    ):
        value = ratio(work, rounds)
        print(f"{title:60} {value:6.2f} x  goal {GOAL:g} x  {'ok' if value <= GOAL else 'MISSED'}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
