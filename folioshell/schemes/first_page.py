"""Schemes that take the mapcount of the first page for that of the folio."""

from __future__ import annotations

from folioshell import events
from folioshell.schemes.base import Law, Part
from folioshell.schemes.cost import X86_64_LAYOUT, Cost, Layout
from folioshell.schemes.order0 import Order0Scheme

#: what holds for every one of them, whatever the predicate
FIRST_PAGE_LAWS = frozenset(
    {
        Law.DECIDES,
        Law.ZERO_WHEN_UNMAPPED,
        Law.UNMAP_UNDOES_MAP,
        Law.BATCHING_IS_IRRELEVANT,
        Law.IGNORES_VMA_SPLIT,
        Law.IGNORES_PMD_SPLIT,
        Law.IGNORES_MOVE,
        Law.FORGETS_HISTORY,
    }
)


class FirstPageScheme(Order0Scheme, register=False):
    """A scheme whose number of a folio is that of the entries of its page 0; subclasses say what "shared" means.

    They keep nothing: they read what the kernel keeps for each page anyway. The other questions were asked of that as
    well, and not of the estimate, which cannot answer them.

    Attributes:
        _first: large folio -> PTEs of its page 0, and PMD entries; a folio that is not in it has none.
    """

    def __init__(self) -> None:
        super().__init__()
        self._first: dict[int, int] = {}

    def on_folio_freed(self, event: events.FolioFreed) -> None:
        """Forget the folio."""
        super().on_folio_freed(event)
        self._first.pop(event.folio, None)

    def on_mapped(self, event: events.Mapped) -> None:
        """One more PTE if page 0 is among the pages."""
        if not event.first:
            self._first[event.folio] = self._first.get(event.folio, 0) + 1

    def on_unmapped(self, event: events.Unmapped) -> None:
        """One PTE fewer if page 0 is among the pages."""
        if not event.first:
            self._first[event.folio] = self._first.get(event.folio, 0) - 1

    def on_pmd_mapped(self, event: events.PmdMapped) -> None:
        """A PMD entry maps page 0, too."""
        self._first[event.folio] = self._first.get(event.folio, 0) + 1

    def on_pmd_unmapped(self, event: events.PmdUnmapped) -> None:
        """A PMD entry mapped page 0, too."""
        self._first[event.folio] = self._first.get(event.folio, 0) - 1

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """Entries of page 0: ``page_mapcount(folio_page(folio, 0))``."""
        return self._first.get(folio, 0) or super().mapcount(folio)

    def mapped(self, folio: int) -> bool | None:
        """It cannot tell: other pages may be mapped."""
        return None

    def why(self, folio: int) -> list[Part]:
        """The entries of page 0 in one row."""
        number = self._first.get(folio, 0)
        return [Part("entries of page 0", number, nr=1)] if number else super().why(folio)

    def bytes_of_state(self, order: int) -> int:
        """None of its own."""
        return 0

    @classmethod
    def cost_of(cls, event: events.Event, layout: Layout = X86_64_LAYOUT) -> Cost:
        """Nothing: nothing of its own is kept."""
        return Cost()
