"""references: the reference count of the folio, as copy on write compares it with 1 (v5.8)."""

from __future__ import annotations

from folioshell import events
from folioshell.events import SWAP_CACHE, FolioNew, Rmap
from folioshell.intervals import LongIntervals, ranges, together
from folioshell.schemes.base import Law, Part, PiecesReader, Scheme, Sharing
from folioshell.schemes.cost import Cost, Layout
from folioshell.schemes.order0 import ENTRY_LAWS, Order0Scheme, TallyScheme

_PAGE_CACHE = "page cache"


class References(TallyScheme):
    """``folio_ref_count() == 1``: any other reference may be that of a process that maps the folio.

    Transient references, of paths that look at the folio and of LRU batches, and those of buffers are left out. Memory
    of a file counts as cached until it is freed.
    Kernel: mm/memory.c: do_wp_page() (v5.10); mm/memory.c: wp_can_reuse_anon_folio() (v6.18)

    Attributes:
        _large: large folio -> [its entries].
        _held: holder -> folio -> its references besides those of entries.
    """

    name = "references"
    place = 54
    version = "v5.8, page_count() == 1 in do_wp_page(); folio_ref_count() today"
    about = (
        "Counts references: one an entry, and those of the page cache, of the swap cache and of pins.",
        "Shared unless there is exactly one: caches and pins, and a second PTE of the same process, look shared.",
    )
    state = "nothing of its own: every folio has a reference count"
    laws = (ENTRY_LAWS - {Law.MAPPED_IFF_POSITIVE, Law.ZERO_WHEN_UNMAPPED}) | {Law.FORGETS_HISTORY}

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[str, LongIntervals[int]] = {}

    def on_folio_new(self, event: FolioNew) -> None:
        """The page cache has a reference a page; a piece of a folio in the swap cache is there, too."""
        in_swap = event.origin is not None and event.origin[0] in self._held.get(SWAP_CACHE, ())
        if not event.anon or in_swap:
            holder = SWAP_CACHE if event.anon else _PAGE_CACHE
            self._held.setdefault(holder, LongIntervals()).put(event.folio, event.nr, 1 << event.order)

    def on_folio_freed(self, event: events.FolioFreed) -> None:
        """Forget the folios."""
        super().on_folio_freed(event)
        for held in self._held.values():
            held.drop(event.folio, event.nr)
        self._held = {holder: held for holder, held in self._held.items() if held}

    def on_held(self, event: events.Held) -> None:
        """References of the swap cache, or of pins."""
        held = self._held.setdefault(event.holder, LongIntervals())
        for first, nr in ranges(event.folios):
            held.add(first, nr, event.change)

    def count_large(self, event: Rmap) -> None:
        """A reference an entry."""
        counts = self._large.setdefault(event.folio, [0])
        counts[0] += event.change
        if not counts[0]:
            del self._large[event.folio]

    def _entries(self, folio: int) -> int:
        counts = self._large.get(folio)
        return super().mapcount(folio) if counts is None else counts[0]

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """All references of the folio."""
        return self._entries(folio) + sum(held.get(folio, 0) for held in self._held.values())

    def mapcount_pieces(self, first: int, nr: int) -> list[tuple[int, int, int]]:
        """One row a run of mapped order-0 folios with equal numbers of references."""
        pieces: list[tuple[int, int, int]] = []
        records = [record.pieces(first, nr) for record in (self.small, *self._held.values())]
        for start, length, (entries, *held) in together(*records):
            if entries:
                pieces.append((start, length, entries + sum(amount or 0 for amount in held)))
            else:
                pieces += [(folio, 1, self.mapcount(folio)) for folio in range(start, start + length)]
        return pieces

    def mapcount_reader(self, first: int, nr: int) -> PiecesReader:
        """From a copy of the entries, if these are all references."""
        of = Scheme if self._held else Order0Scheme
        return of.mapcount_reader(self, first, nr)

    def mapped(self, folio: int) -> bool | None:
        """Cannot tell: a reference need not be an entry's."""
        return None

    def shared(self, folio: int, mm: int) -> Sharing:
        """``!= 1``, for every asker."""
        return Sharing.YES if self.mapcount(folio) != 1 else Sharing.NO

    def why(self, folio: int) -> list[Part]:
        """The entries, and each holder in a row."""
        held = [(holder, record.get(folio, 0)) for holder, record in sorted(self._held.items())]
        return [Part(label, amount) for label, amount in (("entries", self._entries(folio)), *held) if amount]

    def bytes_of_state(self, order: int) -> int:
        """None of its own."""
        return 0

    @classmethod
    def cost_of_entries(cls, event: Rmap, layout: Layout) -> Cost:
        """The reference count, once a call."""
        return Cost(atomics=0 if event.new else 1, lines=1)
