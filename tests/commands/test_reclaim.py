"""pin, unpin and khugepaged as commands, and the settings that they need."""

from __future__ import annotations

import json

import pytest

from folioshell.commands import Session
from folioshell.errors import Refused
from folioshell.export.document import document
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


def _scanned(session: Session, line: str = "khugepaged") -> tuple[str, tuple[tuple[object, ...], ...]]:
    report = session.execute(line)[-1]
    (section,) = [one for one in report.sections if isinstance(one, Table) and one.title == "khugepaged"]
    return report.sentence, section.rows


def test_khugepaged_says_what_and_why() -> None:
    """The sentence counts blocks; the table has the kernel's word and the reason of each, equal blocks in one row."""
    session = Session()
    session.execute("set geometry classroom ; mmap w 24 align=8 ; madvise hugepage w[0..15] ; write w[0..9]")

    assert _scanned(session) == (
        "khugepaged scanned A: 0 of 2 blocks collapsed.",
        (
            ("w[0..15] (v1)", 16, "SCAN_PMD_MAPPED", "mapped by a PMD already"),
            ("w[16..23] (v2)", 8, "passed over", "no huge pages are enabled for it"),
        ),
    )


def test_khugepaged_names_the_limit() -> None:
    """A limit that was exceeded stands in the reason; a collapse says what became of the folios."""
    session = Session()
    session.execute("set geometry classroom ; mmap w 8 align=8 ; write w[0..3] ; madvise hugepage w")
    session.execute("set khugepaged.max_ptes_none 3")
    reason = "too many pages are none or the zero page (max_ptes_none 3)"
    assert _scanned(session)[1] == (("w (v1)", 8, "SCAN_EXCEED_NONE_PTE", reason),)

    session.execute("set khugepaged.max_ptes_none 4")
    sentence, rows = _scanned(session, "khugepaged A")
    assert rows == (("w (v1)", 8, "SCAN_SUCCEED", "collapsed"),)
    assert sentence.startswith("khugepaged scanned A: 1 of 1 block collapsed; ")
    assert "f5 (order 3, 32K) new, PMD-mapped" in sentence and sentence.endswith("f1..f4 freed.")


def test_khugepaged_as_json() -> None:
    """The table is data: the words of the kernel are there to be compared."""
    session = Session()
    reports = session.execute("set geometry classroom ; mmap w 8 align=8 ; write w ; madvise hugepage w ; khugepaged")
    written = json.loads(json.dumps(document(reports[-1])))

    assert written["sections"][0]["rows"] == [["w (v1)", 8, "SCAN_SUCCEED", "collapsed"]]


def test_khugepaged_with_nothing_to_do() -> None:
    """No eligible VMA, and no size that is enabled."""
    session = Session()
    session.execute("mmap w 16")
    assert _scanned(session)[0] == "khugepaged scanned A: no block to collapse."

    session.execute("set thp.pmd never")
    (report,) = session.execute("khugepaged")
    assert report.sentence == "khugepaged scanned A: asleep, as no huge pages are enabled."


def test_limits_of_khugepaged_are_settings() -> None:
    """They follow the geometry, are steps, and hold no more than a block has."""
    session = Session()
    session.execute("set geometry classroom")
    assert [session.workspace.kernel.config.max_ptes_none, session.workspace.kernel.config.max_ptes_shared] == [7, 4]
    session.execute("set khugepaged.max_ptes_swap 7")
    assert session.workspace.kernel.config.max_ptes_swap == 7
    session.execute("undo")
    assert session.workspace.kernel.config.max_ptes_swap == 1
    with pytest.raises(Refused, match="more entries than a block may be without"):
        session.execute("set khugepaged.max_ptes_none 8")


_ADVISED = "set geometry classroom ; set check on ; mmap w 8 align=8 ; write w[0..2] ; madvise hugepage w ; fork B"


@pytest.mark.parametrize(
    "threads",
    [
        "B: khugepaged A ; A: exit",
        "B: khugepaged A ; A: munmap w[3]",
        "B: khugepaged A ; A: write w[5]",
        "B: khugepaged A ; A: madvise dontneed w",
        "B: khugepaged A ; A: fork C",
        "B: khugepaged B ; A: migrate f1",
    ],
)
def test_khugepaged_races(threads: str) -> None:
    """It looks again wherever it dropped mmap_lock, which it only tries to take; an exit waits for it."""
    session = Session()
    session.execute(_ADVISED)
    (report,) = session.execute(f"race {{ {threads} }}")

    assert report.extra is not None and report.extra["race"]["exhausted"]
    assert report.extra["race"]["findings"] == []
