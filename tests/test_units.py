"""Quantities as they are typed and printed."""

from __future__ import annotations

import pytest

from folioshell.units import format_pages, parse_number, parse_pages


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("007", 7),
        ("9" * 18, 10**18 - 1),
        ("9" * 19, None),
        ("", None),
        ("-1", None),
        ("²", None),
        ("٣", None),
    ],
)
def test_numbers(text: str, number: int | None) -> None:
    """ASCII digits, and no more than anybody means."""
    assert parse_number(text) == number


@pytest.mark.parametrize("pages", [1, 3, 16, 512, 1 << 18, (1 << 18) + 1])
def test_sizes_are_read_as_they_are_printed(pages: int) -> None:
    """The largest unit that divides a size, and back."""
    assert parse_pages(format_pages(pages)) == pages


@pytest.mark.parametrize("text", ["3K", "1.5M", "64k", "", "9" * 19])
def test_what_is_no_size(text: str) -> None:
    """Bytes that are no whole pages, and what is no number."""
    with pytest.raises(ValueError, match=r"."):
        parse_pages(text)
