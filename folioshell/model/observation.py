"""What can be observed of all processes, in the form of the recordings: VMAs with smaps, runs of pages, folios.

Rules:
- Everything is plain data, addresses only as (region, page), so that two kernels can be compared.
- A run of pages continues across folios with consecutive numbers: page 0 of folio 8 follows the last page of folio 7.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Mapping
from operator import attrgetter, itemgetter
from typing import Any

from folioshell.live.files import shared_memory_name
from folioshell.model.folio import Folio
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.proc import PresentRun, kpagecounts, other_runs, pagemap_bits, present_runs, smaps
from folioshell.model.vm import Vma
from folioshell.records import dataclass, field
from folioshell.units import PAGE_SHIFT

#: [page, n, bits, folio, index, kpagecount]; ``zero`` or, if not present, None for the folio, and None for the rest
PageRun = list[Any]

_vpn = attrgetter("vpn")


class Places:
    """Where virtual pages lie within named ranges.

    Args:
        regions: name -> (first virtual page, pages), in order of creation. Where ranges overlap the last one wins.
    """

    def __init__(self, regions: Mapping[str, tuple[int, int]]) -> None:
        self.order = {name: number for number, name in enumerate(regions)}
        # Disjoint and ascending: (start, end, name, first page of the region).
        self._spans: list[tuple[int, int, str, int]] = []
        for name, (start, nr) in regions.items():
            self._cut_out(start, start + nr)
            insort(self._spans, (start, start + nr, name, start))

    def _cut_out(self, start: int, end: int) -> None:
        """Remove ``[start, end)`` from earlier regions."""
        kept = []
        for low, high, name, base in self._spans:
            kept += [(low, min(high, start), name, base)] if low < start else []
            kept += [(max(low, end), high, name, base)] if high > end else []
        self._spans = kept

    def find(self, vpn: int) -> tuple[str, int, int]:
        """(region, page in it, end of the region here) of a virtual page; outside of all, its address for a region."""
        position = bisect_right(self._spans, vpn, key=itemgetter(0)) - 1
        if position >= 0:
            _, end, name, base = self._spans[position]
            if vpn < end:
                return name, vpn - base, end
        return f"{vpn << PAGE_SHIFT:#x}", 0, vpn + 1


@dataclass(slots=True)
class Sighting:
    """A mapped folio.

    Args:
        folio: the folio.
        runs: runs of its pages where they were seen, in order of appearance.
        pmd: names of the processes that map it by a PMD.
    """

    folio: Folio
    runs: list[PresentRun] = field(default_factory=list)
    pmd: set[str] = field(default_factory=set)


class Sight:
    """Everything that processes map at one moment, read once.

    Args:
        k: the kernel.
        places: the named ranges; pages are read in their order.
        names: processes in order of creation; all living ones if None.

    Attributes:
        folios: number of a folio -> its sighting, in order of first appearance: processes, then regions, then pages.
    """

    def __init__(self, k: Kernel, places: Places, names: Iterable[str] | None = None) -> None:
        self.kernel = k
        self.folios: dict[int, Sighting] = {}
        self._vmas: dict[str, list[tuple[Vma, list[PresentRun]]]] = {}
        self._pages: dict[str, dict[str, list[tuple[int, PresentRun]]]] = {}
        self.places = places
        for mm in k.mms.values():
            self._vmas[mm.name] = [(vma, [*present_runs(k, vma)]) for vma in mm.vmas]
        for name in dict.fromkeys(k.mms if names is None else names):
            if name in self._vmas:
                self._pages[name] = self._sorted_pages(name)

    def _sorted_pages(self, name: str) -> dict[str, list[tuple[int, PresentRun]]]:
        """Region -> (page, run) in the order of the regions, every run within one region."""
        found: dict[str, list[tuple[int, PresentRun]]] = {}
        for vma, present in self._vmas[name]:
            others = list(other_runs(self.kernel, vma))
            base, end, pages = 0, 0, []
            for run in sorted([*present, *others], key=_vpn) if others else present:
                # Runs ascend, and most of a VMA lies in one region: that of the run before.
                if run.vpn + run.nr > end:
                    region, page, end = self.places.find(run.vpn)
                    base, pages = run.vpn - page, found.setdefault(region, [])
                if run.vpn + run.nr <= end:
                    pages.append((run.vpn - base, run))
                    continue
                for region, page, piece in self._within_regions(run):
                    found.setdefault(region, []).append((page, piece))
        order = self.places.order
        ordered = {region: found[region] for region in sorted(found, key=lambda region: order.get(region, len(order)))}
        for pages in ordered.values():
            for _, run in pages:
                if run.folio is not None:
                    sighting = self.folios.get(run.folio.id)
                    if sighting is None:
                        sighting = self.folios[run.folio.id] = Sighting(run.folio)
                    sighting.runs.append(run)
                    if run.pmd:
                        sighting.pmd.add(name)
        return ordered

    def _within_regions(self, run: PresentRun) -> Iterable[tuple[str, int, PresentRun]]:
        region, page, end = self.places.find(run.vpn)
        while run.vpn + run.nr > end:
            nr = end - run.vpn
            yield region, page, run._replace(nr=nr)
            run = run._replace(vpn=end, nr=run.nr - nr, page=run.page + nr if run.folio is not None else 0)
            region, page, end = self.places.find(run.vpn)
        yield region, page, run

    def processes(self, numbers: Mapping[int, int], objects: dict[AddressSpace, str]) -> dict[str, dict[str, Any]]:
        """Process -> its VMAs and its pages by region.

        Args:
            numbers: a folio's number -> the number to show.
            objects: names of files and shared memory; shared memory without a name gets one.
        """
        return {
            name: {
                "vmas": [self._vma_row(vma, runs, objects) for vma, runs in vmas],
                "pages": {
                    region: self._page_rows(pages, numbers) for region, pages in self._pages.get(name, {}).items()
                },
            }
            for name, vmas in self._vmas.items()
        }

    def _vma_row(self, vma: Vma, runs: list[PresentRun], objects: dict[AddressSpace, str]) -> dict[str, Any]:
        region, page, _ = self.places.find(vma.start)
        row: dict[str, Any] = {
            "region": region,
            "page": page,
            "count": vma.nr_pages,
            "perm": vma.perm,
            "flags": vma.flag_words,
            "smaps": smaps(self.kernel, vma, runs),
        }
        if vma.file is not None:
            row["object"] = object_name(self.kernel, vma.file, region, objects)
            row["off"] = vma.pgoff
        return row

    def _page_rows(self, pages: list[tuple[int, PresentRun]], numbers: Mapping[int, int]) -> list[PageRun]:
        rows: list[PageRun] = []
        last_order = 0
        for page, run in pages:
            bits = pagemap_bits(self.kernel, run)
            if run.folio is None:
                row: PageRun = [page, run.nr, bits, None if run.other else "zero", None, None]
                order = 0
            else:
                row = [page, run.nr, bits, numbers[run.folio.id], run.page, run.mapcount]
                order = run.folio.order
            if rows and _goes_on(rows[-1], row, last_order, order):
                rows[-1][1] += run.nr
            else:
                rows.append(row)
                last_order = order
        return rows

    def folio_rows(
        self, numbers: Mapping[int, int], origin: Mapping[int, list[int]] | None = None
    ) -> list[dict[str, Any]]:
        """The mapped folios, consecutive identical ones as one row.

        Args:
            numbers: a folio's number -> the number to show.
            origin: own number of a folio -> [number, page] of the folio that it was split from.
        """
        rows: list[dict[str, Any]] = []
        last = None
        for own in sorted(self.folios, key=numbers.__getitem__):
            folio, number, come = self.folios[own].folio, numbers[own], origin.get(own) if origin else None
            counts = [[count, nr] for _, nr, count in kpagecounts(self.kernel, folio)]
            looks = (folio.order, folio.anon, counts, sorted(self.folios[own].pmd))
            if looks == last and _is_next(rows[-1], number, come):
                rows[-1]["n"] += 1
                continue
            last = looks
            row = {"id": number, "n": 1, **dict(zip(("order", "anon", "mapcounts", "pmd"), looks, strict=True))}
            rows.append(row if come is None else {**row, "from": come})
        return rows


def object_name(k: Kernel, file: AddressSpace, region: str, objects: dict[AddressSpace, str]) -> str:
    """The name of a file; of shared memory, the region that it was first seen in."""
    name = objects.get(file)
    if name is None:
        is_named = k.files.get(file.name) is file
        name = objects[file] = file.name if is_named else shared_memory_name(region, objects.values())
    return name


def observation(k: Kernel, regions: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    """What can be observed now: ``procs`` and ``folios`` as a step of a recording has them, folios by their own ids.

    Args:
        regions: name -> (first virtual page, pages), in the order in which they were made.
    """
    sight = Sight(k, Places(regions))
    numbers = {number: number for number in sight.folios}
    return {"procs": sight.processes(numbers, {}), "folios": sight.folio_rows(numbers)}


def _goes_on(last: PageRun, row: PageRun, last_order: int, order: int) -> bool:
    """Does this run continue the one before?"""
    if last[0] + last[1] != row[0] or last[2] != row[2] or last[5] != row[5]:
        return False
    if last[4] is None or row[4] is None:
        return bool(last[3] == row[3])
    if last_order != order:
        return False
    position = last[4] + last[1]
    return bool(row[3] == last[3] + (position >> order) and row[4] == position & (1 << order) - 1)


def _is_next(last: dict[str, Any], number: int, come: list[int] | None) -> bool:
    """Does the folio of this number, split off ``come``, continue the row of folios that look as it does?"""
    if last["id"] + last["n"] != number or ("from" in last) != (come is not None):
        return False
    return come is None or bool(come == [last["from"][0], last["from"][1] + (last["n"] << last["order"])])
