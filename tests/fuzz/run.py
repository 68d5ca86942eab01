"""Types lines by the million at the shell, and runs shipped scripts that had accidents; prints what should not happen.

    python tests/fuzz/run.py --lines 1000000 --scripts 10000 --jobs 2

The same seed makes the same lines. A run that was cut off says where it was: --start goes on there. The status is 1 if
anything was found; each finding is the shortest list of lines that was found to lead to it, and the seed of its
episode, which `--episode` repeats.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from time import monotonic
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[2]))

from folioshell.shell.race_sweep import in_order
from tests.fuzz.episodes import Finding, Outcome, episode, script_episode

#: episodes that a process is given at a time, and seconds between two lines about how far it is
_CHUNK = 10
_TALK = 10


class Chunk(NamedTuple):
    """Some episodes: of which kind and seed, the first, and how many are tried.

    Args:
        kind: ``lines`` or ``scripts``.
        seed: of all of them.
        first, last: numbers, half-open.
    """

    kind: str
    seed: int
    first: int
    last: int


def play(chunk: Chunk) -> list[Outcome]:
    """What comes of some episodes."""
    play_one: Callable[[str], Outcome] = episode if chunk.kind == "lines" else script_episode
    return [play_one(f"{chunk.kind}:{chunk.seed}:{number}") for number in range(chunk.first, chunk.last)]


def run(kind: str, seed: int, start: int, wanted: int, jobs: int) -> int:
    """Play episodes from ``start`` on until so many lines were typed, or scripts run; returns how much was found.

    The episodes are the same for any number of jobs.
    """
    begin = said = monotonic()
    typed = done = nr_found = 0
    next_one = start
    chunks = (Chunk(kind, seed, first, first + _CHUNK) for first in count(start, _CHUNK))
    outcomes = in_order(play, chunks, jobs)
    while typed < wanted:
        next_one += _CHUNK
        for outcome in next(outcomes):
            typed += outcome.typed
            done += outcome.done
            if outcome.found is not None:
                nr_found += 1
                tell(outcome.found)
        if monotonic() - said >= _TALK:
            said = monotonic()
            far = summary(kind, typed, done, said - begin, nr_found)
            print(f"{far}; go on with --start {next_one}", flush=True)
    outcomes.close()
    far = summary(kind, typed, done, monotonic() - begin, nr_found)
    print(f"{far}; the next one is --start {next_one}", flush=True)
    return nr_found


def summary(kind: str, typed: int, done: int, seconds: float, nr_found: int) -> str:
    """How far it is, how fast, and what was found."""
    ran = "commands of them were done" if kind == "lines" else "steps of them were done"
    return (
        f"{typed:,} {kind} in {seconds:.0f} s, {typed / max(seconds, 0.001):,.0f} a second, {done:,} {ran}, "
        f"{nr_found} findings"
    )


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
        found = (episode if options.episode.startswith("lines") else script_episode)(options.episode).found
        tell(found) if found else print("nothing was found")
        return int(found is not None)
    nr_found = 0
    if options.lines:
        nr_found += run("lines", options.seed, options.start, options.lines, options.jobs)
    if options.scripts:
        nr_found += run("scripts", options.seed, 0 if options.lines else options.start, options.scripts, options.jobs)
    return int(nr_found > 0)


if __name__ == "__main__":
    raise SystemExit(main())
