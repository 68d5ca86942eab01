"""Values of consecutive numbers, kept as runs: what a million folios have in common is one row."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
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
        starts, ends = self._starts, self._ends
        low, high = bisect_right(ends, first), bisect_left(starts, first + nr)
        return (
            low < high
            and starts[low] <= first
            and ends[high - 1] >= first + nr
            and ends[low : high - 1] == starts[low + 1 : high]
        )

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
        for at in range(bisect_right(ends, first), bisect_left(starts, end)):
            if starts[at] > first:
                found.append((first, starts[at] - first, None))
            low, first = max(starts[at], first), min(ends[at], end)
            found.append((low, first - low, self._values[at]))
        if first < end:
            found.append((first, end - first, None))
        return found

    def put(self, first: int, nr: int, value: V) -> None:
        """Give the numbers ``[first, first + nr)`` a value."""
        starts, ends, values = self._starts, self._ends, self._values
        end = first + nr
        at = bisect_right(ends, first)
        follows = at and ends[at - 1] == first and values[at - 1] == value
        if at == len(ends) or end < starts[at]:
            # Most runs are appended: numbers are assigned in ascending order. Others lie between two runs.
            if follows:
                ends[at - 1] = end
            else:
                starts.insert(at, first)
                ends.insert(at, end)
                values.insert(at, value)
            return
        if follows and starts[at] < end < ends[at] and values[at] != value:
            # Most changes continue where the last one stopped: the boundary between two runs moves.
            ends[at - 1] = starts[at] = end
            return
        if starts[at] < first and end < ends[at]:
            # Inside one run.
            old, stop = values[at], ends[at]
            if old != value:
                starts[at + 1 : at + 1] = (first, end)
                ends[at : at + 1] = (first, end, stop)
                values[at + 1 : at + 1] = (value, old)
            return
        self._replace(first, end, [(first, end, value)])

    def change(self, first: int, nr: int, to: Callable[[V | None], V | None]) -> None:
        """Give the numbers ``[first, first + nr)`` what ``to`` makes of their values; None is no value."""
        pieces = self.pieces(first, nr)
        if len(pieces) > 1:
            changed = [(start, start + n, new) for start, n, value in pieces if (new := to(value)) is not None]
            self._replace(first, first + nr, changed)
        elif (value := to(pieces[0][2])) is None:
            self.drop(first, nr)
        elif value != pieces[0][2]:
            self.put(first, nr, value)

    def add(self: Intervals[int], first: int, nr: int, change: int) -> None:
        """Add ``change`` to the values of ``[first, first + nr)``; no value and 0 are the same.

        Raises:
            ValueError: a value would fall below 0; nothing was changed.
        """
        starts, ends, values = self._starts, self._ends, self._values
        end = first + nr
        low, high = bisect_right(ends, first), bisect_left(starts, end)
        # Usually all of them have values, and stay positive: then the runs stay as they are, but for the outermost.
        if not self.covers(first, nr) or min(values[low:high]) + change <= 0:
            self.change(first, nr, lambda value: _sum(value or 0, change))
            return
        if starts[low] < first:
            self._split(low, first)
            low, high = low + 1, high + 1
        if ends[high - 1] > end:
            self._split(high - 1, end)
        values[low:high] = [value + change for value in values[low:high]]
        self._join(high)
        self._join(low)

    def _split(self, at: int, number: int) -> None:
        """Make two runs of one; the second begins at ``number``."""
        self._starts.insert(at + 1, number)
        self._ends.insert(at, number)
        self._values.insert(at, self._values[at])

    def _join(self, at: int) -> None:
        """Make a run one with that before it, if they are alike and adjacent."""
        starts, ends, values = self._starts, self._ends, self._values
        if 0 < at < len(starts) and ends[at - 1] == starts[at] and values[at - 1] == values[at]:
            del starts[at], ends[at - 1], values[at]

    def part(self, first: int, nr: int) -> Intervals[V]:
        """A copy of ``[first, first + nr)``."""
        starts, ends, end = self._starts, self._ends, first + nr
        low, high = bisect_right(ends, first), bisect_left(starts, end)
        found: Intervals[V] = Intervals()
        if low < high:
            found._starts, found._ends = starts[low:high], ends[low:high]
            found._values = self._values[low:high]
            found._starts[0], found._ends[-1] = max(starts[low], first), min(ends[high - 1], end)
        return found

    def append(self, later: Intervals[V]) -> None:
        """Add the runs of another, which come after all of its own."""
        at = len(self._starts)
        self._starts += later._starts
        self._ends += later._ends
        self._values += later._values
        self._join(at)

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
                self._split(at, end)
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


def _sum(value: int, change: int) -> int | None:
    if value + change < 0:
        raise ValueError(f"{value} {change:+}")
    return value + change or None


#: log2 of the numbers of a block
_BLOCK_BITS = 10


class LongIntervals(Generic[V]):
    """The same for very many runs: a block of 1,024 numbers has runs of its own, so that a change moves few others."""

    __slots__ = ("_blocks",)

    def __init__(self) -> None:
        self._blocks: dict[int, Intervals[V]] = {}

    @overload
    def get(self, number: int) -> V | None: ...
    @overload
    def get(self, number: int, default: D) -> V | D: ...
    def get(self, number: int, default: D | None = None) -> V | D | None:
        """The value of a number; ``default`` if it has none."""
        block = self._blocks.get(number >> _BLOCK_BITS)
        return default if block is None else block.get(number, default)

    def __contains__(self, number: int) -> bool:
        block = self._blocks.get(number >> _BLOCK_BITS)
        return block is not None and number in block

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def runs(self) -> Iterator[tuple[int, int, V]]:
        """(first, nr, value) of all runs, ascending."""
        yield from joined(run for block in sorted(self._blocks) for run in self._blocks[block].runs())

    def pieces(self, first: int, nr: int) -> list[tuple[int, int, V | None]]:
        """(first, nr, value) of the pieces of ``[first, first + nr)``, ascending; None for those without a value."""
        spans = _spans(first, nr)
        if len(spans) == 1:
            block = self._blocks.get(first >> _BLOCK_BITS)
            return [(first, nr, None)] if block is None else block.pieces(first, nr)
        return list(joined(piece for span in spans for piece in self.pieces(*span)))

    def part(self, first: int, nr: int) -> Intervals[V]:
        """A copy of ``[first, first + nr)``."""
        found: Intervals[V] = Intervals()
        for start, length in _spans(first, nr):
            if (block := self._blocks.get(start >> _BLOCK_BITS)) is not None:
                found.append(block.part(start, length))
        return found

    def reader(self, first: int, nr: int) -> Callable[[], list[tuple[int, int, V]]] | None:
        """Gives later what ``pieces`` gives now; None if some of these numbers have no value."""
        part = self.part(first, nr)
        return (lambda: list(part.runs())) if part.covers(first, nr) else None

    def put(self, first: int, nr: int, value: V) -> None:
        """Give the numbers ``[first, first + nr)`` a value."""
        for start, length in _spans(first, nr):
            self._block(start).put(start, length, value)

    def change(self, first: int, nr: int, to: Callable[[V | None], V | None]) -> None:
        """Give the numbers ``[first, first + nr)`` what ``to`` makes of their values; None is no value."""
        for start, length in _spans(first, nr):
            self._block(start).change(start, length, to)
            self._forget_empty(start)

    def add(self: LongIntervals[int], first: int, nr: int, change: int) -> None:
        """Add ``change`` to the values of ``[first, first + nr)``; no value and 0 are the same.

        Raises:
            ValueError: a value would fall below 0.
        """
        for start, length in _spans(first, nr):
            self._block(start).add(start, length, change)
            if change < 0:
                self._forget_empty(start)

    def drop(self, first: int, nr: int = 1) -> None:
        """Remove the values of ``[first, first + nr)``, as far as there are any."""
        for start, length in _spans(first, nr):
            if (block := self._blocks.get(start >> _BLOCK_BITS)) is not None:
                block.drop(start, length)
                self._forget_empty(start)

    def _block(self, number: int) -> Intervals[V]:
        block = self._blocks.get(number >> _BLOCK_BITS)
        if block is None:
            block = self._blocks[number >> _BLOCK_BITS] = Intervals()
        return block

    def _forget_empty(self, number: int) -> None:
        if not self._blocks[number >> _BLOCK_BITS]:
            del self._blocks[number >> _BLOCK_BITS]


def _spans(first: int, nr: int) -> Sequence[tuple[int, int]]:
    """(first, nr) of the parts of ``[first, first + nr)`` that lie in one block each."""
    end = first + nr
    if first >> _BLOCK_BITS == end - 1 >> _BLOCK_BITS:
        return ((first, nr),)
    inner = range((first >> _BLOCK_BITS) + 1 << _BLOCK_BITS, end, 1 << _BLOCK_BITS)
    return [(start, stop - start) for start, stop in pairwise((first, *inner, end))]


def joined(pieces: Iterable[tuple[int, int, D]]) -> Iterator[tuple[int, int, D]]:
    """Ascending pieces, adjacent ones of equal values as one."""
    last: tuple[int, int, D] | None = None
    for piece in pieces:
        if last is not None and last[0] + last[1] == piece[0] and last[2] == piece[2]:
            last = last[0], last[1] + piece[1], last[2]
            continue
        if last is not None:
            yield last
        last = piece
    if last is not None:
        yield last


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
