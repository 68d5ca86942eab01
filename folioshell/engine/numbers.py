"""The numbers that folios have under many schemes at once: a row a folio, a column a scheme."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeGuard

from folioshell.schemes.base import Scheme
from folioshell.schemes.order0 import Order0Scheme

Row = tuple[int, ...]


class Numbers:
    """Reads rows of numbers; schemes that keep one record of order-0 folios are read once for all of them.

    Args:
        schemes: the columns, from left to right.
        covered: those that share the order-0 record of another one, as ``share_order0`` returned them.
    """

    def __init__(self, schemes: Sequence[Scheme], covered: Collection[Scheme]) -> None:
        self._columns = [scheme.mapcount for scheme in schemes]
        record = next((scheme.small for scheme in covered if isinstance(scheme, Order0Scheme)), None)
        self._entries: dict[int, int] = {} if record is None else record
        alike = [_counts_entries(scheme) and scheme.small is record for scheme in schemes]
        self._others = [scheme.mapcounts for scheme, is_alike in zip(schemes, alike, strict=True) if not is_alike]
        self._order0 = _Order0Rows(alike)
        #: the row of a folio that nothing maps
        self.zeros: Row = (0,) * len(schemes)

    def rows(self, folios: Sequence[int]) -> list[Row]:
        """The rows of folios; equal rows of order-0 folios are one object."""
        columns, order0 = self._columns, self._order0
        keys = zip(map(self._entries.get, folios), *(numbers(folios) for numbers in self._others), strict=True)
        return [
            order0[key] if key[0] else tuple([number(folio) for number in columns])
            for folio, key in zip(folios, keys, strict=True)
        ]


def _counts_entries(scheme: Scheme) -> TypeGuard[Order0Scheme]:
    """Is its number of an order-0 folio the number of entries?"""
    return isinstance(scheme, Order0Scheme) and type(scheme).mapcounts is Order0Scheme.mapcounts


class _Order0Rows(dict[tuple[int | None, ...], Row]):
    """(number of the schemes that count alike, numbers of the others) -> the whole row, made once."""

    def __init__(self, alike: Sequence[bool]) -> None:
        super().__init__()
        self._alike = alike

    def __missing__(self, key: tuple[int | None, ...]) -> Row:
        entries, *rest = [number or 0 for number in key]
        others = iter(rest)
        row = self[key] = tuple([entries if is_alike else next(others) for is_alike in self._alike])
        return row
