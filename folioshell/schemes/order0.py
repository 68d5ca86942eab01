"""What every scheme makes of order-0 folios: the number of entries that map them.

A VMA maps a page at one address only, so an order-0 folio has as many entries as VMAs and as tuples, and one entry an
rmap call: no two schemes differ there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from folioshell import events
from folioshell.errors import KernelBug
from folioshell.events import Rmap
from folioshell.intervals import LongIntervals, ranges
from folioshell.schemes.base import Law, Part, PiecesReader, Scheme
from folioshell.schemes.cost import X86_64_LAYOUT, Cost, Layout, small_cost

#: what holds for every scheme that counts entries, and decides without a false negative
ENTRY_LAWS = frozenset(
    {
        Law.NEVER_FALSE_NEGATIVE,
        Law.DECIDES,
        Law.MAPPED_IFF_POSITIVE,
        Law.ZERO_WHEN_UNMAPPED,
        Law.UNMAP_UNDOES_MAP,
        Law.BATCHING_IS_IRRELEVANT,
        Law.IGNORES_VMA_SPLIT,
        Law.IGNORES_MOVE,
        Law.ONE_IS_EXCLUSIVE,
    }
)


class Order0Scheme(Scheme, register=False):
    """A scheme that counts the entries of order-0 folios; subclasses count those of large folios.

    Attributes:
        small: mapped order-0 folio -> number of entries, in runs; an unmapped folio is not in it.
        reads_small: another scheme writes ``small``.
    """

    #: overrides count_small(), and may read the common record of entries for it
    shares_small: ClassVar[bool] = False

    def __init__(self) -> None:
        self.small: LongIntervals[int] = LongIntervals()
        self.reads_small = False

    def on_folio_freed(self, event: events.FolioFreed) -> None:
        """Forget the folios."""
        if event.order:
            self.forget_large(event.folio)
        else:
            self.small.drop(event.folio, event.nr)

    def on_mapped(self, event: events.Mapped) -> None:
        """One more entry for each order-0 folio."""
        if event.order:
            self.count_large(event)
        else:
            self.count_small(event)

    def on_unmapped(self, event: events.Unmapped) -> None:
        """One entry fewer for each order-0 folio."""
        if event.order:
            self.count_large(event)
        else:
            self.count_small(event)

    def count_large(self, event: Rmap) -> None:
        """Entries of a large folio were added or removed: subclasses count them."""

    def forget_large(self, folio: int) -> None:
        """A large folio is gone."""

    def count_small(self, event: Rmap) -> None:
        """Entries of order-0 folios were added or removed.

        Raises:
            KernelBug: nothing maps one of the unmapped folios.
        """
        if self.reads_small:
            return
        for first, nr in ranges(event.folios):
            if event.new:
                self.small.put(first, nr, 1)
                continue
            try:
                self.small.add(first, nr, event.sign)
            except ValueError:
                unmapped = next(folio for folio in range(first, first + nr) if folio not in self.small)
                raise KernelBug(f"f{unmapped} was unmapped, but nothing maps it", [event]) from None

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """Entries of an order-0 folio; 0 for a large one."""
        return self.small.get(folio, 0)

    def mapcount_pieces(self, first: int, nr: int) -> list[tuple[int, int, int]]:
        """One row a run of mapped order-0 folios."""
        pieces: list[tuple[int, int, int]] = []
        for start, length, entries in self.small.pieces(first, nr):
            pieces += [(start, length, entries)] if entries else super().mapcount_pieces(start, length)
        return pieces

    def mapcount_reader(self, first: int, nr: int) -> PiecesReader:
        """From a copy of the entries, if all of these folios are mapped and of order 0."""
        return self.small.reader(first, nr) or super().mapcount_reader(first, nr)

    def why(self, folio: int) -> list[Part]:
        """The entries in one row: nothing tells them apart."""
        entries = self.small.get(folio)
        return [Part("PTEs", entries, nr=1)] if entries else []

    @classmethod
    def cost_of(cls, event: events.Event, layout: Layout = X86_64_LAYOUT) -> Cost:
        """One counter in every order-0 folio; subclasses say what large folios and other callbacks cost."""
        if not isinstance(event, Rmap):
            return Cost()
        return cls.cost_of_entries(event, layout) if event.order else small_cost(event)

    @classmethod
    def cost_of_entries(cls, event: Rmap, layout: Layout) -> Cost:
        """Entries of a large folio: one counter unless a subclass says otherwise."""
        return Cost(atomics=0 if event.new else 1, lines=1)


class TallyScheme(Order0Scheme, register=False):
    """A scheme to which it matters how many entries an address space adds or removes, not which pages they map.

    Attributes:
        _large: large folio -> its numbers; an unknown folio is not in it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._large: dict[int, list[int]] = {}

    def forget_large(self, folio: int) -> None:
        """Forget the folio."""
        self._large.pop(folio, None)


def share_order0(schemes: Iterable[Scheme]) -> Iterator[Scheme]:
    """Let all schemes that count the entries of order-0 folios share the record of the first that counts nothing else.

    One that counts more has its own, unless it says ``shares_small``: others, from files, might spoil the common one.

    Yields: those that need no events about order-0 folios any more.
    """
    ours = [scheme for scheme in schemes if isinstance(scheme, Order0Scheme)]
    alike = [scheme for scheme in ours if counts_order0_entries(type(scheme))]
    for scheme in ours:
        if alike and scheme is not alike[0] and (scheme in alike or scheme.shares_small):
            scheme.small, scheme.reads_small = alike[0].small, True
    yield from alike[1:]


def counts_order0_entries(kind: type[Scheme]) -> bool:
    """Is the number of entries all that such a scheme keeps of an order-0 folio?"""
    names = ("on_mapped", "on_unmapped", "count_small")
    return all(getattr(kind, name, None) is getattr(Order0Scheme, name) for name in names)
