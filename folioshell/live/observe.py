"""What /proc shows of the processes of a scenario after an operation, without addresses: a step of a recording.

Rules:
- Folios are numbered in order of first appearance. One keeps its number while its first page and order stay, and it was
  seen before at one of its places; see docs/recordings.md.
- What can be checked is checked: kpagecount against the entries found, Rss and the PMD-mapped sizes of smaps against
  pagemap. A state that fails is disturbed, and the run is made again.
- Without page frame numbers (not root) pages have their bits and no folio.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, NamedTuple

from folioshell.live import PAGE
from folioshell.live.files import (
    PFN,
    PRESENT,
    Disturbed,
    Head,
    KernelPages,
    LiveVma,
    live_vmas,
    page_numbers,
    resident_pages,
    shared_memory_name,
)
from folioshell.live.format import Op, new_count
from folioshell.live.page_tables import huge_and_zero
from folioshell.live.process import ARENA, LiveProcess

#: bits of a pagemap entry that a recording has, after present
_BITS = ((62, "s"), (61, "f"), (56, "x"), (57, "w"), (58, "g"))
_SOFT_DIRTY = 1 << 55
_PMD_PAGES = 512

_PMD_MAPPED = ("AnonHugePages", "ShmemPmdMapped", "FilePmdMapped")
_SOFT_SMAPS = ("Referenced", "THPeligible")


class _Page(NamedTuple):
    """A page that has an entry: its place, its pagemap entry, whether a PMD or the zero page maps it, its file page."""

    region: str
    page: int
    entry: int
    huge: bool
    zero: bool
    file: str
    offset: int


class _Look(NamedTuple):
    """A VMA of a process with its pages."""

    process: str
    vma: LiveVma
    place: tuple[str, int]
    file: str
    pages: list[_Page]


class _Known(NamedTuple):
    """A page that was seen: its folio's first pfn, order and number."""

    first: int
    order: int
    number: int


class _SeenFolio:
    """A folio in one observation: its pages, in the order of processes, regions and pages; who maps it by a PMD."""

    def __init__(self) -> None:
        self.pages: list[tuple[int, _Page, bool]] = []
        self.pmd: list[str] = []
        self.order: tuple[int, int, int] | None = None


