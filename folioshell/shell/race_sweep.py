"""``race-sweep``: all pairs of commands in all set-ups, explored; a table, and a script for each finding.

And work in several processes, ``in_order``, which the fuzzer in tests/fuzz uses too.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import groupby
from typing import TypeVar

from folioshell.commands.sweep import COMMANDS, GEOMETRY, SETUPS, Pair, PairResult, Sweep, pairs_of, sampled
from folioshell.errors import Refused
from folioshell.paths.vma_protocols import PROTOCOLS
from folioshell.records import NamedTuple
from folioshell.session.race import KINDS
from folioshell.views.blocks import Block, Column, Grid, Line, Span, Tone, line, preformatted
from folioshell.views.screen import Screen
from folioshell.wording import counted

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

CLEAN, FOUND = 0, 1
#: kind of a finding -> its column
_COLUMN_OF = {kind: name for name, kind in KINDS.items()} | {"internal error": "internal errors"}
#: pairs that a process is given at a time
_CHUNK = 8
#: tasks given to the processes in advance, for each of them: a long one does not keep the others waiting
_AHEAD = 4


class SweepChoice(NamedTuple):
    """Which pairs are explored, and how far.

    Args:
        setups: names of set-ups; empty for all.
        pairs: ``read,split``, or ``read`` for all pairs with it; empty for all.
        sample: so many of these pairs; None for all.
        seed: of the sample.
        most: states of a pair, at most.
        protocol: counts VMAs; empty for the kernel's own bookkeeping.
        jobs: processes.
    """

    setups: Sequence[str] = ()
    pairs: Sequence[str] = ()
    sample: int | None = None
    seed: int = 1
    most: int = 50_000
    protocol: str = ""
    jobs: int = 1

    def chosen(self) -> list[Pair]:
        """The pairs, by set-up.

        Raises:
            Refused: a name is unknown.
        """
        for name in self.setups:
            _check(name, "set-up", [setup.name for setup in SETUPS])
        wanted = [_names(text) for text in self.pairs]
        if self.protocol:
            _check(self.protocol, "protocol", list(PROTOCOLS))
        found = [
            pair
            for setup in SETUPS
            if not self.setups or setup.name in self.setups
            for pair in pairs_of(setup)
            if not wanted or any(_matches(pair, names) for names in wanted)
        ]
        return found if self.sample is None else sampled(found, self.sample, self.seed)


def _check(name: str, what: str, allowed: Sequence[str]) -> None:
    if name not in allowed:
        raise Refused(f"no such {what}: {name!r}", allowed=allowed)


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    for name in names:
        _check(name, "command", [command.name for command in COMMANDS])
    if len(names) > 2:
        raise Refused(f"not a pair: {text!r}", hint="`--pair read,split`, or `--pair read` for all pairs with it")
    return names


def _matches(pair: Pair, names: Sequence[str]) -> bool:
    given = (pair.first.name, pair.second.name)
    return names[0] in given if len(names) == 1 else sorted(names) == sorted(given)


class _PairGroup(NamedTuple):
    pairs: Sequence[Pair]
    most: int
    protocol: str


def _explored(chunk: _PairGroup) -> list[PairResult]:
    sweep = Sweep(chunk.most, chunk.protocol)
    return [sweep.explore(pair) for pair in chunk.pairs]


def explored(choice: SweepChoice) -> Iterator[PairResult]:
    """What exploring each pair found, in their order; equal for any number of processes.

    Raises:
        Refused: as ``SweepChoice.chosen``.
    """
    chunks = [
        _PairGroup(pairs[at : at + _CHUNK], choice.most, choice.protocol)
        for _, group in groupby(choice.chosen(), key=lambda pair: pair.setup.name)
        for pairs in [list(group)]
        for at in range(0, len(pairs), _CHUNK)
    ]
    for results in in_order(_explored, chunks, choice.jobs):
        yield from results


def run_sweep(
    choice: SweepChoice, screen: Screen, *, verbose: bool = False, quiet: bool = False, as_json: bool = False
) -> int:
    """Explore pairs, and show what was found.

    Args:
        verbose: a line for each pair as soon as it is explored.
        quiet: only findings, and the last line.
        as_json: a JSON document for each pair instead, one a line.
    Returns: 0 if nothing was found, 1 otherwise.
    Raises:
        Refused: as ``SweepChoice.chosen``.
    """
    results: list[PairResult] = []
    for result in explored(choice):
        results.append(result)
        if as_json:
            screen.stream.write(json.dumps(document(result), separators=(",", ":")) + "\n")
        elif verbose:
            screen.write([_pair_line(result)])
        screen.flush()
    if not as_json:
        screen.write(list(sweep_blocks(results, choice.most, quiet=quiet)))
        screen.flush()
    return FOUND if any(result.findings for result in results) else CLEAN


def list_sweep(screen: Screen) -> int:
    """Show the set-ups and the commands."""
    setups = tuple(
        (Span(one.name), Span(" and ".join(one.threads)), Span(f"{GEOMETRY} ; {one.script}")) for one in SETUPS
    )
    commands = tuple((Span(one.name), Span(one.text)) for one in COMMANDS)
    screen.write(
        [
            Grid((Column("set-up"), Column("threads"), Column("script")), setups, title="set-ups"),
            line(""),
            Grid((Column("command"), Column("text")), commands, title="commands"),
        ]
    )
    return CLEAN


def document(result: PairResult) -> dict[str, object]:
    """The result of a pair for JSON."""
    made: dict[str, object] = {"setup": result.setup, "pair": result.pair, "script": list(result.lines)}
    if result.refused:
        return made | {"refused": result.refused}
    made |= {"states": result.states, "exhausted": result.exhausted}
    made |= {"stopped": result.stopped} if result.stopped else {}
    made |= {"loop": result.loop} if result.loop else {}
    return made | {"findings": [one._asdict() for one in result.findings]}


def _pair_line(result: PairResult) -> Line:
    place = Span(f"{result.setup}: {result.pair}: ")
    if result.refused:
        return Line((place, Span(f"not explored: {result.refused}", Tone.DIM)))
    how = f"NOT EXHAUSTED ({result.stopped})" if result.stopped else "exhausted"
    found = Span(counted(len(result.findings), "finding"), Tone.BAD if result.findings else Tone.GOOD)
    return Line((place, Span(f"{how}, {counted(result.states, 'state')}, "), found))


def sweep_blocks(results: Sequence[PairResult], most: int, *, quiet: bool = False) -> Iterator[Block]:
    """A table with a row for each set-up, the pairs that are not exhausted or cannot race, the findings, a summary."""
    if not quiet:
        yield _table(results, most)
        yield from _open_pairs(results)
        yield from _unexplored(results)
    for result in results:
        yield from _findings(result)
    yield _summary(results)


def _table(results: Sequence[PairResult], most: int) -> Grid:
    seen = {one.kind for result in results for one in result.findings}
    kinds = [kind for kind in _COLUMN_OF if kind in seen]
    rows = [_row(name, list(group), kinds) for name, group in groupby(results, key=lambda result: result.setup)]
    rows.append(_row("all", results, kinds))
    names = ("pairs", "explored", "exhausted", "states", "loops", "findings", *(_COLUMN_OF[kind] for kind in kinds))
    columns = (Column("set-up"), *(Column(name, flush_right=True) for name in names))
    note = (
        f"states: at most {most:,} of a pair; loops: pairs in which a state can recur, if only under an unfair "
        "scheduler; findings: pairs with any, then by kind"
    )
    return Grid(columns, tuple(rows), note=note)


def _row(name: str, results: Sequence[PairResult], kinds: Sequence[str]) -> tuple[Span, ...]:
    found = Counter(kind for result in results for kind in {one.kind for one in result.findings})
    done = [result for result in results if not result.refused]
    numbers = [len(results), len(done), sum(one.exhausted for one in done), sum(one.states for one in done)]
    numbers.append(sum(bool(result.loop) for result in results))
    flaws = [sum(bool(result.findings) for result in results), *(found[kind] for kind in kinds)]
    return (
        Span(name),
        *(Span(f"{number:,}") for number in numbers),
        *(Span(f"{number:,}", Tone.BAD if number else Tone.PLAIN) for number in flaws),
    )


def _open_pairs(results: Iterable[PairResult]) -> Iterator[Block]:
    stopped = [result for result in results if result.stopped]
    if stopped:
        yield line("")
        yield line("not exhausted:")
    for result in stopped:
        yield line(f"{result.setup}: {result.pair}: {result.stopped}, {counted(result.states, 'state')}", indent=2)


def _unexplored(results: Iterable[PairResult]) -> Iterator[Block]:
    reasons = Counter(result.refused for result in results if result.refused)
    if reasons:
        yield line("")
        yield line("not explored:")
    for reason, nr in sorted(reasons.items(), key=lambda item: (-item[1], item[0])):
        yield line(f"{counted(nr, 'pair')}: {reason}", indent=2)


def _findings(result: PairResult) -> Iterator[Block]:
    """The first finding of each kind, and the script that repeats the race."""
    kinds = Counter(one.kind for one in result.findings)
    for kind, nr in kinds.items():
        first = next(one for one in result.findings if one.kind == kind)
        more = f" (and {nr - 1} more)" if nr > 1 else ""
        yield line("")
        yield Line((Span(f"{result.setup}: {result.pair}: "), Span(f"{kind}: {first.text}{more}", Tone.BAD)))
        yield preformatted(f"  {result.lines[0]}")
        schedule = f" schedule={first.schedule}" if first.schedule else ""
        yield preformatted(f"  {result.lines[1]}{schedule}")


def _summary(results: Sequence[PairResult]) -> Line:
    done = [result for result in results if not result.refused]
    exhausted = sum(result.exhausted for result in done)
    bad = sum(bool(result.findings) for result in done)
    found = Span(f"{counted(bad, 'pair')} with findings" if bad else "no findings", Tone.BAD if bad else Tone.GOOD)
    return Line((Span(f"{counted(len(done), 'pair')} explored, {exhausted:,} exhausted: "), found))


def in_order(work: Callable[[Task], Outcome], tasks: Iterable[Task], jobs: int = 1) -> Generator[Outcome, None, None]:
    """The outcome of each task, in the order of the tasks, as soon as it and all before it are known.

    Tasks may be endless: they are taken a few at a time, and no more once the caller stops asking.

    Args:
        work: a function of a module that depends on its argument alone; arguments and outcomes are pickled.
        tasks: its arguments.
        jobs: processes; with 1 all is done in this one.
    Raises:
        Exception: what ``work`` raised; the tasks after that one are discarded.
    """
    if jobs == 1:
        yield from map(work, tasks)
        return
    with ProcessPoolExecutor(jobs) as pool:
        running: deque[Future[Outcome]] = deque()
        try:
            for task in tasks:
                running.append(pool.submit(work, task))
                if len(running) == _AHEAD * jobs:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
