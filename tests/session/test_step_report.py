"""Tests of folioshell.session.step_report: what of a step is shown."""

from __future__ import annotations

from folioshell import Session
from folioshell.report import Table
from folioshell.shell.replay import golden_lines


def test_audience() -> None:
    """A class sees one scheme, mapcounts, and VMAs without flags; classroom geometry implies it until it is undone."""
    session = Session()
    assert any(line.split() == ["audience", "expert"] for line in golden_lines(session.execute("set")))
    session.execute("set geometry classroom ; mmap buf 4")
    (report,) = session.execute("write buf")
    assert list(report.folios[0].mapcounts) == ["per-page"]
    assert (report.locks, report.walks) == ((), ())
    (report,) = session.execute("show vmas")
    (table,) = report.sections
    assert isinstance(table, Table)
    assert table.columns == ("process", "vma", "start", "end", "size", "perm", "maps", "label")
    assert session.script()[0] == "set geometry classroom"

    session.execute("set audience expert")
    (report,) = session.execute("fork B")
    assert len(report.folios[0].mapcounts) == 6 and report.locks
    assert session.script()[0] == "set audience expert"
    session.execute("set audience class ; set schemes vmas ; set after locks")
    (report,) = session.execute("B: write buf[0]")
    assert (report.folios, bool(report.locks)) == ((), True)
    session.execute("reset")
    assert len(session.shown_schemes) == 6
