"""tuples: pairs of VMA and page table that map the folio (January 2023)."""

from __future__ import annotations

from folioshell.schemes.base import Sharing
from folioshell.schemes.cost import Reach
from folioshell.schemes.windows import WindowScheme


class Tuples(WindowScheme):
    """The first scheme of the mail "Folio mapcount", kept exact through splits, merges and moves."""

    name = "tuples"
    place = 20
    version = "the mail of 24 January 2023, exact"
    about = (
        "Counts pairs of a VMA and a page table in which an entry of the VMA maps a page of the folio.",
        "1 is exclusive, more than 2 is shared; 2 may be one process through two tables, and needs an rmap walk.",
    )
    reach = Reach.TABLE

    def shared(self, folio: int, mm: int) -> Sharing:
        """1 is one process; 2 is undecided."""
        tuples = self.mapcount(folio)
        if tuples == 2:
            return Sharing.MAYBE
        return Sharing.YES if tuples > 2 else Sharing.NO
