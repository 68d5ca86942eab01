"""Checks of schemes and protocols: ``check-scheme`` and ``check-protocol``.

A scheme is checked against every law, with the shortest history that violates it; a protocol in shipped races and a
generated family of races, with the shortest schedule to each finding.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from folioshell.commands.locks import RACES, ShippedRace, explore_protocol, family, race_lines, triples, verdict_word
from folioshell.contract.check import CheckResult, check_scheme
from folioshell.contract.histories import HIGHEST_ID, WIDE_ORDERS, SearchBounds
from folioshell.errors import Refused
from folioshell.paths.vma_protocols import PROTOCOLS
from folioshell.records import NamedTuple
from folioshell.schemes.base import Law, Scheme
from folioshell.script.loading import load_file, load_into
from folioshell.session.session import Session
from folioshell.shell.race_sweep import in_order
from folioshell.views.blocks import Block, Column, Grid, Line, Span, Tone, line, preformatted
from folioshell.views.glyphs import visible
from folioshell.views.screen import Screen
from folioshell.wording import counted

if TYPE_CHECKING:
    from folioshell.session.race import RaceVerdict

HOLDS, VIOLATED, UNUSABLE = 0, 1, 2


def check_files(
    names: Sequence[str], screen: Screen, errors: Screen, *, quiet: bool = False, bounds: SearchBounds | None = None
) -> int:
    """Check the schemes of files as far as ``bounds`` say.

    With ``quiet`` only violated claims and a summary line for each scheme are shown.

    Returns: 0 if all claimed and required laws hold, 1 if one is violated, 2 if a file cannot be used.
    """
    bounds = bounds or SearchBounds()
    status = HOLDS
    for name in names:
        try:
            kinds = load_file(name).schemes
        except Refused as error:
            errors.refusal(error)
            errors.flush()
            status = UNUSABLE
            continue
        for kind in kinds:
            verdicts = check_scheme(kind, bounds)
            screen.write(list(check_blocks(kind, verdicts, quiet)))
            if not quiet:
                screen.write([line(_extent(bounds))])
            screen.flush()
            status = max(
                status, HOLDS if all(verdict.kept or not verdict.declared for verdict in verdicts) else VIOLATED
            )
    return status


def _extent(bounds: SearchBounds) -> str:
    orders = f"orders {WIDE_ORDERS[0]} to {WIDE_ORDERS[-1]}"
    return (
        f"tried: {counted(bounds.histories, 'history', 'histories')} of up to {counted(bounds.steps, 'step')}, and "
        f"others of {counted(bounds.mms, 'mm')} with MM-IDs from 1 to {HIGHEST_ID:,}; {orders}; seed {bounds.seed}"
    )


def check_blocks(kind: type[Scheme], verdicts: Sequence[CheckResult], quiet: bool = False) -> Iterator[Block]:
    """A table of the laws, then a history for each violation; ``quiet``: only for claimed and required laws."""
    broken = [verdict for verdict in verdicts if not verdict.kept and (verdict.declared or not quiet)]
    if not quiet:
        yield _table(kind, verdicts)
    for verdict in broken:
        yield from _breach(verdict)
    if broken or not quiet:
        yield line("")
    yield _summary(kind, verdicts)


def _table(kind: type[Scheme], verdicts: Sequence[CheckResult]) -> Grid:
    rows = tuple((Span(verdict.law), Span(_declared(verdict)), _outcome(verdict)) for verdict in verdicts)
    return Grid((Column("law"), Column("claimed"), Column("in the histories tried")), rows, title=visible(kind.name))


def _is_law(verdict: CheckResult) -> bool:
    return verdict.law in set(Law)


def _declared(verdict: CheckResult) -> str:
    if not _is_law(verdict):
        return "required"
    return "yes" if verdict.declared else "no"


def _outcome(verdict: CheckResult) -> Span:
    if verdict.kept:
        return Span("holds", Tone.GOOD) if verdict.declared else Span("holds (could be claimed)", Tone.STRONG)
    return Span("! VIOLATED", Tone.BAD) if verdict.declared else Span("violated (not claimed)")


def _breach(verdict: CheckResult) -> Iterator[Block]:
    tone = Tone.BAD if verdict.declared else Tone.PLAIN
    yield line("")
    steps = len(verdict.history) - 1
    how = f"violated after {counted(steps, 'step')}" if steps else "violated in the initial state"
    yield Line((Span(f"{verdict.law} {how}:", tone),))
    for at, text in enumerate(verdict.history):
        yield line(f"{at}  {visible(text)}" if at else visible(text), indent=2)
    yield line(f"then: {visible(verdict.breach)}", Tone.STRONG, indent=2)
    if verdict.script:
        yield line("as a script:", indent=2)
        for text in verdict.script:
            yield line(visible(text), indent=4)


def _summary(kind: type[Scheme], verdicts: Sequence[CheckResult]) -> Line:
    broken = [verdict.law for verdict in verdicts if verdict.declared and not verdict.kept]
    more = [verdict.law for verdict in verdicts if not verdict.declared and verdict.kept]
    text = Span(f"violates {', '.join(broken)}", Tone.BAD) if broken else Span("all claimed laws hold", Tone.GOOD)
    further = f"; {', '.join(more)} could be claimed" if more else ""
    return Line((Span(f"{visible(kind.name)}: "), text, Span(further)))


# Protocols.


class ProtocolChoice(NamedTuple):
    """Which protocols are checked, and how far.

    Args:
        names: Python files, and names of protocols of ours.
        every: all protocols of ours as well.
        races: parts of names of races; empty for all.
        most: states of a race, at most.
        jobs: processes.
        schemes: files with schemes that protocols name.
        threads: races of so many threads.
    """

    names: Sequence[str]
    every: bool = False
    races: Sequence[str] = ()
    most: int = 20_000
    jobs: int = 1
    schemes: tuple[str, ...] = ()
    threads: int = 2

    def chosen(self) -> list[tuple[str, str]]:
        """(file or empty, protocol), in order.

        Raises:
            Refused: a file is unusable, or a name unknown.
        """
        found = [("", name) for name in PROTOCOLS] if self.every else []
        for name in self.names:
            if name in PROTOCOLS:
                found.append(("", name))
            elif name.endswith(".py"):
                kinds = load_into(_session_with(self.schemes, ""), name, "protocol").protocols
                found += [(name, kind.name) for kind in kinds]
            else:
                hint = "or a Python file: NAME.py; docs/protocols-own.md shows one"
                raise Refused(f"no such protocol: {name!r}", allowed=list(PROTOCOLS), hint=hint)
        if not found:
            raise Refused("nothing to check", hint="name a Python file or a protocol, or use --all")
        return list(dict.fromkeys(found))

    def raced(self) -> list[int]:
        """The numbers of the races.

        Raises:
            Refused: no race has such a name.
        """
        names = {number: race.name for number, race in enumerate(all_races()) if race.threads == self.threads}
        for part in self.races:
            if not any(part in name for name in names.values()):
                raise Refused(f"no race is called like {part!r}", allowed=list(names.values()))
        return [number for number, name in names.items() if not self.races or any(part in name for part in self.races)]


class CheckedRace(NamedTuple):
    """What was found in a race under a protocol.

    Args:
        file, protocol, scheme: the protocol, the file that it is from, and the scheme that defines what it counts.
        race: number of the race in ``all_races``.
        verdict: what exploring it found.
    """

    file: str
    protocol: str
    scheme: str
    race: int
    verdict: RaceVerdict

    def lines(self, schedule: str = "") -> tuple[str, str]:
        """The script that repeats the race, or follows a schedule."""
        setup, race = race_lines(self.protocol, self.scheme, all_races()[self.race], schedule)
        return (f'load protocol "{self.file}" ; {setup}' if self.file else setup), race


@lru_cache(maxsize=1)
def all_races() -> tuple[ShippedRace, ...]:
    """The shipped races, then the generated ones."""
    return (*RACES, *family(), *triples())


class _ProtocolTask(NamedTuple):
    schemes: tuple[str, ...]
    file: str
    protocol: str
    race: int
    most: int


def _session_with(schemes: Sequence[str], file: str) -> Session:
    """A session with the schemes of files, and the protocols of one unless it is empty."""
    session = Session(counting=())
    for path in schemes:
        load_into(session, path)
    if file:
        load_into(session, file, "protocol")
    return session


_kept_session = lru_cache(maxsize=1)(_session_with)


def _explored(task: _ProtocolTask) -> CheckedRace:
    session = _kept_session(task.schemes, task.file)
    scheme = session.workspace.machine.protocols[task.protocol].scheme
    verdict = explore_protocol(session, task.protocol, all_races()[task.race], task.most)
    return CheckedRace(task.file, task.protocol, scheme, task.race, verdict)


def check_protocols(choice: ProtocolChoice, screen: Screen, *, quiet: bool = False, as_json: bool = False) -> int:
    """Explore races under protocols, and show what was found; the output is the same for any number of processes.

    Args:
        quiet: without the table of all races.
        as_json: a JSON document for each race instead, one a line.
    Returns: 0 if nothing was found, 1 otherwise.
    Raises:
        Refused: as ``ProtocolChoice.chosen``.
    """
    _kept_session.cache_clear()
    chosen = choice.chosen()
    tasks = [_ProtocolTask(choice.schemes, *one, race, choice.most) for one in chosen for race in choice.raced()]
    results: list[CheckedRace] = []
    for result in in_order(_explored, tasks, choice.jobs):
        results.append(result)
        if as_json:
            screen.stream.write(json.dumps(_document(result), separators=(",", ":")) + "\n")
            screen.flush()
    if not as_json:
        by_protocol = [[one for one in results if (one.file, one.protocol) == key] for key in chosen]
        screen.write(list(protocol_blocks(by_protocol, choice.most, quiet=quiet)))
        screen.flush()
    return VIOLATED if any(verdict_word(one.verdict) != "ok" for one in results) else HOLDS


def _document(result: CheckedRace) -> dict[str, object]:
    race = all_races()[result.race]
    found = {"protocol": result.protocol, "race": race.name, "script": result.lines()}
    return {**found, **result.verdict.document()}


def protocol_blocks(results: Sequence[Sequence[CheckedRace]], most: int, *, quiet: bool = False) -> Iterator[Block]:
    """A table with a column for each protocol and a row for each race, the findings, a summary for each protocol.

    Args:
        results: of each protocol, in the order of the races.
        most: states of a race, at most.
    """
    if not quiet:
        yield _matrix(results)
    if len(results) == 1:
        for result in results[0]:
            yield from _race_findings(result)
    if not quiet:
        yield line("")
    for checked in results:
        yield _protocol_summary(checked, most)


def _matrix(results: Sequence[Sequence[CheckedRace]]) -> Grid:
    columns = [Column("race")]
    for checked in results:
        columns.append(Column(checked[0].protocol))
        if len(results) == 1:
            columns.append(Column("states", flush_right=True))
    rows = []
    for number, first in enumerate(results[0]):
        row = [Span(all_races()[first.race].name)]
        for checked in results:
            verdict = checked[number].verdict
            row.append(_verdict_span(verdict))
            if len(results) == 1:
                row.append(Span(f"{verdict.states:,}"))
        rows.append(tuple(row))
    return Grid(tuple(columns), tuple(rows))


def _verdict_span(verdict: RaceVerdict) -> Span:
    word = verdict_word(verdict)
    if word == "ok" and verdict.stopped:
        return Span("ok so far")
    return Span(word, Tone.GOOD if word == "ok" else Tone.BAD)


def _race_findings(result: CheckedRace) -> Iterator[Block]:
    """The first finding of each kind, and the script that follows its schedule."""
    kinds: set[str] = set()
    for found in result.verdict.findings:
        if found.kind not in kinds:
            kinds.add(found.kind)
            yield line("")
            yield Line(
                (Span(f"{all_races()[result.race].name}: "), Span(f"{found.kind}: {visible(found.text)}", Tone.BAD))
            )
            yield from (preformatted(f"  {visible(row)}") for row in result.lines(found.schedule))


def _protocol_summary(checked: Sequence[CheckedRace], most: int) -> Line:
    verdicts = [one.verdict for one in checked]
    bad = Counter(word for verdict in verdicts for word in verdict_word(verdict).split(", ") if word != "ok")
    wrong = sum(verdict_word(verdict) != "ok" for verdict in verdicts)
    kinds = ", ".join(f"{word} in {nr}" for word, nr in bad.items())
    races = counted(len(verdicts), "race")
    text = (
        Span(f"findings in {wrong} of {races} ({kinds})", Tone.BAD)
        if wrong
        else Span(f"no finding in {races}", Tone.GOOD)
    )
    stopped = sum(bool(verdict.stopped) for verdict in verdicts)
    extent = f"{stopped} NOT EXHAUSTED" if stopped else "all exhausted"
    return Line((Span(f"{visible(checked[0].protocol)}: "), text, Span(f", {extent}; bound: {most:,} states a race")))
