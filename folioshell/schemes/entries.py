"""Entries of large folios: PTEs by page, PMD entries, and their sum, as kernels with per-page mapcounts keep them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from folioshell.errors import KernelBug
from folioshell.events import Level, Rmap
from folioshell.schemes.base import Answer, Law, Part, Scheme
from folioshell.schemes.cost import Cost, Layout, page_lines
from folioshell.schemes.order0 import ENTRY_LAWS, Order0Scheme


class PageCounts:
    """One counter a page, as ``page->_mapcount`` from 0, kept in runs of pages with equal counters.

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
        # Run i has the pages from _starts[i] to the next start; adjacent runs differ in count.
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
        """(first page, number of pages, their counter) of every run, in ascending order; adjacent runs differ."""
        ends = [*self._starts[1:], self.nr_pages]
        return [(start, end - start, count) for start, end, count in zip(self._starts, ends, self._counts, strict=True)]

    def add(self, first: int, nr: int, delta: int) -> int:
        """Add ``delta`` to the counters of the pages ``[first, first + nr)``.

        Returns:
            How many pages became mapped (``delta`` > 0) or unmapped (``delta`` < 0).

        Raises:
            KernelBug: no such pages, or a counter would fall below 0; nothing was changed.
        """
        end = first + nr
        if first < 0 or nr < 1 or end > self.nr_pages:
            raise KernelBug(f"pages [{first}, {end}) of a folio of {self.nr_pages} pages")
        counts = self._counts
        if len(counts) == 1 and nr == self.nr_pages:
            low, high = 0, 1
        else:
            low, high = self._split(first), self._split(end)
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

    def _split(self, page: int) -> int:
        """Index of the run that begins at ``page``; a run across it is split."""
        starts = self._starts
        run = bisect_left(starts, page)
        if page < self.nr_pages and (run == len(starts) or starts[run] != page):
            starts.insert(run, page)
            self._counts.insert(run, self._counts[run - 1])
        return run

    def _join(self, run: int) -> None:
        """Join ``run`` and the one before it, if their counts are equal."""
        counts = self._counts
        if 0 < run < len(counts) and counts[run - 1] == counts[run]:
            del counts[run]
            del self._starts[run]


class EntryCounts:
    """The entries that map one large folio.

    Attributes:
        pages: number of PTEs of each page.
        entire: number of PMD entries.
        newly_unmapped: pages that the latest unmapping left without any mapping.
    """

    __slots__ = ("entire", "newly_unmapped", "pages")

    def __init__(self, nr_pages: int) -> None:
        self.pages = PageCounts(nr_pages)
        self.entire = 0
        self.newly_unmapped = 0

    @property
    def total(self) -> int:
        """All entries, PTEs and PMD entries: ``folio_mapcount()``."""
        return self.entire + self.pages.total

    @property
    def partial(self) -> bool:
        """Some pages are mapped and others not."""
        return not self.entire and 0 < self.pages.mapped < self.pages.nr_pages


