"""tuples-hookless: tuples as rmap calls see them, without hooks (January 2023)."""

from __future__ import annotations

from folioshell.schemes.base import Law, Sharing
from folioshell.schemes.cost import Reach
from folioshell.schemes.hookless import HooklessScheme


class TuplesHookless(HooklessScheme):
    """The first definition of the mail "Folio mapcount", counted at rmap calls alone."""

    name = "tuples-hookless"
    place = 32
    version = "the mail of 24 January 2023, without hooks on VMA split, merge and mremap"
    about = (
        "Counts pairs of a VMA and a page table, but looks only when pages are mapped or unmapped.",
        "As tuples: 1 is exclusive, 2 needs a walk, more is shared. Drifts when VMAs split or merge or entries move.",
    )
    state = "one counter"
    reach = Reach.TABLE
    laws = frozenset(
        {
            Law.UNMAP_UNDOES_MAP,
            Law.BATCHING_IS_IRRELEVANT,
            Law.IGNORES_VMA_SPLIT,
            Law.IGNORES_PMD_SPLIT,
            Law.IGNORES_MOVE,
        }
    )

    def shared(self, folio: int, mm: int) -> Sharing:
        """As tuples answers, from a number that may have miscounted."""
        tuples = self.mapcount(folio)
        if tuples == 2:
            return Sharing.MAYBE
        return Sharing.YES if tuples > 2 else Sharing.NO

    def bytes_of_state(self, order: int) -> int:
        """One counter."""
        return 4
