"""Columns of text are what a terminal makes of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from folioshell.views.measure import columns_of, padded, wrapped


def test_wide_and_combining_characters() -> None:
    """An East Asian character takes two columns, a combining accent none."""
    assert [columns_of(text) for text in ("ab", "→", "漢字", "e\u0301")] == [2, 1, 4, 1]


def test_padded() -> None:
    """Numbers are flush right, text flush left."""
    assert (padded("7", 3, True), padded("漢", 3)) == ("  7", "漢 ")


def test_wrapped_at_spaces() -> None:
    """Words stay whole while they fit, and later lines may be shorter."""
    assert wrapped("one two three", 8, 5) == ["one two", "three"]
    assert wrapped("abcdefgh", 3) == ["abc", "def", "gh"]
    assert wrapped("1,1,2,2,1", 6) == ["1,1,2,", "2,1"]
    assert wrapped("1,1,2,2,1", 5) == ["1,1,", "2,2,1"]
    assert wrapped("a,bcdefgh", 6) == ["a,bcde", "fgh"]


@given(st.text(st.sampled_from("ab 漢"), max_size=60), st.integers(2, 20))
def test_wrapped_keeps_all_and_fits(text: str, width: int) -> None:
    """Every character but spaces survives, and every line fits."""
    lines = wrapped(text, width)

    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(columns_of(line) <= width for line in lines)
