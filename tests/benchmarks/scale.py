"""Prints what work at the size of a real machine costs: the table of docs/performance.md, as Markdown.

Run: python tests/benchmarks/scale.py [--quick] [--rounds N] [WORK …]

Each measurement runs in a process of its own, at three sizes, in CPU time; exponents are slopes of cost against size.
What has no bare loop beside it is told in idle-equivalent seconds: those measured, divided by those of a loop of
additions right before and after, times what that loop takes on the reference machine when nothing else runs.
"""

from __future__ import annotations

import gc
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple, TextIO

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from folioshell.cli import main as command_line  # noqa: E402
from folioshell.commands import Session  # noqa: E402
from folioshell.model.pagetable import PageTable  # noqa: E402
from tests.benchmarks.growth import MOST, bare, bytes_a_page, copy_leaves, exponent, seconds, store_entries  # noqa: E402

#: name -> CPU seconds, or whatever else the name says
Measured = dict[str, float]

ADDITIONS = 5_000_000
#: seconds of so many additions on the reference machine (2 cores, CPython 3.11 without profile-guided optimization)
IDLE = 0.185


def additions() -> None:
    """What tells how fast the machine is just now."""
    total = 0
    for number in range(ADDITIONS):
        total += number


def run(session: Session, line: str) -> None:
    """Run commands, none of which may fail."""
    for report in session.execute(line):
        assert not report.failed, report
        assert report.expect is None or report.expect.passed, report


def timed(session: Session, *lines: str) -> float:
    """CPU seconds of some commands."""
    return seconds(lambda: [run(session, line) for line in lines])


def each(session: Session, lines: Sequence[str]) -> float:
    """CPU seconds of one of some commands that are alike: the median."""
    return statistics.median([timed(session, line) for line in lines])


# Measurements: what is done at a size.


def faults(nr: int, shown: str = "") -> Measured:
    """Write faults of order-0 pages in one command, and what comes after them."""
    session = Session()
    run(session, f"mmap buf {nr}" + (f" ; set schemes {shown}" if shown else ""))
    leaves = store_entries(nr)
    store, copy = bare(lambda: store_entries(nr)), bare(lambda: copy_leaves(leaves))
    times = {"fault": timed(session, "fault buf"), "fork": timed(session, "fork B")}
    store, copy = (store + bare(lambda: store_entries(nr))) / 2, (copy + bare(lambda: copy_leaves(leaves))) / 2
    times |= {"exit": timed(session, "exit B"), "munmap": timed(session, "munmap buf")}
    return {**times, "fault : store": times["fault"] / store, "fork : copy": times["fork"] / copy}


def faults_all(nr: int) -> Measured:
    """The same with all schemes shown."""
    return faults(nr, "all")


def thp(gib: int) -> Measured:
    """PMD-mapped anonymous memory: mapped, forked, both processes exited."""
    session = Session()
    before = peak()
    run(session, f"mmap big {gib}G ; madvise hugepage big")
    times = {
        "map": timed(session, "fault big"),
        "fork": timed(session, "fork B"),
        "exits": timed(session, "exit B", "exit A"),
    }
    return {**times, "together": sum(times.values()), "GiB": (peak() - before) / 2**30}


def sharers(nr: int) -> Measured:
    """Processes that map one order-9 folio of a file."""
    session = Session()
    run(session, "file lib 512 order=9 ; mmap win 512 file=lib shared ; fault win[0]")
    times = {"map": timed(session, *(f"fork P{one} ; P{one}: fault win[0]" for one in range(nr)))}
    times["query"] = each(session, ["query shared? win[0]"] * 3)
    times["rmap"] = each(session, ["rmap f1"] * 3)
    many = _fault_of_one_more(session)
    times["exit"] = timed(session, *(f"exit P{one}" for one in range(9, nr)))
    few = _fault_of_one_more(session)
    return {**times, "fault : few": many / few}


def _fault_of_one_more(session: Session) -> float:
    """Seconds of a fault of one more process, which exits again."""
    times = []
    for _ in range(40):
        run(session, "fork Q")
        times.append(timed(session, "Q: fault win[0]"))
        run(session, "exit Q")
    return statistics.median(times)


def vmas(nr: int) -> Measured:
    """VMAs in one address space: every other page of a region has a protection of its own."""
    _, few = _with_vmas(20)
    session, many = _with_vmas(nr)
    whole = {"fork": timed(session, "fork B"), "exit": timed(session, "exit B")}
    return {"split": many.pop("split"), **whole, **{f"{name} : few": many[name] / few[name] for name in many}}


