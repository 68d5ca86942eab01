"""zero-one-two-many: a two-bit count of VMAs that stops at many (early 2022)."""

from __future__ import annotations

from folioshell import events
from folioshell.errors import KernelBug
from folioshell.intervals import ranges
from folioshell.schemes.base import Law, Part, Scheme, Sharing
from folioshell.schemes.cost import Reach
from folioshell.schemes.hookless import HooklessScheme

MANY = 3
_MASK = 3
_ONE_ENTRY = 4


class ZeroOneTwoMany(HooklessScheme):
    """The "half-baked proposal" that followed the thread on unsharing of December 2021.

    The proposal names no hook on VMA split, merge and mremap, and so there is none here. A walk is taken to see what
    maps the folio once it is over.

    Attributes:
        small: order-0 folio -> its entries, times 4, and its counter in the two low bits; not the common record.
    """

    name = "zero-one-two-many"
    place = 8
    version = "the mail of early 2022 on mapcounts of Zero, One, Two and Many"
    about = (
        "Counts the VMAs that map a page of the folio up to 2; a third makes it Many, which only a walk undoes.",
        "One is exclusive, Two and Many are shared: a folio that was once mapped by three stays shared.",
    )
    state = "two bits"
    reach = Reach.VMA
    laws = frozenset(
        {
            Law.DECIDES,
            Law.BATCHING_IS_IRRELEVANT,
            Law.IGNORES_VMA_SPLIT,
            Law.IGNORES_PMD_SPLIT,
            Law.IGNORES_MOVE,
        }
    )

    def _up(self, folio: int) -> None:
        number = self._counters.get(folio, 0)
        if number < MANY:
            self._counters[folio] = number + 1

    def _down(self, folio: int) -> None:
        # Never below Zero: two bits have nothing there.
        number = self._counters.get(folio, 0)
        if 0 < number < MANY:
            self._counters[folio] = number - 1

    def on_mapped_small(self, event: events.MappedSmall) -> None:
        """One VMA more for each, up to Many."""
        for first, nr in ranges(event.folios):
            self.small.change(first, nr, _one_more)

    def on_unmapped_small(self, event: events.UnmappedSmall) -> None:
        """One VMA fewer for each, except from Many."""
        for first, nr in ranges(event.folios):
            for folio, _, value in self.small.pieces(first, nr):
                if (value or 0) < _ONE_ENTRY:
                    raise KernelBug(f"f{folio} was unmapped, but nothing maps it", [event])
            self.small.change(first, nr, _one_less)

    def on_walked(self, event: events.Walked) -> None:
        """A walk that finds fewer than Many says how many there are."""
        folio = event.folio
        if self._counters.get(folio) == MANY:
            self._counters[folio] = min(self.record.number(folio, self.reach), MANY)
        elif (value := self.small.get(folio, 0)) & _MASK == MANY:
            entries = value // _ONE_ENTRY
            if entries:
                self.small.put(folio, 1, entries * _ONE_ENTRY + min(entries, MANY))
            else:
                self.small.drop(folio)

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """0, 1, 2, or 3 for Many."""
        return self._counters.get(folio, 0) or self.small.get(folio, 0) & _MASK

    def mapcount_pieces(self, first: int, nr: int) -> list[tuple[int, int, int]]:
        """Those of order-0 folios are at hand in runs."""
        pieces: list[tuple[int, int, int]] = []
        for start, length, value in self.small.pieces(first, nr):
            pieces += [(start, length, value & _MASK)] if value else Scheme.mapcount_pieces(self, start, length)
        return pieces

    def shared(self, folio: int, mm: int) -> Sharing:
        """Two or Many."""
        return Sharing.YES if self.mapcount(folio) > 1 else Sharing.NO

    def why(self, folio: int) -> list[Part]:
        """The state of the counter in one row, and how far that is from the VMAs that there are."""
        number = self.mapcount(folio)
        entries = self.small.get(folio, 0) // _ONE_ENTRY
        found = self.record.number(folio, self.reach) or entries
        if not number and not found:
            return []
        states = ("Zero", "One", "Two", "Many")
        return [Part(states[number], number), Part(f"VMAs that a walk would find: {found}", 0)]

    def bytes_of_state(self, order: int) -> int:
        """Two bits, rounded up to a byte."""
        return 1


def _one_more(value: int | None) -> int:
    value = value or 0
    return value + (_ONE_ENTRY if value & _MASK == MANY else _ONE_ENTRY + 1)


def _one_less(value: int | None) -> int | None:
    value = (value or 0) - _ONE_ENTRY
    return (value if value & _MASK == MANY else value - 1) or None
