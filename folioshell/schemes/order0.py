"""What every scheme makes of order-0 folios: the number of entries that map them.

A VMA maps a page at one address only, so an order-0 folio has as many entries as VMAs and as tuples, and one entry an
rmap call: no definition tells them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

from folioshell import events
from folioshell.errors import KernelBug
from folioshell.intervals import Intervals, ranges
from folioshell.schemes.base import Part, Scheme
from folioshell.schemes.cost import X86_64_LAYOUT, Cost, EntryFact, Layout, is_new, small_cost

#: an event that speaks of one folio, or of order-0 folios in a row
RunFact = TypeVar("RunFact", events.FolioNew, events.FolioFreed)


class Order0Scheme(Scheme, register=False):
    """A scheme that counts the entries of order-0 folios; subclasses count those of large folios.

    Attributes:
        small: mapped order-0 folio -> number of entries, in runs; a folio that is not in it has none.
    """

    def __init__(self) -> None:
        self.small: Intervals[int] = Intervals()

    def on_folio_freed(self, event: events.FolioFreed) -> None:
        """Forget the folio."""
        if not event.order:
            self.small.drop(event.folio, event.nr)

    def on_mapped_small(self, event: events.MappedSmall) -> None:
        """One more entry for each."""
        for first, nr in ranges(event.folios):
            if event.new:
                self.small.put(first, nr, 1)
            else:
                self.small.change(first, nr, _one_more)

    def on_unmapped_small(self, event: events.UnmappedSmall) -> None:
        """One entry fewer for each."""
        for first, nr in ranges(event.folios):
            if not self.small.covers(first, nr):
                unmapped = next(folio for folio in range(first, first + nr) if folio not in self.small)
                raise KernelBug(f"f{unmapped} was unmapped, but nothing maps it", [event])
            self.small.change(first, nr, _one_less)

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """Entries of an order-0 folio; 0 for a large one."""
        return self.small.get(folio, 0)

    def mapcount_pieces(self, first: int, nr: int) -> list[tuple[int, int, int]]:
        """Those of mapped order-0 folios are at hand in runs."""
        pieces: list[tuple[int, int, int]] = []
        for start, length, entries in self.small.pieces(first, nr):
            pieces += [(start, length, entries)] if entries else super().mapcount_pieces(start, length)
        return pieces

    def why(self, folio: int) -> list[Part]:
        """The entries in one row: nothing tells them apart."""
        entries = self.small.get(folio)
        return [Part("PTEs", entries, nr=1)] if entries else []

    @classmethod
    def cost_of(cls, event: events.Event, layout: Layout = X86_64_LAYOUT) -> Cost:
        """One counter in every order-0 folio; what large folios and hooks cost is for subclasses to say."""
        if isinstance(event, events.MappedSmall | events.UnmappedSmall):
            return small_cost(event)
        if isinstance(event, events.Mapped | events.Unmapped | events.PmdMapped | events.PmdUnmapped):
            return cls.cost_of_entries(event, layout)
        return Cost()

    @classmethod
    def cost_of_entries(cls, event: EntryFact, layout: Layout) -> Cost:
        """Entries of a large folio: one counter unless a subclass says otherwise."""
        return Cost(atomics=0 if is_new(event) else 1, lines=1)


def _one_more(entries: int | None) -> int:
    return (entries or 0) + 1


def _one_less(entries: int | None) -> int | None:
    return (entries or 0) - 1 or None


def one_by_one(scheme: Scheme, handler: Callable[[RunFact], None]) -> Callable[[RunFact], None]:
    """The handler of FolioNew or FolioFreed, as it is told of runs: a scheme that keeps none learns of each folio."""
    if isinstance(scheme, Order0Scheme):
        return handler

    def tell(event: RunFact) -> None:
        if event.nr == 1:
            handler(event)
            return
        for folio in range(event.folio, event.folio + event.nr):
            handler(replace(event, folio=folio, nr=1))

    return tell


def share_order0(schemes: Iterable[Scheme]) -> frozenset[Scheme]:
    """Let all schemes that count order-0 folios as Order0Scheme does keep one record of them.

    Returns: those that need not be told of order-0 folios any more, because the first of them is.
    """
    alike = [
        scheme
        for scheme in schemes
        if isinstance(scheme, Order0Scheme)
        and type(scheme).on_mapped_small is Order0Scheme.on_mapped_small
        and type(scheme).on_unmapped_small is Order0Scheme.on_unmapped_small
    ]
    for scheme in alike[1:]:
        scheme.small = alike[0].small
    return frozenset(alike[1:])
