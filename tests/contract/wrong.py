"""Schemes that claim never to answer "no" wrongly, each with one mistake that few processes do not show."""

from __future__ import annotations

from folioshell import events
from folioshell.schemes.base import Law, Part, Sharing
from folioshell.schemes.mm_slots import MmSlots
from folioshell.schemes.order0 import TallyScheme


class WrongScheme(TallyScheme, register=False):
    """Counts entries of large folios; subclasses judge.

    Attributes:
        _large: large folio -> [entries].
    """

    version = "none"
    about = ("Counts something of every large folio.", "Wrong on purpose.")
    state = "a few bytes"
    laws = frozenset({Law.NEVER_FALSE_NEGATIVE, Law.MAPPED_IFF_POSITIVE})

    def count_large(self, event: events.Rmap) -> None:
        self._large.setdefault(event.folio, [0])[0] += event.change

    def mapcount(self, folio: int, page: int | None = None) -> int:
        counts = self._large.get(folio)
        return super().mapcount(folio) if counts is None else counts[0]

    def shared(self, folio: int, mm: int) -> Sharing:
        return Sharing.YES if self.mapcount(folio) > 1 else Sharing.NO

    def why(self, folio: int) -> list[Part]:
        return [Part("entries", self.mapcount(folio))]

    def bytes_of_state(self, order: int) -> int:
        return 16


class HashedWord(WrongScheme, register=False):
    """A 64-bit word with one hashed bit an mm, cleared when the entries reach 0: one bit is taken for one mm."""

    name = "hashed-word"

    def count_large(self, event: events.Rmap) -> None:
        entries, word = self._large.get(event.folio, (0, 0))
        entries += event.change
        word |= 1 << (event.mm * 0x61C88647 >> 7) % 64
        self._large[event.folio] = [entries, word if entries else 0]

    def shared(self, folio: int, mm: int) -> Sharing:
        if folio not in self._large:
            return super().shared(folio, mm)
        return Sharing.YES if self._large[folio][1].bit_count() > 1 else Sharing.NO


class Saturating(WrongScheme, register=False):
    """An 8-bit count of entries: it stays at 255, and goes down from there."""

    name = "saturating"

    def count_large(self, event: events.Rmap) -> None:
        counts = self._large.setdefault(event.folio, [0])
        counts[0] = max(min(counts[0] + event.change, 255), 0)


class FirstVma(WrongScheme, register=False):
    """Counts mms by the first VMA of each through which it maps the folio; a second one is ignored."""

    name = "first-vma"

    def __init__(self) -> None:
        super().__init__()
        self._vmas: dict[int, dict[int, list[int]]] = {}

    def forget_large(self, folio: int) -> None:
        self._vmas.pop(folio, None)

    def count_large(self, event: events.Rmap) -> None:
        vmas = self._vmas.setdefault(event.folio, {})
        counted = vmas.setdefault(event.mm, [event.vma, 0])
        if counted[0] == event.vma:
            counted[1] += event.change
        if counted[1] <= 0:
            del vmas[event.mm]

    def mapcount(self, folio: int, page: int | None = None) -> int:
        return len(self._vmas[folio]) if folio in self._vmas else super().mapcount(folio)


class BareSlots(WrongScheme, register=False):
    """Two slots without a SHARED bit: an mm that leaves a slot and comes back hides one that never had a slot."""

    name = "bare-slots"

    def __init__(self) -> None:
        super().__init__()
        self._slots: dict[int, MmSlots] = {}

    def forget_large(self, folio: int) -> None:
        super().forget_large(folio)
        self._slots.pop(folio, None)

    def count_large(self, event: events.Rmap) -> None:
        super().count_large(event)
        slots = self._slots.setdefault(event.folio, MmSlots())
        (slots.add if event.sign > 0 else slots.sub)(event.mm, event.entries, self.mapcount(event.folio))

    def shared(self, folio: int, mm: int) -> Sharing:
        if folio not in self._slots:
            return super().shared(folio, mm)
        return Sharing.YES if all(self._slots[folio].ids) else Sharing.NO


class StaleOwner(WrongScheme, register=False):
    """The owner's entries are to be cleared when it exits, and are not: a later process gets its MM-ID."""

    name = "stale-owner"

    def count_large(self, event: events.Rmap) -> None:
        total, owner, own = self._large.get(event.folio, (0, event.mm, 0))
        if event.mm == owner and event.sign > 0:
            own += event.change
        self._large[event.folio] = [total + event.change, owner, own]

    def shared(self, folio: int, mm: int) -> Sharing:
        if folio not in self._large:
            return super().shared(folio, mm)
        total, _, own = self._large[folio]
        return Sharing.YES if total > own else Sharing.NO


WRONG = (HashedWord, Saturating, FirstVma, BareSlots, StaleOwner)
