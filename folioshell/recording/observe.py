"""What a recorder would see of the model after an operation, in the recording format.

Folios have numbers of the recording's own, given in order of first appearance: processes in order of creation, regions
in order of creation, pages ascending. A folio keeps its number as long as a page of it that is seen was seen before at
the same place, with the same order.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from folioshell.model import pte
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.mm import Mm
from folioshell.model.smaps import kpagecount, pagemap_bits, present_pages, smaps
from folioshell.model.vma import Vma
from folioshell.recording.scenario import ARENA, Op, Replay

#: first pfn and order of a folio, which identify it at one moment
Key = tuple[int, int]
#: (process, region, page, vpn, pfn, folio or None, bits, kpagecount)
_Page = tuple[str, str, int, int, int, Folio | None, str, int | None]


@dataclass(slots=True)
class _Sighting:
    """A folio that is seen in an observation."""

    folio: Folio
    pages: list[tuple[int, int, int]] = field(default_factory=list)
    pmd: set[str] = field(default_factory=set)


class Observer:
    """Observes one replay, step after step; keeps what it needs to recognize folios.

    Args:
        replay: the replay to be observed.
    """

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self._order = {name: number for number, name in enumerate(replay.regions)}
        self._spans = sorted((start, start + nr, name) for name, (start, nr) in replay.regions.items())
        self._next = 1
        # vpn -> pfn -> (first pfn, order, number) of anonymous folios in the last observation
        self._at: dict[int, dict[int, tuple[int, int, int]]] = {}
        # (object, page offset) -> (pfn, first pfn, order, number) of page-cache folios
        self._files: dict[tuple[str, int], tuple[int, int, int, int]] = {}
        self._objects: dict[AddressSpace, str] = {}

    @property
    def kernel(self) -> Kernel:
        """The model's state."""
        return self.replay.machine.kernel

    def observe(self, op: Op) -> dict[str, Any]:
        """What is seen after ``op``: ``procs`` and ``folios`` of a step."""
        vmas: dict[str, list[dict[str, Any]]] = {}
        pages: list[_Page] = []
        for mm in self.kernel.mms.values():
            vmas[mm.name] = [self._vma_row(vma) for vma in mm.vmas]
            pages.extend(self._pages(mm))
        seen = self._sightings(pages)
        numbers, origin = self._identify(seen, op)
        procs: dict[str, dict[str, Any]] = {name: {"vmas": rows, "pages": {}} for name, rows in vmas.items()}
        for name, region, page, _, pfn, folio, bits, count in pages:
            runs = procs[name]["pages"].setdefault(region, [])
            if folio is None:
                _add_run(runs, page, bits, "zero", None, None, 0)
            else:
                number = numbers[folio.pfn, folio.order]
                _add_run(runs, page, bits, number, pfn - folio.pfn, count, folio.order)
        self._remember(seen, numbers)
        for proc in procs.values():
            regions = sorted(proc["pages"], key=self._order.__getitem__)
            # The order of the last folio of a run stands behind it while it is built.
            proc["pages"] = {name: [run[:6] for run in proc["pages"][name]] for name in regions}
        return {"procs": procs, "folios": self._folio_rows(seen, numbers, origin)}

    def _find(self, vpn: int) -> tuple[str, int]:
        for start, end, name in self._spans:
            if start <= vpn < end:
                return name, vpn - start
        raise AssertionError(f"page {vpn:#x} of the arena is in no region")

    def _vma_row(self, vma: Vma) -> dict[str, Any]:
        region, page = self._find(vma.start - ARENA)
        row: dict[str, Any] = {
            "region": region,
            "page": page,
            "count": vma.nr_pages,
            "perm": vma.perm,
            "flags": vma.flag_words,
            "smaps": smaps(self.kernel, vma),
        }
        if vma.file is not None:
            if vma.file not in self._objects:
                known = self.kernel.files.get(vma.file.name) is vma.file
                self._objects[vma.file] = vma.file.name if known else f"shm:{region}"
            row["object"] = self._objects[vma.file]
            row["off"] = vma.pgoff
        return row

    def _pages(self, mm: Mm) -> list[_Page]:
        k = self.kernel
        found: list[_Page] = []
        for vma in mm.vmas:
            for mapped in present_pages(k, vma):
                vpn = mapped.vpn - ARENA
                region, page = self._find(vpn)
                count = None if mapped.folio is None else kpagecount(k, mapped.folio, mapped.page)
                pfn = pte.pfn_of(mapped.entry)
                found.append((mm.name, region, page, vpn, pfn, mapped.folio, pagemap_bits(k, mapped), count))
        return found

    def _sightings(self, pages: list[_Page]) -> dict[Key, _Sighting]:
        """The folios that are seen, in the order in which they get numbers."""
        position = {name: number for number, name in enumerate(self.replay.processes)}
        seen: dict[Key, _Sighting] = {}
        for name, region, page, vpn, pfn, folio, bits, _ in sorted(
            pages, key=lambda row: (position[row[0]], self._order[row[1]], row[2])
        ):
            del region, page
            if folio is not None:
                sighting = seen.setdefault((folio.pfn, folio.order), _Sighting(folio))
                sighting.pages.append((vpn, pfn, pfn - folio.pfn))
                if "h" in bits:
                    sighting.pmd.add(name)
        return seen

    def _identify(self, seen: dict[Key, _Sighting], op: Op) -> tuple[dict[Key, int], dict[Key, list[int]]]:
        """Numbers of the folios, and [number, page] of the folio that a new one was split from."""
        numbers: dict[Key, int] = {}
        origin: dict[Key, list[int]] = {}
        used: set[int] = set()
        for key, sighting in seen.items():
            old = self._was(sighting, op)
            if old is not None and old[:2] == key and old[2] not in used:
                numbers[key] = old[2]
            else:
                numbers[key] = self._next
                self._next += 1
                if old is not None:
                    origin[key] = [old[2], key[0] - old[0]]
            used.add(numbers[key])
        return numbers, origin

    def _was(self, sighting: _Sighting, op: Op) -> tuple[int, int, int] | None:
        """(first pfn, order, number) of the folio that a page of this one belonged to before."""
        shift: tuple[int, int, int] | None = None
        if op["op"] == "mremap":
            new = self.replay.regions[op["new_region"]][0]
            shift = (new, new + op["count"], self.replay.regions[op["region"]][0] + op["page"] - new)
        folio = sighting.folio
        for vpn, pfn, page in sighting.pages:
            if folio.anon:
                was = self._at.get(vpn, {}).get(pfn)
                if was is None and shift is not None and shift[0] <= vpn < shift[1]:
                    was = self._at.get(vpn + shift[2], {}).get(pfn)
                if was is not None:
                    return was
            else:
                known = self._files.get((self._object_of(folio), folio.index + page))
                if known is not None and known[0] == pfn:
                    return known[1:]
        return None

    def _object_of(self, folio: Folio) -> str:
        assert isinstance(folio.mapping, AddressSpace)
        return self._objects[folio.mapping]

    def _remember(self, seen: dict[Key, _Sighting], numbers: dict[Key, int]) -> None:
        self._at = {}
        cached = {
            folio.pfn + page for folio in self.kernel.folios.values() if folio.cached for page in range(folio.nr_pages)
        }
        self._files = {place: known for place, known in self._files.items() if known[0] in cached}
        for key, sighting in seen.items():
            was = (*key, numbers[key])
            for vpn, pfn, page in sighting.pages:
                if sighting.folio.anon:
                    self._at.setdefault(vpn, {})[pfn] = was
                else:
                    self._files[self._object_of(sighting.folio), sighting.folio.index + page] = (pfn, *was)

    def _folio_rows(
        self, seen: dict[Key, _Sighting], numbers: dict[Key, int], origin: dict[Key, list[int]]
    ) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for key in sorted(seen, key=numbers.__getitem__):
            folio = seen[key].folio
            row: dict[str, Any] = {
                "id": numbers[key],
                "n": 1,
                "order": folio.order,
                "anon": folio.anon,
                "mapcounts": _run_lengths([kpagecount(self.kernel, folio, page) for page in range(folio.nr_pages)]),
                "pmd": sorted(seen[key].pmd),
            }
            if key in origin:
                row["from"] = origin[key]
            if rows and _continues(rows[-1], row):
                rows[-1]["n"] += 1
            else:
                rows.append(row)
        return rows


