"""Prints what a step costs against its size: CPU time, exponent, ratio to bare loops, and memory a page.

Run: python tests/benchmarks/growth.py [ROUNDS] [LARGEST]
"""

from __future__ import annotations

import gc
import math
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from folioshell.commands import Session  # noqa: E402

#: name of a step -> the line that is measured, in this order on one session
STEPS = {
    "fault": "fault buf",
    "fork": "fork B",
    "exit": "exit B",
    "undo": "undo",
    "munmap": "munmap buf",
}

#: no exponent should be above this: a step costs as much as it has pages
MOST = 1.1

_LEAF = 512


def store_entries(nr: int) -> list[list[int]]:
    """The least that faulting ``nr`` pages could be in Python: an integer stored into a leaf list for each."""
    leaves = [[0] * _LEAF for _ in range(-(-nr // _LEAF))]
    for page in range(nr):
        leaves[page >> 9][page & 511] = page << 8
    return leaves


def copy_leaves(leaves: list[list[int]]) -> list[list[int]]:
    """The least that a fork could be."""
    return [leaf[:] for leaf in leaves]


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of this process: another one that wants the processor does not count."""
    start = time.process_time()
    work()
    return time.process_time() - start


def bare(work: Callable[[], object]) -> float:
    """CPU seconds of a bare loop, which is not to pay for garbage that a session left."""
    gc.collect()
    gc.disable()
    try:
        return seconds(work)
    finally:
        gc.enable()


def measure(nr: int) -> dict[str, float]:
    """Seconds of each step at ``nr`` order-0 pages, and of the bare loops before and after."""
    session = Session()
    session.execute(f"mmap buf {nr}")
    leaves = store_entries(nr)
    store, copy = bare(lambda: store_entries(nr)), bare(lambda: copy_leaves(leaves))
    times = {name: seconds(lambda line=line: session.execute(line)) for name, line in STEPS.items()}  # type: ignore[misc]
    times["store"] = (store + bare(lambda: store_entries(nr))) / 2
    times["copy"] = (copy + bare(lambda: copy_leaves(leaves))) / 2
    return times


def exponent(sizes: list[int], times: list[float]) -> float:
    """Slope of the line of least squares through the logarithms: 1 is linear, 2 is quadratic."""
    return statistics.linear_regression([math.log(size) for size in sizes], [math.log(time) for time in times]).slope


def bytes_a_page(nr: int) -> float:
    """Memory that a faulted page keeps: the model, all schemes, and the journal with its trace."""
    session = Session()
    session.execute(f"mmap buf {nr} ; fault buf[0]")
    gc.collect()
    tracemalloc.start()
    session.execute(f"fault buf[1..{nr - 1}]")
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used / (nr - 1)


def main(rounds: int, largest: int) -> None:
    """Measure everything; each round measures all sizes, so that a slow spell meets all alike."""
    sizes = [largest // 10, largest // 3, largest]
    runs: dict[int, list[dict[str, float]]] = {size: [] for size in sizes}
    for _ in range(rounds):
        for size in sizes:
            runs[size].append(measure(size))
    print(f"{'step':8} {'pages':>9} {'CPU s':>8} {'us/page':>8}  {'exponent':>8}  ratio to bare loop")
    for name in STEPS:
        medians = [statistics.median(run[name] for run in runs[size]) for size in sizes]
        least = "copy" if name == "fork" else "store"
        ratio = statistics.median(run[name] / run[least] for run in runs[largest])
        slope = exponent(sizes, medians)
        print(
            f"{name:8} {largest:9,} {medians[-1]:8.3f} {medians[-1] / largest * 1e6:8.2f}  {slope:8.2f}  "
            f"{ratio:6.1f} x {'leaf[:] of every leaf' if least == 'copy' else 'storing integers'}"
            f"{'' if slope <= MOST else f'  STEEPER THAN {MOST}'}"
        )
    print(f"memory   {largest:9,} {bytes_a_page(largest):8.0f} bytes a mapped order-0 page, trace included")


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*(given + [3, 100_000][len(given) :]))
