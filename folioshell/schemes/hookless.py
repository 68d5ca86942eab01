"""tuples-hookless and vmas-hookless: tuples and VMAs as rmap calls see them (January and February 2023).

Nothing is called when VMAs are split or merged or when mremap moves entries.
"""

from __future__ import annotations

from folioshell.schemes.base import Law, Sharing
from folioshell.schemes.cost import Reach
from folioshell.schemes.windows import HooklessScheme


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
