"""Tests of folioshell.session.step_events, changes and sentence: what a report is made of."""

from __future__ import annotations

from folioshell import Session
from folioshell.events import FolioNew, Tracepoint
from folioshell.model.lock import Lock, LockClass
from folioshell.report import Change, LockRow, Text
from folioshell.session.sentence import sentence
from folioshell.session.step_events import StepEvents
from tests.schemes.costs import small_mapped


def test_lock_rows_show_order_nesting_and_repetition() -> None:
    """Equal acquisitions in a row are one row; a lock taken under another is deeper; other locks do not count."""
    outer, inner = Lock(LockClass.PMDL, "pmd1"), Lock(LockClass.PTL, "pt1")
    folio = Lock(LockClass.FOLIO, "f1")
    events = [
        folio.acquire("f"), outer.acquire("f"), inner.acquire("g", nested=True), inner.release(), outer.release(),
        inner.acquire("h"), inner.release(), inner.acquire("h"), inner.release(), inner.acquire("g"), inner.release(),
        folio.release(),
    ]  # fmt: skip

    assert StepEvents(events).locks == [
        LockRow("pmd1", 0, "f"),
        LockRow("pt1", 1, "g"),
        LockRow("pt1", 0, "h", 2),
        LockRow("pt1", 0, "g"),
    ]


def test_sentence_groups_alike_folios_and_events() -> None:
    """Alike folios and equal events stand together."""
    events = [
        *(FolioNew(number, 0, True) for number in (1, 2, 3)),
        small_mapped(1, 2, 3, new=True),
        Tracepoint("something rare"),
        Tracepoint("something rare"),
    ]

    assert sentence("A wrote buf", StepEvents(events), {"ok": True}) == (
        "A wrote buf: f1..f3 (order 0, 4K each) new, mapped; 2 x something rare."
    )


def test_sentence_says_how_the_kernel_ended_it() -> None:
    """Errnos and signals come first."""
    assert sentence("munmap(x)", StepEvents([]), {"errno": "EINVAL"}) == "munmap(x): failed with EINVAL."
    signals = {"signals": [[0, 1, "SIGSEGV"], [4, 2, "SIGSEGV"], [9, 1, "SIGBUS"]]}
    assert sentence("A read x", StepEvents([]), signals) == (
        "A read x: 3 accesses raised SIGSEGV; 1 access raised SIGBUS."
    )


def test_changes_of_a_bulk_command_are_runs() -> None:
    """Folios with consecutive numbers that changed alike are one row."""
    session = Session()
    session.execute("mmap buf 1000 ; fault buf[0..9]")
    (report,) = session.execute("fault buf[0..999]")
    (row,) = report.folios

    assert (row.id, row.nr, row.order, row.note) == ("f11", 990, 0, "new")
    assert set(row.mapcounts.values()) == {Change(0, 1)}
    assert list(row.mapcounts) == session.shown_schemes


def test_freed_folios_keep_their_order_in_the_report() -> None:
    """A large folio that goes is shown with what it was."""
    session = Session()
    session.execute("set thp.64K always ; mmap buf 16 ; fault buf[0]")
    (report,) = session.execute("munmap buf")
    (row,) = report.folios

    assert (row.id, row.order, row.note) == ("f1", 4, "freed")
    assert row.mapcounts["per-page"] == Change(16, 0)


def test_pieces_name_the_folio_that_they_come_from() -> None:
    """After a split the pieces are rows of their own."""
    session = Session()
    session.execute("set thp.64K always ; mmap buf 16 ; write buf[0..15]")
    (report,) = session.execute("madvise cold buf[3]")

    assert [row.note for row in report.folios] == ["freed", "split from f1"]
    assert "f1 split into f2..f17" in report.sentence


def test_findings_are_reported() -> None:
    """A rule that breaks because the deciding scheme was wrong is a finding; a decider that is right has none."""
    session = Session()
    session.execute("set decide vmas ; set thp.64K always ; mmap buf 16 ; write buf ; fork B")
    (report,) = session.execute("write buf[0]")

    assert report.findings == ()


def test_walks_of_very_many_folios_are_not_all_made() -> None:
    """With set walks always the first folios touched are walked, and the report says how many it left out."""
    session = Session()
    session.execute("set walks always ; mmap buf 40")
    (report,) = session.execute("fault buf")

    assert [walk.folio for walk in report.walks] == [f"f{number}" for number in range(1, 17)]
    assert report.sections == (Text(("24 more touched folios not walked; see `rmap FOLIO`",)),)
