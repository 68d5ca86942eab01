"""Why a race found nothing, and what to type instead: that leads to a finding."""

from __future__ import annotations

import pytest

from folioshell.commands import Session
from folioshell.export.document import document
from folioshell.export.schema import adapter
from folioshell.report import Report

LIB = "file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504 ; set decide vmas"
BOTH = f"{LIB} ; fault win[0] read ; fault win[8] read"
FAULTS = "race { A.t1: fault win[0] read ; A.t2: fault win[8] read }"
WHOLE = "race { A.t1: madvise dontneed win[0..7] ; A.t2: madvise dontneed win[8..15] }"

#: the beginning of the reason -> what was typed
TYPED = {
    "No protocol is set": (LIB, FAULTS),
    "The protocol was never called": (
        "mmap buf 16 ; set decide vmas ; set protocol exclude-own",
        "race { A.t1: fault buf[0] ; A.t2: fault buf[1] }",
    ),
    "No look left its own PTE table: no large folio": (
        "file lib 32 order=4 ; mmap win 32 file=lib ; set decide vmas ; set protocol own-table-first ; fault win[0]",
        "race { A.t1: madvise dontneed win[0..3] ; A.t2: madvise dontneed win[4..9] }",
    ),
    "Each thread changed the entries of its own process": (
        f"{BOTH} ; fork B ; set protocol own-table-first",
        "race { A.t1: madvise dontneed win ; B.t1: madvise dontneed win }",
    ),
    "No thread ever waited for a second PTE-table lock: the walk skipped empty entries": (
        f"{LIB} ; set protocol as-mailed",
        "race { A.t1: fault win[0] read }",
    ),
    "One thread ran alone": (f"{BOTH} ; set protocol lockless-look", "race { A.t1: madvise dontneed win }"),
    "All changes of entries were made under one lock, that of pt1": (
        f"{BOTH} ; set protocol own-table-first",
        "race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[5..7] }",
    ),
    "The folio lock kept the faults apart": (f"{LIB} ; set protocol lockless-look", FAULTS),
    "No look left its own PTE table: each found another page": (
        f"{BOTH} ; set protocol lockless-look",
        "race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..10] }",
    ),
    "Every thread that held one PTE-table lock and wanted another held the lower one": (
        f"{BOTH} ; set protocol address-order",
        WHOLE,
    ),
    "Each look at another PTE table was made under pmd1": (f"{BOTH} ; set protocol pmd-lock", WHOLE),
    "Each look at another PTE table was made under mapcount bit lock of f1.vmas": (
        f"{BOTH} ; set protocol folio-bit-lock",
        WHOLE,
    ),
}


def last(session: Session, line: str) -> Report:
    return session.execute(line)[-1]


def instead(report: Report, race: str) -> str:
    """The lines that a report proposes, with the race that they lead to."""
    missed = report.extra["race"]["near_miss"]
    return f"{missed['instead']} ; {race}" if missed["again"] else missed["instead"]


#: the others take longer, and are part of the full run
QUICK = (
    "No thread ever waited",
    "One thread ran alone",
    "Every thread that held",
    "No look left its own PTE table: each",
)


@pytest.mark.parametrize(
    "why", [why if why.startswith(QUICK) else pytest.param(why, marks=pytest.mark.full) for why in TYPED]
)
def test_what_is_proposed_leads_to_a_finding(why: str) -> None:
    """The reason is the one that the race has, and the lines can be typed as they are: they find something."""
    setup, race = TYPED[why]
    session = Session()
    session.execute(setup)

    report = last(session, race)
    found = last(session, instead(report, race))

    assert report.extra["race"]["near_miss"]["why"].startswith(why)
    assert f"`{report.extra['race']['near_miss']['instead']}`" in report.sentence
    assert report.sections == ()
    assert found.extra["race"]["findings"]
    assert "near_miss" not in found.extra["race"]
    adapter().validate_python(document(report))


@pytest.mark.full
@pytest.mark.parametrize("protocol", ["as-mailed", "exclude-own", "own-table-first", "lockless-look", "address-order"])
@pytest.mark.parametrize("copies", ["", "write win[3] ; write win[12]"])
def test_every_wrong_protocol_is_found_out(protocol: str, copies: str) -> None:
    """From the race of two faults, which looks as if it proved a protocol, a finding is a few proposals away."""
    session = Session()
    session.execute(" ; ".join(filter(None, (LIB, copies, f"set protocol {protocol}"))))

    line = FAULTS
    for _ in range(4):
        report = last(session, line)
        if report.extra["race"]["findings"]:
            return
        line = instead(report, FAULTS)
    pytest.fail(f"nothing found in the end: {report.sentence}")


def test_where_nothing_is_missed() -> None:
    """A kernel that counts by itself needs no reason, and neither does a race of which not everything was seen."""
    session = Session()
    plain = last(session, "mmap buf 16 ; race { A.t1: fault buf[0] }")
    cut_off = last(session, f"{LIB} ; set protocol lockless-look ; {FAULTS} max-states=20")

    assert "near_miss" not in plain.extra["race"]
    assert "near_miss" not in cut_off.extra["race"]


def test_names_that_are_taken_are_not_proposed() -> None:
    """The file and the region of a proposal are new ones."""
    session = Session()
    session.execute("file big 4 ; mmap wide 4 ; mmap buf 16 ; set decide vmas ; set protocol exclude-own")

    report = last(session, "race { A.t1: fault buf[0] }")

    assert "file big2 32 order=4 ; mmap wide2 16 file=big2" in report.sentence
    assert last(session, instead(report, "")).extra["race"]["findings"]


def test_a_region_that_cannot_be_written_to_is_opened_first() -> None:
    """A copy in each table needs a writable VMA."""
    session = Session()
    session.execute(f"{LIB.replace(' prot=rw', '')} ; set protocol as-mailed")
    race = "race { A.t1: fault win[0] read }"

    report = last(session, race)

    assert "mprotect win rw ; write win[3] ; write win[12]" in report.sentence
    assert last(session, instead(report, race)).extra["race"]["findings"]
