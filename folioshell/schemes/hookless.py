"""Counting VMAs or tuples by what rmap calls see, with no hook where VMAs split or merge or entries move."""

from __future__ import annotations

from folioshell import facts
from folioshell.schemes.base import Part
from folioshell.schemes.cost import X86_64_LAYOUT, Cost, Layout, Reach
from folioshell.schemes.window import page_mask, whole_mask
from folioshell.schemes.windows import WindowScheme


class HooklessScheme(WindowScheme, register=False):
    """A scheme that looks at the entries that there are when an rmap call is made, and at no other time.

    A call that maps pages counts 1 up if its unit, a VMA or a tuple, had no entry of the folio; one that unmaps pages
    counts 1 down if none is left. What becomes another VMA's or another table's without such a call is counted where it
    was, and so the number drifts. The windows are those of the entries: they are what a call looks at.

    Attributes:
        _counters: large folio -> its number, which may fall below 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self._counters: dict[int, int] = {}

    def on_folio_freed(self, fact: facts.FolioFreed) -> None:
        """Forget the folio."""
        super().on_folio_freed(fact)
        self._counters.pop(fact.folio, None)

    def on_mapped(self, fact: facts.Mapped) -> None:
        """PTEs: 1 up if they are the first of their unit."""
        if not self._seen(fact):
            self._up(fact.folio)
        super().on_mapped(fact)

    def on_unmapped(self, fact: facts.Unmapped) -> None:
        """PTEs: 1 down if they were the last of their unit."""
        if not self._seen(fact, page_mask(fact.first, fact.nr)):
            self._down(fact.folio)
        super().on_unmapped(fact)

    def on_pmd_mapped(self, fact: facts.PmdMapped) -> None:
        """A PMD entry: 1 up if it is the first of its unit."""
        if not self.record.pages(fact.folio, fact.mm, fact.vpn, -fact.table, self.reach):
            self._up(fact.folio)
        super().on_pmd_mapped(fact)

    def on_pmd_unmapped(self, fact: facts.PmdUnmapped) -> None:
        """A PMD entry: 1 down if it was the last of its unit."""
        if not self.record.pages(fact.folio, fact.mm, fact.vpn, -fact.table, self.reach, whole_mask(fact.order)):
            self._down(fact.folio)
        super().on_pmd_unmapped(fact)

    def _seen(self, fact: facts.Mapped | facts.Unmapped, gone: int = 0) -> int:
        """Pages of the folio with an entry in the VMA of the call, or in its part of the table, but for those gone."""
        pages = self.record.pages(fact.folio, fact.mm, fact.vpn - fact.first, fact.table, self.reach, gone)
        return pages & page_mask(fact.low, fact.high - fact.low)

    def _up(self, folio: int) -> None:
        self._counters[folio] = self._counters.get(folio, 0) + 1

    def _down(self, folio: int) -> None:
        self._counters[folio] = self._counters.get(folio, 0) - 1

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """The counter of a large folio; entries of an order-0 folio."""
        return self._counters.get(folio, 0) or self.small.get(folio, 0)

    def drift(self, folio: int) -> int:
        """The counter of a large folio less what there is to count."""
        return self._counters.get(folio, 0) - self.record.number(folio, self.reach)

    def why(self, folio: int) -> list[Part]:
        """One row for what there is to count, and the drift from it."""
        parts = self.tuple_parts(folio) if self.reach is Reach.TABLE else self.vma_parts(folio)
        if drift := self.drift(folio):
            parts.append(Part("drift", drift))
        return super().why(folio) + parts

    @classmethod
    def cost_of(cls, fact: facts.Fact, layout: Layout = X86_64_LAYOUT) -> Cost:
        """As with hooks, without them."""
        if isinstance(fact, facts.VmaSplit | facts.VmaMerged | facts.Moved):
            return Cost()
        return super().cost_of(fact, layout)
