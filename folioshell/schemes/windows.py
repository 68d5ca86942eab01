"""The windows of all large folios, and schemes that count by them; see window.py for what a window is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from folioshell import events
from folioshell.errors import KernelBug
from folioshell.schemes.base import Part, Scheme
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
from folioshell.schemes.window import Window, page_mask, stretches, table_name, whole_mask


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
    """The windows of all large folios that are mapped, as the events tell of them."""

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
        """The set of pages that entries of a table map in a window, or those of all its tables.

        Args:
            gone: entries of the table that are about to go from the window.
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
        """Entries of a table come into a window, in a VMA that reaches from page ``low`` to ``high``."""
        windows = self._folios.get(folio)
        if windows is None:
            windows = self._folios[folio] = FolioWindows()
        window = windows.at.get((mm, base))
        if window is None:
            window = windows.at[mm, base] = Window(1 << order)
        window.map(pages, table, low, high)
        windows.recount(window)

    def unmap(self, folio: int, mm: int, base: int, pages: int, table: int) -> None:
        """Entries of a table leave a window.

        Raises:
            KernelBug: they were not there.
        """
        windows, window = self._window(folio, mm, base)
        window.unmap(pages, table)
        windows.recount(window)
        if not window.tables:
            del windows.at[mm, base]

    def cut(self, event: events.VmaSplit) -> None:
        """A cut in the window of every folio that has entries in both parts of a VMA."""
        for folio, page in event.straddling:
            windows, window = self._window(folio, event.mm, event.vpn - page)
            window.cut(page)
            windows.recount(window)

    def join(self, event: events.VmaMerged) -> None:
        """The cuts go that are inside what is one VMA now."""
        start, end = (event.start, event.end) if event.end else (event.vpn - 1, event.vpn + 1)
        for folio, page in event.straddling:
            base = event.vpn - page
            windows, window = self._window(folio, event.mm, base)
            window.join(max(start - base, 0), min(end - base, window.nr_pages))
            windows.recount(window)

    def _window(self, folio: int, mm: int, base: int) -> tuple[FolioWindows, Window]:
        windows = self._folios.get(folio)
        window = windows.at.get((mm, base)) if windows is not None else None
        if windows is None or window is None:
            raise KernelBug(f"mm {mm} does not map f{folio} at page {base:#x}")
        return windows, window


class WindowScheme(Order0Scheme, register=False):
    """A scheme that counts VMAs or tuples by the windows of folios.

    The schemes of a machine share one record of the windows. The last of them to be told of an event writes it down, so
    that each finds there what was before the event.

    Attributes:
        record: the windows. is_reader: another scheme writes them down.
    """

    #: what is counted, and how far to look for other entries of it: VMAs or tuples
    reach: ClassVar[Reach]

    def __init__(self) -> None:
        super().__init__()
        self.record = Windows()
        self.is_reader = False

    def on_folio_freed(self, event: events.FolioFreed) -> None:
        """Forget the folio."""
        super().on_folio_freed(event)
        if not self.is_reader:
            self.record.forget(event.folio)

    def on_mapped(self, event: events.Mapped) -> None:
        """PTEs come into a window."""
        if not self.is_reader:
            base, pages = event.vpn - event.first, page_mask(event.first, event.nr)
            self.record.map(event.folio, event.order, event.mm, base, pages, event.table, event.low, event.high)

    def on_unmapped(self, event: events.Unmapped) -> None:
        """PTEs leave a window."""
        if not self.is_reader:
            pages = page_mask(event.first, event.nr)
            self.record.unmap(event.folio, event.mm, event.vpn - event.first, pages, event.table)

    def on_pmd_mapped(self, event: events.PmdMapped) -> None:
        """A PMD entry comes into a window: all pages through the PMD table."""
        if not self.is_reader:
            pages = whole_mask(event.order)
            self.record.map(event.folio, event.order, event.mm, event.vpn, pages, -event.table, 0, 1 << event.order)

    def on_pmd_unmapped(self, event: events.PmdUnmapped) -> None:
        """A PMD entry leaves a window."""
        if not self.is_reader:
            self.record.unmap(event.folio, event.mm, event.vpn, whole_mask(event.order), -event.table)

    def on_moved(self, event: events.Moved) -> None:
        """Entries go from one window to another."""
        if not event.order or self.is_reader:
            return
        pages = page_mask(event.first, event.nr)
        sign = -1 if event.pmd else 1
        self.record.unmap(event.folio, event.mm, event.vpn - event.first, pages, sign * event.table)
        base, table = event.to_vpn - event.first, sign * event.to_table
        self.record.map(event.folio, event.order, event.mm, base, pages, table, event.to_low, event.to_high)

    def on_vma_split(self, event: events.VmaSplit) -> None:
        """A cut in the window of every folio that has entries in both parts."""
        if not self.is_reader:
            self.record.cut(event)

    def on_vma_merged(self, event: events.VmaMerged) -> None:
        """The cuts go that are inside what is one VMA now."""
        if not self.is_reader:
            self.record.join(event)

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """Sum over the windows of a large folio; entries of an order-0 folio."""
        return self.record.number(folio, self.reach) or super().mapcount(folio)

    def windows(self, folio: int) -> list[tuple[int, int, Window]]:
        """(MM-ID, virtual page of page 0, window) of every window of a large folio, in ascending order."""
        return self.record.of(folio)

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
    def cost_of(cls, event: events.Event, layout: Layout = X86_64_LAYOUT) -> Cost:
        """As Order0Scheme, and the hooks where no rmap call is made."""
        if isinstance(event, events.VmaSplit | events.VmaMerged):
            cost = Cost()
            for folio, page in event.straddling:
                cost += boundary_look(cls.reach, layout.orders[folio], event.vpn - page, event.vpn, layout)
            return cost
        if isinstance(event, events.Moved):
            if not event.order:
                return Cost()
            # Down where it was and up where it is; both tables are locked by who moves the entries.
            looks = look(cls.reach, run_of(event), layout) + look(cls.reach, run_moved_to(event), layout)
            return Cost(atomics=2, lines=1) + looks
        return super().cost_of(event, layout)

    @classmethod
    def cost_of_entries(cls, event: EntryFact, layout: Layout) -> Cost:
        """One counter, and a look unless the call is about all pages of the folio."""
        cost = Cost(atomics=0 if is_new(event) else 1, lines=1)
        if isinstance(event, events.Mapped | events.Unmapped):
            cost += look(cls.reach, run_of(event), layout)
        return cost


def share_windows(schemes: Iterable[Scheme]) -> None:
    """Let all schemes that count by windows read one record of them, which the last one writes."""
    alike = [scheme for scheme in schemes if isinstance(scheme, WindowScheme)]
    for scheme in alike[:-1]:
        scheme.record, scheme.is_reader = alike[-1].record, True
