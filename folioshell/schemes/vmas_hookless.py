"""vmas-hookless: VMAs as rmap calls see them, without hooks (February 2023)."""

from __future__ import annotations

from folioshell.schemes.base import Law, Sharing
from folioshell.schemes.cost import Reach
from folioshell.schemes.hookless import HooklessScheme


class VmasHookless(HooklessScheme):
    """The second definition of the mail "Folio mapcount", counted at rmap calls alone, as its sketch does."""

    name = "vmas-hookless"
    place = 42
    version = "the mail of 6 February 2023, without hooks on VMA split, merge and mremap"
    about = (
        "Counts the VMAs that map a page of the folio, but looks only when pages are mapped or unmapped.",
        "As vmas: 1 is exclusive, more is shared. Drifts when VMAs split or merge or entries move.",
    )
    state = "one counter"
    reach = Reach.VMA
    laws = frozenset(
        {
            Law.DECIDES,
            Law.UNMAP_UNDOES_MAP,
            Law.BATCHING_IS_IRRELEVANT,
            Law.IGNORES_VMA_SPLIT,
            Law.IGNORES_PMD_SPLIT,
            Law.IGNORES_MOVE,
        }
    )

    def shared(self, folio: int, mm: int) -> Sharing:
        """As vmas answers, from a number that may have miscounted."""
        return Sharing.YES if self.mapcount(folio) > 1 else Sharing.NO

    def bytes_of_state(self, order: int) -> int:
        """One counter."""
        return 4
