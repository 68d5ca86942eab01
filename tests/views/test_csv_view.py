"""CSV holds the tables of a report as data, and nothing else."""

from __future__ import annotations

import csv

from folioshell.report import Report, Table, Text, Watched, WatchedValue
from folioshell.views.csv_view import csv_tables, remark_blocks
from folioshell.views.plain import render
from tests.views import samples


def rows(report: Report) -> list[list[list[str]]]:
    """The tables of a report, read back."""
    return [list(csv.reader(text.splitlines())) for text in csv_tables(report)]


def test_every_row_has_the_columns_of_its_header() -> None:
    """Each table of each report is read back with as many cells in every row as in its header."""
    for report in samples.ALL:
        for header, *body in rows(report):
            assert body
            assert {len(row) for row in body} == {len(header)}


def test_step() -> None:
    """Numbers old and new have columns of their own, and what was not counted is empty."""
    folios, locks = rows(samples.FORK)

    assert folios[0][:6] == ["step", "folio", "count", "order", "per-page old", "per-page new"]
    assert folios[2] == ["4", "f2", "100000", "0", "1", "2", "1", "2", "1", "2", ""]
    assert folios[3][-3:] == ["", "", "new"]
    assert locks[3] == ["4", "pt7", "0", "copy_present_ptes", "512"]


def test_walks() -> None:
    """A row a table that was entered, and one for a VMA in which none was."""
    (walks,) = rows(samples.COLD)

    assert [row[5:8] for row in walks[1:5]] == [
        ["v1", "pt1", "8"],
        ["v1", "pt2", "8"],
        ["v4", "", "0"],
        ["v9", "pt5", "512"],
    ]


def test_answers() -> None:
    """A query says in every row what was asked, without the marks that are made for the eye; the truth is a table."""
    answers, truth = rows(samples.QUERY)

    assert answers[1] == ["shared?", "win[0]", "f1", "per-page", "16", "yes", "", "false positive", ""]
    assert dict(zip(*truth, strict=True))["tuples"] == "2"
    assert rows(samples.PRESENT) == [[["query", "target", "folio", "answer"], ["present?", "win[3]", "", "no"]]]


def test_watched() -> None:
    """What is watched is a row a value; a watch that reads nothing is said apart."""
    values = {"vmas": WatchedValue("1", "2"), "tuples": WatchedValue("", "3")}
    report = Report("fork B", "A", 4, watched=(Watched(1, "f1", values), Watched(2, "f9", {}, "it was freed")))

    assert csv_tables(report) == ["step,watch,watched,what,old,new\n4,1,f1,vmas,1,2\n4,1,f1,tuples,,3\n"]
    assert "it was freed" in render(remark_blocks(report), 100)
    assert "f1" not in render(remark_blocks(report), 100)


def test_quoting() -> None:
    """Commas, quotes and line ends in a cell are quoted; nothing is an empty cell, an indent is left out."""
    report = Report("x", "A", sections=(Table("t", ("a", "b"), (('x,"y"\nz', None), ("  pt1", 3))),))

    assert csv_tables(report) == ['a,b\n"x,""y""\nz",\npt1,3\n']


def test_remarks() -> None:
    """Sentences, findings, drawings and notes are said apart, and why an expect failed; one that held is a row."""
    said = render(remark_blocks(samples.COLD), 100)

    assert said.startswith("A advised win cold")
    assert "!!! FINDING" in said
    assert "v4" not in said
    assert render(remark_blocks(samples.VMAS), 100).splitlines() == [
        "VMAs of A: 2 VMAs",
        "page tables",
        *samples.VMAS.sections[1].lines,  # type: ignore[union-attr]
    ]
    assert "is 2, expected == 1" in render(remark_blocks(samples.FAILED), 100)
    assert remark_blocks(samples.PASSED) == []
    assert rows(samples.PASSED)[0][1][1] == "yes"


def test_text_alone_is_no_table() -> None:
    """Help is text."""
    assert csv_tables(Report("help", "A", sections=(Text(("a", "b")),))) == []
