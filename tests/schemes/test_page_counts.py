"""A counter for each page, by runs."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.errors import KernelBug
from folioshell.schemes.entries import PageCounts

NR_PAGES = 16

calls = st.lists(
    st.tuples(st.integers(0, NR_PAGES - 1), st.integers(1, NR_PAGES), st.sampled_from((1, 1, 1, -1, -1, 2, -2))),
    max_size=40,
)


def check_against(counts: PageCounts, plain: list[int]) -> None:
    """Every number that the counters give is that of a plain list."""
    assert [counts[page] for page in range(NR_PAGES)] == plain
    assert counts.total == sum(plain)
    assert counts.mapped == sum(count > 0 for count in plain)
    runs = counts.runs()
    assert [count for _, nr, count in runs for _ in range(nr)] == plain
    assert all(left[0] + left[1] == right[0] for left, right in itertools.pairwise(runs))
    assert all(left[2] != right[2] for left, right in itertools.pairwise(runs))


@given(calls)
def test_counts_as_a_plain_list(history: list[tuple[int, int, int]]) -> None:
    """Counters, sum, mapped pages and transitions are those of a list; what would fall below 0 is refused whole."""
    counts, plain = PageCounts(NR_PAGES), [0] * NR_PAGES
    for first, wanted, delta in history:
        nr = min(wanted, NR_PAGES - first)
        after = [count + delta if first <= page < first + nr else count for page, count in enumerate(plain)]
        if min(after) < 0:
            with pytest.raises(KernelBug, match="below 0"):
                counts.add(first, nr, delta)
        else:
            changed = sum((old > 0) != (new > 0) for old, new in zip(plain, after, strict=True))
            assert counts.add(first, nr, delta) == changed
            plain = after
        check_against(counts, plain)


def test_a_uniform_folio_is_one_run() -> None:
    """However often the whole folio is mapped, there is one run."""
    counts = PageCounts(512)
    assert counts.add(0, 512, 1) == 512
    assert counts.add(0, 512, 1) == 0
    assert counts.runs() == [(0, 512, 2)]
    assert counts.add(0, 512, -1) == 0
    assert counts.add(0, 512, -1) == 512
    assert counts.runs() == [(0, 512, 0)]


def test_runs_grow_together_again() -> None:
    """Unmapping page by page ends in one run, as mapping at once began."""
    counts = PageCounts(512)
    counts.add(0, 512, 1)
    for page in range(0, 512, 2):
        assert counts.add(page, 1, -1) == 1
    assert (len(counts.runs()), counts.mapped) == (512, 256)
    for page in range(1, 512, 2):
        counts.add(page, 1, -1)
    assert counts.runs() == [(0, 512, 0)]


@pytest.mark.parametrize(("first", "nr"), [(-1, 2), (0, 0), (3, -1), (15, 2), (0, 17), (16, 1)])
def test_pages_that_the_folio_does_not_have_are_refused(first: int, nr: int) -> None:
    """A run must lie within the folio and have a page."""
    counts = PageCounts(NR_PAGES)
    with pytest.raises(KernelBug, match="of a folio of 16 pages"):
        counts.add(first, nr, 1)
    check_against(counts, [0] * NR_PAGES)


@pytest.mark.parametrize("page", [-1, 16])
def test_a_page_that_the_folio_does_not_have_has_no_counter(page: int) -> None:
    """Asking for it is an IndexError, also from the end."""
    with pytest.raises(IndexError):
        PageCounts(NR_PAGES)[page]
