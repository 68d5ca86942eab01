"""zero-one-two-many: a two-bit count of VMAs that stops at many (early 2022)."""

from __future__ import annotations

from folioshell.errors import KernelBug
from folioshell.events import Rmap, Walked
from folioshell.intervals import ranges
from folioshell.schemes.base import Law, Part, Scheme, Sharing
from folioshell.schemes.cost import Reach
from folioshell.schemes.windows import HooklessScheme

MANY = 3
_MASK = 3
_ONE_ENTRY = 4


class ZeroOneTwoMany(HooklessScheme):
    """The "half-baked proposal" that followed the thread on unsharing of December 2021.

    The proposal names no callback for VMA split, merge and mremap, so there is none here. A walk is assumed to find
    what maps the folio after it.

    Attributes:
        small: order-0 folio -> 4 times its entries, plus its counter; not the common record.
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
    laws = HooklessScheme.laws - {Law.UNMAP_UNDOES_MAP}

    def next_number(self, number: int, sign: int) -> int:
        """Two bits hold nothing below Zero, and only a walk undoes Many."""
        return number if number == MANY else max(number + sign, 0)

    def count_small(self, event: Rmap) -> None:
        """One VMA more or fewer for each."""
        for first, nr in ranges(event.folios):
            pieces = self.small.pieces(first, nr)
            if event.sign < 0 and (unmapped := [folio for folio, _, value in pieces if (value or 0) < _ONE_ENTRY]):
                raise KernelBug(f"f{unmapped[0]} was unmapped, but nothing maps it", [event])
            self.small.change(first, nr, self._one_more if event.sign > 0 else self._one_less)

    def _one_more(self, value: int | None) -> int:
        value = value or 0
        return (value & ~_MASK) + _ONE_ENTRY + self.next_number(value & _MASK, 1)

    def _one_less(self, value: int | None) -> int | None:
        value = value or 0
        return (value & ~_MASK) - _ONE_ENTRY + self.next_number(value & _MASK, -1) or None

    def on_walked(self, event: Walked) -> None:
        """A walk that finds fewer than Many corrects the counter."""
        folio = event.folio
        if self._counters.get(folio) == MANY:
            self._counters[folio] = min(self.record.number(folio, self.reach), MANY)
        elif event.nr > 1 or self.small.get(folio, 0) & _MASK == MANY:
            self.small.change(folio, event.nr, _corrected)

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """0, 1, 2, or 3 for Many."""
        return self._counters.get(folio, 0) or self.small.get(folio, 0) & _MASK

    def mapcount_pieces(self, first: int, nr: int) -> list[tuple[int, int, int]]:
        """One row a run of order-0 folios."""
        pieces: list[tuple[int, int, int]] = []
        for start, length, value in self.small.pieces(first, nr):
            pieces += [(start, length, value & _MASK)] if value else Scheme.mapcount_pieces(self, start, length)
        return pieces

    def shared(self, folio: int, mm: int) -> Sharing:
        """Two or Many."""
        return Sharing.YES if self.mapcount(folio) > 1 else Sharing.NO

    def why(self, folio: int) -> list[Part]:
        """The state of the counter in one row, and the VMAs that a walk would find."""
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


def _corrected(value: int | None) -> int | None:
    """What a walk leaves of the entries and the counter of a folio."""
    entries = (value or 0) // _ONE_ENTRY
    return entries * _ONE_ENTRY + min(entries, MANY) or None if value and value & _MASK == MANY else value