class KernelObserver:
    """Observes the processes of one run, one step after another.

    Args:
        regions: region -> (virtual page from the arena's base, pages), in order of creation.
        files: name -> descriptor.
        pages: for folios; None without root.
    Attributes:
        checked: pages that were checked.
        notes: what was noted, and how often.
    """

    def __init__(
        self, regions: Mapping[str, tuple[int, int]], files: Mapping[str, int], pages: KernelPages | None
    ) -> None:
        self._regions = regions
        self._ranks = {name: rank for rank, name in enumerate(regions)}
        self._spans = sorted((vpn, vpn + nr, name) for name, (vpn, nr) in regions.items())
        self._end = ((self._spans[-1][1] if self._spans else 0) + _PMD_PAGES) * PAGE + ARENA
        self._files = files
        self._pages = pages
        self._inodes = {(one.st_dev, one.st_ino): name for name, one in ((n, os.fstat(fd)) for n, fd in files.items())}
        self._next = 1
        self._at: dict[int, dict[int, _Known]] = {}
        self._cached: dict[tuple[str, int], tuple[int, _Known]] = {}
        self.checked = 0
        self.notes: dict[str, int] = {}

    def observe(self, op: Op, processes: Mapping[str, LiveProcess]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What processes look like after an operation: the hard part of a step, and the soft one.

        Raises:
            Disturbed: something else changes their memory.
        """
        if self._pages is not None:
            self._pages.forget()
        looks = [look for process in processes.values() for look in self._looks(process)]
        seen = self._seen(looks, list(processes)) if self._pages is not None else {}
        numbers, origin = self._numbered(seen, op)
        orders = {number: order for (_, order), number in numbers.items()}
        shown: dict[str, Any] = {name: {"vmas": [], "pages": {}} for name in processes}
        soft: dict[str, Any] = {name: [] for name in processes}
        for look in looks:
            shown[look.process]["vmas"].append(look.vma.row(*look.place, look.file))
            soft[look.process].append({key: look.vma.sizes.get(key, 0) for key in _SOFT_SMAPS})
            self._add_pages(look, shown[look.process]["pages"], numbers, orders)
            self._check_sizes(look)
        for one in shown.values():
            one["pages"] = {name: one["pages"][name] for name in sorted(one["pages"], key=self._ranks.__getitem__)}
        if self._pages is None:
            return {"procs": shown, "folios": []}, {"vmas": soft}
        folios, flags = _folio_rows(self._pages, seen, numbers, origin)
        self._remember(looks, numbers, processes)
        return {"procs": shown, "folios": folios}, {"folio_flags": flags, "vmas": soft}

    # Reading.

    def _looks(self, process: LiveProcess) -> Iterator[_Look]:
        huge, zero = huge_and_zero(process.pagemap, process.pid, self._end)
        for vma in live_vmas(process.pid, self._end):
            place = self._place(vma.start)
            if vma.inode[1] and vma.inode not in self._inodes:
                self._inodes[vma.inode] = shared_memory_name(place[0], self._inodes.values())
            file = self._inodes[vma.inode] if vma.inode[1] else ""
            raw = os.pread(process.pagemap, vma.nr * 8, (ARENA // PAGE + vma.start) * 8)
            if len(raw) != vma.nr * 8:
                raise Disturbed("a short read of pagemap")
            entries, offset = page_numbers(raw), vma.offset - vma.start
            pages = [
                _Page(*self._place(vpn), entry, vpn in huge, vpn in zero or self._is_zero(entry), file, offset + vpn)
                for vpn, entry in enumerate(entries, vma.start)
                if entry & ~_SOFT_DIRTY
            ]
            yield _Look(process.name, vma, place, file, pages)

    def _is_zero(self, entry: int) -> bool:
        return self._pages is not None and bool(entry & PRESENT) and self._pages.is_zero(entry & PFN)

    def _place(self, vpn: int) -> tuple[str, int]:
        for start, end, name in self._spans:
            if start <= vpn < end:
                return name, vpn - start
        raise Disturbed("a VMA outside of all regions")

    # Folios.

    def _seen(self, looks: Iterable[_Look], processes: list[str]) -> dict[Head, _SeenFolio]:
        """The mapped folios, in order of appearance."""
        kernel = self._pages
        assert kernel is not None
        entries: dict[int, int] = {}
        seen: dict[Head, _SeenFolio] = {}
        for look in looks:
            rank = processes.index(look.process)
            for page in look.pages:
                pfn = page.entry & PFN
                if not page.entry & PRESENT or page.zero:
                    continue
                entries[pfn] = entries.get(pfn, 0) + 1
                folio = seen.setdefault(kernel.folio(pfn), _SeenFolio())
                order = rank, self._ranks[page.region], page.page
                folio.order = order if folio.order is None else min(order, folio.order)
                folio.pages.append((pfn, page, kernel.is_anon(pfn)))
                if page.huge and look.process not in folio.pmd:
                    folio.pmd.append(look.process)
        for pfn, nr in entries.items():
            if kernel.count(pfn) != nr:
                raise Disturbed(f"kpagecount is {kernel.count(pfn)} for {nr} entries")
        return dict(sorted(seen.items(), key=lambda one: one[1].order or ()))

    def _numbered(self, seen: Mapping[Head, _SeenFolio], op: Op) -> tuple[dict[Head, int], dict[Head, list[int]]]:
        """The number of each folio; and of each new one that comes out of another, [its number, page in it]."""
        shift = (0, 0, 0)
        if "new_region" in op:
            new, old = self._regions[op["new_region"]][0], self._regions[op["region"]][0] + op["page"]
            shift = new, new + min(op["count"], new_count(op)), old - new
        numbers: dict[Head, int] = {}
        origin: dict[Head, list[int]] = {}
        used: set[int] = set()
        for head, folio in seen.items():
            known = next(self._known(folio, shift), None)
            if known is not None and known[:2] == head and known.number not in used:
                numbers[head] = known.number
            else:
                numbers[head] = self._next
                self._next += 1
                if known is not None:
                    origin[head] = [known.number, head[0] - known.first]
            used.add(numbers[head])
        return numbers, origin

    def _known(self, folio: _SeenFolio, shift: tuple[int, int, int]) -> Iterator[_Known]:
        """What was seen before where the pages of a folio are now; ``shift`` is of the range that mremap moved."""
        for pfn, page, is_anon in folio.pages:
            if is_anon:
                vpn = self._regions[page.region][0] + page.page
                known = self._at.get(vpn, {}).get(pfn)
                if known is None and shift[0] <= vpn < shift[1]:
                    known = self._at.get(vpn + shift[2], {}).get(pfn)
            else:
                cached = self._cached.get((page.file, page.offset))
                known = cached[1] if cached is not None and cached[0] == pfn else None
            if known is not None:
                yield known

    def _remember(self, looks: list[_Look], numbers: Mapping[Head, int], processes: Mapping[str, LiveProcess]) -> None:
        kernel = self._pages
        assert kernel is not None
        self._at = {}
        mapped_now: set[tuple[str, int]] = set()
        for page in (page for look in looks for page in look.pages if page.entry & PRESENT and not page.zero):
            pfn = page.entry & PFN
            head = kernel.folio(pfn)
            known = _Known(*head, numbers[head])
            if kernel.is_anon(pfn):
                self._at.setdefault(self._regions[page.region][0] + page.page, {})[pfn] = known
            else:
                self._cached[page.file, page.offset] = pfn, known
                mapped_now.add((page.file, page.offset))
        # A file page that no process maps stays known only while it is cached.
        idle = sorted(key for key in self._cached if key not in mapped_now)
        for file, keys in groupby(idle, key=lambda key: key[0]):
            offsets = [offset for _, offset in keys]
            resident = self._resident(file, offsets, looks, processes)
            for offset in offsets:
                if offset not in resident:
                    del self._cached[file, offset]

    def _resident(
        self, file: str, offsets: list[int], looks: list[_Look], processes: Mapping[str, LiveProcess]
    ) -> set[int]:
        if file in self._files:
            return resident_pages(self._files[file], offsets)
        for look in looks:
            if look.file == file:
                with contextlib.suppress(OSError):
                    fd = processes[look.process].open_object(look.vma.start, look.vma.nr)
                    try:
                        return resident_pages(fd, offsets)
                    finally:
                        os.close(fd)
        return set()

    # Rows.

    def _note(self, what: str) -> None:
        self.notes[what] = self.notes.get(what, 0) + 1

    def _add_pages(
        self,
        look: _Look,
        runs: dict[str, list[list[Any]]],
        numbers: Mapping[Head, int],
        orders: Mapping[int, int],
    ) -> None:
        """Add the pages of a VMA as runs [page, n, bits, folio, index, kpagecount]."""
        kernel = self._pages
        for page in look.pages:
            folio: int | str | None = None
            index = count = None
            if page.entry & PRESENT:
                pfn = page.entry & PFN
                if page.zero:
                    folio = "zero"
                elif kernel is not None:
                    head = kernel.folio(pfn)
                    folio, index, count = numbers[head], pfn - head[0], kernel.count(pfn)
                    self.checked += 1
                    if (page.entry >> 56 & 1) != ((kernel.count(head[0]) if page.huge else count) == 1):
                        self._note("exclusive_bit_differs_from_mapcount")
            bits = "p" if page.entry & PRESENT else ""
            bits += "".join(letter for bit, letter in _BITS if page.entry >> bit & 1) + ("h" if page.huge else "")
            _add_page(runs.setdefault(page.region, []), [page.page, 1, bits, folio, index, count], orders)

    def _check_sizes(self, look: _Look) -> None:
        """Check Rss and the PMD-mapped sizes against the entries; the zero page is in neither."""
        counted = [page for page in look.pages if page.entry & PRESENT and not page.zero]
        sizes, kib = look.vma.sizes, PAGE >> 10
        if look.vma.perm.startswith("---") and not sizes.get("Rss", 0) and any(page.huge for page in counted):
            # Until 6.1 smaps_pmd_entry() leaves out PMDs of PROT_NONE: follow_trans_huge_pmd() refuses them.
            self._note("smaps_ignores_prot_none_pmd")
            counted = [page for page in counted if not page.huge]
        if kib * len(counted) != sizes.get("Rss", 0):
            raise Disturbed(f"Rss is {sizes.get('Rss', 0)} kB for {len(counted)} entries")
        if kib * sum(page.huge for page in counted) != sum(sizes.get(key, 0) for key in _PMD_MAPPED):
            raise Disturbed("smaps and PAGEMAP_SCAN differ in what PMDs map")


def _add_page(runs: list[list[Any]], new: list[Any], orders: Mapping[int, int]) -> None:
    """Add a page to the last run if it continues it, else as a run."""
    if runs:
        last = runs[-1]
        first, nr, bits, folio, index, count = last
        if first + nr == new[0] and (bits, count) == (new[2], new[5]):
            follows = folio == new[3]
            if isinstance(folio, int) and isinstance(new[3], int):
                order = orders[folio]
                number, page = folio + (index + nr >> order), index + nr & (1 << order) - 1
                follows = (number, page) == (new[3], new[4]) and orders[number] == order
            if follows:
                last[1] += 1
                return
    runs.append(new)


def _folio_rows(
    kernel: KernelPages,
    seen: Mapping[Head, _SeenFolio],
    numbers: Mapping[Head, int],
    origin: Mapping[Head, list[int]],
) -> tuple[list[dict[str, Any]], list[list[Any]]]:
    """The rows of mapped folios, and their flags."""
    rows: list[dict[str, Any]] = []
    soft: list[list[Any]] = []
    for head in sorted(seen, key=numbers.__getitem__):
        first, order = head
        counts = groupby(kernel.count(first + page) for page in range(1 << order))
        row: dict[str, Any] = {
            "id": numbers[head],
            "n": 1,
            "order": order,
            "anon": kernel.is_anon(first),
            "mapcounts": [[count, len(list(pages))] for count, pages in counts],
            "pmd": sorted(seen[head].pmd),
        }
        if head in origin:
            row["from"] = origin[head]
        if rows and _continues(rows[-1], row):
            rows[-1]["n"] += 1
        else:
            rows.append(row)
        words = kernel.words(first)
        if soft and soft[-1][0] + soft[-1][1] == row["id"] and soft[-1][2] == words:
            soft[-1][1] += 1
        else:
            soft.append([row["id"], 1, words])
    return rows, soft


def _continues(last: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Is a folio the next of a row of equal ones?"""
    if last["id"] + last["n"] != row["id"] or ("from" in last) != ("from" in row):
        return False
    if any(last[key] != row[key] for key in ("order", "anon", "mapcounts", "pmd")):
        return False
    return "from" not in last or row["from"] == [last["from"][0], last["from"][1] + (last["n"] << last["order"])]
