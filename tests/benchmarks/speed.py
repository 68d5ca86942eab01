"""Prints how long folioshell takes as ratios, so that they mean something on any machine.

Run: python tests/benchmarks/speed.py [ROUNDS]
"""

from __future__ import annotations

import io
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.shell.terminal import Terminal  # noqa: E402

Measurement = Callable[[], float]

#: what a command line of others imports
IMPORTS = "import argparse, rich.console, rich.table"
SCRIPT = """\
#!folioshell 1
file lib 32 order=4
mmap win 16 file=lib align=512 skew=504
fault win[0]
fault win[8]
query shared? win[0]
expect mapcount tuples win[0] == 2
expect truth mms win[0] == 1
rmap f1
fork B
B: fault win[0]
expect truth mms win[0] == 2
query shared? win[0]
mmap buf 64
fault buf
B: munmap win[8..15]
expect mapcount vmas win[0] == 2
exit B
expect truth mms win[0] == 1
munmap win
expect mapped? f1 == no
"""
#: The fix that the mail suggests, raced: each of two threads zaps a part of a folio's entries in a table of its own and
#: looks for others in the other's table.
RACE = """\
#!folioshell 1
file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504
write win[3] ; write win[12]
fault win[0] read ; fault win[8] read
set decide vmas
set protocol exclude-own
race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..10] }
expect deadlocks > 0
"""
#: the same threads with the same lock operations and lockless reads, as a model for Spin
PROMELA = """\
byte readers;
bool pt[2], map_lock;
byte entries[2] = 7;
byte vmas = 1;

inline lock(l) { atomic { !l; l = true } }
inline unlock(l) { l = false }

proctype zap(byte own)
{
    bool found;
    readers++;
    lock(pt[own]);
    entries[own] = entries[own] - 3;
    lock(map_lock);
    unlock(map_lock);
    if
    :: entries[1 - own] > 0 ->
        lock(pt[1 - own]);
        found = entries[1 - own] > 0;
        unlock(pt[1 - own])
    :: else
    fi;
    if
    :: !found -> vmas--
    :: else
    fi;
    unlock(pt[own]);
    readers--
}

init { atomic { run zap(0); run zap(1) } }
"""


