"""Tuples and VMAs as rmap calls see them (January and February 2023).

tuples-naive counts calls, as the mail's sketch did; tuples-hookless and vmas-hookless look at what is mapped, but
nothing is called when VMAs are split or merged or when mremap moves entries.
"""

from __future__ import annotations

from folioshell.events import Rmap
from folioshell.schemes.base import Law, Part, Sharing
from folioshell.schemes.cost import Reach
from folioshell.schemes.order0 import TallyScheme
from folioshell.schemes.windows import HooklessScheme


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


class TuplesHookless(HooklessScheme):
    """The first scheme of the mail "Folio mapcount", counted in rmap calls alone."""

    name = "tuples-hookless"
    place = 32
    version = "the mail of 24 January 2023, without callbacks for VMA split, merge and mremap"
    about = (
        "Counts pairs of a VMA and a page table, but looks only when pages are mapped or unmapped.",
        "As tuples: 1 is exclusive, 2 needs a walk, more is shared. Miscounts after VMA splits, merges and moves.",
    )
    reach = Reach.TABLE
    laws = HooklessScheme.laws - {Law.DECIDES}

    def shared(self, folio: int, mm: int) -> Sharing:
        """As tuples answers, from a number that may have miscounted."""
        tuples = self.mapcount(folio)
        if tuples == 2:
            return Sharing.MAYBE
        return Sharing.YES if tuples > 2 else Sharing.NO


class VmasHookless(HooklessScheme):
    """The second scheme of the mail "Folio mapcount", counted in rmap calls alone, as its sketch does."""

    name = "vmas-hookless"
    place = 42
    version = "the mail of 6 February 2023, without callbacks for VMA split, merge and mremap"
    about = (
        "Counts the VMAs that map a page of the folio, but looks only when pages are mapped or unmapped.",
        "As vmas: 1 is exclusive, more is shared. Miscounts after VMA splits, merges and moves.",
    )
    reach = Reach.VMA

    def shared(self, folio: int, mm: int) -> Sharing:
        """As vmas answers, from a number that may have miscounted."""
        return Sharing.YES if self.mapcount(folio) > 1 else Sharing.NO
