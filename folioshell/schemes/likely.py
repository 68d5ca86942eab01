"""likely: guess from the number of entries and from the first page (v6.10 to v6.14)."""

from __future__ import annotations

from typing import Any

from folioshell.schemes.base import Law, Sharing
from folioshell.schemes.entries import EntryScheme


class Likely(EntryScheme):
    """``folio_likely_mapped_shared()`` on top of per-page mapcounts and ``_large_mapcount``.

    Kernel: include/linux/mm.h: folio_likely_mapped_shared() (v6.12)
    """

    name = "likely"
    place = 50
    version = "v6.10 to v6.14, folio_likely_mapped_shared()"
    about = (
        "Counts the entries of the folio, and those of each page.",
        "Shared if a PMD entry is one of several, if there are more entries than pages, or if page 0 has two PTEs.",
    )
    state = "as per-page, and one counter of all entries"
    # _nr_pages_mapped and _large_mapcount.
    folio_atomics = 2
    laws = EntryScheme.laws - {Law.NEVER_FALSE_NEGATIVE}

    def shared(self, folio: int, mm: int) -> Sharing:
        """The guess; exact for order 0 and for a single entry."""
        mapcount = self.mapcount(folio)
        if mapcount <= 1:
            return Sharing.NO
        entries = self._large.get(folio)
        # Before the guess by the first page: a PMD entry beside another entry is another mapping of every page.
        if entries is None or entries.entire or mapcount > entries.pages.nr_pages:
            return Sharing.YES
        return Sharing.YES if entries.pages[0] > 1 else Sharing.NO

    def kernel_fields(self, folio: int) -> dict[str, Any]:
        """As per-page, and ``_large_mapcount``."""
        return {**super().kernel_fields(folio), "large": self.mapcount(folio)}

    def bytes_of_state(self, order: int) -> int:
        """As per-page, and ``_large_mapcount``."""
        return (4 << order) + (12 if order else 0)
