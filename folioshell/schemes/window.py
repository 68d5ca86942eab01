"""Which pages of a folio are mapped through which VMA and page table, from events alone.

Where a folio is mapped linearly, (mm, virtual page of its page 0) names a *window*. Splitting and merging VMAs changes
only the VMA boundaries in it, the *bounds*. A VMA with entries in a window is one piece of it between two bounds::

    page     0       4       8      12      16
    tables   ├──── pt1 ──────┼──── pt2 ─────┤
    bounds           │                            two VMAs, three (VMA, page table) tuples

Sets of pages and of bounds are integers, bit i for page i and for a bound right before page i, so that a step costs a
few operations on integers for any number of pages, entries and VMAs.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from folioshell import events
from folioshell.errors import KernelBug
from folioshell.events import Level, Moved, Rmap
from folioshell.schemes.cost import Reach


@lru_cache(maxsize=256)
def page_mask(first: int, nr: int) -> int:
    """The set of the pages ``[first, first + nr)``."""
    return ((1 << nr) - 1) << first


def count_pieces(pages: int, bounds: int, nr_pages: int) -> int:
    """Number of pieces between ``bounds`` of a folio of ``nr_pages`` pages with a page of ``pages``."""
    if not bounds:
        return 1 if pages else 0
    # One bit at the last page of every piece. Adding all ones below it carries into it iff a page below is set.
    last = bounds >> 1 | 1 << (nr_pages - 1)
    below = page_mask(0, nr_pages) & ~last
    return (((pages & below) + below | pages) & last).bit_count()


def pieces_between(bounds: int, nr_pages: int) -> list[tuple[int, int]]:
    """(first page, number of pages) of every piece between ``bounds``, in ascending order."""
    starts = [0, *(page for page in range(1, nr_pages) if bounds >> page & 1), nr_pages]
    return [(low, high - low) for low, high in pairwise(starts)]


class Window:
    """The entries of one address space that map a folio at one virtual address.

    Attributes:
        nr_pages: pages in the folio.
        tables: key of a table (see table_key) -> set of pages that its entries map, none empty.
        bounds: VMA boundaries. Between two mapped pages with no mapped page in between there is a bound iff they
            belong to different VMAs; other bounds mean nothing, nor do those at both ends of the folio.
        vmas, tuples: numbers of VMAs, and of (VMA, page table) tuples, that map a page here.
    """

    __slots__ = ("bounds", "nr_pages", "tables", "tuples", "vmas")

    def __init__(self, nr_pages: int) -> None:
        self.nr_pages = nr_pages
        self.tables: dict[int, int] = {}
        self.bounds = 0
        self.vmas = 0
        self.tuples = 0

    @property
    def pages(self) -> int:
        """The set of pages that any entry maps."""
        pages = 0
        for mapped in self.tables.values():
            pages |= mapped
        return pages

    def recount(self) -> tuple[int, int]:
        """Count VMAs and tuples again; by how much each changed."""
        vmas, tuples = self.vmas, self.tuples
        tables, bounds = self.tables, self.bounds
        if bounds:
            self.vmas = count_pieces(self.pages, bounds, self.nr_pages)
            self.tuples = sum([count_pieces(pages, bounds, self.nr_pages) for pages in tables.values()])
        else:
            self.vmas = 1 if tables else 0
            self.tuples = len(tables)
        return self.vmas - vmas, self.tuples - tuples

    def map(self, pages: int, table: int, low: int, high: int) -> None:
        """Entries of ``table`` map ``pages``, in a VMA that reaches from page ``low`` to ``high``."""
        mapped = self.tables.get(table)
        self.tables[table] = pages if mapped is None else mapped | pages
        if low == 0 and high == self.nr_pages:
            self.bounds = 0
        else:
            self.bounds = self.bounds & ~page_mask(low, high - low) | 1 << low | 1 << high

    def unmap(self, pages: int, table: int) -> None:
        """Entries of ``table`` that mapped ``pages`` are gone.

        Raises:
            KernelBug: they were not there.
        """
        mapped = self.tables.get(table, 0)
        if pages & ~mapped:
            raise KernelBug(f"{table_name(table)} lost entries that were not there")
        if mapped == pages:
            del self.tables[table]
        else:
            self.tables[table] = mapped & ~pages

    def split(self, page: int) -> None:
        """A VMA was split before ``page``."""
        self.bounds |= 1 << page

    def merge(self, low: int, high: int) -> None:
        """One VMA reaches from page ``low`` to ``high``: bounds between them are gone."""
        self.bounds &= ~page_mask(low + 1, high - low - 1)


def table_key(table: int, level: Level) -> int:
    """A table of a window: both levels are numbered from 1, so PMD tables get negative keys."""
    return table if level is Level.PTE else -table


def table_name(table: int) -> str:
    """A table of a window as it is printed: ``pt1`` or ``pmd1``."""
    return f"pt{table}" if table > 0 else f"pmd{-table}"


class FolioWindows:
    """The windows of one large folio.

    Attributes:
        at: (MM-ID, virtual page of its page 0) -> window, none empty.
        vmas, tuples: sums of their numbers.
    """

    __slots__ = ("at", "tuples", "vmas")

    def __init__(self) -> None:
        self.at: dict[tuple[int, int], Window] = {}
        self.vmas = 0
        self.tuples = 0

    def recount(self, window: Window) -> None:
        """A window changed."""
        vmas, tuples = window.recount()
        self.vmas += vmas
        self.tuples += tuples


class Windows:
    """The windows of all mapped large folios."""

    __slots__ = ("_folios",)

    def __init__(self) -> None:
        self._folios: dict[int, FolioWindows] = {}

    def __len__(self) -> int:
        return len(self._folios)

    def number(self, folio: int, reach: Reach) -> int:
        """VMAs or tuples that map a large folio; 0 for any other."""
        windows = self._folios.get(folio)
        if windows is None:
            return 0
        return windows.vmas if reach is Reach.VMA else windows.tuples

    def pages(self, folio: int, mm: int, base: int, table: int, reach: Reach, gone: int = 0) -> int:
        """The set of pages mapped in a window by one table, or by all of them.

        Args:
            gone: pages of the table that are about to be unmapped.
        """
        windows = self._folios.get(folio)
        window = windows.at.get((mm, base)) if windows is not None else None
        if window is None:
            return 0
        pages = window.tables.get(table, 0) & ~gone
        if reach is Reach.VMA:
            for other, mapped in window.tables.items():
                pages |= mapped if other != table else 0
        return pages

    def of(self, folio: int) -> list[tuple[int, int, Window]]:
        """(MM-ID, virtual page of page 0, window) of every window of a large folio, in ascending order."""
        windows = self._folios.get(folio)
        found = sorted(windows.at.items(), key=lambda w: w[0]) if windows is not None else []
        return [(mm, base, window) for (mm, base), window in found]

    def forget(self, folio: int) -> None:
        """A folio is gone."""
        self._folios.pop(folio, None)

    def map(self, folio: int, order: int, mm: int, base: int, pages: int, table: int, low: int, high: int) -> None:
        """Entries of a table are added to a window, in a VMA that reaches from page ``low`` to ``high``."""
        windows = self._folios.get(folio)
        if windows is None:
            windows = self._folios[folio] = FolioWindows()
        window = windows.at.get((mm, base))
        if window is None:
            window = windows.at[mm, base] = Window(1 << order)
        window.map(pages, table, low, high)
        windows.recount(window)

    def unmap(self, folio: int, mm: int, base: int, pages: int, table: int) -> None:
        """Entries of a table are removed from a window.

        Raises:
            KernelBug: they were not there.
        """
        windows, window = self._window(folio, mm, base)
        window.unmap(pages, table)
        windows.recount(window)
        if not window.tables:
            del windows.at[mm, base]

    def count(self, event: Rmap) -> None:
        """Entries were added or removed."""
        base, table = event.vpn - event.first, table_key(event.table, event.level)
        pages = page_mask(event.first, event.nr)
        if event.sign > 0:
            self.map(event.folio, event.order, event.mm, base, pages, table, event.low, event.high)
        else:
            self.unmap(event.folio, event.mm, base, pages, table)

    def move(self, event: Moved) -> None:
        """Entries were moved from one window to another."""
        pages = page_mask(event.first, event.nr)
        self.unmap(event.folio, event.mm, event.vpn - event.first, pages, table_key(event.table, event.level))
        base, table = event.to_vpn - event.first, table_key(event.to_table, event.level)
        self.map(event.folio, event.order, event.mm, base, pages, table, event.to_low, event.to_high)

    def split(self, event: events.VmaSplit) -> None:
        """A VMA was split: one more bound in the window of every folio with entries in both parts."""
        for folio, page in event.straddling:
            windows, window = self._window(folio, event.mm, event.vpn - page)
            window.split(page)
            windows.recount(window)

    def merge(self, event: events.VmaMerged) -> None:
        """VMAs were merged: bounds within the merged VMA are gone."""
        start, end = (event.start, event.end) if event.end else (event.vpn - 1, event.vpn + 1)
        for folio, page in event.straddling:
            base = event.vpn - page
            windows, window = self._window(folio, event.mm, base)
            window.merge(max(start - base, 0), min(end - base, window.nr_pages))
            windows.recount(window)

    def _window(self, folio: int, mm: int, base: int) -> tuple[FolioWindows, Window]:
        windows = self._folios.get(folio)
        window = windows.at.get((mm, base)) if windows is not None else None
        if windows is None or window is None:
            raise KernelBug(f"mm {mm} does not map f{folio} at page {base:#x}")
        return windows, window
