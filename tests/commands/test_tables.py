"""show stats."""

from __future__ import annotations

from folioshell.commands import Session
from folioshell.report import Table


def test_mapped_pages_in_three_ways_and_events() -> None:
    """Two tables: the statistics under each way to keep them, and the counters of events."""
    session = Session()
    session.execute("file lib 32 order=4 ; mmap win 16 file=lib ; fault win ; fork B ; B: fault win ; B: pin win[0]")
    session.execute("mmap huge 2M ; madvise hugepage huge ; write huge[0] ; munmap huge[0]")
    (report,) = session.execute("show stats")
    mapped, events = report.sections
    assert isinstance(mapped, Table)
    assert isinstance(events, Table)

    assert mapped.columns == ("counter", "symbol", "precise", "no-page-mapcount", "as-mailed")
    rows = {row[1]: row[2:] for row in mapped.rows}
    assert rows["NR_FILE_MAPPED"] == (16, 16, 32)
    assert rows["NR_ANON_MAPPED"] == (511, 512, 511)
    assert ("thp_split_pmd", 1) in events.rows
