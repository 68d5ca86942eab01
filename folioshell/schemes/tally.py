"""What schemes share that keep a few numbers of a large folio, changed by how many entries came or went."""

from __future__ import annotations

from abc import abstractmethod

from folioshell import events
from folioshell.schemes.cost import EntryFact
from folioshell.schemes.order0 import Order0Scheme


class TallyScheme(Order0Scheme, register=False):
    """A scheme to which it matters how many entries an address space adds or removes, not which pages they map.

    A PMD entry is one.

    Attributes:
        _large: large folio -> its numbers; a folio that nothing was said about is not in it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._large: dict[int, list[int]] = {}

    @abstractmethod
    def tally(self, event: EntryFact, nr: int) -> None:
        """``nr`` entries of an address space were added, or removed if negative."""

    def on_folio_freed(self, event: events.FolioFreed) -> None:
        """Forget the folio."""
        super().on_folio_freed(event)
        self._large.pop(event.folio, None)

    def on_mapped(self, event: events.Mapped) -> None:
        """PTEs came."""
        self.tally(event, event.nr)

    def on_unmapped(self, event: events.Unmapped) -> None:
        """PTEs went."""
        self.tally(event, -event.nr)

    def on_pmd_mapped(self, event: events.PmdMapped) -> None:
        """A PMD entry came."""
        self.tally(event, 1)

    def on_pmd_unmapped(self, event: events.PmdUnmapped) -> None:
        """A PMD entry went."""
        self.tally(event, -1)
