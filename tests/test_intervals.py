"""Runs of values are what a dictionary would be."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from folioshell.intervals import Intervals, LongIntervals, ranges, union

#: the last number of a block of LongIntervals
EDGE = 1023
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
def test_changing(changes: list[tuple[int, int, int | None]], asked: tuple[int, int, int | None]) -> None:
    """A range in which each has one more."""
    runs: Intervals[int] = Intervals()
    for first, nr, value in changes:
        runs.put(first, nr, value or 4)
    before = {number: runs[number] for number in runs}
    first, nr, _ = asked
    runs.change(first, nr, lambda value: (value or 0) + 1)

    after = {**before, **{number: before.get(number, 0) + 1 for number in range(first, first + nr)}}
    assert {number: runs[number] for number in runs} == after


@given(st.lists(RANGE, max_size=20), st.sampled_from((0, EDGE - 12)))
def test_long_ones_are_the_same(changes: list[tuple[int, int, int | None]], base: int) -> None:
    """Kept in blocks, within one and across two, runs are those of one list; reading a part copies it."""
    flat: Intervals[int] = Intervals()
    long: LongIntervals[int] = LongIntervals()
    read: list[tuple[object, object]] = []
    for first, nr, value in changes:
        for runs in (flat, long):
            if value is None:
                runs.drop(base + first, nr)
            elif value == 2:
                runs.change(base + first, nr, lambda old: None if old == 3 else (old or 0) + 1)
            else:
                runs.put(base + first, nr, value)
        if reader := long.reader(base + first, nr):
            read.append((reader(), flat.pieces(base + first, nr)))

    assert list(long.runs()) == list(flat.runs())
    assert bool(long) == bool(flat)
    assert long.pieces(base, 30) == flat.pieces(base, 30)
    assert list(long.part(base + 3, 20).runs()) == list(flat.part(base + 3, 20).runs())
    assert [run for run in flat.pieces(base + 3, 20) if run[2] is not None] == list(flat.part(base + 3, 20).runs())
    for number in range(base, base + 30):
        assert (long.get(number), number in long) == (flat.get(number), number in flat)
    assert all(pieces == wanted for pieces, wanted in read)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8), st.integers(-2, 2)), max_size=20))
def test_adding(changes: list[tuple[int, int, int]]) -> None:
    """Each number has the sum, none below 0; what would fall below is left as it was."""
    runs: Intervals[int] = Intervals()
    wanted = dict.fromkeys(range(30), 0)
    for first, nr, change in changes:
        sums = {number: wanted[number] + change for number in range(first, first + nr)}
        if min(sums.values()) < 0:
            with pytest.raises(ValueError, match=f"{change:+}"):
                runs.add(first, nr, change)
        else:
            runs.add(first, nr, change)
            wanted |= sums

        assert {number: runs[number] for number in runs} == {number: sum_ for number, sum_ in wanted.items() if sum_}
        rows = list(runs.runs())
        assert all(a[0] + a[1] < b[0] or a[2] != b[2] for a, b in pairwise(rows)), rows


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
