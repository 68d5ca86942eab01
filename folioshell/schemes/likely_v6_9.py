"""likely-v6.9: page 0 decides, by one predicate for all callers (v6.9)."""

from __future__ import annotations

from folioshell.schemes.base import Sharing
from folioshell.schemes.first_page import FIRST_PAGE_LAWS, FirstPageScheme


class LikelyV69(FirstPageScheme):
    """``folio_likely_mapped_shared()`` before there was a counter of all entries.

    Kernel: include/linux/mm.h: folio_likely_mapped_shared() (v6.9)
    """

    name = "likely-v6.9"
    place = 48
    version = "v6.9, folio_likely_mapped_shared()"
    about = (
        "Takes the mapcount of page 0, PMD entries included, for that of the folio.",
        "Shared if that is more than 1, for every caller: if page 0 is not mapped, the folio looks exclusive.",
    )
    state = "nothing of its own: it reads the mapcount of page 0"
    laws = FIRST_PAGE_LAWS

    def shared(self, folio: int, mm: int) -> Sharing:
        """``> 1``, whoever asks."""
        return Sharing.YES if self.mapcount(folio) > 1 else Sharing.NO
