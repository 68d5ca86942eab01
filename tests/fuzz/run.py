"""Types lines by the million at the shell, and runs shipped scripts that had accidents; prints what should not happen.

    python tests/fuzz/run.py --lines 1000000 --scripts 10000 --jobs 2

The same seed makes the same lines. A run that was cut off says where it was: --start goes on there. The status is 1 if
anything was found; each finding is the shortest list of lines that was found to lead to it, and the seed of its
episode, which `--episode` repeats.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from time import monotonic

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.fuzz.episodes import LINES, Finding, episode, script_episode

#: episodes that a process is given at a time, and seconds between two lines about how far it is
_CHUNK = 10
_TALK = 10


def chunk(kind: str, seed: int, first: int, last: int) -> list[Finding]:
    """What is found in some episodes."""
    play: Callable[[str], Finding | None] = episode if kind == "lines" else script_episode
    return [found for number in range(first, last) if (found := play(f"{kind}:{seed}:{number}"))]


def chunks(kind: str, seed: int, start: int, end: int) -> Iterator[tuple[str, int, int, int]]:
    """The arguments of ``chunk`` for episodes ``[start, end)``."""
    return ((kind, seed, first, min(first + _CHUNK, end)) for first in range(start, end, _CHUNK))


def run(kind: str, seed: int, start: int, end: int, jobs: int) -> int:
    """Play episodes ``[start, end)``; returns the number of findings."""
    begin = said = monotonic()
    done = nr_found = 0
    each = LINES if kind == "lines" else 1
    waiting = chunks(kind, seed, start, end)
    with ProcessPoolExecutor(jobs) as pool:
        running: dict[Future[list[Finding]], tuple[str, int, int, int]] = {}
        while True:
            for work in waiting:
                running[pool.submit(chunk, *work)] = work
                if len(running) >= 2 * jobs:
                    break
            if not running:
                break
            for future in wait(running, timeout=_TALK, return_when=FIRST_COMPLETED).done:
                _, _, first, last = running.pop(future)
                done += last - first
                for found in future.result():
                    nr_found += 1
                    tell(found)
            if monotonic() - said >= _TALK:
                said = monotonic()
                next_one = min((work[2] for work in running.values()), default=start + done)
                print(
                    f"{summary(kind, done * each, said - begin, nr_found)}; go on with --start {next_one}", flush=True
                )
    print(summary(kind, done * each, monotonic() - begin, nr_found), flush=True)
    return nr_found


def summary(kind: str, nr: int, seconds: float, nr_found: int) -> str:
    """How far it is, how fast, and what was found."""
    return f"{nr:,} {kind} in {seconds:.0f} s, {nr / max(seconds, 0.001):,.0f} a second, {nr_found} findings"


def tell(found: Finding) -> None:
    """Print a finding."""
    print(f"\nFOUND {found.what}\n  --episode {found.seed}")
    for line in found.typed:
        print(f"    {line!r}" if not line.isprintable() else f"    {line}")


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--lines", type=int, default=0, metavar="N", help="type so many lines")
    parser.add_argument("--scripts", type=int, default=0, metavar="N", help="run so many scripts")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    parser.add_argument("--seed", type=int, default=1, metavar="N")
    parser.add_argument("--start", type=int, default=0, metavar="N", help="go on at this episode")
    parser.add_argument("--episode", metavar="SEED", help="play this one again")
    options = parser.parse_args()
    if options.episode:
        found = (episode if options.episode.startswith("lines") else script_episode)(options.episode)
        tell(found) if found else print("nothing was found")
        return int(found is not None)
    nr_found = 0
    if options.lines:
        nr_found += run("lines", options.seed, options.start, -(-options.lines // LINES), options.jobs)
    if options.scripts:
        nr_found += run("scripts", options.seed, 0 if options.lines else options.start, options.scripts, options.jobs)
    return int(nr_found > 0)


if __name__ == "__main__":
    raise SystemExit(main())
