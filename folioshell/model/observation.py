"""What can be observed of all processes, in the form of the recordings: VMAs with smaps, runs of pages, folios.

Rules:
- Everything is plain data, addresses only as (region, page), so that two kernels can be compared.
- A run of pages continues across folios with consecutive numbers: page 0 of folio 8 follows the last page of folio 7.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from operator import attrgetter, itemgetter
from typing import Any

from folioshell.intervals import Intervals
from folioshell.live.files import shared_memory_name
from folioshell.model.folio import FolioLooks
from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.model.proc import PresentRun, kpagecounts, other_runs, pagemap_bits, present_runs, smaps, swapped_kb
from folioshell.model.vm import Vma
from folioshell.records import NamedTuple
from folioshell.units import PAGE_SHIFT

#: [page, n, bits, folio, index, kpagecount]; ``zero`` or, if not present, None for the folio, and None for the rest
PageRun = list[Any]
#: physical page -> number of its folio, less ``page >> order``: folios with consecutive pages and numbers are a run
FolioNumbers = Intervals[int]
#: a folio that is no more: its number, and its first physical page
Origin = tuple[int, int]

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


class Sighting(NamedTuple):
    """A mapped folio, or consecutive order-0 folios that are mapped and look alike.

    Args:
        number: of the folio, or of the first of them.
        folio: what each looks like.
        pfn, nr: their physical pages.
        mapcount: of each order-0 folio.
        pmd: names of the processes that map it by a PMD.
    """

    number: int
    folio: FolioLooks
    pfn: int
    nr: int
    mapcount: int
    pmd: set[str]


class VmaSight(NamedTuple):
    """A VMA, and all that can be seen of its pages. Plain data: of two that are equal the rows are equal.

    Args:
        vma: the VMA; the rest is as it was when it was read.
        present, others: runs of its pages.
        swapped: kB of it that are in swap.
    """

    vma: Vma
    start: int
    end: int
    flags: int
    pgoff: int
    present: list[PresentRun]
    others: list[PresentRun]
    swapped: int


class Sight:
    """Everything that processes map at one moment, read once.

    Args:
        k: the kernel.
        places: the named ranges; pages are read in their order.
        names: processes in order of creation; all living ones if None.
        objects: names of files and shared memory; shared memory without a name gets one.
        before: an earlier one with the same arguments: what is made of VMAs that look the same is not made again.

    Attributes:
        runs: the pages of folios, in order of appearance: processes, then regions, then pages.
        folios: each folio once, in order of first appearance.
        vmas: process -> its VMAs.
        rows: number of a VMA -> the VMA, and its row.
        pages: process -> region -> (page, run), in the order of the regions; every run is within one region.
        is_same: everything is mapped as it was before, and looks the same.
    """

    def __init__(
        self,
        k: Kernel,
        places: Places,
        names: Iterable[str] | None,
        objects: dict[AddressSpace, str],
        before: Sight | None = None,
    ) -> None:
        self.kernel = k
        self.runs: list[PresentRun] = []
        self.folios: list[Sighting] = []
        # The pages of order-0 folios that were seen, and the large folios by number.
        self._seen: Intervals[bool] = Intervals()
        self._large: dict[int, Sighting] = {}
        self.places = places
        self._objects = objects
        self.vmas = {mm.name: [_look(k, vma) for vma in mm.vmas] for mm in k.mms.values()}
        self.rows: dict[int, tuple[VmaSight, dict[str, Any]]] = {}
        self._old_rows = before.rows if before is not None else {}
        self.pages: dict[str, dict[str, list[tuple[int, PresentRun]]]] = {}
        shown = [name for name in dict.fromkeys(k.mms if names is None else names) if name in self.vmas]
        self.is_same = before is not None and (before.vmas, [*before.pages]) == (self.vmas, shown)
        if before is not None and self.is_same:
            self.pages, self.runs, self.folios = before.pages, before.runs, before.folios
            return
        for name in shown:
            is_same = before is not None and before.vmas.get(name) == self.vmas[name]
            self.pages[name] = before.pages[name] if before is not None and is_same else self._sorted_pages(name)
            self._sight(name)

    def _sorted_pages(self, name: str) -> dict[str, list[tuple[int, PresentRun]]]:
        """The ``pages`` of a process."""
        found: dict[str, list[tuple[int, PresentRun]]] = {}
        for seen in self.vmas[name]:
            base, end, pages = 0, 0, []
            for run in sorted([*seen.present, *seen.others], key=_vpn) if seen.others else seen.present:
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
        return {region: found[region] for region in sorted(found, key=lambda region: order.get(region, len(order)))}

    def _sight(self, name: str) -> None:
        """Note what a process maps: large folios one by one, and order-0 folios that were not seen before."""
        for run in (run for pages in self.pages[name].values() for _, run in pages):
            folio = run.folio
            if folio is None:
                continue
            self.runs.append(run)
            if not folio.order:
                for pfn, nr, seen in self._seen.pieces(run.pfn, run.nr):
                    if not seen:
                        self._seen.put(pfn, nr, True)
                        number = run.number + pfn - run.pfn
                        self.folios.append(Sighting(number, folio, pfn, nr, run.mapcount, set()))
                continue
            sighting = self._large.get(run.number)
            if sighting is None:
                first = run.pfn >> folio.order << folio.order
                sighting = self._large[run.number] = Sighting(run.number, folio, first, 1 << folio.order, 0, set())
                self.folios.append(sighting)
            if run.pmd:
                sighting.pmd.add(name)

    def _within_regions(self, run: PresentRun) -> Iterable[tuple[str, int, PresentRun]]:
        region, page, end = self.places.find(run.vpn)
        while run.vpn + run.nr > end:
            nr = end - run.vpn
            yield region, page, run.part(0, nr)
            run = run.part(nr, run.nr - nr)
            region, page, end = self.places.find(run.vpn)
        yield region, page, run

    def processes(self, numbers: FolioNumbers) -> dict[str, dict[str, Any]]:
        """Process -> its VMAs and its pages by region; ``numbers`` are those to show of folios."""
        return {
            name: {
                "vmas": [self._vma_row(seen) for seen in vmas],
                "pages": {
                    region: self._page_rows(pages, numbers) for region, pages in self.pages.get(name, {}).items()
                },
            }
            for name, vmas in self.vmas.items()
        }

    def _vma_row(self, seen: VmaSight) -> dict[str, Any]:
        vma = seen.vma
        old = self._old_rows.get(vma.id)
        if old is not None and old[0] == seen:
            self.rows[vma.id] = old
            return old[1]
        region, page, _ = self.places.find(vma.start)
        row: dict[str, Any] = {
            "region": region,
            "page": page,
            "count": vma.nr_pages,
            "perm": vma.perm,
            "flags": vma.flag_words,
            "smaps": smaps(self.kernel, vma, seen.present, seen.swapped),
        }
        if vma.file is not None:
            row["object"] = object_name(self.kernel, vma.file, region, self._objects)
            row["off"] = vma.pgoff
        self.rows[vma.id] = seen, row
        return row

    def _page_rows(self, pages: list[tuple[int, PresentRun]], numbers: FolioNumbers) -> list[PageRun]:
        rows: list[PageRun] = []
        last_order = 0
        for page, run in pages:
            bits = pagemap_bits(self.kernel, run)
            for row, order in _rows_of(page, bits, run, numbers):
                if rows and _goes_on(rows[-1], row, last_order, order):
                    rows[-1][1] += row[1]
                else:
                    rows.append(row)
                    last_order = order
        return rows

    def folio_rows(self, numbers: FolioNumbers, origins: Intervals[Origin]) -> list[dict[str, Any]]:
        """The mapped folios, consecutive identical ones as one row.

        Args:
            numbers: those to show.
            origins: physical page -> the folio that its folio was split from.
        """
        found: list[tuple[int, int, dict[str, Any], list[int] | None]] = []
        for sighting in self.folios:
            looks, order = self._looks_of(sighting), sighting.folio.order
            for start, length, distance in numbers.pieces(sighting.pfn, sighting.nr):
                assert distance is not None
                for pfn, nr, origin in origins.pieces(start, length):
                    come = [origin[0], pfn - origin[1]] if origin is not None else None
                    found.append(((pfn >> order) + distance, nr >> order, looks, come))
        found.sort(key=itemgetter(0))
        rows: list[dict[str, Any]] = []
        last = None
        for number, nr, looks, come in found:
            if looks == last and _is_next(rows[-1], number, come):
                rows[-1]["n"] += nr
                continue
            last = looks
            row = {"id": number, "n": nr, **looks}
            rows.append(row if come is None else {**row, "from": come})
        return rows

    def _looks_of(self, sighting: Sighting) -> dict[str, Any]:
        order, counts = sighting.folio.order, [[sighting.mapcount, 1]]
        if order:
            folio = self.kernel.folios[sighting.number]
            counts = [[count, nr] for _, nr, count in kpagecounts(self.kernel, folio)]
        return {"order": order, "anon": sighting.folio.anon, "mapcounts": counts, "pmd": sorted(sighting.pmd)}


def _look(k: Kernel, vma: Vma) -> VmaSight:
    present, others = present_runs(k, vma), other_runs(k, vma)
    return VmaSight(vma, vma.start, vma.end, vma.flags, vma.pgoff, present, others, swapped_kb(k, vma, others))


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
    sight = Sight(k, Places(regions), None, {})
    numbers: FolioNumbers = Intervals()
    for number, folio, pfn, nr, *_ in sight.folios:
        numbers.put(pfn, nr, number - (pfn >> folio.order))
    return {"procs": sight.processes(numbers), "folios": sight.folio_rows(numbers, Intervals())}


def _rows_of(page: int, bits: str, run: PresentRun, numbers: FolioNumbers) -> Iterator[tuple[PageRun, int]]:
    """(row, order) of the pages of a run, from ``page`` of its region on."""
    if run.folio is None:
        yield [page, run.nr, bits, None if run.other else "zero", None, None], 0
        return
    order = run.folio.order
    for pfn, nr, distance in numbers.pieces(run.pfn, run.nr):
        assert distance is not None
        index = pfn & (1 << order) - 1
        yield [page + pfn - run.pfn, nr, bits, (pfn >> order) + distance, index, run.mapcount], order


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
