"""zero-one-two-many: a two-bit count of VMAs that stops at many (early 2022)."""

from __future__ import annotations

from folioshell.events import FolioFreed, Rmap, Walked
from folioshell.intervals import LongIntervals, ranges, together
from folioshell.schemes.base import Law, Part, PiecesReader, Scheme, Sharing
from folioshell.schemes.cost import Reach
from folioshell.schemes.windows import HooklessScheme

MANY = 3


class ZeroOneTwoMany(HooklessScheme):
    """The "half-baked proposal" that followed the thread on unsharing of December 2021.

    The proposal names no callback for VMA split, merge and mremap, so there is none here. A walk is assumed to find
    what maps the folio after it.

    Attributes:
        _small_counters: order-0 folio -> its counter, in runs; 0 is not kept.
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
    shares_small = True
    laws = HooklessScheme.laws - {Law.UNMAP_UNDOES_MAP}

    def __init__(self) -> None:
        super().__init__()
        self._small_counters: LongIntervals[int] = LongIntervals()

    def on_folio_freed(self, event: FolioFreed) -> None:
        """Forget the folios."""
        super().on_folio_freed(event)
        if not event.order:
            self._small_counters.drop(event.folio, event.nr)

    def next_number(self, number: int, sign: int) -> int:
        """Two bits hold nothing below Zero, and only a walk undoes Many."""
        return number if number == MANY else max(number + sign, 0)

    def count_small(self, event: Rmap) -> None:
        """One VMA more or fewer for each."""
        super().count_small(event)
        for first, nr in ranges(event.folios):
            self._small_counters.change(first, nr, lambda number: self.next_number(number or 0, event.sign) or None)

    def on_walked(self, event: Walked) -> None:
        """A walk that finds fewer than Many corrects the counter."""
        folio = event.folio
        if self._counters.get(folio) == MANY:
            self._counters[folio] = min(self.record.number(folio, self.reach), MANY)
        elif event.nr > 1 or self._small_counters.get(folio) == MANY:
            found = self.small.pieces(folio, event.nr), self._small_counters.pieces(folio, event.nr)
            for first, nr, (entries, number) in together(*found):
                if number == MANY and entries:
                    self._small_counters.put(first, nr, min(entries, MANY))
                elif number == MANY:
                    self._small_counters.drop(first, nr)

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """0, 1, 2, or 3 for Many."""
        return self._counters.get(folio, 0) or self._small_counters.get(folio, 0)

    def mapcount_pieces(self, first: int, nr: int) -> list[tuple[int, int, int]]:
        """One row a run of order-0 folios."""
        pieces: list[tuple[int, int, int]] = []
        for start, length, number in self._small_counters.pieces(first, nr):
            pieces += [(start, length, number)] if number else Scheme.mapcount_pieces(self, start, length)
        return pieces

    def mapcount_reader(self, first: int, nr: int) -> PiecesReader:
        """From a copy of the counters, if none of these folios has 0 or is a large one."""
        return self._small_counters.reader(first, nr) or Scheme.mapcount_reader(self, first, nr)

    def shared(self, folio: int, mm: int) -> Sharing:
        """Two or Many."""
        return Sharing.YES if self.mapcount(folio) > 1 else Sharing.NO

    def why(self, folio: int) -> list[Part]:
        """The state of the counter in one row, and the VMAs that a walk would find."""
        number = self.mapcount(folio)
        found = self.record.number(folio, self.reach) or self.small.get(folio, 0)
        if not number and not found:
            return []
        states = ("Zero", "One", "Two", "Many")
        return [Part(states[number], number), Part(f"VMAs that a walk would find: {found}", 0)]

    def bytes_of_state(self, order: int) -> int:
        """Two bits, rounded up to a byte."""
        return 1