class EntryScheme(Order0Scheme, register=False):
    """A scheme whose number of a folio is that of its entries; subclasses say what "shared" means.

    Attributes:
        _large: large folio -> its entries; from its first entry until it is freed.
        _reads: another scheme counts the entries.
    """

    #: atomic operations of a call on counters of the folio, without those on each page or on the PMD entry
    folio_atomics: ClassVar[int]
    laws = ENTRY_LAWS | {Law.TELLS_PARTIAL, Law.COUNTS_PAGES, Law.FORGETS_HISTORY}

    def __init__(self) -> None:
        super().__init__()
        self._large: dict[int, EntryCounts] = {}
        self._reads = False

    def write_entries(self) -> None:
        """Count the entries, which others may read."""
        self._reads = False

    def read_entries(self, writer: EntryScheme) -> None:
        """Read the entries that another scheme counts."""
        self._large = writer._large
        self._reads = True

    def share_record(self, leader: EntryScheme) -> None:
        """Read all that another scheme counts, which counts as this one would."""
        self.read_entries(leader)

    def forget_large(self, folio: int) -> None:
        """Forget the folio."""
        self._large.pop(folio, None)

    def count_large(self, event: Rmap) -> None:
        """Count PTEs of each page, and PMD entries."""
        if self._reads:
            return
        entries = self._large.get(event.folio)
        if entries is None:
            entries = self._large[event.folio] = EntryCounts(1 << event.order)
        if event.level is Level.PTE:
            changed = entries.pages.add(event.first, event.nr, event.sign)
        elif entries.entire + event.sign < 0:
            raise KernelBug(f"a PMD entry of f{event.folio} was removed, but it has none", [event])
        else:
            entries.entire += event.sign
            changed = entries.pages.nr_pages - entries.pages.mapped
        if event.sign < 0:
            entries.newly_unmapped = 0 if entries.entire else changed

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """Entries of the folio: ``folio_mapcount()``."""
        entries = self._large.get(folio)
        return self.small.get(folio, 0) if entries is None else entries.total

    def entire(self, folio: int) -> int:
        """Number of PMD entries that map the folio: ``folio_entire_mapcount()``."""
        entries = self._large.get(folio)
        return 0 if entries is None else entries.entire

    def pages_mapped(self, folio: int) -> int:
        """Number of pages of a large folio mapped by PTEs: ``_nr_pages_mapped`` without ENTIRELY_MAPPED."""
        entries = self._large.get(folio)
        return 0 if entries is None else entries.pages.mapped

    def newly_unmapped(self, folio: int) -> int:
        """Pages of a large folio that its latest unmapping left without any mapping; 0 if there was none.

        A positive number makes the folio partially mapped if, after PTEs, some page is still mapped or, after a PMD
        entry, it is not the whole folio.
        Kernel: mm/rmap.c: __folio_remove_rmap() (v6.18)
        """
        entries = self._large.get(folio)
        return 0 if entries is None else entries.newly_unmapped

    def partially_mapped(self, folio: int) -> Answer:
        """Some pages have entries, and others not: ``_nr_pages_mapped`` without a PMD entry."""
        entries = self._large.get(folio)
        return Answer.of(entries is not None and entries.partial)

    def page_mapcount(self, folio: int, page: int) -> int:
        """Number of entries that map one page, PMD entries included: ``folio_precise_page_mapcount()``.

        Raises:
            IndexError: a large folio that was mapped has no such page.
        """
        entries = self._large.get(folio)
        return super().mapcount(folio) if entries is None else entries.entire + entries.pages[page]

    def page_mapcounts(self, folio: int) -> list[tuple[int, int, int]]:
        """(first page, number of pages, entries that map each) of runs of pages; empty if it never had an entry."""
        entries = self._large.get(folio)
        if entries is not None:
            return [(first, nr, entries.entire + count) for first, nr, count in entries.pages.runs()]
        number = super().mapcount(folio)
        return [(0, 1, number)] if number else []

    def kernel_fields(self, folio: int) -> dict[str, Any]:
        """The fields of a large folio that was mapped, counters from 0, by the names that recordings use."""
        entries = self._large[folio]
        return {
            "entire": entries.entire,
            "nr_pages_mapped": entries.pages.mapped,
            "mapcount_raw": [[count, nr] for _, nr, count in entries.pages.runs()],
        }

    def why(self, folio: int) -> list[Part]:
        """The PMD entries, and the PTEs of every run of pages that are mapped equally often."""
        entries = self._large.get(folio)
        if entries is None:
            return super().why(folio)
        return entry_parts(entries.entire, entries.pages)

    @classmethod
    def cost_of_entries(cls, event: Rmap, layout: Layout) -> Cost:
        """``_mapcount`` of every page or ``_entire_mapcount``, and the counters of the folio."""
        return Cost(atomics=0 if event.new else event.entries + cls.folio_atomics, lines=page_lines(event))


def entry_parts(entire: int, pages: PageCounts, offset: int = 0) -> list[Part]:
    """Entries taken apart: PMD entries, and the PTEs of every run of pages that are mapped equally often.

    Args:
        offset: what the counter of each page holds in addition to its PTEs.
    """
    parts = [Part("PMD entries", entire, nr=pages.nr_pages)] if entire else []
    return parts + [
        Part("PTEs", nr * (count - offset), first=first, nr=nr) for first, nr, count in pages.runs() if count != offset
    ]


def share_entries(schemes: Iterable[Scheme]) -> Iterator[Scheme]:
    """Let all schemes that count the entries of large folios read one record of them.

    The record is written by the first scheme that counts more than EntryScheme does, else by the first one. Of those
    that count the same besides, the first one counts it for all; it is called after the writer.

    Yields: those that need no events about large folios any more.
    """
    alike = [scheme for scheme in schemes if isinstance(scheme, EntryScheme)]
    fuller = [scheme for scheme in alike if type(scheme).count_large is not EntryScheme.count_large]
    writer = next(iter((*fuller, *alike)), None)
    if writer is None:
        return
    writer.write_entries()
    leaders = {EntryScheme.count_large: writer, type(writer).count_large: writer}
    for scheme in alike:
        leader = leaders.setdefault(type(scheme).count_large, scheme)
        if leader is not scheme:
            scheme.share_record(leader)
            yield scheme
        elif scheme is not writer:
            scheme.read_entries(writer)
