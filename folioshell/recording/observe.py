"""The model's own recording of a scenario: what the recorder would see after each operation.

A recording numbers folios itself, in order of first appearance: processes in order of creation, regions in order of
creation, pages ascending. A folio keeps its number as long as one of its visible pages was seen before at the same
place, with the same order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from folioshell.intervals import Intervals
from folioshell.live.format import FORMAT, Op, new_count
from folioshell.model import pte
from folioshell.model.folio import Folio, FolioLooks
from folioshell.model.mapping import AddressSpace
from folioshell.model.observation import FolioNumbers, Origin, Places, Sight
from folioshell.model.pagetable import PageTable
from folioshell.model.proc import PresentRun
from folioshell.model.release import DEFAULT, RELEASES
from folioshell.model.vm import Mm
from folioshell.recording.scenario import ARENA, ScenarioRun
from folioshell.schemes.entries import EntryScheme
from folioshell.schemes.per_page_v5 import PerPageV5

#: a folio when it was last seen: its order, and its number as ``FolioNumbers`` has it
_Known = tuple[int, int]


class Observer:
    """Observes one run, step after step, and recognizes folios that it saw before.

    Args:
        replay: the run.
        books: read the kernel's own books, too.
    """

    def __init__(self, replay: ScenarioRun, books: bool = False) -> None:
        self.replay = replay
        self._books = books
        self._places = Places({name: (replay.vpn(name), nr) for name, (_, nr) in replay.regions.items()})
        self._next = 1
        # Anonymous pages in the last observation: distance of virtual and physical page -> physical page -> its folio.
        self._at: defaultdict[int, Intervals[_Known]] = defaultdict(Intervals)
        # Physical page -> its folio, of page-cache pages that were ever mapped. A physical page is never reused.
        self._files: Intervals[_Known] = Intervals()
        self._objects: dict[AddressSpace, str] = {}
        # The last observation, and its numbers.
        self._last: Sight | None = None
        self._numbers: FolioNumbers = Intervals()

    def observe(self, op: Op) -> dict[str, Any]:
        """``procs`` and ``folios`` of a step, after ``op``; with books ``raw``."""
        kernel = self.replay.machine.kernel
        sight = self._last = Sight(kernel, self._places, self.replay.processes, self._objects, self._last)
        origins: Intervals[Origin] = Intervals()
        if not sight.is_same:
            if "new_region" in op:
                self._move(self.replay.vpn(op["region"], op["page"]), op)
            self._numbers, origins = self._identify(sight)
            self._remember(sight, self._numbers)
        numbers = self._numbers
        books = {"raw": books_of(self.replay, sight, numbers)} if self._books else {}
        return {"procs": sight.processes(numbers), "folios": sight.folio_rows(numbers, origins), **books}

    def _identify(self, sight: Sight) -> tuple[FolioNumbers, Intervals[Origin]]:
        """Numbers of the folios; of each page of a new folio that was split from another, that folio."""
        known = self._known(sight)
        numbers: FolioNumbers = Intervals()
        origins: Intervals[Origin] = Intervals()
        for sighting in sight.folios:
            order = sighting.folio.order
            for pfn, nr, old in known.pieces(sighting.pfn, sighting.nr):
                if old is not None and old[0] == order:
                    numbers.put(pfn, nr, old[1])
                    continue
                numbers.put(pfn, nr, self._next - (pfn >> order))
                self._next += nr >> order
                if old is not None:
                    _note_origins(origins, pfn, nr, *old)
        return numbers, origins

    def _known(self, sight: Sight) -> Intervals[_Known]:
        """Physical page -> the folio that the first of its folio's pages belonged to that is seen where it was seen."""
        known: Intervals[_Known] = Intervals()
        for run in sight.runs:
            folio = run.folio
            assert folio is not None
            for pfn, nr, old in self._pages_of(run, folio).pieces(run.pfn, run.nr):
                if old is not None:
                    # One page tells of all of a large folio.
                    head = pfn >> folio.order << folio.order
                    _put_new(known, head, max(1 << folio.order, nr), old)
        return known

    def _pages_of(self, run: PresentRun, folio: FolioLooks) -> Intervals[_Known]:
        """Where the pages of a run are remembered."""
        return self._at[run.vpn - run.pfn] if folio.anon else self._files

    def _move(self, start: int, op: Op) -> None:
        """Pages were moved from ``start`` to another region: those that are there now were seen there."""
        new, nr = self.replay.vpn(op["new_region"]), min(op["count"], new_count(op))
        for distance, pages in [*self._at.items()]:
            for pfn, length, old in pages.pieces(start - distance, nr):
                if old is not None:
                    _put_new(self._at[distance + new - start], pfn, length, old)

    def _remember(self, sight: Sight, numbers: FolioNumbers) -> None:
        self._at.clear()
        for run in sight.runs:
            folio = run.folio
            assert folio is not None
            pages = self._pages_of(run, folio)
            for pfn, nr, number in numbers.pieces(run.pfn, run.nr):
                assert number is not None
                pages.put(pfn, nr, (folio.order, number))


def _put_new(pages: Intervals[_Known], first: int, nr: int, known: _Known) -> None:
    """Remember pages, unless they are remembered already."""
    for start, length, old in pages.pieces(first, nr):
        if old is None:
            pages.put(start, length, known)


def _note_origins(origins: Intervals[Origin], pfn: int, nr: int, order: int, number: int) -> None:
    """Note for ``nr`` pages from ``pfn`` on which folios of an order they belonged to; ``number`` as in ``_Known``."""
    for head in range(pfn >> order << order, pfn + nr, 1 << order):
        first, end = max(head, pfn), min(head + (1 << order), pfn + nr)
        origins.put(first, end - first, ((head >> order) + number, head))


