"""Tests of folioshell.session.scheme_answers: where the answers of two schemes part."""

from __future__ import annotations

import json

import pytest

from folioshell import Session
from folioshell.errors import Refused
from folioshell.export.document import document
from folioshell.report import Report, Table
from tests.fingerprint import fingerprint

HALVES = "set thp.64K always ; mmap buf 64K ; write buf ; fork B ; B: munmap buf[0..7] ; munmap buf[8..15]"


def compared(line: str, names: str) -> tuple[Report, list[Table]]:
    """The report of ``compare schemes`` after a line, and its tables."""
    session = Session()
    session.execute(line)
    (report,) = session.execute(f"compare schemes {names}")
    return report, [section for section in report.sections if isinstance(section, Table)]


def test_the_step_after_which_they_part() -> None:
    """Two processes map a half each: the guess by page 0 is wrong, two owners are remembered."""
    report, (table,) = compared(HALVES, "likely mm-id")

    assert report.sentence == "6 steps under likely and mm-id: they part in 1 step."
    assert (table.title, table.columns) == ("step 6, A: munmap buf[8..15]", ("question", "likely", "mm-id", "truth"))
    assert table.rows == (("shared? f1 by A, B", "no (false negative)", "yes", "yes"),)
    assert table.note == "f1: likely 16, mm-id 16"


def test_what_lasts_is_shown_once() -> None:
    """A step that leaves the answers alone is not shown; one that changes them is."""
    _, tables = compared(f"{HALVES} ; mmap other 4 ; write other ; exit B", "likely mm-id")

    assert [table.title.partition(":")[0] for table in tables] == ["step 6, A"]
    _, tables = compared("mmap buf 2 ; write buf ; fork B ; exit B", "vmas anon-exclusive")
    assert [table.rows for table in tables] == [
        (("shared? f1..f2 by A, B", "yes", "maybe", "yes"),),
        (("shared? f1..f2 by A", "no", "maybe", "no"),),
    ]


def test_other_questions() -> None:
    """Whether a folio is partially mapped, and whether it is mapped, where both schemes can tell."""
    line = "set thp.64K always ; mmap buf 64K ; write buf ; fork B ; munmap buf[0..7] ; B: munmap buf[0..7]"
    _, tables = compared(line, "mm-id average")

    assert [table.rows for table in tables] == [(("partial? f1", "yes", "no (false negative)", "yes"),)]
    # Many is undone by a walk alone, even once nothing maps the folio.
    line = "file lib 16 order=4 ; mmap win 16 file=lib ; fork B ; fork C ; read win ; B: read win ; C: read win"
    _, tables = compared(f"{line} ; C: munmap win ; B: munmap win ; munmap win", "zero-one-two-many per-page")
    assert ("mapped? f1", "yes (false positive)", "no", "no") in tables[-1].rows


def test_equal_answers() -> None:
    """A sentence says so; the state stays as it is, also if the schemes count for the first time."""
    session = Session(counting=())
    session.execute(HALVES)
    before = fingerprint(session.workspace.machine)
    (report,) = session.execute("compare schemes mm-id average")

    assert (report.sentence, report.sections) == (
        "6 steps under mm-id and average: they answer alike in all.",
        (),
    )
    assert fingerprint(session.workspace.machine) == before


def test_json() -> None:
    """The tables are sections of the document."""
    report, _ = compared(HALVES, "likely mm-id")

    (section,) = json.loads(json.dumps(document(report)))["sections"]
    assert section["rows"] == [["shared? f1 by A, B", "no (false negative)", "yes", "yes"]]


@pytest.mark.parametrize(
    ("names", "message"),
    [("vmas vmas", "nothing to compare with"), ("vmas nonsense", "no such scheme"), ("vmas", "missing")],
)
def test_refusals(names: str, message: str) -> None:
    """Two different schemes are named."""
    session = Session()
    with pytest.raises(Refused, match=message):
        session.execute(f"mmap buf 1 ; compare schemes {names}")
