"""The rich renderer says what the plain one says, in the same columns."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from folioshell.report import Report
from folioshell.views import plain, rich_view
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


def test_markup_in_text_is_text() -> None:
    """Square brackets of places are not read as rich markup."""
    assert "[bold]win[0..3][/bold]" in rich_text(Report("x", "A", sentence="[bold]win[0..3][/bold]"))
