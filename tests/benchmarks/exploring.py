"""Prints what exploring races costs: states, transitions, segments executed, states a second, peak of memory.

Run: python tests/benchmarks/exploring.py [--large]

Every row is measured in a process of its own, in CPU time. One column relates it to a loop of additions in that
process, so that it means something on any machine. Nothing is random. ``--large`` adds a race of a million states.
"""

from __future__ import annotations

import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from folioshell.commands import Session  # noqa: E402
from folioshell.commands.call import Call  # noqa: E402
from folioshell.commands.locks import RACES  # noqa: E402
from folioshell.commands.parse import Grammar, ParsedStatement  # noqa: E402
from folioshell.commands.race import race_in  # noqa: E402
from folioshell.explore.race import Race, explore  # noqa: E402
from folioshell.paths.vma_protocols import PROTOCOLS  # noqa: E402

STRADDLE = "file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504 ; fault win[0] ; set decide vmas"
UNMAP_MAP_UNMAP = "{ A.t1: madvise dontneed win[0..2] ; A.t2: fault win[8] read ; A.t3: madvise dontneed win[8..11] }"
FOUR = "{ A.t1: fault buf[0] ; A.t2: { madvise dontneed buf[0] ; fault buf[1] } ; A.t3: mprotect buf[8..15] r }"
NINE = (
    "{ A.t1: { fault buf[0] ; madvise dontneed buf[0] ; fault buf[2] } ;"
    " A.t2: { madvise dontneed buf[0] ; fault buf[1] ; madvise dontneed buf[2] } ;"
    " A.t3: { fault buf[3] ; madvise dontneed buf[0] ; fault buf[5] } }"
)

#: name -> (threads, [(set-up, block)], states at most)
WORK: dict[str, tuple[int, list[tuple[str, str]], int | None]] = {
    "the shipped races without a protocol": (
        2,
        [(f"{race.setup} ; set decide vmas ; set protocol none", race.block) for race in RACES],
        None,
    ),
    "the shipped races under every protocol": (
        2,
        [(f"{race.setup} ; set decide vmas ; set protocol {name}", race.block) for race in RACES for name in PROTOCOLS],
        None,
    ),
    "dontneed, fault, dontneed of one folio": (3, [(STRADDLE, UNMAP_MAP_UNMAP)], None),
    "the same under trylock-retry": (3, [(f"{STRADDLE} ; set protocol trylock-retry", UNMAP_MAP_UNMAP)], None),
    "fault, dontneed and fault, mprotect": (3, [("mmap buf 16", FOUR)], None),
    "3 threads of 3 operations, first 100,000 states": (3, [("mmap buf 16", NINE)], 100_000),
}
LARGE: dict[str, tuple[int, list[tuple[str, str]], int | None]] = {
    "3 threads of 3 operations, first 1,000,000 states": (3, [("mmap buf 16", NINE)], 1_000_000),
}


def race_of(setup: str, block: str) -> Race:
    """A race after some commands."""
    session = Session(counting=())
    for report in session.execute(setup):
        assert not report.failed, report
    (statement,) = Grammar().parse(f"race {block}")
    assert isinstance(statement, ParsedStatement)
    return race_in(Call(statement, session.workspace, session.process, session), statement.arguments)


def additions() -> float:
    """CPU seconds of a loop of 5,000,000 additions."""
    start, total = time.process_time(), 0
    for number in range(5_000_000):
        total += number
    return time.process_time() - start


def measure(name: str) -> None:
    """Print the row of some work."""
    threads, work, most = (WORK | LARGE)[name]
    loop = additions()
    states = transitions = segments = 0
    seconds, stopped = 0.0, ""
    for setup, block in work:
        race = race_of(setup, block)
        start = time.process_time()
        result = explore(race, most)
        seconds += time.process_time() - start
        states += result.states
        transitions += result.transitions
        segments += race.segments
        stopped = result.stopped
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    bound = " (bound)" if stopped else ""
    print(
        f"| {name} | {threads} | {len(work)} | {states:,}{bound} | {transitions:,} | {segments:,} "
        f"| {states / seconds:,.0f} | {states / seconds * loop:,.0f} | {megabytes:,.0f} MiB |",
        flush=True,
    )


def processor() -> str:
    """The name of the CPU, as far as the system tells it."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def main(large: bool) -> None:
    """Measure everything, each row in a process of its own."""
    print(f"{processor()}, {platform.python_implementation()} {platform.python_version()}, profile 6.18")
    print("| race | threads | races | states | transitions | segments | states/s | per 5,000,000 additions | peak |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for name in (*WORK, *(LARGE if large else ())):
        subprocess.run((sys.executable, __file__, name), check=True)


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] != "--large":
        measure(sys.argv[1])
    else:
        main(large=len(sys.argv) > 1)
