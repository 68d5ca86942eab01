"""The rich renderer says what the plain one says, in the same columns."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console
from rich.text import Text

from folioshell.report import Report
from folioshell.views import plain, rich_view
from folioshell.views.blocks import Column, Grid, Span, Tone
from folioshell.views.report_view import report_blocks
from tests.views import samples


def rich_text(report: Report, width: int = 100, color: bool = False) -> str:
    out = StringIO()
    console = Console(
        file=out, width=width, no_color=not color, force_terminal=color, color_system="standard" if color else None
    )
    rich_view.write(report_blocks(report), console)
    return out.getvalue()


def words(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines() if line.strip(" ─")]


@pytest.mark.parametrize("width", [32, 60, 100])
@pytest.mark.parametrize("report", samples.ALL, ids=lambda report: str(report.command))
def test_same_text_as_plain(report: Report, width: int) -> None:
    """Without the rules under headers, both renderers print the same lines at every width."""
    assert words(rich_text(report, width)) == words(plain.render(report_blocks(report), width))


def test_step() -> None:
    """A table has a rule under its header."""
    lines = [line.rstrip() for line in rich_text(samples.STRADDLE).splitlines()]

    assert lines[1:4] == [
        "  folio  order  per-page  tuples  vmas   mm-id",
        "  ────────────────────────────────────────────",
        "  f1         4    8 → 16   1 → 2     1  8 → 16",
    ]


def test_colour_adds_nothing_but_colour() -> None:
    """A change is bold beside its arrow, what stayed is dim, and a wrong verdict is red beside its mark."""
    step = rich_text(samples.STRADDLE, color=True)
    query = rich_text(samples.QUERY, color=True)

    assert "\x1b[1m8 → 16" in step
    assert "\x1b[2m" in step
    assert "\x1b[1;31m! false positive" in query


def test_cells_of_several_lines() -> None:
    """Headers stand on the rule, and a cell is in its tone on the lines that it has."""
    out = StringIO()
    columns = (Column("a\nheader"), Column("b", flush_right=True))
    grid = Grid(columns, ((Span("one\ntwo"), Span("3", Tone.LOUD)),))
    rich_view.write([grid], Console(file=out, width=40, force_terminal=True, color_system="standard"))
    found = out.getvalue()

    assert [row.rstrip() for row in Text.from_ansi(found).plain.splitlines()] == [
        "  a",
        "  header  b",
        "  ─────────",
        "  one     3",
        "  two",
    ]
    assert found.count("\x1b[1;7;31m") == 1


def test_markup_in_text_is_text() -> None:
    """Square brackets of places are not read as rich markup."""
    assert "[bold]win[0..3][/bold]" in rich_text(Report("x", "A", sentence="[bold]win[0..3][/bold]"))