def command(*arguments: str) -> Measurement:
    """Wall time of a command, its output thrown away."""

    def measure() -> float:
        start = time.perf_counter()
        subprocess.run(arguments, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    return measure


def cpu(home: str, arguments: Sequence[str]) -> Measurement:
    """CPU time of a command and its children in a folder, its output thrown away."""

    def measure() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(arguments, cwd=home, check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return measure


def race_against_spin(home: str, rounds: int, folioshell: Sequence[str]) -> None:
    """The mail's race from the start of a process to the verdict, and a model of it from there to Spin's."""
    title = "the mail's race, CPU : spin, cc, pan"
    if shutil.which("spin") is None or shutil.which("gcc") is None:
        print(f"{title}: spin or gcc is not installed")
        return
    script, model = Path(home) / "race.fs", Path(home) / "race.pml"
    script.write_text(RACE)
    model.write_text(PROMELA)
    # Spin generates a verifier, has it compiled as it sees fit, and runs it.
    spin = ("spin", "-run", str(model))
    compare(title, cpu(home, (*folioshell, "run", str(script))), cpu(home, spin), 0.2, rounds)
    # Both must have found it, or they did not do the same.
    found = subprocess.run(spin, cwd=home, check=True, capture_output=True, text=True).stdout
    assert "invalid end state" in found, found


def first_prompt(prompt: str, home: str, *arguments: str) -> Measurement:
    """Time until ``prompt`` is on the screen of a terminal."""
    environ = {**os.environ, "HOME": home, "XDG_STATE_HOME": home, "XDG_CONFIG_HOME": home, "TERM": "xterm-256color"}

    def measure() -> float:
        start = time.perf_counter()
        with Terminal(arguments, environ) as terminal:
            terminal.wait_for(prompt)
            return time.perf_counter() - start

    return measure


def step_at_prompt(prompt: str, line: str, home: str, first: str, *arguments: str) -> Measurement:
    """CPU time from Enter to the next prompt: the median of 8 lines, ``{}`` in them for a number, after a first one."""
    environ = {**os.environ, "HOME": home, "XDG_STATE_HOME": home, "XDG_CONFIG_HOME": home, "TERM": "xterm-256color"}

    def measure() -> float:
        with Terminal(arguments, environ) as terminal:
            terminal.wait_for(prompt)
            times = []
            for text in (first, *(line.format(number) for number in range(8))):
                terminal.settle()
                terminal.send(text)
                terminal.settle()
                before = terminal.cpu_seconds()
                terminal.send("\r")
                terminal.settle()
                times.append(terminal.cpu_seconds() - before)
            return statistics.median(times[1:])

    return measure


def in_turns(measurements: dict[str, Measurement], rounds: int) -> dict[str, float]:
    """Medians; each round measures all, so that a slow spell of the machine meets all alike."""
    times: dict[str, list[float]] = {name: [] for name in measurements}
    for _ in range(rounds + 1):
        for name, measure in measurements.items():
            times[name].append(measure())
    # The first round warms the caches.
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def compare(title: str, ours: Measurement, theirs: Measurement, goal: float, rounds: int) -> None:
    """Print the ratio of two medians and whether it is within its goal."""
    medians = in_turns({"ours": ours, "theirs": theirs}, rounds)
    verdict(title, medians["ours"] / medians["theirs"], goal, "x", f"{medians['ours'] * 1000:.0f} ms")


def verdict(title: str, value: float, goal: float, unit: str, remark: str) -> None:
    """Print a line of the table."""
    print(f"{title:60} {value:6.2f} {unit}  goal {goal:g} {unit}  {'ok' if value <= goal else 'MISSED'}  ({remark})")


def faults_and_fork() -> None:
    """100,000 order-0 faults in one command, the fork of them and its exit, in CPU seconds; see growth.py for more."""
    from folioshell.commands import Session

    session = Session()
    session.execute("mmap buf 100000")
    for name, line, goal in (("fault", "fault buf", 1.5), ("fork", "fork B", 1.0), ("exit", "exit B", 1.0)):
        start = time.process_time()
        (report,) = session.execute(line)
        seconds = time.process_time() - start
        assert not report.failed, report
        verdict(f"100,000 order-0 pages: {name}", seconds, goal, "s", "in one command, CPU time")


def show_of_many_pages() -> Measurement:
    """Time of ``show`` with 100,000 order-0 pages, two processes and a copied page, drawn for a terminal."""
    from folioshell.commands import Session
    from folioshell.views.report_view import report_blocks
    from folioshell.views.screen import Screen

    session = Session()
    session.execute("mmap buf 100000 ; fault buf ; fork B ; B: write buf[50000]")
    screen = Screen(io.TextIOWrapper(io.BytesIO(), "utf-8"), rich=True, width=100)

    def measure() -> float:
        start = time.perf_counter()
        (report,) = session.execute("show")
        screen.write(report_blocks(report))
        return time.perf_counter() - start

    return measure


def main(rounds: int) -> None:
    """Measure everything."""
    python = sys.executable
    # What the installed command does.
    folioshell = (python, "-c", "import sys; from folioshell.cli import main; sys.exit(main())")
    with tempfile.TemporaryDirectory() as home:
        # Installed packages are compiled, whatever this environment does: the first round of each compiles into here.
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = str(Path(home) / "compiled")
        script = Path(home) / "twenty.fs"
        script.write_text(SCRIPT)
        imports = command(python, "-c", IMPORTS)
        compare(
            "run of 20 lines : import argparse, rich", command(*folioshell, "run", str(script)), imports, 1.7, rounds
        )
        nothing = command(python, "-c", "pass")
        compare("--version : python -c pass", command(*folioshell, "--version"), nothing, 3, rounds)
        # 0.3 s where `python -c pass` takes 20 ms.
        compare("show of 100,000 pages : python -c pass", show_of_many_pages(), nothing, 15, rounds)
        race_against_spin(home, rounds, folioshell)
        litecli = shutil.which("litecli", path=f"{Path(python).parent}{os.pathsep}{os.environ.get('PATH', '')}")
        if litecli is None:
            print("first prompt : litecli's: litecli is not installed")
        else:
            ours = first_prompt("A 0>", home, *folioshell)
            theirs = first_prompt("(none)>", home, litecli)
            compare("first prompt : litecli's", ours, theirs, 0.8, rounds)
            ours = step_at_prompt("A 0>", "write buf[{}]", home, "mmap buf 64", *folioshell)
            theirs = step_at_prompt("(none)>", "select {};", home, "select 0;", litecli)
            compare("a step at the prompt, CPU : litecli's", ours, theirs, 1, min(rounds, 3))
    faults_and_fork()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 7)
