"""All folios that live, by number. Order-0 folios that were made alike in a row are kept as a run until they differ."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from heapq import merge
from typing import TYPE_CHECKING

from folioshell.intervals import Intervals
from folioshell.model.folio import Folio, FolioRun

if TYPE_CHECKING:
    from folioshell.model.physmem import PhysicalMemory


class Folios:
    """A mapping of numbers to folios.

    Who looks a folio up may change it, so it leaves the run that it was kept in. Who only reads asks ``look`` or
    ``groups``.

    Args:
        memory: knows the same folios by page.

    Attributes:
        nr_large: number of folios that are not of order 0.
    """

    __slots__ = ("_memory", "_run_starts", "_runs", "_single", "nr_large")

    def __init__(self, memory: PhysicalMemory) -> None:
        self._memory = memory
        self._single: dict[int, Folio] = {}
        self.nr_large = 0
        #: the runs, ascending, and their first numbers
        self._runs: list[FolioRun] = []
        self._run_starts: list[int] = []

    def __len__(self) -> int:
        return len(self._single) + sum(run.nr for run in self._runs)

    @property
    def nr_groups(self) -> int:
        """Number of folios, those that are kept as a run being one."""
        return len(self._single) + len(self._runs)

    def __contains__(self, number: int) -> bool:
        return number in self._single or self._run_of(number) is not None

    def __iter__(self) -> Iterator[int]:
        for first, nr in self.groups():
            yield from range(first.id, first.id + nr)

    def __getitem__(self, number: int) -> Folio:
        folio = self.get(number)
        if folio is None:
            raise KeyError(number)
        return folio

    def get(self, number: int) -> Folio | None:
        """The folio of this number, to be changed perhaps; None if it does not live."""
        folio = self._single.get(number)
        if folio is None and (run := self._run_of(number)) is not None:
            return self._memory.folio(run.first.pfn + number - run.first.id)
        return folio

    def look(self, number: int) -> Folio | None:
        """The folio of this number as it is now, to be read only; None if it does not live."""
        folio = self._single.get(number)
        if folio is None and (run := self._run_of(number)) is not None:
            return run.folio(number - run.first.id)
        return folio

    def groups(self) -> Iterator[tuple[Folio, int]]:
        """(first folio, number of them) of all folios, ascending: those that are kept as a run together. To be read."""
        single = sorted(self._single)
        if not self._runs:
            yield from ((self._single[number], 1) for number in single)
            return
        runs = {run.first.id: run for run in self._runs}
        for number in merge(single, self._run_starts):
            run = runs.get(number)
            yield (self._single[number], 1) if run is None else (run.first, run.nr)

    def looks(self) -> Iterator[Folio]:
        """All folios one by one as they are now, ascending, to be read only."""
        for first, nr in self.groups():
            yield first
            if nr > 1:
                run = FolioRun(first, nr)
                yield from (run.folio(place) for place in range(1, nr))

    def orders(self, first: int, nr: int) -> list[tuple[int, int, int | None]]:
        """(first, nr, order) of the numbers ``[first, first + nr)``, ascending; None for those that do not live."""
        if nr == 1 and (folio := self._single.get(first)) is not None:
            return [(first, 1, folio.order)]
        orders: Intervals[int] = Intervals()
        end = first + nr
        at = max(bisect_right(self._run_starts, first) - 1, 0)
        while at < len(self._runs) and self._run_starts[at] < end:
            run = self._runs[at]
            low, high = max(run.first.id, first), min(run.first.id + run.nr, end)
            if low < high:
                orders.put(low, high - low, 0)
            at += 1
        # Whatever is fewer: the folios that are kept alone, or the numbers that are asked for.
        single, numbers = self._single, range(first, end)
        few = len(single) < nr
        for number in sorted(filter(numbers.__contains__, single)) if few else filter(single.__contains__, numbers):
            orders.put(number, 1, single[number].order)
        return orders.pieces(first, nr)

    def keep_apart(self) -> None:
        """Keep every folio alone from now on, for whoever tells states by the objects in them."""
        for run in tuple(self._runs):
            for pfn in range(run.first.pfn, run.first.pfn + run.nr):
                self._memory.folio(pfn)

    # What physical memory and the kernel tell.

    def add(self, folio: Folio) -> None:
        """A folio that is kept alone lives now."""
        self._single[folio.id] = folio
        self.nr_large += folio.order > 0

    def remove(self, folio: Folio) -> None:
        """A folio that is kept alone lives no more."""
        del self._single[folio.id]
        self.nr_large -= folio.order > 0

    def add_run(self, run: FolioRun) -> None:
        """The folios of a run are allocated, or split off another run."""
        at = bisect_right(self._run_starts, run.first.id)
        self._run_starts.insert(at, run.first.id)
        self._runs.insert(at, run)

    def remove_run(self, run: FolioRun) -> None:
        """The folios of a run live no more, or are kept otherwise."""
        at = bisect_right(self._run_starts, run.first.id) - 1
        del self._run_starts[at], self._runs[at]

    def take_first(self, run: FolioRun) -> None:
        """The first folio of a run is kept otherwise."""
        if run.nr == 1:
            self.remove_run(run)
            return
        self._run_starts[bisect_right(self._run_starts, run.first.id) - 1] += 1
        run.drop_first()

    def _run_of(self, number: int) -> FolioRun | None:
        at = bisect_right(self._run_starts, number) - 1
        if at < 0:
            return None
        run = self._runs[at]
        return run if number < run.first.id + run.nr else None
