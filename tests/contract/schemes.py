"""Definitions that are right, and definitions that are wrong on purpose."""

from __future__ import annotations

from collections import Counter

from folioshell import events
from folioshell.schemes.base import Answer, Law, Part, Scheme, Sharing
from folioshell.schemes.order0 import Order0Scheme


class Oracle(Scheme, register=False):
    """Remembers every entry, and so knows everything: what no kernel could afford.

    Attributes:
        _pages: folio -> (mm, page) -> entries.
    """

    name = "oracle"
    version = "none"
    about = ("Remembers every entry of every page.", "Shared if entries of two address spaces are among them.")
    state = "everything"
    laws = frozenset(Law) - {Law.IGNORES_PMD_SPLIT}

    def __init__(self) -> None:
        self._pages: dict[int, Counter[tuple[int, int]]] = {}
        self._orders: dict[int, int] = {}
        self._pmds: Counter[int] = Counter()

    def on_folio_new(self, event: events.FolioNew) -> None:
        for folio in event.folios:
            self._orders[folio] = event.order

    def on_folio_freed(self, event: events.FolioFreed) -> None:
        for folio in event.folios:
            self._pages.pop(folio, None)
            self._orders.pop(folio, None)
            self._pmds.pop(folio, None)

    def _add(self, folio: int, mm: int, pages: range, delta: int) -> None:
        counts = self._pages.setdefault(folio, Counter())
        for page in pages:
            counts[mm, page] += delta
        self._pages[folio] = +counts

    def on_mapped(self, event: events.Mapped) -> None:
        for folio in event.folios:
            self._add(folio, event.mm, range(event.first, event.first + event.nr), event.sign)
            self._pmds[folio] += event.sign * (event.level is events.Level.PMD)

    def on_unmapped(self, event: events.Unmapped) -> None:
        for folio in event.folios:
            self._add(folio, event.mm, range(event.first, event.first + event.nr), event.sign)
            self._pmds[folio] += event.sign * (event.level is events.Level.PMD)

    def mapcount(self, folio: int, page: int | None = None) -> int:
        """Entries."""
        pmds = self._pmds[folio]
        return self._pages.get(folio, Counter()).total() - pmds * ((1 << self._orders.get(folio, 0)) - 1)

    def mapcounts(self, folios: object) -> list[int]:
        """As one by one."""
        return [self.mapcount(folio) for folio in folios]  # type: ignore[attr-defined]

    def shared(self, folio: int, mm: int) -> Sharing:
        """Two address spaces."""
        return Sharing.YES if len({mm for mm, _ in self._pages.get(folio, ())}) > 1 else Sharing.NO

    def partially_mapped(self, folio: int) -> Answer:
        """Some pages, not all."""
        pages = {page for _, page in self._pages.get(folio, ())}
        return Answer.of(0 < len(pages) < 1 << self._orders.get(folio, 0))

    def page_mapcount(self, folio: int, page: int) -> int:
        """Entries of a page."""
        return sum(count for (_, at), count in self._pages.get(folio, Counter()).items() if at == page)

    def why(self, folio: int) -> list[Part]:
        """In one row."""
        number = self.mapcount(folio)
        return [Part("entries", number)] if number else []

    def bytes_of_state(self, order: int) -> int:
        """A lot."""
        return 64 << order


class Constant(Order0Scheme, register=False):
    """Is always sure that a folio is not shared, and counts nothing of a large one."""

    name = "constant"
    version = "none"
    about = ("Counts order-0 folios only.", "Never shared.")
    state = "nothing"
    laws = frozenset({Law.DECIDES, Law.ZERO_WHEN_UNMAPPED})

    def shared(self, folio: int, mm: int) -> Sharing:
        """No."""
        return Sharing.NO

    def bytes_of_state(self, order: int) -> int:
        """One."""
        return 1
