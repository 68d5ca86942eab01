"""vmas: VMAs that map the folio (February 2023)."""

from __future__ import annotations

from folioshell.schemes.base import Law, Part, Sharing
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
    state = "one counter"
    reach = Reach.VMA
    laws = frozenset(
        {
            Law.NEVER_FALSE_NEGATIVE,
            Law.DECIDES,
            Law.MAPPED_IFF_POSITIVE,
            Law.ZERO_WHEN_UNMAPPED,
            Law.UNMAP_UNDOES_MAP,
            Law.BATCHING_IS_IRRELEVANT,
            Law.IGNORES_PMD_SPLIT,
            Law.ONE_IS_EXCLUSIVE,
            Law.FORGETS_HISTORY,
        }
    )

    def shared(self, folio: int, mm: int) -> Sharing:
        """More than one VMA."""
        return Sharing.YES if self.mapcount(folio) > 1 else Sharing.NO

    def why(self, folio: int) -> list[Part]:
        """One row a VMA."""
        return super().why(folio) + self.vma_parts(folio)

    def bytes_of_state(self, order: int) -> int:
        """One counter."""
        return 4
