"""Histories, and the generator of their numbers."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from folioshell.contract.histories import KINDS, LONGEST, Lcg, seeded_histories


def test_numbers_are_the_same_everywhere() -> None:
    """The first ones of a seed, written down."""
    draw = Lcg(1)
    assert [draw.below(100) for _ in range(5)] == [74, 53, 96, 70, 34]
    again = Lcg(1)
    assert [again.below(100) for _ in range(5)] == [74, 53, 96, 70, 34]


def test_numbers_are_spread_evenly() -> None:
    """Each of six comes about as often as the others, and follows each of them."""
    draw = Lcg(7)
    numbers = [draw.between(1, 6) for _ in range(6000)]
    counts = Counter(numbers)
    assert sorted(counts) == [1, 2, 3, 4, 5, 6]
    assert all(850 < count < 1150 for count in counts.values())
    assert len(set(pairwise(numbers))) == 36


def test_histories_grow_and_have_every_kind_of_step() -> None:
    """Short ones come first; all kinds and orders, skews and sorts of memory come up."""
    histories = list(seeded_histories(200))
    assert all(len(history.steps) <= 3 for history in histories[:3])
    assert max(len(history.steps) for history in histories) == LONGEST
    assert {step.kind for history in histories for step in history.steps} == set(KINDS)
    assert len({(history.order, history.skew, history.anon) for history in histories}) == 24
    assert histories == list(seeded_histories(200))
