"""The numbers of folios in many schemes at once: a row a run of folios, a column a scheme; now, and before a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeGuard

from folioshell import events
from folioshell.intervals import Intervals, LongIntervals, ranges, together, union
from folioshell.schemes.base import Scheme
from folioshell.schemes.order0 import Order0Scheme

Row = tuple[int, ...]
RowsReader = Callable[[], list[tuple[int, int, Row]]]


class Numbers:
    """Reads rows of numbers; schemes that share the record of order-0 folios are read once for all of them.

    Args:
        schemes: the columns, from left to right.
        small: the shared record of order-0 folios.
    """

    def __init__(self, schemes: Sequence[Scheme], small: LongIntervals[int] | None) -> None:
        self._columns = [scheme.mapcount for scheme in schemes]
        self._entries: LongIntervals[int] = LongIntervals() if small is None else small
        alike = [_counts_entries(scheme) and scheme.small is small for scheme in schemes]
        self._others = [scheme for scheme, is_alike in zip(schemes, alike, strict=True) if not is_alike]
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
        columns = self._columns
        rows: list[tuple[int, int, Row]] = []
        for is_mapped, alike in groupby(self._entries.pieces(first, nr), key=_is_mapped):
            mapped = [*alike]
            start, length = mapped[0][0], mapped[-1][0] + mapped[-1][1] - mapped[0][0]
            if is_mapped:
                rows += self._rows(mapped, [scheme.mapcount_pieces(start, length) for scheme in self._others])
            else:
                numbers = range(start, start + length)
                rows += [(folio, 1, tuple([number(folio) for number in columns])) for folio in numbers]
        return rows

    def reader(self, first: int, nr: int) -> RowsReader:
        """Gives later what ``pieces`` gives now; worked out then, if all folios are of order 0 and mapped."""
        entries = self._entries.reader(first, nr)
        if entries is None:
            pieces = self.pieces(first, nr)
            return lambda: pieces
        others = [scheme.mapcount_reader(first, nr) for scheme in self._others]
        return lambda: self._rows(entries(), [reader() for reader in others])

    def _rows(
        self, mapped: Sequence[tuple[int, int, int | None]], others: Sequence[Sequence[tuple[int, int, int]]]
    ) -> list[tuple[int, int, Row]]:
        """Rows of order-0 folios, from the pieces of their entries, and of their numbers in the other schemes."""
        order0 = self._order0
        if others:
            return [(at, run, order0[key]) for at, run, key in together(mapped, *others)]
        return [(at, run, order0[(entries,)]) for at, run, entries in mapped if entries]


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
        callbacks: event class -> what notes the folios of such an event.
    """

    def __init__(self) -> None:
        self._rows: Intervals[Row] = Intervals()
        #: notes of many folios, which become rows when someone asks for them; and whose they are
        self._notes: list[RowsReader] = []
        self._noted: Intervals[bool] = Intervals()
        self._numbers: Numbers | None = None
        self.callbacks: Mapping[type, Callable[[Any], None]] = {
            events.FolioNew: self._on_new,
            events.Mapped: self._on_rmap,
            events.Unmapped: self._on_rmap,
            events.Moved: self._on_moved,
            events.VmaSplit: self._on_straddling,
            events.VmaMerged: self._on_straddling,
        }

    @property
    def rows(self) -> Intervals[Row]:
        """Folio -> its numbers before the step, in the order of the noted schemes."""
        notes, self._notes, self._noted = self._notes, [], Intervals()
        for note in notes:
            for first, nr, row in note():
                self._rows.put(first, nr, row)
        return self._rows

    def touched(self) -> Iterator[range]:
        """The numbers of the folios that the step is about."""
        rows = self._rows
        for first, nr, _ in union(rows, self._noted).runs() if self._noted else rows.runs():
            yield range(first, first + nr)

    def note(self, numbers: Numbers | None) -> None:
        """Note these numbers from the next step on; None to note only which folios a step is about."""
        self._numbers = numbers

    def begin(self) -> None:
        """A step begins."""
        self._rows = Intervals()
        if self._noted:
            self._notes, self._noted = [], Intervals()

    def _on_new(self, event: events.FolioNew) -> None:
        self._rows.put(event.folio, event.nr, () if self._numbers is None else self._numbers.zeros)

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
        rows, noted, numbers = self._rows, self._noted, self._numbers
        if nr == 1:
            if first not in rows and first not in noted:
                rows.put(first, 1, () if numbers is None else numbers.row(first))
            return
        for at, length, row in rows.pieces(first, nr):
            for start, rest, known in noted.pieces(at, length) if row is None else ():
                if not known and numbers is None:
                    rows.put(start, rest, ())
                elif not known and numbers is not None:
                    self._notes.append(numbers.reader(start, rest))
                    noted.put(start, rest, True)
