"""The numbers of folios in many schemes at once: a row a run of folios, a column a scheme; now, and before a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeGuard

from folioshell import events
from folioshell.intervals import Intervals, ranges, together
from folioshell.schemes.base import Scheme
from folioshell.schemes.order0 import Order0Scheme

Row = tuple[int, ...]


class Numbers:
    """Reads rows of numbers; schemes that share the record of order-0 folios are read once for all of them.

    Args:
        schemes: the columns, from left to right.
        small: the shared record of order-0 folios.
    """

    def __init__(self, schemes: Sequence[Scheme], small: Intervals[int] | None) -> None:
        self._columns = [scheme.mapcount for scheme in schemes]
        self._entries: Intervals[int] = Intervals() if small is None else small
        alike = [_counts_entries(scheme) and scheme.small is small for scheme in schemes]
        self._others = [scheme.mapcount_pieces for scheme, is_alike in zip(schemes, alike, strict=True) if not is_alike]
        self._apart = [number for number, is_alike in zip(self._columns, alike, strict=True) if not is_alike]
        self._order0 = _Order0Rows(alike)
        #: the row of a folio that nothing maps
        self.zeros: Row = (0,) * len(schemes)

    def row(self, folio: int) -> Row:
        """The row of one folio."""
        entries = self._entries.get(folio)
        if not entries:
            return tuple([number(folio) for number in self._columns])
        return self._order0[entries, *[number(folio) for number in self._apart]]

    def pieces(self, first: int, nr: int) -> list[tuple[int, int, Row]]:
        """(first, nr, row) of the folios ``[first, first + nr)``; equal rows of order-0 folios are one object."""
        columns, order0 = self._columns, self._order0
        rows: list[tuple[int, int, Row]] = []
        for is_mapped, alike in groupby(self._entries.pieces(first, nr), key=_is_mapped):
            mapped = [*alike]
            start, length = mapped[0][0], mapped[-1][0] + mapped[-1][1] - mapped[0][0]
            if not is_mapped:
                numbers = range(start, start + length)
                rows += [(folio, 1, tuple([number(folio) for number in columns])) for folio in numbers]
            elif self._others:
                others = [pieces(start, length) for pieces in self._others]
                rows += [(at, run, order0[key]) for at, run, key in together(mapped, *others)]
            else:
                rows += [(at, run, order0[(entries,)]) for at, run, entries in mapped if entries]
        return rows


def _is_mapped(piece: tuple[int, int, int | None]) -> bool:
    """Is it a piece of order-0 folios that are mapped?"""
    return bool(piece[2])


def _counts_entries(scheme: Scheme) -> TypeGuard[Order0Scheme]:
    """Is its number of an order-0 folio the number of entries?"""
    return isinstance(scheme, Order0Scheme) and type(scheme).mapcount_pieces is Order0Scheme.mapcount_pieces


class _Order0Rows(dict[tuple[int, ...], Row]):
    """(number of the schemes that count alike, numbers of the others) -> the whole row, made once."""

    def __init__(self, alike: Sequence[bool]) -> None:
        super().__init__()
        self._alike = alike

    def __missing__(self, key: tuple[int, ...]) -> Row:
        entries, *rest = key
        others = iter(rest)
        row = self[key] = tuple([entries if is_alike else next(others) for is_alike in self._alike])
        return row


class NumbersBefore:
    """The numbers of folios before a step, noted when its first event about them comes.

    Attributes:
        rows: folio -> its numbers before the step, in the order of the noted schemes.
        callbacks: event class -> what notes the folios of such an event.
    """

    def __init__(self) -> None:
        self.rows: Intervals[Row] = Intervals()
        self._numbers: Numbers | None = None
        self.callbacks: Mapping[type, Callable[[Any], None]] = {
            events.FolioNew: self._on_new,
            events.Mapped: self._on_rmap,
            events.Unmapped: self._on_rmap,
            events.Moved: self._on_moved,
            events.VmaSplit: self._on_straddling,
            events.VmaMerged: self._on_straddling,
        }

    def note(self, numbers: Numbers | None) -> None:
        """Note these numbers from the next step on; None to note only which folios a step is about."""
        self._numbers = numbers

    def begin(self) -> None:
        """A step begins."""
        self.rows = Intervals()

    def _on_new(self, event: events.FolioNew) -> None:
        self.rows.put(event.folio, event.nr, () if self._numbers is None else self._numbers.zeros)

    def _on_rmap(self, event: events.Rmap) -> None:
        if event.order:
            self._note(event.folio, 1)
        elif not event.new:
            # New folios were noted by FolioNew.
            for first, nr in ranges(event.folios):
                self._note(first, nr)

    def _on_moved(self, event: events.Moved) -> None:
        self._note(event.folio, 1)

    def _on_straddling(self, event: events.VmaSplit | events.VmaMerged) -> None:
        for folio, _ in event.straddling:
            self._note(folio, 1)

    def _note(self, first: int, nr: int) -> None:
        rows, numbers = self.rows, self._numbers
        if numbers is None:
            rows.put(first, nr, ())
        elif nr == 1:
            if first not in rows:
                rows.put(first, 1, numbers.row(first))
        else:
            for start, length, known in rows.pieces(first, nr):
                if known is None:
                    for at, run, row in numbers.pieces(start, length):
                        rows.put(at, run, row)
