"""Schemes that count VMAs or tuples by the windows of folios: see window.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from folioshell import events
from folioshell.events import Level, Moved, Rmap
from folioshell.schemes.base import Law, Part, Scheme
from folioshell.schemes.cost import (
    X86_64_LAYOUT,
    Cost,
    Layout,
    Reach,
    boundary_look,
    look,
    run_moved_to,
    run_of,
)
from folioshell.schemes.order0 import Order0Scheme
from folioshell.schemes.window import Window, Windows, page_mask, pieces_between, table_name


class WindowScheme(Order0Scheme, register=False):
    """A scheme that counts VMAs or tuples by the windows of folios.

    The schemes of a machine share one record of the windows. The last of them to be called writes an event to it, so
    that all others see the state before the event.

    Attributes:
        record: the windows.
        is_reader: another scheme writes the record.
    """

    #: VMAs or tuples: what is counted, and how far to look for other entries
    reach: ClassVar[Reach]
    state = "one counter"
    laws = frozenset(
        {
            Law.NEVER_FALSE_NEGATIVE,
            Law.MAPPED_IFF_POSITIVE,
            Law.ZERO_WHEN_UNMAPPED,
            Law.UNMAP_UNDOES_MAP,
            Law.BATCHING_IS_IRRELEVANT,
            Law.IGNORES_PMD_SPLIT,
            Law.ONE_IS_EXCLUSIVE,
            Law.FORGETS_HISTORY,
        }
    )

    def __init__(self) -> None:
        super().__init__()
        self.record = Windows()
        self.is_reader = False

    def forget_large(self, folio: int) -> None:
        """Forget the folio."""
        if not self.is_reader:
            self.record.forget(folio)

    def count_large(self, event: Rmap) -> None:
        """Entries are added to a window, or removed from it: those of a PMD entry are all pages, by its PMD table."""
        if not self.is_reader:
            self.record.count(event)

    def on_moved(self, event: Moved) -> None:
        """Entries move from one window to another."""
        if event.order and not self.is_reader:
            self.record.move(event)

    def on_vma_split(self, event: events.VmaSplit) -> None:
        """One more bound in the window of every folio with entries in both parts."""
        if not self.is_reader:
            self.record.split(event)

    def on_vma_merged(self, event: events.VmaMerged) -> None:
        """Bounds within the merged VMA are gone."""
        if not self.is_reader:
            self.record.merge(event)

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
            for first, nr in pieces_between(window.bounds, window.nr_pages)
            for table, mapped in window.tables.items()
            if (pages := mapped & page_mask(first, nr))
        ]

    def vma_parts(self, folio: int) -> list[Part]:
        """One row for each VMA that maps a large folio."""
        return [
            self._part(mm, base, pages, "VMA")
            for mm, base, window in self.windows(folio)
            for first, nr in pieces_between(window.bounds, window.nr_pages)
            if (pages := window.pages & page_mask(first, nr))
        ]

    def why(self, folio: int) -> list[Part]:
        """One row for each VMA or tuple that maps the folio."""
        parts = self.tuple_parts(folio) if self.reach is Reach.TABLE else self.vma_parts(folio)
        return super().why(folio) + parts

    def bytes_of_state(self, order: int) -> int:
        """One counter."""
        return 4

    @staticmethod
    def _part(mm: int, base: int, pages: int, label: str) -> Part:
        """One VMA or tuple, from its first mapped page to its last."""
        first = (pages & -pages).bit_length() - 1
        return Part(label, 1, mm=mm, first=first, nr=pages.bit_length() - first, vpn=base + first)

    @classmethod
    def cost_of(cls, event: events.Event, layout: Layout = X86_64_LAYOUT) -> Cost:
        """As Order0Scheme, and the callbacks for changes without an rmap call."""
        if isinstance(event, events.VmaSplit | events.VmaMerged):
            cost = Cost()
            for folio, page in event.straddling:
                cost += boundary_look(cls.reach, layout.orders[folio], event.vpn - page, event.vpn, layout)
            return cost
        if isinstance(event, Moved):
            if not event.order:
                return Cost()
            # Down at the old place and up at the new one; move_ptes() holds both locks.
            looks = look(cls.reach, run_of(event), layout) + look(cls.reach, run_moved_to(event), layout)
            return Cost(atomics=2, lines=1) + looks
        return super().cost_of(event, layout)

    @classmethod
    def cost_of_entries(cls, event: Rmap, layout: Layout) -> Cost:
        """One counter, and a look unless the call covers all pages of the folio."""
        cost = Cost(atomics=0 if event.new else 1, lines=1)
        if event.level is Level.PTE:
            cost += look(cls.reach, run_of(event), layout)
        return cost


class HooklessScheme(WindowScheme, register=False):
    """A scheme that looks at present entries in rmap calls, and at no other time.

    A call that maps pages counts 1 up if its unit, a VMA or a tuple, had no entry of the folio; one that unmaps pages
    counts 1 down if none is left. Entries that change their VMA or table without such a call stay counted in the old
    one, so the number miscounts. The windows are the present entries: what a call looks at.

    Attributes:
        _counters: large folio -> its number; may be negative.
    """

    laws = frozenset(
        {
            Law.DECIDES,
            Law.UNMAP_UNDOES_MAP,
            Law.BATCHING_IS_IRRELEVANT,
            Law.IGNORES_VMA_SPLIT,
            Law.IGNORES_PMD_SPLIT,
            Law.IGNORES_MOVE,
        }
    )

    def __init__(self) -> None:
        super().__init__()
        self._counters: dict[int, int] = {}

    def forget_large(self, folio: int) -> None:
        """Forget the folio."""
        super().forget_large(folio)
        self._counters.pop(folio, None)

    def count_large(self, event: Rmap) -> None:
        """1 up for the first entries of a unit, 1 down for the last."""
        folio, record = event.folio, self.record
        gone = page_mask(event.first, event.nr) if event.sign < 0 else 0
        table = event.table if event.level is Level.PTE else -event.table
        seen = record.pages(folio, event.mm, event.vpn - event.first, table, self.reach, gone)
        if not seen or not seen & page_mask(event.low, event.high - event.low):
            self._counters[folio] = self.next_number(self._counters.get(folio, 0), event.sign)
        if not self.is_reader:
            record.count(event)

    def next_number(self, number: int, sign: int) -> int:
        """The number after one unit more (``sign`` 1) or less (-1)."""
        return number + sign

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """The counter of a large folio; entries of an order-0 folio."""
        return self._counters.get(folio, 0) or self.small.get(folio, 0)

    def miscount(self, folio: int) -> int:
        """The counter of a large folio minus the units that map it."""
        return self._counters.get(folio, 0) - self.record.number(folio, self.reach)

    def why(self, folio: int) -> list[Part]:
        """One row for each unit that maps the folio, and the miscount."""
        miscount = self.miscount(folio)
        return super().why(folio) + ([Part("miscount", miscount)] if miscount else [])

    @classmethod
    def cost_of(cls, event: events.Event, layout: Layout = X86_64_LAYOUT) -> Cost:
        """As with the callbacks, without their cost."""
        if isinstance(event, events.VmaSplit | events.VmaMerged | Moved):
            return Cost()
        return super().cost_of(event, layout)


def share_windows(schemes: Iterable[Scheme]) -> Iterator[Scheme]:
    """Let all schemes that count by windows share one record, which the last one writes.

    Yields: those that only read it: they need no events about entries of large folios.
    """
    alike = [scheme for scheme in schemes if isinstance(scheme, WindowScheme)]
    for scheme in alike:
        scheme.record, scheme.is_reader = alike[-1].record, scheme is not alike[-1]
        if scheme.is_reader and type(scheme).count_large is WindowScheme.count_large:
            yield scheme
