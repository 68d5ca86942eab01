"""Ids and numbers are written as runs, never one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from folioshell.wording import Row, counted, folio_run, follows, id_run, page_index, pages_text, row_runs, text_runs


def test_id_run() -> None:
    """A run names its first and last id."""
    assert [id_run("f1", 8), id_run("f9", 1), id_run("pmd2", 2)] == ["f1..f8", "f9", "pmd2..pmd3"]


def test_id_run_of_an_odd_name() -> None:
    """A name without a number stands for itself."""
    assert id_run("A.mm", 3) == "A.mm"


def test_follows() -> None:
    """Only ids of one kind follow each other."""
    assert follows("pt2", "pt3")
    assert not follows("pt2", "pmd3")
    assert not follows("pt2", "pt2")
    assert follows("pt2", "pt6", 4)


def test_counted() -> None:
    """A noun agrees with its number."""
    assert [counted(1, "VMA"), counted(0, "VMA"), counted(2, "entry", "entries")] == ["1 VMA", "0 VMAs", "2 entries"]


def test_folios_and_pages() -> None:
    """One alone, several by the first and the last."""
    assert [folio_run(3, 1), folio_run(1, 8)] == ["f3", "f1..f8"]
    assert [page_index(3, 1), page_index(0, 8)] == ["[3]", "[0..7]"]
    assert [pages_text(3, 1), pages_text(0, 8)] == ["page 3", "pages 0..7"]


def _children(nr: int) -> list[Row]:
    """A parent and its children, as ``show tables`` has them: two tables each."""
    rows: list[Row] = [("A", "pt1", 8, "f1[0..7] r"), ("A", "pt2", 8, "f1[8..15] r")]
    for child in range(1, nr + 1):
        rows += [(f"P{child}", f"pt{2 * child + at}", 8, f"f1[{8 * at - 8}..{8 * at - 1}] r") for at in (1, 2)]
    return rows


def test_rows_that_are_alike_are_one() -> None:
    """Many processes that differ in evenly increasing ids alone are shown by the first and the last."""
    assert row_runs(_children(2000)) == (
        ("A", "pt1", 8, "f1[0..7] r"),
        ("A", "pt2", 8, "f1[8..15] r"),
        ("P1..P2000", "pt3, pt5..pt4001", 8, "f1[0..7] r"),
        ("P1..P2000", "pt4, pt6..pt4002", 8, "f1[8..15] r"),
    )


def test_few_rows_stay_apart() -> None:
    """Up to four are shown one by one."""
    assert row_runs(_children(4)) == tuple(_children(4))
    assert len(row_runs(_children(5))) == 4


def test_a_row_that_differs_ends_a_run() -> None:
    """Another text, number of rows, or increase of a number."""
    rows: list[Row] = [(step, f"A: fork P{step}", 4 * step) for step in range(1, 21)]
    assert row_runs(rows) == (("1..20", "A: fork P1..P20", "4, 8..80"),)
    rows[9] = (10, "A: fork P10", 7)
    assert [row[0] for row in row_runs(rows)] == ["1..9", 10, "11..20"]
    rows[9] = (10, "A: exit P10", 40)
    assert [row[0] for row in row_runs(rows)] == ["1..9", 10, "11..20"]
    assert row_runs([("A", 1)] * 9) == (("A", 1),) * 9


@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 3)), max_size=40))
def test_no_row_is_lost(pairs: list[tuple[str, int]]) -> None:
    """A run stands for as many rows as its numbers say, and rows outside of runs are as they were."""
    rows: list[Row] = [(f"{name}{at}", number) for at, (name, number) in enumerate(pairs, 1)]
    covered = 0
    for name, number in row_runs(rows):
        first, dots, last = str(name).partition("..")
        assert dots or (name, number) in rows
        covered += int(last[1:]) - int(first[1:]) + 1 if dots else 1
    assert covered == len(rows)


def test_texts_that_are_alike_are_one() -> None:
    """As the mappers of a folio."""
    texts = [f"P{number}:v{number + 1} pt{number + 1}" for number in range(1, 10)]
    assert text_runs(["A:v1 pt1", *texts]) == ["A:v1 pt1", "P1:v2 pt2 … P9:v10 pt10"]
    assert text_runs(["a", "b"]) == ["a", "b"]
