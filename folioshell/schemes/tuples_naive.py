"""tuples-naive: one count per call, as in the mail's sketch (January 2023)."""

from __future__ import annotations

from folioshell.events import Rmap
from folioshell.schemes.base import Law, Part, Sharing
from folioshell.schemes.order0 import TallyScheme


class TuplesNaive(TallyScheme):
    """Counts rmap calls, assuming that each maps or unmaps all pages that one page table can hold.

    Attributes:
        _large: large folio -> [calls that mapped, calls that unmapped (negative)].
    """

    name = "tuples-naive"
    place = 30
    version = "the mail of 24 January 2023, taking one rmap call for one tuple"
    about = (
        "Counts 1 up for every call that maps pages and 1 down for every call that unmaps some.",
        "As tuples: 1 is exclusive, 2 needs a walk, more is shared. Miscounts where calls do not come in pairs.",
    )
    state = "one counter"
    laws = frozenset({Law.IGNORES_VMA_SPLIT, Law.IGNORES_PMD_SPLIT, Law.IGNORES_MOVE})

    def count_large(self, event: Rmap) -> None:
        """One call up or down."""
        calls = self._large.setdefault(event.folio, [0, 0])
        calls[event.sign < 0] += event.sign

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """Calls that mapped minus calls that unmapped; may be negative."""
        return super().mapcount(folio) + sum(self._large.get(folio, ()))

    def shared(self, folio: int, mm: int) -> Sharing:
        """As tuples answers, from the number of calls."""
        calls = self.mapcount(folio)
        if calls == 2:
            return Sharing.MAYBE
        return Sharing.YES if calls > 2 else Sharing.NO

    def why(self, folio: int) -> list[Part]:
        """The calls in both directions."""
        mapped, unmapped = self._large.get(folio, (0, 0))
        parts = [Part("calls that mapped", mapped), Part("calls that unmapped", unmapped)]
        return super().why(folio) + [part for part in parts if part.amount]

    def bytes_of_state(self, order: int) -> int:
        """One counter."""
        return 4
