"""Entries are told as runs, never a row a page."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from folioshell import Session
from folioshell.model.kernel import Kernel
from folioshell.model.vm import Mm
from folioshell.session.entries import EntryRun, entry_runs, entry_runs_in, present_runs, runs_by_table, table_runs

SMALL = "mmap buf 16 ; fault buf"
STRADDLE = "file lib 32 order=4 ; mmap win 16 file=lib align=512 skew=504 ; fault win[0] ; fault win[8]"
HUGE = "set thp.pmd always ; mmap huge 6M ; fault huge"


def runs(line: str, find: Callable[[Kernel, Mm], list[EntryRun]] = table_runs) -> list[tuple[str, int, str]]:
    """(table, pages, text) of A's entries after a line."""
    session = Session()
    session.execute(line)
    kernel = session.workspace.kernel
    return [(run.table, run.nr, run.text) for run in find(kernel, kernel.mms["A"])]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (SMALL, [("pt1", 16, "f1..f16 [0] rw")]),
        (
            f"{SMALL} ; mprotect buf[3] r",
            [("pt1", 3, "f1..f3 [0] rw"), ("pt1", 1, "f4[0] r"), ("pt1", 12, "f5..f16 [0] rw")],
        ),
        ("mmap buf 4 ; fault buf[2] ; fault buf[0]", [("pt1", 1, "f2[0] rw"), ("pt1", 1, "f1[0] rw")]),
        ("mmap buf 4 ; read buf", [("pt1", 4, "zero page r")]),
        ("mmap buf 4 ; read buf ; mprotect buf none", [("pt1", 4, "zero page none")]),
        (f"{SMALL} ; mprotect buf none", [("pt1", 16, "f1..f16 [0] none")]),
        (f"{HUGE} ; mprotect huge none", [("pmd1", 1536, "f1..f3 whole none")]),
        (STRADDLE, [("pt1", 8, "f1[0..7] r"), ("pt2", 8, "f1[8..15] r")]),
        ("file lib 64 order=2 ; mmap win 64 file=lib ; fault win[0]", [("pt1", 16, "f1..f4 [0..3] r")]),
        (HUGE, [("pmd1", 1536, "f1..f3 whole rw")]),
        ("set swap on ; mmap buf 4 ; fault buf ; madvise pageout buf", [("pt1", 4, "swap")]),
    ],
)
def test_runs(line: str, expected: list[tuple[str, int, str]]) -> None:
    """A run ends where the pages do not follow each other, with the folio, the permission or the table."""
    assert runs(line) == expected


def test_brief_texts() -> None:
    """Where the order stands beside it, a whole folio needs no pages."""
    session = Session()
    session.execute(f"{SMALL} ; file lib 8 order=2 ; mmap win 6 file=lib ; read win ; {HUGE}")
    kernel = session.workspace.kernel

    brief = [run.brief for run in entry_runs(kernel, kernel.mms["A"])]
    assert brief == ["f1..f16 rw", "f17 r", "f18[0..1] r", "f19 rw", "f20 rw", "f21 rw"]


def test_many_tables_are_one_row_and_few_are_not() -> None:
    """Up to four tables are told apart."""
    assert runs("mmap buf 4M ; fault buf") == [("pt1", 512, "f1..f512 [0] rw"), ("pt2", 512, "f513..f1024 [0] rw")]
    assert runs("mmap buf 3000 ; fault buf") == [("pt1..pt6", 3000, "f1..f3000 [0] rw")]
    assert len(runs("mmap buf 3000 ; fault buf", runs_by_table)) == 6


def test_a_part_of_the_address_space() -> None:
    """Runs are clipped to the range, in folios and in pages of one."""
    session = Session()
    session.execute(f"{SMALL} ; {STRADDLE}")
    kernel, regions = session.workspace.kernel, session.workspace.regions
    mm = kernel.mms["A"]

    def part(name: str, first: int, last: int) -> list[str]:
        start = regions[name].start
        return [run.text for run in entry_runs_in(kernel, mm, start + first, start + last + 1)]

    assert part("buf", 3, 4) == ["f4..f5 [0] rw"]
    assert part("win", 3, 8) == ["f17[3..7] r", "f17[8] r"]
    assert part("win", 16, 20) == []


def test_every_entry_is_in_one_run() -> None:
    """Runs cover what the tables hold: each page maps what the page table says."""
    session = Session()
    session.execute(f"{SMALL} ; {STRADDLE} ; fork B ; B: write buf[3] ; munmap buf[7]")
    kernel = session.workspace.kernel
    for mm in kernel.mms.values():
        found = {}
        for run in entry_runs(kernel, mm):
            for place in range(run.nr):
                one = run.part(run.vpn + place, run.vpn + place + 1)
                found[one.vpn] = (one.folio, one.page)
        for vma in mm.vmas:
            for vpn in range(vma.start, vma.end):
                there = kernel.folio_at(mm, vpn)
                assert found.get(vpn) == (there and (there[0].id, there[1]))


def test_present_runs() -> None:
    """Swapped pages are not present, whole tables without entries are one piece, and huge pages are pages."""
    session = Session()
    session.execute(f"{HUGE} ; set thp.pmd never ; set swap on ; mmap buf 512G ; fault buf[0..3] ; read buf[9]")
    session.execute("madvise pageout buf[1]")
    kernel, regions = session.workspace.kernel, session.workspace.regions

    def present(name: str) -> list[tuple[int, bool]]:
        region = regions[name]
        return [(nr, there) for _, nr, there in present_runs(kernel, kernel.mms["A"], region.start, region.end)]

    assert present("huge") == [(1536, True)]
    assert present("buf") == [(1, True), (1, False), (2, True), (5, False), (1, True), ((1 << 27) - 10, False)]


def test_single_folios_with_consecutive_numbers_are_one_run() -> None:
    """Folios that left their run are read as those that did not, wherever they are consecutive."""
    session = Session()
    session.execute("mmap buf 16 ; fault buf")
    mm = session.workspace.kernel.mms["A"]
    together = entry_runs(session.workspace.kernel, mm)
    session.workspace.kernel.folios.keep_apart()

    assert entry_runs(session.workspace.kernel, mm) == together
