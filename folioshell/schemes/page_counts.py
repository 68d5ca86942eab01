"""A counter for each page of a large folio, kept by runs of pages with equal counts."""

from __future__ import annotations

from bisect import bisect_left, bisect_right

from folioshell.errors import KernelBug


class PageCounts:
    """One counter a page, as ``page->_mapcount`` from 0, at a cost that goes by runs of equal counts.

    Args:
        nr_pages: pages in the folio.

    Attributes:
        nr_pages: pages in the folio.
        mapped: number of pages whose counter is not 0.
        total: sum of the counters.
    """

    __slots__ = ("_counts", "_starts", "mapped", "nr_pages", "total")

    def __init__(self, nr_pages: int) -> None:
        self.nr_pages = nr_pages
        self.mapped = 0
        self.total = 0
        # Run i has the pages from _starts[i] to the next start; neighbours differ in count.
        self._starts = [0]
        self._counts = [0]

    def __getitem__(self, page: int) -> int:
        """The counter of a page.

        Raises:
            IndexError: the folio has no such page.
        """
        if not 0 <= page < self.nr_pages:
            raise IndexError(page)
        return self._counts[bisect_right(self._starts, page) - 1]

    def runs(self) -> list[tuple[int, int, int]]:
        """(first page, number of pages, their counter) of every run, in ascending order; neighbours differ."""
        ends = [*self._starts[1:], self.nr_pages]
        return [(start, end - start, count) for start, end, count in zip(self._starts, ends, self._counts, strict=True)]

    def add(self, first: int, nr: int, delta: int) -> int:
        """Add ``delta`` to the counters of the pages ``[first, first + nr)``.

        Returns:
            How many pages came to be mapped (``delta`` > 0) or unmapped (``delta`` < 0) by it.

        Raises:
            KernelBug: the folio has not all these pages, or a counter would fall below 0; nothing was changed then.
        """
        end = first + nr
        if first < 0 or nr < 1 or end > self.nr_pages:
            raise KernelBug(f"pages [{first}, {end}) of a folio of {self.nr_pages} pages")
        counts = self._counts
        if len(counts) == 1 and nr == self.nr_pages:
            low, high = 0, 1
        else:
            low, high = self._cut(first), self._cut(end)
        if delta < 0 and min(counts[low:high]) + delta < 0:
            self._join(high)
            self._join(low)
            raise KernelBug(f"a counter of pages [{first}, {end}) would fall below 0 by {delta}")
        changed = 0
        for run in range(low, high):
            old = counts[run]
            counts[run] = new = old + delta
            if not old or not new:
                changed += self._length(run)
        self._join(high)
        self._join(low)
        self.total += delta * nr
        self.mapped += changed if delta > 0 else -changed
        return changed

    def _length(self, run: int) -> int:
        starts = self._starts
        end = starts[run + 1] if run + 1 < len(starts) else self.nr_pages
        return end - starts[run]

    def _cut(self, page: int) -> int:
        """Number of the run that begins at ``page``; a longer one is cut there."""
        starts = self._starts
        run = bisect_left(starts, page)
        if page < self.nr_pages and (run == len(starts) or starts[run] != page):
            starts.insert(run, page)
            self._counts.insert(run, self._counts[run - 1])
        return run

    def _join(self, run: int) -> None:
        """Make one run of ``run`` and the one before it, if their counts are equal."""
        counts = self._counts
        if 0 < run < len(counts) and counts[run - 1] == counts[run]:
            del counts[run]
            del self._starts[run]
