"""max-page: the mapcount of the page that is mapped most often (v4.5 to v5.17)."""

from __future__ import annotations

from folioshell.events import Event
from folioshell.schemes.base import Law, Part, Sharing
from folioshell.schemes.cost import X86_64_LAYOUT, Cost, Layout
from folioshell.schemes.entries import EntryScheme


class MaxPage(EntryScheme):
    """What a write fault compared with 1 before it looked at references, and at PageAnonExclusive.

    The kernel added how often swap entries refer to the page; no event tells that.
    Kernel: mm/huge_memory.c: page_trans_huge_mapcount() (v5.10); mm/swapfile.c: reuse_swap_page() (v5.10)
    """

    name = "max-page"
    place = 6
    version = "v4.5 to v5.17, page_trans_huge_mapcount()"
    about = (
        "Takes the mapcount of the page that is mapped most often, PMD entries included.",
        "Shared if that is more than 1: two address spaces that map different pages look exclusive.",
    )
    state = "nothing of its own: it reads the mapcount of every page, and that of PMD entries"
    laws = (EntryScheme.laws - {Law.NEVER_FALSE_NEGATIVE, Law.ONE_IS_EXCLUSIVE}) | {Law.IGNORES_PMD_SPLIT}

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """The most entries that map one page, or those that map the page."""
        if page is not None:
            return self.page_mapcount(folio, page)
        entries = self._large.get(folio)
        return super().mapcount(folio) if entries is None else entries.entire + self._most(folio)

    def _most(self, folio: int) -> int:
        return max(count for _, _, count in self._large[folio].pages.runs())

    def shared(self, folio: int, mm: int) -> Sharing:
        """``> 1``, for every asker."""
        return Sharing.YES if self.mapcount(folio) > 1 else Sharing.NO

    def why(self, folio: int) -> list[Part]:
        """The PMD entries, and the PTEs of the first page that has most of them."""
        entries = self._large.get(folio)
        if entries is None:
            return super().why(folio)
        parts = [Part("PMD entries", entries.entire, nr=entries.pages.nr_pages)] if entries.entire else []
        if most := self._most(folio):
            first = next(first for first, _, count in entries.pages.runs() if count == most)
            parts.append(Part("PTEs", most, first=first, nr=1))
        return parts

    def bytes_of_state(self, order: int) -> int:
        """None of its own."""
        return 0

    @classmethod
    def cost_of(cls, event: Event, layout: Layout = X86_64_LAYOUT) -> Cost:
        """Nothing: it keeps nothing of its own."""
        return Cost()
