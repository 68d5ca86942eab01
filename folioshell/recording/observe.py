"""The model's own recording of a scenario: what the recorder would see after each operation.

A recording numbers folios itself, in order of first appearance: processes in order of creation, regions in order of
creation, pages ascending. A folio keeps its number as long as one of its visible pages was seen before at the same
place, with the same order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from folioshell.live.format import FORMAT, Op, new_count
from folioshell.model import pte
from folioshell.model.folio import Folio
from folioshell.model.mapping import AddressSpace
from folioshell.model.observation import Places, Sight, Sighting, object_name
from folioshell.model.pagetable import PageTable
from folioshell.model.release import DEFAULT, RELEASES
from folioshell.model.vm import Mm
from folioshell.recording.scenario import ARENA, ScenarioRun
from folioshell.schemes.entries import EntryScheme
from folioshell.schemes.per_page_v5 import PerPageV5

#: first pfn, order and number of a folio when it was last seen
_Known = tuple[int, int, int]


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
        # (virtual page, pfn) of anonymous pages in the last observation. A pfn is never reused.
        self._at: dict[tuple[int, int], _Known] = {}
        # (object, page offset) -> pfn and folio of page-cache pages that were ever mapped.
        self._files: dict[tuple[str, int], tuple[int, _Known]] = {}
        self._objects: dict[AddressSpace, str] = {}

    def observe(self, op: Op) -> dict[str, Any]:
        """``procs`` and ``folios`` of a step, after ``op``; with books ``raw``."""
        kernel = self.replay.machine.kernel
        sight = Sight(kernel, self._places, self.replay.processes)
        for mm in kernel.mms.values():
            for vma in mm.vmas:
                if vma.file is not None:
                    object_name(kernel, vma.file, self._places.find(vma.start)[0], self._objects)
        numbers, origin = self._identify(sight, op)
        self._remember(sight, numbers)
        books = {"raw": books_of(self.replay, sight, numbers)} if self._books else {}
        return {"procs": sight.processes(numbers, self._objects), "folios": sight.folio_rows(numbers, origin), **books}

    def _identify(self, sight: Sight, op: Op) -> tuple[dict[int, int], dict[int, list[int]]]:
        """Numbers of the folios; for a new folio that was split from another, [number, page] of that."""
        numbers: dict[int, int] = {}
        origin: dict[int, list[int]] = {}
        used: set[int] = set()
        for own, sighting in sight.folios.items():
            folio = sighting.folio
            old = self._was(sighting, op)
            if old is not None and old[:2] == (folio.pfn, folio.order) and old[2] not in used:
                numbers[own] = old[2]
            else:
                numbers[own] = self._next
                self._next += 1
                if old is not None:
                    origin[own] = [old[2], folio.pfn - old[0]]
            used.add(numbers[own])
        return numbers, origin

    def _was(self, sighting: Sighting, op: Op) -> _Known | None:
        """The folio that a page of this one belonged to when it was last seen."""
        shift: tuple[int, int, int] | None = None
        if "new_region" in op:
            new, nr = self.replay.vpn(op["new_region"]), min(op["count"], new_count(op))
            shift = (new, new + nr, self.replay.vpn(op["region"], op["page"]) - new)
        folio = sighting.folio
        for run in sighting.runs:
            for offset in range(run.nr):
                if folio.anon:
                    vpn, pfn = run.vpn + offset, run.pfn + offset
                    was = self._at.get((vpn, pfn))
                    if was is None and shift is not None and shift[0] <= vpn < shift[1]:
                        was = self._at.get((vpn + shift[2], pfn))
                    if was is not None:
                        return was
                else:
                    known = self._files.get((self._object_of(folio), folio.index + run.page + offset))
                    if known is not None and known[0] == run.pfn + offset:
                        return known[1]
        return None

    def _object_of(self, folio: Folio) -> str:
        assert isinstance(folio.mapping, AddressSpace)
        return self._objects[folio.mapping]

    def _remember(self, sight: Sight, numbers: dict[int, int]) -> None:
        self._at = {}
        for own, sighting in sight.folios.items():
            folio = sighting.folio
            was = (folio.pfn, folio.order, numbers[own])
            for run in sighting.runs:
                vpn, pfn = run.vpn, run.pfn
                if folio.anon:
                    for offset in range(run.nr):
                        self._at[vpn + offset, pfn + offset] = was
                else:
                    name, index = self._object_of(folio), folio.index + run.page
                    for offset in range(run.nr):
                        self._files[name, index + offset] = (pfn + offset, was)


def books_of(replay: ScenarioRun, sight: Sight, numbers: Mapping[int, int]) -> dict[str, Any]:
    """The kernel's own books, as ``soft.steps[].raw`` of a recording has them.

    Args:
        numbers: a folio's number -> its number in the recording.
    Returns: ``folios``: [number, n, fields] of the mapped folios, consecutive equal ones as one row; ``tables``:
        process -> [index in the arena, present entries] of its PTE tables.
    """
    rows: list[list[Any]] = []
    for own in sorted(sight.folios, key=numbers.__getitem__):
        fields = _fields(replay, sight.folios[own].folio)
        if rows and sum(rows[-1][:2]) == numbers[own] and rows[-1][2] == fields:
            rows[-1][1] += 1
        else:
            rows.append([numbers[own], 1, fields])
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
