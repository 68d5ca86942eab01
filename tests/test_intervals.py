"""Runs of values are what a dictionary would be."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from folioshell.intervals import Intervals, ranges, union

RANGE = st.tuples(st.integers(0, 20), st.integers(1, 8), st.one_of(st.none(), st.integers(1, 3)))


@example([(2, 8, 1), (11, 2, 1), (10, 2, 1)], (0, 1, None))
@example([(0, 4, 1), (1, 1, None), (1, 2, 1)], (0, 1, None))
@given(st.lists(RANGE, max_size=20), RANGE)
def test_same_as_a_dictionary(changes: list[tuple[int, int, int | None]], asked: tuple[int, int, int | None]) -> None:
    """Whatever is put and dropped in whatever order, the values are those of a dictionary, in maximal runs."""
    runs: Intervals[int] = Intervals()
    wanted: dict[int, int] = {}
    for first, nr, value in changes:
        numbers = range(first, first + nr)
        if value is None:
            runs.drop(first, nr)
            wanted = {number: wanted[number] for number in wanted if number not in numbers}
        else:
            runs.put(first, nr, value)
            wanted.update(dict.fromkeys(numbers, value))

    assert {number: runs[number] for number in runs} == wanted
    assert list(runs) == sorted(wanted)
    assert len(runs) == len(wanted)
    assert bool(runs) == bool(wanted)
    assert [number in runs for number in range(30)] == [number in wanted for number in range(30)]
    assert [runs.get(number) for number in range(30)] == [wanted.get(number) for number in range(30)]
    rows = list(runs.runs())
    assert all(a[0] + a[1] < b[0] or a[2] != b[2] for a, b in pairwise(rows)), rows
    first, nr, _ = asked
    pieces = runs.pieces(first, nr)
    assert [value for _, n, value in pieces for _ in range(n)] == [wanted.get(first + page) for page in range(nr)]
    assert sum(piece[1] for piece in pieces) == nr


@given(st.lists(RANGE, max_size=12), RANGE)
def test_pieces_put_back(changes: list[tuple[int, int, int | None]], asked: tuple[int, int, int | None]) -> None:
    """Pieces with one more each are a range in which each has one more."""
    runs: Intervals[int] = Intervals()
    for first, nr, value in changes:
        runs.put(first, nr, value or 4)
    before = {number: runs[number] for number in runs}
    first, nr, _ = asked
    runs.put_pieces([(start, n, (value or 0) + 1) for start, n, value in runs.pieces(first, nr)])

    after = {**before, **{number: before.get(number, 0) + 1 for number in range(first, first + nr)}}
    assert {number: runs[number] for number in runs} == after


def test_ranges() -> None:
    """Consecutive numbers are one range, whether they come as one or not."""
    assert list(ranges(range(3, 7))) == [(3, 4)]
    assert list(ranges([3, 4, 7, 9, 8])) == [(3, 2), (7, 1), (9, 1), (8, 1)]
    assert list(ranges([])) == list(ranges(range(0))) == []


def test_union() -> None:
    """The numbers of all, whatever their values."""
    one: Intervals[int] = Intervals()
    other: Intervals[str] = Intervals()
    one.put(1, 3, 7)
    other.put(3, 4, "x")
    other.put(20, 1, "y")

    assert list(union(one, other).runs()) == [(1, 6, True), (20, 1, True)]
    assert not union()
