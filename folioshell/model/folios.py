"""All allocated folios, by number. Consecutive identical order-0 folios are stored as one run until they differ.

Reading and changing have different names. ``get``, ``[]``, ``values`` and ``groups`` read: they leave runs as they are,
and what they give of a run cannot be written to. ``single_out`` gives a folio that may be changed: it leaves its run.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import TYPE_CHECKING

from folioshell.intervals import Intervals
from folioshell.model.folio import Folio, FolioRun

if TYPE_CHECKING:
    from folioshell.model.physmem import PhysicalMemory


class Folios:
    """A mapping of numbers to folios.

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
        """Number of folios, a run counted once."""
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
        """The folio of this number, read-only; None if it is not allocated."""
        folio = self._single.get(number)
        if folio is None and (run := self._run_of(number)) is not None:
            return run.view(number - run.first.id)
        return folio

    def single_out(self, number: int) -> Folio:
        """The folio of this number, to be changed: it leaves its run.

        Raises:
            KeyError: it is not allocated.
        """
        folio = self._single.get(number)
        if folio is not None:
            return folio
        run = self._run_of(number)
        if run is None:
            raise KeyError(number)
        return self._memory.single_out(run.first.pfn + number - run.first.id)

    def groups(self) -> Iterator[tuple[Folio, int]]:
        """(first folio, number of folios) of each run and of each single folio, ascending. Read-only."""
        single = self._single
        if not self._runs:
            yield from ((single[number], 1) for number in sorted(single))
            return
        runs = dict(zip(self._run_starts, self._runs, strict=True))
        for number in sorted([*single, *runs]):
            run = runs.get(number)
            yield (single[number], 1) if run is None else (run.first, run.nr)

    def spans(self) -> Iterator[tuple[int, int, int]]:
        """(first, nr, order) of the folios with consecutive numbers that are of one order, ascending."""
        first = nr = order = 0
        for folio, length in self.groups():
            if nr and folio.id == first + nr and folio.order == order:
                nr += length
                continue
            if nr:
                yield first, nr, order
            first, nr, order = folio.id, length, folio.order
        if nr:
            yield first, nr, order

    def values(self) -> Iterator[Folio]:
        """All folios one by one, ascending. Read-only."""
        for first, nr in self.groups():
            if nr > 1:
                yield from map(FolioRun(first, nr).view, range(nr))
            else:
                yield first

    def orders(self, first: int, nr: int) -> list[tuple[int, int, int | None]]:
        """(first, nr, order) of the numbers ``[first, first + nr)``, ascending; None for those not allocated."""
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
        # Loop over the shorter of the two: all single folios, or the numbers asked for.
        single, numbers = self._single, range(first, end)
        few = len(single) < nr
        for number in sorted(filter(numbers.__contains__, single)) if few else filter(single.__contains__, numbers):
            orders.put(number, 1, single[number].order)
        return orders.pieces(first, nr)

    def keep_apart(self) -> list[range]:
        """Single out every folio, for searches that compare states by the objects in them.

        Returns: the numbers of each former run, for ``join``.
        """
        runs = [run.numbers for run in self._runs]
        for number in chain.from_iterable(runs):
            self.single_out(number)
        return runs

    def join(self, changed: Iterable[range]) -> None:
        """Make runs again of folios that have become identical.

        Args:
            changed: the numbers of folios that may have; those next to them are looked at, too.
        """
        for numbers in changed:
            run: FolioRun | None = None
            for found in self._groups_in(range(numbers.start - 1, numbers.stop + 1)):
                if run is None or not self._append(run, found):
                    run = found if isinstance(found, FolioRun) else FolioRun(found, 1)

    def _groups_in(self, numbers: range) -> Iterator[Folio | FolioRun]:
        """The single folios and the runs that have one of these numbers, ascending."""
        single = self._single
        # Loop over the shorter of the two: all single folios, or the numbers asked for.
        few = len(single) < len(numbers)
        singles = sorted(filter(numbers.__contains__, single)) if few else filter(single.__contains__, numbers)
        low = max(bisect_right(self._run_starts, numbers.start) - 1, 0)
        starts = self._run_starts[low : bisect_left(self._run_starts, numbers.stop)]
        runs = dict(zip(starts, self._runs[low : low + len(starts)], strict=True))
        # Only anonymous folios may form runs.
        anon = [number for number in singles if single[number].anon]
        return (runs.get(number) or single[number] for number in sorted([*anon, *starts]))

    def _append(self, run: FolioRun, found: Folio | FolioRun) -> bool:
        """Append folios to a run, or to a single folio that may become one. False: they are not alike."""
        if not run.is_continued_by(found.first):
            return False
        if run.nr == 1 and (first := self._single.get(run.first.id)) is not None:
            if not FolioRun(first, 0).is_continued_by(first):
                return False
            del self._single[first.id]
            self._memory.place_run(run)
        if isinstance(found, FolioRun):
            self.remove_run(found)
        else:
            del self._single[found.id]
        self._memory.extend_run(run, found.nr)
        return True

    # For physical memory and the kernel, which keep this up to date.

    def add(self, folio: Folio) -> None:
        """Add a single folio."""
        self._single[folio.id] = folio
        self.nr_large += folio.order > 0

    def remove(self, folio: Folio) -> None:
        """Remove a single folio that was freed."""
        del self._single[folio.id]
        self.nr_large -= folio.order > 0

    def add_run(self, run: FolioRun) -> None:
        """Add a run: newly allocated, or split off another run."""
        at = bisect_right(self._run_starts, run.first.id)
        self._run_starts.insert(at, run.first.id)
        self._runs.insert(at, run)

    def remove_run(self, run: FolioRun) -> None:
        """Remove a run: freed, or replaced by single folios."""
        at = bisect_right(self._run_starts, run.first.id) - 1
        del self._run_starts[at], self._runs[at]

    def take_first(self, run: FolioRun) -> None:
        """Remove the first folio from its run."""
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