def books_of(replay: ScenarioRun, sight: Sight, numbers: FolioNumbers) -> dict[str, Any]:
    """The kernel's own books, as ``soft.steps[].raw`` of a recording has them.

    Args:
        numbers: those of the recording.
    Returns: ``folios``: [number, n, fields] of the mapped folios, consecutive equal ones as one row; ``tables``:
        process -> [index in the arena, present entries] of its PTE tables.
    """
    folios = sorted(
        ((head >> order) + numbers[head], head)
        for order, start, length in ((one.folio.order, one.pfn, one.nr) for one in sight.folios)
        for head in range(start, start + length, 1 << order)
    )
    rows: list[list[Any]] = []
    for number, pfn in folios:
        fields = _fields(replay, sight.kernel.physmem.folio(pfn))
        if rows and sum(rows[-1][:2]) == number and rows[-1][2] == fields:
            rows[-1][1] += 1
        else:
            rows.append([number, 1, fields])
    return {"folios": rows, "tables": {name: _tables(sight.kernel.mms[name]) for name in replay.processes}}


def _fields(replay: ScenarioRun, folio: Folio) -> dict[str, Any]:
    """What the release keeps in the struct of a folio."""
    k = replay.machine.kernel
    fields: dict[str, Any] = {"ref": folio.refcount}
    if folio.anon and k.release.has_anon_exclusive:
        pages = (folio.anon_exclusive >> page & 1 for page in range(folio.nr_pages))
        fields["anon_exclusive"] = [[bit, len(list(run))] for bit, run in groupby(pages)]
    if not folio.order:
        return fields
    counts = k.counts
    assert isinstance(counts, EntryScheme | PerPageV5)
    fields |= counts.kernel_fields(folio.id)
    if k.release.flags_partially_mapped:
        fields["partially_mapped"] = int(folio.partially_mapped)
    if "mm_ids" in fields:
        fields["mm_ids"] = [[replay.living(mm), nr] for mm, nr in fields["mm_ids"]]
    return fields


def _tables(mm: Mm) -> list[list[Any]]:
    """The PTE tables that exist, also empty ones, and the runs [index, n, bits] of their present entries."""
    arena, shift = ARENA >> mm.tables.bits, mm.tables.bits
    return [
        [(block >> shift) - arena, present_entries(table.entries)]
        for block, _, table in mm.tables.blocks()
        if isinstance(table, PageTable)
    ]


def present_entries(entries: Sequence[int]) -> list[list[Any]]:
    """[index, n, bits] of the runs of present entries: ``w`` for writable ones, ``d`` if they are dirty, too.

    Whether a read-only entry is dirty is no matter of the page table alone: since v6.6 a bit of software keeps it.
    """
    rows: list[list[Any]] = []
    index = 0
    for bits, run in groupby(entries, _bits):
        nr = len(list(run))
        if bits is not None:
            rows.append([index, nr, bits])
        index += nr
    return rows


def _bits(entry: int) -> str | None:
    if entry <= 0:
        return None
    return ("wd" if entry & pte.DIRTY else "w") if entry & pte.WRITE else ""


def regions_of(replay: ScenarioRun) -> dict[str, dict[str, int]]:
    """The regions of a recording, in pages from the arena's base."""
    return {name: {"vpn": vpn, "pages": nr} for name, (vpn, nr) in replay.regions.items()}


def files_of(replay: ScenarioRun, scenario: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The files of a recording: specification, and page-cache folios before the first step."""
    files = scenario.get("setup", {}).get("files") or {}
    return {name: {**spec, "layout": replay.layout(name)} for name, spec in files.items()}


def steps_of(replay: ScenarioRun, scenario: dict[str, Any], books: bool = False) -> Iterator[dict[str, Any]]:
    """The steps of a recording, lazily: the machine is in the state that the last one describes."""
    observer = Observer(replay, books)
    for number, op in enumerate(scenario["ops"]):
        result = replay.run(op)
        yield {"i": number, "result": result, **observer.observe(op)}


def without_folios(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step as it is recorded without root: pages have their bits, and the zero page, but no folio."""
    shown = {
        name: {**one, "pages": {region: _without_folios(runs) for region, runs in one["pages"].items()}}
        for name, one in step["procs"].items()
    }
    return {**step, "procs": shown, "folios": []}


def _without_folios(runs: list[list[Any]]) -> list[list[Any]]:
    rows: list[list[Any]] = []
    for first, nr, bits, folio, *_ in runs:
        row = [first, nr, bits, folio if folio == "zero" else None, None, None]
        if rows and sum(rows[-1][:2]) == first and rows[-1][2:] == row[2:]:
            rows[-1][1] += nr
        else:
            rows.append(row)
    return rows


def emit(scenario: dict[str, Any], profile: str = DEFAULT.version, books: bool = False) -> dict[str, Any]:
    """Run a checked scenario on a fresh machine and record every step.

    Args:
        profile: the kernel to model.
        books: record the kernel's own books, too.
    """
    replay = ScenarioRun(scenario, profile)
    regions, files = regions_of(replay), files_of(replay, scenario)
    steps = list(steps_of(replay, scenario, books))
    soft = {"soft": {"steps": [{"raw": step.pop("raw")} for step in steps]}} if books else {}
    return {
        "format": FORMAT,
        "name": scenario.get("name", ""),
        "doc": scenario.get("doc", ""),
        "scenario": scenario,
        "env": {"kernel": RELEASES[profile].point, "by": "folioshell"},
        "regions": regions,
        "files": files,
        "steps": steps,
        **soft,
    }
