"""Prints what ordinary work costs: the first table of docs/performance.md, as Markdown.

Run: python tests/benchmarks/ordinary.py [--quick] [--rounds N] [--rows WORK …]

Beside each best case, one command over pages in a row, stand the ordinary ones: pages in random order, one command
each, and memory that processes share in part. Each measurement runs in a process of its own, in CPU time, told in
idle-equivalent seconds as in scale.py. The exit status is 1 if a goal that was met before is missed by more than a
third.
"""

from __future__ import annotations

import gc
import io
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import tracemalloc
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from folioshell.cli import main as command_line  # noqa: E402
from folioshell.commands import Session  # noqa: E402
from folioshell.report import Report  # noqa: E402
from tests.benchmarks.growth import exponent, seconds  # noqa: E402
from tests.benchmarks.scale import IDLE, Measured, measured, measured_here, script  # noqa: E402
from tests.benchmarks.speed import IMPORTS, SCRIPT  # noqa: E402

RECORDINGS = ROOT / "tests" / "recordings"
#: pages that each child of the fork server copies
_COPIES = 200
#: a recording of so many is verified
_EVERY = 30


def shuffled(nr: int, seed: int = 7) -> list[int]:
    """The numbers below ``nr`` in an order that is random, and the same each time."""
    numbers = list(range(nr))
    random.Random(seed).shuffle(numbers)
    return numbers


def run(session: Session, line: str) -> None:
    """Run commands, none of which may fail; no report is kept, so that none is made as a whole."""
    failed = map(_any_failed, session.stream(line))
    assert not any(failed), line


def _any_failed(reports: Sequence[Report]) -> bool:
    return any(report.failed for report in reports)


def timed(session: Session, *lines: str) -> float:
    """CPU seconds of some commands."""
    return seconds(lambda: [run(session, line) for line in lines])


def _prepared(setup: str) -> Session:
    session = Session()
    run(session, setup)
    return session


def _a_page(setup: str, lines: Sequence[str], pages: int) -> float:
    """Microseconds a page of some lines on a session of their own."""
    return timed(_prepared(setup), *lines) / pages * 1e6


def _bytes_a_page(setup: str, lines: Sequence[str], pages: int) -> float:
    """Memory a page that stays after some lines: the model, all schemes, and the history with its trace."""
    session = _prepared(setup)
    gc.collect()
    tracemalloc.start()
    for line in lines:
        run(session, line)
    gc.collect()
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return used / pages


# Measurements: what is done at a size.


