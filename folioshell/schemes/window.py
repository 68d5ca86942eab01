"""Which pieces of a folio are mapped through which VMA and page table, from events alone.

Where a folio is mapped linearly, (mm, virtual page of its page 0) names a *window*: splitting and merging VMAs changes
only the boundaries in it, the *cuts*. A VMA that has entries in a window is one stretch of it between two cuts::

    page     0       4       8      12      16
    tables   ├──── pt1 ──────┼──── pt2 ─────┤
    cuts             │                            two VMAs, three (VMA, page table) tuples

Sets of pages and of cuts are integers, bit i for page i and for a boundary right before page i, so that a step costs a
few operations on integers however many pages, entries and VMAs there are.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

from folioshell.errors import KernelBug


def page_mask(first: int, nr: int) -> int:
    """The set of the pages ``[first, first + nr)``."""
    return ((1 << nr) - 1) << first


@lru_cache(maxsize=64)
def whole_mask(order: int) -> int:
    """The set of all pages of a folio: one object for all folios of an order."""
    return page_mask(0, 1 << order)


def count_stretches(pages: int, cuts: int, nr_pages: int) -> int:
    """Number of stretches between ``cuts`` of a folio of ``nr_pages`` pages that have a page of ``pages``."""
    if not cuts:
        return 1 if pages else 0
    # One bit at the last page of every stretch. Adding all ones below it carries into it iff a page below is set.
    last = cuts >> 1 | 1 << (nr_pages - 1)
    below = page_mask(0, nr_pages) & ~last
    return (((pages & below) + below | pages) & last).bit_count()


def stretches(cuts: int, nr_pages: int) -> list[tuple[int, int]]:
    """(first page, number of pages) of every stretch between ``cuts``, in ascending order."""
    bounds = [0, *(page for page in range(1, nr_pages) if cuts >> page & 1), nr_pages]
    return [(low, high - low) for low, high in pairwise(bounds)]


class Window:
    """The entries of one address space that map a folio at one virtual address.

    Attributes:
        nr_pages: pages in the folio.
        tables: table -> set of pages that its entries map, none empty. PTE tables have positive numbers, PMD tables
            the negative of theirs, as both are numbered from 1.
        cuts: boundaries of VMAs. Between two mapped pages that are neighbours in the set of mapped pages there is a cut
            iff they belong to different VMAs; other cuts say nothing, nor do those at both ends of the folio.
        vmas, tuples: numbers of VMAs, and of (VMA, page table) tuples, that map a page here.
    """

    __slots__ = ("cuts", "nr_pages", "tables", "tuples", "vmas")

    def __init__(self, nr_pages: int) -> None:
        self.nr_pages = nr_pages
        self.tables: dict[int, int] = {}
        self.cuts = 0
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
        """Count VMAs and tuples anew; by how much each changed."""
        vmas, tuples = self.vmas, self.tuples
        tables, cuts = self.tables, self.cuts
        if cuts:
            self.vmas = count_stretches(self.pages, cuts, self.nr_pages)
            self.tuples = sum([count_stretches(pages, cuts, self.nr_pages) for pages in tables.values()])
        else:
            self.vmas = 1 if tables else 0
            self.tuples = len(tables)
        return self.vmas - vmas, self.tuples - tuples

    def map(self, pages: int, table: int, low: int, high: int) -> None:
        """Entries of ``table`` map ``pages``, in a VMA that reaches from page ``low`` to ``high``."""
        mapped = self.tables.get(table)
        self.tables[table] = pages if mapped is None else mapped | pages
        if low == 0 and high == self.nr_pages:
            self.cuts = 0
        else:
            self.cuts = self.cuts & ~page_mask(low, high - low) | 1 << low | 1 << high

    def unmap(self, pages: int, table: int) -> None:
        """Entries of ``table`` that mapped ``pages`` are gone.

        Raises:
            KernelBug: they were not there.
        """
        mapped = self.tables.get(table, 0)
        if pages & ~mapped:
            raise KernelBug(f"entries went from {table_name(table)} that were not there")
        if mapped == pages:
            del self.tables[table]
        else:
            self.tables[table] = mapped & ~pages

    def cut(self, page: int) -> None:
        """A VMA was split before ``page``."""
        self.cuts |= 1 << page

    def join(self, low: int, high: int) -> None:
        """One VMA reaches from page ``low`` to ``high``: whatever boundaries were between them are gone."""
        self.cuts &= ~page_mask(low + 1, high - low - 1)


def table_name(table: int) -> str:
    """A table of a window as it is printed: ``pt1`` or ``pmd1``."""
    return f"pt{table}" if table > 0 else f"pmd{-table}"
