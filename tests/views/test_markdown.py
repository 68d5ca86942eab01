"""Markdown shows what is printed, as GitHub lays it out."""

from __future__ import annotations

import pytest

from folioshell.report import Report, Table, Text
from folioshell.views.blocks import Block, line
from folioshell.views.markdown import escaped, render
from folioshell.views.report_view import ScriptPlace, report_blocks
from tests.views import samples


def markdown(report: Report, place: ScriptPlace | None = None) -> str:
    return render(report_blocks(report, place))


def test_query() -> None:
    """A title in bold, a table whose numbers are set flush right, and the truth as text."""
    assert markdown(samples.QUERY) == (
        "**shared? win[0] (f1, order 4)**\n"
        "\n"
        "| scheme   | number | answer | verdict          | cost to resolve                 |\n"
        "| -------- | -----: | ------ | ---------------- | ------------------------------- |\n"
        "| per-page |     16 | yes    | ! false positive |                                 |\n"
        "| tuples   |      2 | maybe  | undecided        | a walk of 2 PTLs and 16 entries |\n"
        "| vmas     |      1 | no     | exact            |                                 |\n"
        "| mm-id    |     16 | no     | exact            |                                 |\n"
        "\n"
        "truth: no; 1 mm, 1 VMA, 2 tuples, 16 entries, 16 pages mapped\n"
    )


def test_every_table_is_apart() -> None:
    """An empty line stands before and behind every table: GitHub takes it for text otherwise."""
    for report in samples.ALL:
        lines = ["", *markdown(report).splitlines(), ""]
        for before, text, after in zip(lines, lines[1:], lines[2:], strict=False):
            if text.startswith("| "):
                assert before == "" or before.startswith("| ")
                assert after == "" or after.startswith("| ")


def test_drawings_and_lists() -> None:
    """What is laid out already stands in a fence; what explains a failed expect is a list."""
    drawing = Report("show", "A", sections=(Text(("pt1 ..[f1 `0-7`]", "  |", "```"), "page tables"),))

    assert markdown(drawing) == "page tables\n\n````\npt1 ..[f1 `0-7`]\n  |\n```\n````\n"
    assert markdown(samples.FAILED).endswith(
        "\n- is 2, expected == 1\n- pt1 of v1: 1, since step 2\n- pt2 of v1: 1, since step 3\n"
    )


def test_cells() -> None:
    """A bar does not end a cell, a break does not end a row, and an indent is kept."""
    text = render(
        report_blocks(Report("x", "A", sections=(Table("", ("a", "b"), (("x|y", "  pt1"), ("m\nn", None))),)))
    )

    assert text.splitlines()[2:] == [
        "| x\\|y   | &nbsp;&nbsp;pt1 |",
        "| m<br>n | -               |",
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("__pud_alloc and folio_add_file_rmap_ptes", "\\_\\_pud_alloc and folio_add_file_rmap_ptes"),
        ("2 * 3 < 7", "2 \\* 3 \\< 7"),
        ("see `query present? x_` now_", "see `query present? x_` now\\_"),
        ("a ` alone", "a \\` alone"),
        ("# no title", "\\# no title"),
        ("1. no list", "1\\. no list"),
        ("win[0] (f1)", "win[0] (f1)"),
        ("a[b](c)", "a[b\\](c)"),
        ("&lt; & more", "\\&lt; & more"),
    ],
)
def test_escaping(text: str, shown: str) -> None:
    """What Markdown would take for its own is escaped, code in backticks and words with underscores are left alone."""
    assert escaped(text) == shown


def test_nothing() -> None:
    """Nothing to say is no output, and an empty line no paragraph."""
    nothing: list[Block] = []
    assert render(nothing) == ""
    assert render([line("")]) == ""
