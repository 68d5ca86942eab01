"""owner: the first address space, and how often others map the folio (November 2023)."""

from __future__ import annotations

from folioshell.events import Rmap
from folioshell.schemes.base import Part, Sharing
from folioshell.schemes.order0 import ENTRY_LAWS, TallyScheme


class Owner(TallyScheme):
    """The creator of a large folio and a counter of non-owners.

    The mails do not say when the owner changes: here it is the first mm that maps the folio, until none does.

    Attributes:
        _large: large folio -> [MM-ID of the owner, its mappings, mappings of others].
    """

    name = "owner"
    place = 47
    version = 'the reply of November 2023 to rmap-id; earlier as "creator"'
    about = (
        "Remembers who mapped the folio first, and counts its entries apart from those of others.",
        "Shared if others have entries: wrong when the owner has left and one other is alone.",
    )
    state = "the MM-ID of the owner, a counter of its entries and one of the others'"
    laws = ENTRY_LAWS

    def count_large(self, event: Rmap) -> None:
        """The owner's entries and those of others are counted apart."""
        counts = self._large.get(event.folio)
        if counts is None:
            counts = self._large[event.folio] = [event.mm, 0, 0]
        counts[1 if counts[0] == event.mm else 2] += event.change
        if not counts[1] and not counts[2]:
            del self._large[event.folio]

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """All entries, the owner's and the others'."""
        counts = self._large.get(folio)
        return super().mapcount(folio) if counts is None else counts[1] + counts[2]

    def owner(self, folio: int) -> tuple[int, int, int]:
        """(MM-ID of the owner, its entries, entries of others) of a large folio; zeros if nothing maps it."""
        owner, own, others = self._large.get(folio, (0, 0, 0))
        return owner, own, others

    def shared(self, folio: int, mm: int) -> Sharing:
        """Others than the owner have entries; for order 0, more than one entry."""
        counts = self._large.get(folio)
        if counts is None:
            return Sharing.YES if super().mapcount(folio) > 1 else Sharing.NO
        return Sharing.YES if counts[2] else Sharing.NO

    def why(self, folio: int) -> list[Part]:
        """The entries of the owner, and those of the others."""
        counts = self._large.get(folio)
        if counts is None:
            return super().why(folio)
        return [Part("owner", counts[1], mm=counts[0]), Part("others", counts[2])]

    def bytes_of_state(self, order: int) -> int:
        """Two counters and the owner; order 0 has its mapcount."""
        return 12 if order else 4
