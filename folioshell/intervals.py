"""Values of consecutive numbers, kept as runs: what a million folios have in common is one row."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar, overload

V = TypeVar("V")
D = TypeVar("D")


class Intervals(Generic[V]):
    """A mapping of integers to values; consecutive integers with equal values are one run.

    A run is found by bisection, and inserting one moves those after it: cheap for few runs, and never worse than a
    list with one value per number.
    """

    __slots__ = ("_ends", "_starts", "_values")

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._values: list[V] = []

    @overload
    def get(self, number: int) -> V | None: ...
    @overload
    def get(self, number: int, default: D) -> V | D: ...
    def get(self, number: int, default: D | None = None) -> V | D | None:
        """The value of a number; ``default`` if it has none."""
        at = bisect_right(self._starts, number) - 1
        return self._values[at] if at >= 0 and number < self._ends[at] else default

    def __getitem__(self, number: int) -> V:
        at = bisect_right(self._starts, number) - 1
        if at < 0 or number >= self._ends[at]:
            raise KeyError(number)
        return self._values[at]

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._starts, number) - 1
        return at >= 0 and number < self._ends[at]

    def covers(self, first: int, nr: int) -> bool:
        """Have all numbers ``[first, first + nr)`` a value?"""
        if nr == 1:
            return first in self
        return all(value is not None for _, _, value in self.pieces(first, nr))

    def __bool__(self) -> bool:
        return bool(self._starts)

    def __len__(self) -> int:
        return sum(self._ends) - sum(self._starts)

    def __iter__(self) -> Iterator[int]:
        for start, end in zip(self._starts, self._ends, strict=True):
            yield from range(start, end)

    def runs(self) -> Iterator[tuple[int, int, V]]:
        """(first, nr, value) of all runs, ascending."""
        for start, end, value in zip(self._starts, self._ends, self._values, strict=True):
            yield start, end - start, value

    def pieces(self, first: int, nr: int) -> list[tuple[int, int, V | None]]:
        """(first, nr, value) of the pieces of ``[first, first + nr)``, ascending; None for those without a value."""
        starts, ends = self._starts, self._ends
        end = first + nr
        at = bisect_right(starts, first) - 1
        if at >= 0 and end <= ends[at]:
            return [(first, nr, self._values[at])]
        found: list[tuple[int, int, V | None]] = []
        at = max(at, 0)
        while first < end and at < len(starts):
            if ends[at] > first:
                if starts[at] > first:
                    gap = min(starts[at], end)
                    found.append((first, gap - first, None))
                    first = gap
                if first < end:
                    last = min(ends[at], end)
                    found.append((first, last - first, self._values[at]))
                    first = last
            at += 1
        if first < end:
            found.append((first, end - first, None))
        return found

    def put(self, first: int, nr: int, value: V) -> None:
        """Give the numbers ``[first, first + nr)`` a value."""
        starts, ends, values = self._starts, self._ends, self._values
        end = first + nr
        if ends and ends[-1] <= first:
            # Most runs are appended: numbers are assigned in ascending order.
            if ends[-1] == first and values[-1] == value:
                ends[-1] = end
            else:
                starts.append(first)
                ends.append(end)
                values.append(value)
            return
        # Most changes continue where the last one stopped: the boundary between two runs moves.
        at = bisect_right(ends, first)
        if at and ends[at - 1] == first and values[at - 1] == value:
            if starts[at] < end < ends[at] and values[at] != value:
                ends[at - 1] = starts[at] = end
                return
            if end < starts[at]:
                ends[at - 1] = end
                return
        if ends and starts[at] < first and end < ends[at]:
            # Inside one run.
            old, stop = values[at], ends[at]
            if old != value:
                starts[at + 1 : at + 1] = (first, end)
                ends[at : at + 1] = (first, end, stop)
                values[at + 1 : at + 1] = (value, old)
            return
        self._replace(first, end, [(first, end, value)])

    def put_pieces(self, pieces: Sequence[tuple[int, int, V | None]]) -> None:
        """Give consecutive pieces, as ``pieces()`` has them, other values; None removes the value."""
        first, end = pieces[0][0], pieces[-1][0] + pieces[-1][1]
        kept = [(start, start + nr, value) for start, nr, value in pieces if value is not None]
        self._replace(first, end, kept)

    def change(self, first: int, nr: int, to: Callable[[V | None], V | None]) -> None:
        """Give the numbers ``[first, first + nr)`` what ``to`` makes of their values; None is no value."""
        pieces = [(start, n, to(value)) for start, n, value in self.pieces(first, nr)]
        if len(pieces) > 1:
            self.put_pieces(pieces)
        elif pieces[0][2] is None:
            self.drop(first, nr)
        else:
            self.put(first, nr, pieces[0][2])

    def drop(self, first: int, nr: int = 1) -> None:
        """Remove the values of ``[first, first + nr)``, as far as there are any."""
        starts, ends, end = self._starts, self._ends, first + nr
        at = bisect_right(starts, first) - 1
        if at < 0 or ends[at] <= first:
            # Most numbers that are forgotten had lost their values before.
            if at + 1 < len(starts) and starts[at + 1] < end:
                self._replace(first, end, [])
        elif end > ends[at]:
            self._replace(first, end, [])
        elif starts[at] < first:
            if end < ends[at]:
                starts.insert(at + 1, end)
                ends.insert(at, first)
                self._values.insert(at, self._values[at])
            else:
                ends[at] = first
        elif end < ends[at]:
            starts[at] = end
        else:
            del starts[at], ends[at], self._values[at]

    def _replace(self, first: int, end: int, rows: Iterable[tuple[int, int, V]]) -> None:
        """Put ``rows``, ascending within ``[first, end)``, in place of what is there, and join equal runs."""
        starts, ends, values = self._starts, self._ends, self._values
        low = bisect_right(ends, first - 1)
        high = bisect_right(starts, end)
        # From ``low`` to ``high`` lie the runs that overlap the range or touch it.
        joined: list[tuple[int, int, V]] = []
        if low < high and starts[low] < first:
            joined.append((starts[low], min(ends[low], first), values[low]))
        tail = [(max(starts[high - 1], end), ends[high - 1], values[high - 1])] if low < high else []
        for start, stop, value in (*rows, *(row for row in tail if row[0] < row[1])):
            if joined and joined[-1][1] == start and joined[-1][2] == value:
                joined[-1] = (joined[-1][0], stop, value)
            else:
                joined.append((start, stop, value))
        starts[low:high] = [row[0] for row in joined]
        ends[low:high] = [row[1] for row in joined]
        values[low:high] = [row[2] for row in joined]


def union(*mappings: Intervals[Any]) -> Intervals[bool]:
    """The numbers that any of several mappings has."""
    numbers: Intervals[bool] = Intervals()
    for mapping in mappings:
        for first, nr, _ in mapping.runs():
            numbers.put(first, nr, True)
    return numbers


def together(*rows: Sequence[tuple[int, int, Any]]) -> Iterator[tuple[int, int, tuple[Any, ...]]]:
    """(first, nr, values) of the pieces in which none of several rows of pieces changes; all cover the same numbers."""
    if all(len(pieces) == 1 for pieces in rows):
        first, nr, _ = rows[0][0]
        yield first, nr, tuple([pieces[0][2] for pieces in rows])
        return
    cuts = sorted({start for pieces in rows for start, _, _ in pieces})
    ends = [*cuts[1:], rows[0][-1][0] + rows[0][-1][1]]
    positions = [0] * len(rows)
    for start, end in zip(cuts, ends, strict=True):
        values = []
        for row, pieces in enumerate(rows):
            while pieces[positions[row]][0] + pieces[positions[row]][1] <= start:
                positions[row] += 1
            values.append(pieces[positions[row]][2])
        yield start, end - start, tuple(values)


def ranges(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """(first, nr) of the runs of consecutive numbers in a sequence, in its order."""
    if isinstance(numbers, range) and numbers.step == 1:
        if numbers:
            yield numbers.start, len(numbers)
        return
    first, nr = 0, 0
    for number in numbers:
        if nr and number == first + nr:
            nr += 1
            continue
        if nr:
            yield first, nr
        first, nr = number, 1
    if nr:
        yield first, nr
