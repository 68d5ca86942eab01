"""tuples-naive: one count a call, as the mail's sketch would have it (January 2023)."""

from __future__ import annotations

from folioshell import events
from folioshell.schemes.base import Law, Part, Sharing
from folioshell.schemes.order0 import Order0Scheme


class TuplesNaive(Order0Scheme):
    """Counts rmap calls on the assumption that each call maps, or unmaps, all that one page table can hold."""

    name = "tuples-naive"
    place = 30
    version = "the mail of 24 January 2023, taking one rmap call for one tuple"
    about = (
        "Counts 1 up for every call that maps pages and 1 down for every call that unmaps some.",
        "As tuples: 1 is exclusive, 2 needs a walk, more is shared. Drifts where calls do not come in pairs.",
    )
    state = "one counter"
    laws = frozenset({Law.IGNORES_VMA_SPLIT, Law.IGNORES_PMD_SPLIT, Law.IGNORES_MOVE})

    def __init__(self) -> None:
        super().__init__()
        self._ups: dict[int, int] = {}
        self._downs: dict[int, int] = {}

    def on_folio_freed(self, event: events.FolioFreed) -> None:
        """Forget the folio."""
        super().on_folio_freed(event)
        self._ups.pop(event.folio, None)
        self._downs.pop(event.folio, None)

    def on_mapped(self, event: events.Mapped) -> None:
        """One call up."""
        self._ups[event.folio] = self._ups.get(event.folio, 0) + 1

    def on_unmapped(self, event: events.Unmapped) -> None:
        """One call down."""
        self._downs[event.folio] = self._downs.get(event.folio, 0) + 1

    def on_pmd_mapped(self, event: events.PmdMapped) -> None:
        """One call up."""
        self._ups[event.folio] = self._ups.get(event.folio, 0) + 1

    def on_pmd_unmapped(self, event: events.PmdUnmapped) -> None:
        """One call down."""
        self._downs[event.folio] = self._downs.get(event.folio, 0) + 1

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """Calls that mapped less calls that unmapped; may fall below 0."""
        return super().mapcount(folio) + self._ups.get(folio, 0) - self._downs.get(folio, 0)

    def shared(self, folio: int, mm: int) -> Sharing:
        """As tuples answers, from the number of calls."""
        calls = self.mapcount(folio)
        if calls == 2:
            return Sharing.MAYBE
        return Sharing.YES if calls > 2 else Sharing.NO

    def why(self, folio: int) -> list[Part]:
        """The calls in both directions."""
        parts = [
            Part("calls that mapped", self._ups.get(folio, 0)),
            Part("calls that unmapped", -self._downs.get(folio, 0)),
        ]
        return super().why(folio) + [part for part in parts if part.amount]

    def bytes_of_state(self, order: int) -> int:
        """One counter."""
        return 4
