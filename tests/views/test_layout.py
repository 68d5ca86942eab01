"""Columns of text are what a terminal makes of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.views.blocks import Column, Grid, Span
from folioshell.views.layout import GAP, MARGIN, columns_of, fit, natural_widths, padded, wrapped
from folioshell.wording import paragraphs


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


def test_addresses_stay_whole() -> None:
    """A range of addresses is split between them."""
    for width in range(15, 29):
        assert wrapped("0x7f0000000000-0x7f0000010000", width) == ["0x7f0000000000-", "0x7f0000010000"]
    assert wrapped("0x1000-0x7f0000010000", 16) == ["0x1000-", "0x7f0000010000"]


@given(st.text(st.sampled_from("ab 漢"), max_size=60), st.integers(2, 20))
def test_wrapped_keeps_all_and_fits(text: str, width: int) -> None:
    """Every character but spaces survives, and every line fits."""
    lines = wrapped(text, width)

    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert all(columns_of(line) <= width for line in lines)


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        ([], []),
        (["one", "two"], ["one two"]),
        (["one", "", "two"], ["one", "", "two"]),
        (["# Title", "one", "two"], ["# Title", "one two"]),
        (["one", "- two", "three", "- four"], ["one", "- two three", "- four"]),
        (["1. one", "2) two"], ["1. one", "2) two"]),
        (["pt1  A", "pt2  B", "one"], ["pt1  A", "pt2  B", "one"]),
        (["one", "| a | b |", "> two"], ["one", "| a | b |", "> two"]),
        (["", "one"], ["", "one"]),
    ],
)
def test_paragraphs(lines: list[str], joined: list[str]) -> None:
    """What stands alone in Markdown, or in columns, stands alone."""
    assert list(paragraphs(lines)) == joined


words = st.text(st.sampled_from("abc 0123456789"), max_size=30).map(str.strip)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Grids of up to twelve columns with text and numbers."""
    nr_columns = draw(st.integers(1, 12))
    columns = tuple(Column(draw(words) or "x", draw(st.booleans())) for _ in range(nr_columns))
    rows = draw(st.lists(st.tuples(*(words.map(Span) for _ in columns)), max_size=4))
    return Grid(columns, tuple(rows), "title", "note", draw(st.integers(1, 2)))


def total_width(grid: Grid) -> int:
    """Columns of a rendered grid."""
    return MARGIN + sum(natural_widths(grid)) + GAP * (len(grid.columns) - 1)


@given(grids(), st.integers(24, 120))
def test_every_part_fits(grid: Grid, width: int) -> None:
    """No part is wider than the width."""
    assert all(total_width(part) <= width for part in fit(grid, width))


@given(grids(), st.integers(24, 120))
def test_no_cell_is_lost(grid: Grid, width: int) -> None:
    """Every column and row stands in some part, its letters unchanged."""
    parts = fit(grid, width)
    squashed = [
        {_letters(column.header): [_letters(row[index].text) for row in part.rows]}
        for part in parts
        for index, column in enumerate(part.columns)
    ]

    for index, column in enumerate(grid.columns):
        assert {_letters(column.header): [_letters(row[index].text) for row in grid.rows]} in squashed


@given(grids(), st.integers(24, 120))
def test_title_first_and_note_last(grid: Grid, width: int) -> None:
    """The title stands on the first part only, the note on the last."""
    parts = fit(grid, width)

    assert [part.title for part in parts] == ["title", *[""] * (len(parts) - 1)]
    assert [part.note for part in parts] == [*[""] * (len(parts) - 1), "note"]


def test_a_grid_that_fits_is_left_alone() -> None:
    """Nothing is done to what fits."""
    grid = Grid((Column("a"), Column("b")), ((Span("1"), Span("2")),))

    assert fit(grid, 80) == [grid]


def test_folding_repeats_the_keys() -> None:
    """Each part of a folded grid tells what its rows are about."""
    grid = Grid(
        (Column("folio"), *(Column(f"scheme-{n}", True) for n in range(4))),
        ((Span("f1"), *(Span(str(n)) for n in range(4))),),
    )

    assert [[column.header for column in part.columns] for part in fit(grid, 30)] == [
        ["folio", "scheme-0", "scheme-1"],
        ["folio", "scheme-2", "scheme-3"],
    ]


def _letters(text: str) -> str:
    return text.replace(" ", "").replace("\n", "")
