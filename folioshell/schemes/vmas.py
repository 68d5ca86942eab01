"""vmas: VMAs that map the folio (February 2023)."""

from __future__ import annotations

from folioshell.schemes.base import Law, Sharing
from folioshell.schemes.cost import Reach
from folioshell.schemes.windows import WindowScheme


class Vmas(WindowScheme):
    """The second scheme of the mail "Folio mapcount", kept exact through splits, merges and moves."""

    name = "vmas"
    place = 40
    version = "the mail of 6 February 2023, exact"
    about = (
        "Counts the VMAs that have one or more pages of the folio mapped.",
        "1 is exclusive, 2 and more is shared; wrong for one process that maps the folio through two VMAs.",
    )
    reach = Reach.VMA
    laws = WindowScheme.laws | {Law.DECIDES}

    def shared(self, folio: int, mm: int) -> Sharing:
        """More than one VMA."""
        return Sharing.YES if self.mapcount(folio) > 1 else Sharing.NO
