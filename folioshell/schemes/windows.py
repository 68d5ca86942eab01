"""Which pieces of a folio are mapped through which VMA and page table, from facts alone.

Where a folio is mapped linearly, (mm, virtual page of its page 0) names a *window*: splitting and merging VMAs changes
only the boundaries in it, the *cuts*. A VMA that has entries in a window is one stretch of it between two cuts::

    page     0       4       8      12      16
    tables   ├──── pt1 ──────┼──── pt2 ─────┤
    cuts             │                            two VMAs, three (VMA, page table) tuples

Sets of pages and of cuts are integers, bit i for page i and for a boundary right before page i, so that a step costs a
few operations on integers however many pages, entries and VMAs there are.
"""

from __future__ import annotations

from abc import abstractmethod
from itertools import pairwise
from typing import ClassVar

from folioshell import facts
from folioshell.errors import KernelBug
from folioshell.schemes.base import Part
from folioshell.schemes.cost import (
    X86_64_LAYOUT,
    Cost,
    EntryFact,
    Layout,
    Reach,
    boundary_look,
    is_new,
    look,
    run_moved_to,
    run_of,
)
from folioshell.schemes.order0 import Order0Scheme


def page_mask(first: int, nr: int) -> int:
    """The set of the pages ``[first, first + nr)``."""
    return ((1 << nr) - 1) << first


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
        number: what the scheme counts in this window.
    """

    __slots__ = ("cuts", "nr_pages", "number", "tables")

    def __init__(self, nr_pages: int) -> None:
        self.nr_pages = nr_pages
        self.tables: dict[int, int] = {}
        self.cuts = 0
        self.number = 0

    @property
    def pages(self) -> int:
        """The set of pages that any entry maps."""
        pages = 0
        for mapped in self.tables.values():
            pages |= mapped
        return pages

    def vmas(self) -> int:
        """Number of VMAs that map a page here."""
        return count_stretches(self.pages, self.cuts, self.nr_pages)

    def tuples(self) -> int:
        """Number of (VMA, page table) tuples that map a page here."""
        if not self.cuts:
            return len(self.tables)
        return sum(count_stretches(pages, self.cuts, self.nr_pages) for pages in self.tables.values())

    def map(self, pages: int, table: int, low: int, high: int) -> None:
        """Entries of ``table`` map ``pages``, in a VMA that reaches from page ``low`` to ``high``."""
        self.tables[table] = self.tables.get(table, 0) | pages
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


class WindowScheme(Order0Scheme, register=False):
    """A scheme that counts pieces of windows; subclasses say which.

    Attributes:
        _windows: large folio -> (MM-ID, virtual page of its page 0) -> window, none empty.
        _totals: large folio -> sum of the numbers of its windows.
    """

    #: how far to look for other entries of what is counted
    reach: ClassVar[Reach]

    def __init__(self) -> None:
        super().__init__()
        self._windows: dict[int, dict[tuple[int, int], Window]] = {}
        self._totals: dict[int, int] = {}

    @abstractmethod
    def count(self, window: Window) -> int:
        """What the scheme counts in one window."""

    def on_folio_freed(self, fact: facts.FolioFreed) -> None:
        """Forget the folio."""
        super().on_folio_freed(fact)
        self._windows.pop(fact.folio, None)
        self._totals.pop(fact.folio, None)

    def on_mapped(self, fact: facts.Mapped) -> None:
        """PTEs come into a window."""
        pages = page_mask(fact.first, fact.nr)
        self._map(fact.folio, fact.order, fact.mm, fact.vpn - fact.first, pages, fact.table, fact.low, fact.high)

    def on_unmapped(self, fact: facts.Unmapped) -> None:
        """PTEs leave a window."""
        self._unmap(fact.folio, fact.mm, fact.vpn - fact.first, page_mask(fact.first, fact.nr), fact.table)

    def on_pmd_mapped(self, fact: facts.PmdMapped) -> None:
        """A PMD entry comes into a window: all pages through the PMD table."""
        nr_pages = 1 << fact.order
        self._map(fact.folio, fact.order, fact.mm, fact.vpn, page_mask(0, nr_pages), -fact.table, 0, nr_pages)

    def on_pmd_unmapped(self, fact: facts.PmdUnmapped) -> None:
        """A PMD entry leaves a window."""
        self._unmap(fact.folio, fact.mm, fact.vpn, page_mask(0, 1 << fact.order), -fact.table)

    def on_moved(self, fact: facts.Moved) -> None:
        """Entries go from one window to another."""
        if not fact.order:
            return
        pages = page_mask(fact.first, fact.nr)
        sign = -1 if fact.pmd else 1
        self._unmap(fact.folio, fact.mm, fact.vpn - fact.first, pages, sign * fact.table)
        to_base = fact.to_vpn - fact.first
        self._map(fact.folio, fact.order, fact.mm, to_base, pages, sign * fact.to_table, fact.to_low, fact.to_high)

    def on_vma_split(self, fact: facts.VmaSplit) -> None:
        """A cut in the window of every folio that has entries in both parts."""
        for folio, page in fact.straddling:
            window = self._window(folio, fact.mm, fact.vpn - page)
            window.cut(page)
            self._recount(folio, window)

    def on_vma_merged(self, fact: facts.VmaMerged) -> None:
        """The cuts go that are inside what is one VMA now."""
        start, end = (fact.start, fact.end) if fact.end else (fact.vpn - 1, fact.vpn + 1)
        for folio, page in fact.straddling:
            base = fact.vpn - page
            window = self._window(folio, fact.mm, base)
            window.join(max(start - base, 0), min(end - base, window.nr_pages))
            self._recount(folio, window)

    def _map(self, folio: int, order: int, mm: int, base: int, pages: int, table: int, low: int, high: int) -> None:
        windows = self._windows.get(folio)
        if windows is None:
            windows = self._windows[folio] = {}
        window = windows.get((mm, base))
        if window is None:
            window = windows[mm, base] = Window(1 << order)
        window.map(pages, table, low, high)
        self._recount(folio, window)

    def _unmap(self, folio: int, mm: int, base: int, pages: int, table: int) -> None:
        window = self._window(folio, mm, base)
        window.unmap(pages, table)
        self._recount(folio, window)
        if not window.tables:
            del self._windows[folio][mm, base]

    def _window(self, folio: int, mm: int, base: int) -> Window:
        window = self._windows.get(folio, {}).get((mm, base))
        if window is None:
            raise KernelBug(f"mm {mm} does not map f{folio} at page {base:#x}")
        return window

    def _recount(self, folio: int, window: Window) -> None:
        number = self.count(window)
        if number != window.number:
            self._totals[folio] = self._totals.get(folio, 0) + number - window.number
            window.number = number

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """Sum over the windows of a large folio; entries of an order-0 folio."""
        return self._totals.get(folio, 0) or super().mapcount(folio)

    def windows(self, folio: int) -> list[tuple[int, int, Window]]:
        """(MM-ID, virtual page of page 0, window) of every window of a large folio, in ascending order."""
        return [
            (mm, base, window)
            for (mm, base), window in sorted(self._windows.get(folio, {}).items(), key=lambda w: w[0])
        ]

    def tuple_parts(self, folio: int) -> list[Part]:
        """One row for each (VMA, page table) tuple that maps a large folio."""
        return [
            self._part(mm, base, pages, table_name(table))
            for mm, base, window in self.windows(folio)
            for first, nr in stretches(window.cuts, window.nr_pages)
            for table, mapped in window.tables.items()
            if (pages := mapped & page_mask(first, nr))
        ]

    def vma_parts(self, folio: int) -> list[Part]:
        """One row for each VMA that maps a large folio."""
        return [
            self._part(mm, base, pages, "VMA")
            for mm, base, window in self.windows(folio)
            for first, nr in stretches(window.cuts, window.nr_pages)
            if (pages := window.pages & page_mask(first, nr))
        ]

    @staticmethod
    def _part(mm: int, base: int, pages: int, label: str) -> Part:
        """One VMA or tuple that counts, from its first mapped page to its last."""
        first = (pages & -pages).bit_length() - 1
        return Part(label, 1, mm=mm, first=first, nr=pages.bit_length() - first, vpn=base + first)

    @classmethod
    def cost_of(cls, fact: facts.Fact, layout: Layout = X86_64_LAYOUT) -> Cost:
        """As Order0Scheme, and the hooks where no rmap call is made."""
        if isinstance(fact, facts.VmaSplit | facts.VmaMerged):
            cost = Cost()
            for folio, page in fact.straddling:
                cost += boundary_look(cls.reach, layout.orders[folio], fact.vpn - page, fact.vpn, layout)
            return cost
        if isinstance(fact, facts.Moved):
            if not fact.order:
                return Cost()
            # Down where it was and up where it is; both tables are locked by who moves the entries.
            looks = look(cls.reach, run_of(fact), layout) + look(cls.reach, run_moved_to(fact), layout)
            return Cost(atomics=2, lines=1) + looks
        return super().cost_of(fact, layout)

    @classmethod
    def cost_of_entries(cls, fact: EntryFact, layout: Layout) -> Cost:
        """One counter, and a look unless the call is about all pages of the folio."""
        cost = Cost(atomics=0 if is_new(fact) else 1, lines=1)
        if isinstance(fact, facts.Mapped | facts.Unmapped):
            cost += look(cls.reach, run_of(fact), layout)
        return cost