def _with_vmas(nr: int) -> tuple[Session, Measured]:
    """A session with so many VMAs; the seconds to make them, and those of one command among them."""
    session = Session()
    run(session, f"mmap big {nr}")
    made = timed(session, *(f"mprotect big[{page}] r" for page in range(1, nr, 2)))
    middle = nr // 4 * 2
    places = [middle + 2 * (at % (nr // 4)) for at in range(40)]
    return session, {
        "split": made,
        "fault": each(session, [f"fault big[{page}] ; madvise dontneed big[{page}]" for page in places]),
        "mprotect": each(session, [f"mprotect big[{middle}] {prot}" for prot in ("none", "rw") * 20]),
        "mmap": each(session, [f"mmap new{at} 4" for at in range(40)]),
        "munmap": each(session, [f"munmap new{at}" for at in range(40)]),
    }


def script(nr: int) -> Measured:
    """Small commands, executed by a session, and by ``run --quiet``."""
    lines = list(small_commands(nr))
    session = Session()
    times = {"execute": timed(session, *lines)}
    del session
    gc.collect()
    with tempfile.TemporaryDirectory() as folder, Path("/dev/null").open("w") as nowhere:
        file = Path(folder) / "long.fs"
        file.write_text("\n".join(lines))
        times["run --quiet"] = seconds(lambda: _run_quietly(file, nowhere))
    return {**times, "a second": nr / times["execute"], "a second, run": nr / times["run --quiet"]}


def _run_quietly(file: Path, nowhere: TextIO) -> None:
    with redirect_stdout(nowhere):
        assert command_line(["run", "--quiet", str(file)]) == 0


def small_commands(nr: int, seed: int = 7) -> Iterator[str]:
    """What a person or a test types, so many lines, always the same: a few processes, a few pages at a time."""
    chance = random.Random(seed)
    yield "file lib 512 order=4"
    left = nr - 1
    number = 0
    while left > 0:
        number += 1
        of_file = chance.random() < 0.4
        pages, touched = chance.choice((4, 16, 64)), chance.randrange(1, 4)
        lines = [
            f"mmap r{number} {pages}{' file=lib' * of_file}",
            f"fault r{number}[0..{touched}]",
            f"expect present? r{number}[{touched}] == yes",
            f"fork P{number}",
            f"P{number}: {'read' if of_file else 'write'} r{number}[0]",
            f"query shared? r{number}[0]",
            f"expect truth mms r{number}[0] == {2 if of_file else 1}",
            chance.choice((f"mprotect r{number}[1] r", f"madvise dontneed r{number}[0..1]")),
            f"exit P{number}",
            f"munmap r{number}",
        ]
        yield from lines[:left]
        left -= len(lines)


def undo(nr: int) -> Measured:
    """The last of 200 commands undone, with so many PTEs."""
    session = Session()
    run(session, f"mmap buf {nr} ; fault buf ; mmap small 256")
    for page in range(196):
        run(session, f"fault small[{page}]")
    run(session, "fork B")
    return {"undo": timed(session, "undo")}


def memory(nr: int) -> Measured:
    """Bytes of a mapped order-0 page, all told, and of an entry of a page table."""
    session = Session()
    run(session, f"mmap buf {nr} ; fault buf")
    tables = [
        table for _, _, table in session.workspace.kernel.mms["A"].tables.blocks() if isinstance(table, PageTable)
    ]
    entries = sum(len(table.entries) for table in tables)
    used = sum(sys.getsizeof(table) + sys.getsizeof(table.entries) + sys.getsizeof(table.ptl) for table in tables)
    return {"bytes a page": bytes_a_page(nr), "bytes an entry": used / entries}


def peak() -> int:
    """The most memory that this process had so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


class Work(NamedTuple):
    """A measurement and its sizes.

    Args:
        measure: what is done.
        largest: the size that the goals speak of.
        text: what that is, ``{}`` for the size.
        goals: name of what was measured -> (what it is called, unit, goal): at least for a rate, else at most.
        steps: names whose exponents are told.
    """

    measure: Callable[[int], Measured]
    largest: int
    text: str
    goals: dict[str, tuple[str, str, float]]
    steps: tuple[str, ...] = ()


WORKS = {
    "faults": Work(
        faults,
        1_000_000,
        "{} order-0 write faults",
        {
            "fault : store": ("one command, default schemes and trace", "x storing integers", 60),
            "fork : copy": ("fork of that process", "x leaf[:] of every leaf", 20),
        },
        ("fault", "fork", "exit", "munmap"),
    ),
    "faults-all": Work(
        faults_all,
        1_000_000,
        "{} order-0 write faults",
        {"fault : store": ("all schemes", "x storing integers", 120)},
        ("fault",),
    ),
    "thp": Work(
        thp,
        512,
        "{} GiB of PMD-mapped THP",
        {"together": ("mapped, forked, both exited", "s", 10), "GiB": ("peak of memory", "GiB", 1.5)},
        ("map", "fork", "exits"),
    ),
    "sharers": Work(
        sharers,
        10_000,
        "{} processes map one order-9 file folio",
        {"fault : few": ("a fault", "x one with 10", 1.5)},
        ("map", "query", "rmap", "exit"),
    ),
    "vmas": Work(
        vmas,
        10_000,
        "{} VMAs in one mm",
        {f"{name} : few": (name, "x among 20", 1.3) for name in ("fault", "mprotect", "mmap", "munmap")},
        ("split", "fork", "exit"),
    ),
    "memory": Work(
        memory,
        1_000_000,
        "{} mapped order-0 pages",
        {"bytes a page": ("a page, all told", "bytes", 400), "bytes an entry": ("an entry of a table", "bytes", 16)},
    ),
    "undo": Work(undo, 100_000, "{} PTEs, 200 commands", {"undo": ("undo of the last one", "s", 0.2)}),
    "script": Work(
        script,
        10_000,
        "a script of {} commands",
        {
            "a second": ("Session.execute", "commands/s", 8000),
            "a second, run": ("run --quiet", "commands/s", 7000),
        },
        ("execute", "run --quiet"),
    ),
}
#: units that tell a time, or its inverse: they depend on how fast the machine is just now
_SECONDS, _RATES = {"s"}, {"commands/s"}


def measured_here(measure: Callable[[int], Measured], size: int) -> Measured:
    """A measurement in this process, with the speed of the machine before and after."""
    before = bare(additions)
    measured = measure(size)
    return {**measured, "additions": (before + bare(additions)) / 2}


def measured(name: str, size: int, program: str = __file__) -> Measured:
    """The same of one kind of work of a program, in a process of its own."""
    command = (sys.executable, program, "--measure", name, str(size))
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    values: Measured = json.loads(out)
    return values


def idle(name: str, unit: str, run: Measured) -> float:
    """A number of one measurement as it would be if nothing else ran."""
    slower = run["additions"] / IDLE
    return run[name] / slower if unit in _SECONDS else run[name] * slower if unit in _RATES else run[name]


def rows(work: Work, sizes: Sequence[int], runs: dict[int, list[Measured]]) -> Iterator[str]:
    """The rows of the table."""
    what = work.text.format(f"{sizes[-1]:,}")
    for name, (title, unit, goal) in work.goals.items():
        value = statistics.median(idle(name, unit, run) for run in runs[sizes[-1]])
        sign, met = ("≥", value >= goal) if unit in _RATES else ("≤", value <= goal)
        yield f"| {what}: {title} | {value:,.3g} {unit} | {sign} {goal:,g} | {'' if met else 'missed'} |"
    for name in work.steps:
        times = [statistics.median(idle(name, "s", run) for run in runs[size]) for size in sizes]
        slope = exponent(list(sizes), times)
        verdict = "" if slope <= MOST else "missed"
        yield f"| {what}: {name} | {times[-1]:.3g} s, exponent {slope:.2f} | ≤ {MOST} | {verdict} |"


def main(names: Sequence[str], rounds: int, part: int) -> None:
    """Measure and print; each round measures all sizes, so that a slow spell meets all alike."""
    print("| work | measured | goal | |\n| --- | ---: | ---: | --- |")
    for name in names:
        work = WORKS[name]
        largest = work.largest // part
        sizes = [largest // 10, largest // 3, largest] if work.steps else [largest]
        runs: dict[int, list[Measured]] = {size: [] for size in sizes}
        for _ in range(rounds):
            for size in sizes:
                runs[size].append(measured(name, size))
        for row in rows(work, sizes, runs):
            print(row, flush=True)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("works", nargs="*", metavar="WORK", help=f"what is measured: {' '.join(WORKS)}")
    parser.add_argument("--quick", action="store_true", help="at a tenth of the sizes")
    parser.add_argument("--rounds", type=int, default=3, help="measurements of each size, of which the median counts")
    parser.add_argument("--measure", nargs=2, metavar=("WORK", "SIZE"), help="one measurement in this process, as JSON")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured_here(WORKS[options.measure[0]].measure, int(options.measure[1]))))
    else:
        for unknown in set(options.works) - set(WORKS):
            parser.error(f"{unknown}: no such work; there are {' '.join(WORKS)}")
        main(options.works or list(WORKS), options.rounds, 10 if options.quick else 1)
