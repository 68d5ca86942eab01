"""The model's own recording of a scenario: what the recorder would see after each operation.

A recording numbers folios itself, in order of first appearance: processes in order of creation, regions in order of
creation, pages ascending. A folio keeps its number as long as one of its visible pages was seen before at the same
place, with the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from folioshell.model.folio import Folio
from folioshell.model.mapping import AddressSpace
from folioshell.model.observation import Places, Sight, Sighting, object_name
from folioshell.model.release import DEFAULT, RELEASES
from folioshell.recording.load import FORMAT
from folioshell.recording.scenario import Op, ScenarioRun, new_count

#: first pfn, order and number of a folio when it was last seen
_Known = tuple[int, int, int]


class Observer:
    """Observes one run, step after step, and recognizes folios that it saw before."""

    def __init__(self, replay: ScenarioRun) -> None:
        self.replay = replay
        self._places = Places({name: (replay.vpn(name), nr) for name, (_, nr) in replay.regions.items()})
        self._next = 1
        # (virtual page, pfn) of anonymous pages in the last observation. A pfn is never reused.
        self._at: dict[tuple[int, int], _Known] = {}
        # (object, page offset) -> pfn and folio of page-cache pages that were ever mapped.
        self._files: dict[tuple[str, int], tuple[int, _Known]] = {}
        self._objects: dict[AddressSpace, str] = {}

    def observe(self, op: Op) -> dict[str, Any]:
        """``procs`` and ``folios`` of a step, after ``op``."""
        kernel = self.replay.machine.kernel
        sight = Sight(kernel, self._places, self.replay.processes)
        for mm in kernel.mms.values():
            for vma in mm.vmas:
                if vma.file is not None:
                    object_name(kernel, vma.file, self._places.find(vma.start)[0], self._objects)
        numbers, origin = self._identify(sight, op)
        self._remember(sight, numbers)
        return {"procs": sight.processes(numbers, self._objects), "folios": sight.folio_rows(numbers, origin)}

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


def regions_of(replay: ScenarioRun) -> dict[str, dict[str, int]]:
    """The regions of a recording, in pages from the arena's base."""
    return {name: {"vpn": vpn, "pages": nr} for name, (vpn, nr) in replay.regions.items()}


def files_of(replay: ScenarioRun, scenario: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The files of a recording: specification, and page-cache folios before the first step."""
    files = scenario.get("setup", {}).get("files") or {}
    return {name: {**spec, "layout": replay.layout(name)} for name, spec in files.items()}


def steps_of(replay: ScenarioRun, scenario: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The steps of a recording, lazily: the machine is in the state that the last one describes."""
    observer = Observer(replay)
    for number, op in enumerate(scenario["ops"]):
        result = replay.run(op)
        yield {"i": number, "result": result, **observer.observe(op)}


def emit(scenario: dict[str, Any], profile: str = DEFAULT.version) -> dict[str, Any]:
    """Run a checked scenario on a fresh machine and record every step; ``profile`` is the kernel to model."""
    replay = ScenarioRun(scenario, profile)
    regions, files = regions_of(replay), files_of(replay, scenario)
    return {
        "format": FORMAT,
        "name": scenario.get("name", ""),
        "doc": scenario.get("doc", ""),
        "scenario": scenario,
        "env": {"kernel": RELEASES[profile].point, "by": "folioshell"},
        "regions": regions,
        "files": files,
        "steps": list(steps_of(replay, scenario)),
    }
