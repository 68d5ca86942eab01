"""pin and unpin as commands, and the setting page_mapcount."""

from __future__ import annotations

import pytest

from folioshell.commands import Session
from folioshell.errors import Refused
from folioshell.report import Table
from tests.fingerprint import fingerprint


def test_pin_is_a_step_that_undo_takes_back() -> None:
    """Undo restores the state before a pin, and before an unpin."""
    session = Session()
    session.execute("mmap buf 16 ; write buf")
    before = fingerprint(session.workspace.machine)
    session.execute("pin buf[3..5]")
    pinned = fingerprint(session.workspace.machine)
    assert pinned != before
    session.execute("unpin buf[4]")
    assert fingerprint(session.workspace.machine) not in (before, pinned)

    session.execute("undo")
    assert fingerprint(session.workspace.machine) == pinned
    session.execute("undo")
    assert fingerprint(session.workspace.machine) == before


def test_sentence() -> None:
    """The sentence says who pinned what, and what came of an unpin."""
    session = Session()
    session.execute("mmap buf 1")
    (pinned,) = session.execute("pin buf")
    (_, unpinned) = session.execute("munmap buf ; unpin buf")

    assert pinned.sentence == "pin_user_pages(buf): f1 (order 0, 4K) new, mapped."
    assert unpinned.sentence == "unpin_user_pages(buf): f1 freed."


def test_errno() -> None:
    """EFAULT and EINVAL are results."""
    session = Session()
    session.execute("mmap buf 4 prot=r")

    assert [report.result for report in session.execute("pin buf ; unpin buf")] == [
        {"errno": "EFAULT"},
        {"errno": "EINVAL"},
    ]


def test_page_mapcount_needs_a_kernel_that_has_the_switch() -> None:
    """6.12 has no CONFIG_NO_PAGE_MAPCOUNT."""
    session = Session()
    session.execute("set profile 6.12")

    with pytest.raises(Refused, match=r"6\.12 lacks CONFIG_NO_PAGE_MAPCOUNT"):
        session.execute("set page_mapcount off")


def test_page_mapcount_is_a_step() -> None:
    """The switch is a step; smaps changes with it and changes back with undo."""
    session = Session()
    session.execute(
        "file lib 32 order=4 ; mmap win 16 file=lib ; fault win ; fork B ; B: fault win ; B: munmap win[1..15]"
    )

    def pss() -> list[object]:
        (report,) = session.execute("show smaps")
        (table,) = report.sections
        assert isinstance(table, Table)
        return [row[table.columns.index("Pss")] for row in table.rows]

    precise = pss()
    session.execute("set page_mapcount off")
    assert (precise, pss()) == ([62, 2], [64, 4])
    session.execute("undo")
    assert pss() == precise
