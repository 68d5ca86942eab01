"""The numbers that folios have under many schemes at once: a row a run of folios, a column a scheme."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeGuard

from folioshell.intervals import Intervals, together
from folioshell.schemes.base import Scheme
from folioshell.schemes.order0 import Order0Scheme

Row = tuple[int, ...]


class Numbers:
    """Reads rows of numbers; schemes that keep one record of order-0 folios are read once for all of them.

    Args:
        schemes: the columns, from left to right.
        covered: all that share the order-0 record of another one, as ``share_order0`` returned them.
    """

    def __init__(self, schemes: Sequence[Scheme], covered: Collection[Scheme]) -> None:
        self._columns = [scheme.mapcount for scheme in schemes]
        record = next((scheme.small for scheme in covered if isinstance(scheme, Order0Scheme)), None)
        self._entries: Intervals[int] = Intervals() if record is None else record
        alike = [_counts_entries(scheme) and scheme.small is record for scheme in schemes]
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
        for start, length, entries in self._entries.pieces(first, nr):
            if not entries:
                numbers = range(start, start + length)
                rows += [(folio, 1, tuple([number(folio) for number in columns])) for folio in numbers]
                continue
            others = [pieces(start, length) for pieces in self._others]
            rows += [(at, run, order0[key]) for at, run, key in together([(start, length, entries)], *others)]
        return rows


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