def _add_run(
    runs: list[list[Any]], page: int, bits: str, number: int | str, index: int | None, count: int | None, order: int
) -> None:
    """Add a page to the runs of a region, to the last one if it is what that one goes on with."""
    if runs:
        last = runs[-1]
        if last[0] + last[1] == page and last[2] == bits and last[5] == count:
            if number == "zero" or last[3] == "zero":
                if number == last[3]:
                    last[1] += 1
                    return
            elif last[6] == order:
                position = last[4] + last[1]
                if number == last[3] + (position >> order) and index == position & (1 << order) - 1:
                    last[1] += 1
                    return
    runs.append([page, 1, bits, number, index, count, order])


def _run_lengths(values: list[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for value in values:
        if runs and runs[-1][0] == value:
            runs[-1][1] += 1
        else:
            runs.append([value, 1])
    return runs


def _continues(last: dict[str, Any], row: dict[str, Any]) -> bool:
    if last["id"] + last["n"] != row["id"] or ("from" in last) != ("from" in row):
        return False
    if any(last[key] != row[key] for key in ("order", "anon", "mapcounts", "pmd")):
        return False
    if "from" in row:
        expected = [last["from"][0], last["from"][1] + (last["n"] << last["order"])]
        return bool(row["from"] == expected)
    return True
