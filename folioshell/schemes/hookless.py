"""Counting VMAs or tuples by what rmap calls see, with no hook where VMAs split or merge or entries move."""

from __future__ import annotations

from folioshell import events
from folioshell.schemes.base import Part
from folioshell.schemes.cost import X86_64_LAYOUT, Cost, Layout, Reach
from folioshell.schemes.window import page_mask, whole_mask
from folioshell.schemes.windows import WindowScheme


class HooklessScheme(WindowScheme, register=False):
    """A scheme that looks at the entries that there are when an rmap call is made, and at no other time.

    A call that maps pages counts 1 up if its unit, a VMA or a tuple, had no entry of the folio; one that unmaps pages
    counts 1 down if none is left. What becomes another VMA's or another table's without such a call is counted where it
    was, and so the number miscounts. The windows are those of the entries: they are what a call looks at.

    Attributes:
        _counters: large folio -> its number, which may fall below 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self._counters: dict[int, int] = {}

    def on_folio_freed(self, event: events.FolioFreed) -> None:
        """Forget the folio."""
        super().on_folio_freed(event)
        self._counters.pop(event.folio, None)

    def on_mapped(self, event: events.Mapped) -> None:
        """PTEs: 1 up if they are the first of their unit."""
        if not self._seen(event):
            self._up(event.folio)
        super().on_mapped(event)

    def on_unmapped(self, event: events.Unmapped) -> None:
        """PTEs: 1 down if they were the last of their unit."""
        if not self._seen(event, page_mask(event.first, event.nr)):
            self._down(event.folio)
        super().on_unmapped(event)

    def on_pmd_mapped(self, event: events.PmdMapped) -> None:
        """A PMD entry: 1 up if it is the first of its unit."""
        if not self.record.pages(event.folio, event.mm, event.vpn, -event.table, self.reach):
            self._up(event.folio)
        super().on_pmd_mapped(event)

    def on_pmd_unmapped(self, event: events.PmdUnmapped) -> None:
        """A PMD entry: 1 down if it was the last of its unit."""
        if not self.record.pages(event.folio, event.mm, event.vpn, -event.table, self.reach, whole_mask(event.order)):
            self._down(event.folio)
        super().on_pmd_unmapped(event)

    def _seen(self, event: events.Mapped | events.Unmapped, gone: int = 0) -> int:
        """Pages of the folio with an entry in the VMA of the call, or in its part of the table, but for those gone."""
        pages = self.record.pages(event.folio, event.mm, event.vpn - event.first, event.table, self.reach, gone)
        return pages & page_mask(event.low, event.high - event.low)

    def _up(self, folio: int) -> None:
        self._counters[folio] = self._counters.get(folio, 0) + 1

    def _down(self, folio: int) -> None:
        self._counters[folio] = self._counters.get(folio, 0) - 1

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """The counter of a large folio; entries of an order-0 folio."""
        return self._counters.get(folio, 0) or self.small.get(folio, 0)

    def miscount(self, folio: int) -> int:
        """The counter of a large folio less what there is to count."""
        return self._counters.get(folio, 0) - self.record.number(folio, self.reach)

    def why(self, folio: int) -> list[Part]:
        """One row for what there is to count, and the miscount from it."""
        parts = self.tuple_parts(folio) if self.reach is Reach.TABLE else self.vma_parts(folio)
        if miscount := self.miscount(folio):
            parts.append(Part("miscount", miscount))
        return super().why(folio) + parts

    @classmethod
    def cost_of(cls, event: events.Event, layout: Layout = X86_64_LAYOUT) -> Cost:
        """As with hooks, without them."""
        if isinstance(event, events.VmaSplit | events.VmaMerged | events.Moved):
            return Cost()
        return super().cost_of(event, layout)
