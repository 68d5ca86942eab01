"""total-pages: mappings, and the pages that all of them map (RFC of April 2026)."""

from __future__ import annotations

from folioshell.schemes.base import Answer, Part
from folioshell.schemes.mm_slots import MappingScheme


class TotalPages(MappingScheme):
    """The average without a counter of PMD entries, so that entries of any size may be mixed."""

    name = "total-pages"
    place = 80
    version = "the RFC of 12 April 2026, _total_mapped_pages"
    about = (
        "Counts the entries of the folio, and in a second number the pages that all of them map.",
        "Shared as mm-id says, from the SHARED bit of two owners; a page has the average of the second number.",
    )
    state = "one counter of all entries, one of the pages they map, two slots of MM-ID and counter, and the SHARED bit"

    def total_mapped_pages(self, folio: int) -> int:
        """Sum over all entries of the pages that each maps; of order 0 the number of entries."""
        mappings = self._large.get(folio)
        return self.small.get(folio, 0) if mappings is None else mappings.pages

    def partially_mapped(self, folio: int) -> Answer:
        """Yes if all entries together map fewer pages than there are; a "no" may be wrong."""
        mappings = self._large.get(folio)
        return Answer.of(mappings is not None and 0 < mappings.pages < mappings.nr_pages)

    def page_mapcount(self, folio: int, page: int) -> int:
        """The average over the pages, rounded, at least 1 while the folio is mapped."""
        mappings = self._large.get(folio)
        if mappings is None:
            return self.small.get(folio, 0)
        if not mappings.total:
            return 0
        return max(mappings.pages + mappings.nr_pages // 2 >> mappings.order, 1)

    def why(self, folio: int) -> list[Part]:
        """As mm-id, and the second number."""
        parts = super().why(folio)
        if folio in self._large:
            parts.append(Part(f"pages mapped by all entries: {self.total_mapped_pages(folio)}", 0))
        return parts

    def bytes_of_state(self, order: int) -> int:
        """``_large_mapcount``, 8 bytes of ``_total_mapped_pages`` and 16 for both slots; ``_mapcount`` of order 0."""
        return 28 if order else 4