def faults(nr: int) -> Measured:
    """First write faults of anonymous memory."""
    tens = f"for i in 0..9 {{ for j in 1..{nr // 10} {{ write buf[$j$i] }} }}"
    scattered = [f"write buf[{page}]" for page in shuffled(nr)]
    return {
        "one": _a_page(f"mmap buf {nr}", ["write buf"], nr),
        "for": _a_page(f"mmap buf {nr + 10}", [tens], nr),
        "random": _a_page(f"mmap buf {nr}", scattered, nr),
        "bytes": _bytes_a_page(f"mmap buf {nr}", scattered[: nr // 5], nr // 5),
    }


def copies(nr: int) -> Measured:
    """Copies on write of a heap that a child shares."""
    setup = f"mmap buf {nr} ; write buf ; fork B"
    scattered = [f"B: write buf[{page}]" for page in shuffled(nr)]
    return {
        "one": _a_page(setup, ["B: write buf"], nr),
        "random": _a_page(setup, scattered, nr),
        "bytes": _bytes_a_page(setup, ["B: write buf"], nr),
        "bytes, random": _bytes_a_page(setup, scattered[: nr // 5], nr // 5),
    }


def undo(nr: int) -> Measured:
    """A copy-on-write storm undone and redone, right after it and 30 steps later."""
    session = _prepared(f"mmap buf {nr} ; write buf ; fork B")
    run(session, "B: write buf")
    times = {"undo": timed(session, "undo"), "redo": timed(session, "redo")}
    for page in range(30):
        run(session, f"mmap small{page} 4")
    times |= {"undo, later": timed(session, "undo 31"), "redo, later": timed(session, "redo 31")}
    return times


def left(nr: int) -> Measured:
    """A fork after 20 children that copied 100 scattered pages each and exited."""
    chance = random.Random(7)
    session = _prepared(f"mmap buf {nr} ; write buf")
    fresh = timed(session, "fork Z ; exit Z")
    for child in range(20):
        run(session, f"fork C{child}")
        for page in chance.sample(range(nr), min(100, nr // 4)):
            run(session, f"C{child}: write buf[{page}]")
        run(session, f"exit C{child}")
    return {"ratio": timed(session, "fork Y ; exit Y") / fresh}


def server(nr: int) -> Measured:
    """Children that stay alive, of a heap of 64 pages for each: a fork with ``nr`` of them, and with a third."""
    chance, pages = random.Random(7), 65_536
    session = _prepared(f"mmap heap {pages} ; write heap")
    times: list[float] = []
    for child in range(nr):
        times.append(timed(session, f"fork C{child}"))
        for page in chance.sample(range(pages), _COPIES):
            run(session, f"C{child}: write heap[{page}]")
    sizes = [nr // 3, nr]
    sums = [sum(times[:size]) for size in sizes]
    return {"fork": statistics.median(times[-5:]) * 1e3, "exponent": exponent(sizes, sums)}


def shared(nr: int) -> Measured:
    """First write faults of shared anonymous memory."""
    some = nr // 10
    return {
        "one": timed(_prepared(f"mmap buf {nr} shared"), "write buf"),
        "random": _a_page(f"mmap buf {some} shared", [f"write buf[{page}]" for page in shuffled(some)], some),
    }


def files(nr: int) -> Measured:
    """Faults on a file that is cached."""
    setup = f"file lib {nr} cached ; mmap win {nr} file=lib shared"
    some = nr // 4
    return {
        "around": _a_page(setup, ["read win"], nr),
        "around, random": _a_page(setup, [f"read win[{page}]" for page in shuffled(nr)[:some]], some),
        "single": _a_page(f"set fault_around 4K ; {setup}", ["read win"], nr),
        "write": _a_page(setup, ["write win"], nr),
    }


def gup(nr: int) -> Measured:
    """Pages that system calls fault in, and pins."""
    mapped = f"mmap buf {nr} ; write buf"
    return {
        "populate": _a_page(f"mmap buf {nr}", ["madvise populate_write buf"], nr),
        "mmap": _a_page("mmap small 1", [f"mmap buf {nr} populate"], nr),
        "pin": _a_page(mapped, ["pin buf"], nr),
        "pin, fresh": _a_page(f"mmap buf {nr}", ["pin buf"], nr),
        "pin, random": _a_page(mapped, [f"pin buf[{page}]" for page in shuffled(nr)], nr),
    }


def swap(nr: int) -> Measured:
    """Pages that go to swap and come back."""
    setup = f"set swap on ; mmap buf {nr} ; write buf"
    out = f"{setup} ; madvise pageout buf"
    some = nr // 4
    return {
        "out": _a_page(setup, ["madvise pageout buf"], nr),
        "out, random": _a_page(setup, [f"madvise pageout buf[{page}]" for page in shuffled(nr)[:some]], some),
        "in": _a_page(out, ["read buf"], nr),
        "in, random": _a_page(out, [f"read buf[{page}]" for page in shuffled(nr)[:some]], some),
    }


def unmaps(nr: int) -> Measured:
    """Every second page of a region unmapped, a command each."""
    setup = f"mmap buf {2 * nr} ; write buf"
    return {
        "ascending": _a_page(setup, [f"munmap buf[{page}]" for page in range(1, 2 * nr, 2)], nr),
        "random": _a_page(setup, [f"munmap buf[{2 * page + 1}]" for page in shuffled(nr)], nr),
    }


def verify(nr: int) -> Measured:
    """Recordings replayed and compared, every ``nr``-th one."""
    paths = sorted(map(str, RECORDINGS.glob("releases/*/*.json.gz")))[::nr]
    printed = io.StringIO()
    with redirect_stdout(printed):
        # Imports are paid for once, whatever is verified.
        command_line(["verify", paths[0]])
        printed.truncate(0)
        time = seconds(lambda: command_line(["verify", *paths]))
    steps = sum(int(line.partition(": ")[2].split()[0]) for line in printed.getvalue().splitlines() if " steps" in line)
    # The clock of a virtual machine can stand still for a few milliseconds.
    return {"steps": steps / max(time, 1e-3)}


def views(nr: int) -> Measured:
    """What shows a state and its history, after a child copied every second page of a heap, a command each."""
    times: Measured = {}
    for order, pages in (("", range(nr)), (", random", shuffled(nr))):
        session = _prepared(f"mmap buf {2 * nr} ; write buf ; fork B")
        for page in pages:
            run(session, f"B: write buf[{2 * page}]")
        for line in ("show", "cost", "diff", "why f1"):
            times[f"{line}{order}"] = timed(session, line)
        times[f"diff again{order}"] = timed(session, "diff")
    return times


def views_by_size(nr: int) -> Measured:
    """How the time of views after copies in random order grows."""
    sizes = [nr // 4, nr // 2, nr]
    found = [views(size) for size in sizes]
    return {name: exponent(sizes, [one[f"{name}, random"] for one in found]) for name in ("show", "cost", "diff")}


def commands(nr: int) -> Measured:
    """Commands of a script a second, executed by a session, and by ``run --quiet``."""
    times = script(nr)
    return {"execute": times["a second"], "run": times["a second, run"]}


def start(nr: int) -> Measured:
    """CPU time of a run of 20 lines, against that of imports of the libraries of a command line, ``nr`` times each."""
    ours = ("-c", "import sys; from folioshell.cli import main; sys.exit(main())", "run")
    with tempfile.TemporaryDirectory() as home:
        file = Path(home) / "twenty.fs"
        file.write_text(SCRIPT)
        # Installed packages are compiled, whatever this environment does.
        environ = {**os.environ, "PYTHONPYCACHEPREFIX": f"{home}/compiled", "PYTHONPATH": str(ROOT)}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        measured: list[list[float]] = [[], []]
        for _ in range(nr + 1):
            for times, arguments in zip(measured, ((*ours, str(file)), ("-c", IMPORTS)), strict=True):
                times.append(_of_process((sys.executable, *arguments), environ))
    # The first round compiles.
    run_time, imports = (statistics.median(times[1:]) for times in measured)
    return {"ratio": run_time / imports}


def _of_process(command: Sequence[str], environ: Mapping[str, str]) -> float:
    """CPU seconds of a process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, env=environ, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class Goal(NamedTuple):
    """What a row of the table compares.

    Args:
        text: what it is.
        unit: that of the number; ``/s`` ends that of a rate, and ``x``, ``bytes`` and ``exponent`` are not times.
        goal: at least for a rate, else at most.
        met: it was met on the machine of docs/performance.md: missing it by more than a third fails.
        before: what it was when the goal was set, by this benchmark or that of the time.
    """

    text: str
    unit: str
    goal: float
    met: bool
    before: str = ""

    def idle(self, measured: float, slower: float) -> float:
        """The number on a machine where nothing else runs."""
        if self.unit.endswith("/s"):
            return measured * slower
        return measured if self.unit in {"x", "bytes", "exponent"} else measured / slower

    def misses(self, value: float, factor: float = 1.0) -> bool:
        """Is the goal missed by more than a factor?"""
        return value * factor < self.goal if self.unit.endswith("/s") else value > self.goal * factor


class Work(NamedTuple):
    """A measurement, the size that the goals speak of, what that is, and its goals by name."""

    measure: Callable[[int], Measured]
    size: int
    text: str
    goals: dict[str, Goal]


WORKS = {
    "faults": Work(
        faults,
        100_000,
        "{} order-0 write faults",
        {
            "one": Goal("one command", "µs", 1, True),
            "for": Goal("every tenth page, ten times, by one `for`", "µs", 12, False, "22"),
            "random": Goal("random order, one command each", "µs", 100, False, "190"),
            "bytes": Goal("random order, memory a page", "bytes", 400, False, "1,284"),
        },
    ),
    "copies": Work(
        copies,
        100_000,
        "{} pages copied on write",
        {
            "one": Goal("one command", "µs", 1, True, "29"),
            "random": Goal("random order, one command each", "µs", 100, False),
            "bytes": Goal("one command, memory a page", "bytes", 100, True, "1,300"),
            "bytes, random": Goal("random order, memory a page", "bytes", 300, False, "1,178"),
        },
    ),
    "undo": Work(
        undo,
        100_000,
        "{} pages copied on write by one command",
        {
            "undo": Goal("undo right after", "s", 0.2, True, "2.7"),
            "redo": Goal("redo right after", "s", 0.2, True, "2.7"),
            "undo, later": Goal("undo 30 steps after", "s", 0.2, True, "2.7"),
            "redo, later": Goal("redo 30 steps after", "s", 0.2, True, "2.7"),
        },
    ),
    "left": Work(
        left,
        60_000,
        "fork of {} pages after 20 children copied 100 scattered pages each and exited",
        {"ratio": Goal("CPU", "x", 1.5, True, "9")},
    ),
    "server": Work(
        server,
        60,
        f"fork server, 65,536 pages, {{}} children alive with {_COPIES} scattered copies each",
        {
            "fork": Goal("the last forks", "ms", 5, False),
            "exponent": Goal("all forks", "exponent", 1.1, True, "1.64 at 30"),
        },
    ),
    "shared": Work(
        shared,
        500_000,
        "{} write faults of shared anonymous memory",
        {
            "one": Goal("one command", "s", 2, True, "35"),
            "random": Goal("a tenth of them in random order, one command each, a fault", "µs", 100, False),
        },
    ),
    "files": Work(
        files,
        20_000,
        "{} faults on a cached ext4 file",
        {
            "around": Goal("read with fault-around, one command, a page", "µs", 18, True, "36"),
            "around, random": Goal("read in random order, one command each, a command", "µs", 135, True, "270"),
            "single": Goal("read without fault-around, one command", "µs", 26, True, "52"),
            "write": Goal("written through a shared mapping, one command", "µs", 42, True, "83"),
        },
    ),
    "gup": Work(
        gup,
        20_000,
        "{} pages of anonymous memory",
        {
            "populate": Goal("MADV_POPULATE_WRITE", "µs", 13, True, "27"),
            "mmap": Goal("mmap with MAP_POPULATE", "µs", 13, True, "26"),
            "pin": Goal("pin, one command", "µs", 3.04, True, "6.1"),
            "pin, fresh": Goal("pin of pages not faulted in yet, one command", "µs", 18, True, "36"),
            "pin, random": Goal("pin in random order, one command each", "µs", 100, False, "115"),
        },
    ),
    "swap": Work(
        swap,
        8_000,
        "{} pages of anonymous memory",
        {
            "out": Goal("MADV_PAGEOUT, one command", "µs", 40, True, "81"),
            "out, random": Goal("MADV_PAGEOUT in random order, one command each", "µs", 150, False, "304"),
            "in": Goal("swap-in, one command", "µs", 29, True, "58"),
            "in, random": Goal("swap-in in random order, one command each", "µs", 115, False, "229"),
        },
    ),
    "unmaps": Work(
        unmaps,
        30_000,
        "{} munmaps of every second page",
        {
            "ascending": Goal("ascending, one", "µs", 150, False, "370"),
            "random": Goal("random order, one", "µs", 150, False),
        },
    ),
    "views": Work(
        views,
        16_000,
        "{} scattered copies, a command each",
        {
            f"{line}{order}": Goal(f"`{line.removesuffix(' again')}`{after}{told}", "s", 0.3, met, before)
            for order, told in (("", ""), (", random", ", copied in random order"))
            for line, after, met, before in (
                ("show", "", True, "0.9"),
                ("cost", "", True, "1.0"),
                ("diff", "", True, "1.7"),
                ("diff again", " once more", True, ""),
                ("why f1", "", True, ""),
            )
        },
    ),
    "views, sizes": Work(
        views_by_size,
        16_000,
        "up to {} scattered copies in random order",
        {name: Goal(f"`{name}`", "exponent", 1.05, name != "diff", "1.12") for name in ("show", "cost", "diff")},
    ),
    "script": Work(
        commands,
        10_000,
        "a script of {} commands",
        {
            "execute": Goal("Session.execute", "commands/s", 8000, False, "3,560"),
            "run": Goal("`run --quiet`", "commands/s", 7000, False, "3,200"),
        },
    ),
    "start": Work(
        start,
        15,
        "`run` of 20 lines : import argparse, rich.console, rich.table, {} times each",
        {"ratio": Goal("CPU", "x", 1.7, False, "2.2")},
    ),
    "verify": Work(
        verify,
        _EVERY,
        "`verify` of every {}th recording",
        {"steps": Goal("", "steps/s", 2000, False, "758")},
    ),
}


def rows(work: Work, size: int, runs: Sequence[Measured]) -> Iterator[tuple[str, bool]]:
    """The rows of the table, and whether each fails."""
    what = work.text.format(f"{size:,}")
    for name, goal in work.goals.items():
        value = statistics.median(goal.idle(run[name], run["additions"] / IDLE) for run in runs)
        sign = "≥" if goal.unit.endswith("/s") else "≤"
        verdict = "missed" if goal.misses(value) else ""
        told = f"{what}: {goal.text}" if goal.text else what
        yield (
            f"| {told} | {goal.before} | {value:,.3g} {goal.unit} | {sign} {goal.goal:,g} | {verdict} |",
            goal.met and goal.misses(value, 4 / 3),
        )


def main(names: Sequence[str], rounds: int, part: int) -> int:
    """Measure and print. Returns: 1 if a row fails."""
    print("| work | before | measured | goal | |\n| --- | ---: | ---: | ---: | --- |")
    failed = 0
    for name in names:
        work = WORKS[name]
        size = work.size * part if name == "verify" else work.size if name == "start" else work.size // part
        for row, fails in rows(work, size, [measured(name, size, __file__) for _ in range(rounds)]):
            print(row, flush=True)
            failed += fails
    return int(failed > 0)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", nargs="+", metavar="WORK", choices=WORKS, default=list(WORKS), help=" ".join(WORKS))
    parser.add_argument("--quick", action="store_true", help="at a tenth of the sizes")
    parser.add_argument("--rounds", type=int, default=3, help="measurements, of which the median counts")
    parser.add_argument("--measure", nargs=2, metavar=("WORK", "SIZE"), help="one measurement in this process, as JSON")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measured_here(WORKS[options.measure[0]].measure, int(options.measure[1]))))
    else:
        sys.exit(main(options.rows, options.rounds, 10 if options.quick else 1))
