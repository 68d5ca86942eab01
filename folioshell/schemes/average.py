"""average, rfc-2026-b: owners and no counter in a page; a page has the average of the folio (v6.15)."""

from __future__ import annotations

from folioshell.events import Level, Rmap
from folioshell.schemes.base import Answer, Part
from folioshell.schemes.cost import Cost, Layout
from folioshell.schemes.mm_slots import MappingScheme


class Average(MappingScheme):
    """MM owner tracking with CONFIG_NO_PAGE_MAPCOUNT.

    Kernel: mm/internal.h: folio_average_page_mapcount() (v6.18);
        mm/rmap.c: __folio_remove_rmap() (v6.18)
    """

    name = "average"
    place = 70
    version = "v6.15, CONFIG_NO_PAGE_MAPCOUNT (experimental)"
    about = (
        "Counts the entries of the folio and the PMD entries among them; a page has the average over all pages.",
        "Shared as mm-id says, from the SHARED bit of two owners.",
    )
    state = "one counter of all entries, one of PMD entries, two slots of MM-ID and counter, and the SHARED bit"

    def partially_mapped(self, folio: int) -> Answer:
        """Yes if there are fewer PTEs than pages and no PMD entry; a "no" may be wrong."""
        mappings = self._large.get(folio)
        return Answer.of(mappings is not None and not mappings.entire and 0 < mappings.total < mappings.nr_pages)

    def page_mapcount(self, folio: int, page: int) -> int:
        """The average over the pages, rounded, at least 1 while the folio is mapped."""
        mappings = self._large.get(folio)
        if mappings is None:
            return self.small.get(folio, 0)
        ptes = mappings.total - mappings.entire
        if not ptes:
            return mappings.entire
        return max(mappings.entire + (ptes + mappings.nr_pages // 2 >> mappings.order), 1)

    def why(self, folio: int) -> list[Part]:
        """As mm-id, and the average."""
        parts = super().why(folio)
        if folio in self._large:
            parts.append(Part(f"average of a page: {self.page_mapcount(folio, 0)}", 0))
        return parts

    def bytes_of_state(self, order: int) -> int:
        """``_large_mapcount``, ``_entire_mapcount`` and 16 bytes for both slots; ``_mapcount`` of order 0."""
        return 24 if order else 4

    @classmethod
    def cost_of_entries(cls, event: Rmap, layout: Layout) -> Cost:
        """The bit spinlock, under which all but ``_entire_mapcount`` takes plain stores."""
        return Cost(atomics=0 if event.new else 1 + (event.level is Level.PMD), lines=1)


class RfcWithoutPageMapcounts(Average):
    """The middle of the RFC of April 2026: what CONFIG_NO_PAGE_MAPCOUNT does is all that there is.

    The last patch puts total-pages in the place of the mapcount of PMD entries.
    """

    name = "rfc-2026-b"
    place = 78
    version = "the RFC of 12 April 2026, after patch 7"
