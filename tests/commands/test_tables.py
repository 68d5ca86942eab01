"""The tables of show."""

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


def pmd_mapped(session: Session) -> tuple[object, ...]:
    """NR_FILE_PMDMAPPED in each way."""
    (report,) = session.execute("show stats")
    (mapped, _) = report.sections
    assert isinstance(mapped, Table)
    return next(row[2:] for row in mapped.rows if row[1] == "NR_FILE_PMDMAPPED")


def test_the_sketch_takes_512_ptes_for_a_pmd_entry() -> None:
    """It tests ``nr == HPAGE_PMD_NR``: a call for 512 PTEs counts, and stays counted if they go in two calls."""
    session = Session()
    session.execute("file lib 1024 order=9 ; set fault_around 2M ; mmap w 512 file=lib prot=rw")
    session.execute("write w[0] ; madvise dontneed w[0] ; fault w[0]")
    assert pmd_mapped(session) == (0, 0, 512)

    session.execute("munmap w[0..99] ; munmap w[100..511]")
    assert pmd_mapped(session) == (0, 0, 512)
    session.execute("undo 2 ; munmap w")
    assert pmd_mapped(session) == (0, 0, 0)


def test_the_sketch_counts_each_pmd_entry() -> None:
    """As it does for NR_FILE_MAPPED: 512 pages a mapping, where Linux counts a folio once."""
    session = Session()
    session.execute("file lib 1024 order=9 ; mmap w 512 file=lib shared ; fault w[0] ; fork B ; B: fault w[0]")

    assert pmd_mapped(session) == (512, 512, 1024)


def test_folios_say_their_references_beside_those_expected() -> None:
    """A pin is the reference that no entry and no cache accounts for; it parts a folio from its run."""
    session = Session()
    session.execute("mmap buf 4 ; write buf ; pin buf[2]")
    (report,) = session.execute("show folios")
    (table,) = report.sections
    assert isinstance(table, Table)

    at = [table.columns.index(name) for name in ("folio", "refs", "expected")]
    assert [tuple(row[column] for column in at) for row in table.rows] == [("f1..f2", 1, 1), ("f3", 2, 1), ("f4", 1, 1)]


def mlocked(session: Session) -> tuple[tuple[object, ...], list[tuple[object, ...]]]:
    """NR_MLOCK in each way; folio, pages, and mlock_count in the kernel and in the sketch."""
    (report,) = session.execute("show stats")
    (mapped, *folios, _) = report.sections
    assert isinstance(mapped, Table)
    rows = [row for table in folios if isinstance(table, Table) for row in table.rows]
    return next(row[2:] for row in mapped.rows if row[1] == "NR_MLOCK"), rows


#: 512 PTEs in one call, in a locked VMA
LOCKED_PTES = (
    "file lib 1024 order=9 ; set fault_around 2M ; mmap w 512 file=lib prot=rw",
    "write w[0] ; madvise dontneed w[0] ; mprotect w r ; mlock w",
)


def test_the_sketch_mlocks_512_ptes_for_good() -> None:
    """It mlocks them as a PMD entry. Unmapped in two calls, the folio stays PG_mlocked, as do its pieces."""
    session = Session()
    for line in LOCKED_PTES:
        session.execute(line)
    assert mlocked(session) == ((512, 512, 512), [("f1", 512, 1, 1)])

    session.execute("munmap w[0..99] ; munmap w[100..511]")
    assert mlocked(session) == ((0, 0, 512), [("f1", 512, None, 1)])
    session.execute("split f1")
    assert mlocked(session) == ((0, 0, 512), [("f4", 1, None, 1), ("f5..f515", 1, None, 0)])
    session.execute("truncate lib 0")
    assert mlocked(session) == ((0, 0, 0), [])
    session.execute("undo 4 ; munmap w")
    assert mlocked(session) == ((0, 0, 0), [])


def test_6_12_does_not_mlock_512_ptes() -> None:
    """The sketch does."""
    session = Session()
    session.execute("set profile 6.12")
    for line in LOCKED_PTES:
        session.execute(line)

    assert mlocked(session) == ((0, 0, 512), [("f1", 512, None, 1)])


def test_the_sketch_mlocks_no_folio_of_64k() -> None:
    """6.18 does when one call maps all of it, and when mlock(2) finds it mapped; order 0 and PMD entries: both do."""
    session = Session()
    session.execute("file lib 32 order=4 ; mmap win 16 file=lib prot=r ; read win ; mlock win ; fork B ; B: mlock win")
    assert mlocked(session) == ((16, 16, 0), [("f1", 16, 2, None)])

    session.execute("file small 8 ; mmap s 8 file=small prot=r ; read s ; mlock s ; munmap s[0]")
    assert mlocked(session) == ((23, 23, 7), [("f1", 16, 2, None), ("f4..f10", 1, 1, 1)])
    session.execute("file huge 512 order=9 ; mmap h 512 file=huge shared ; mlock h")
    assert mlocked(session)[1][-1] == ("f11", 512, 1, 1)
    session.execute("munlock h")
    assert mlocked(session)[1][-1] == ("f4..f10", 1, 1, 1)


def test_the_sketch_mlocks_anonymous_memory_as_the_kernel() -> None:
    """It is about files."""
    session = Session()
    session.execute(
        "set thp.64K always ; mmap a 16 ; write a ; mlock a ; set thp.64K never ; mmap b 1000 ; write b ; mlock b"
    )

    assert mlocked(session) == ((1016, 1016, 1016), [("f1", 16, 1, 1), ("f2..f1001", 1, 1, 1)])
