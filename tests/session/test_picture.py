"""The picture as data: stretches that all processes share, what each has there, and the folios below."""

from __future__ import annotations

import pytest

from folioshell import Session
from folioshell.report import Picture
from folioshell.session.folio_groups import entries_of_all, folio_groups
from folioshell.session.picture import MOST_FOLIO_LANES, MOST_LANES, MOST_STRETCHES, columns_of

FORKED = "mmap buf 16 ; fault buf ; fork B ; B: write buf[3]"


def picture_after(*lines: str) -> Picture:
    """The picture after some lines."""
    session = Session()
    for line in lines:
        session.execute(line)
    (report,) = session.execute("show")
    (picture,) = report.sections
    assert isinstance(picture, Picture)
    return picture


def test_a_page_that_was_copied() -> None:
    """Columns are cut where anything changes in any process."""
    picture = picture_after(FORKED)

    assert [stretch.label for stretch in picture.stretches] == ["buf[0..2]", "buf[3]", "buf[4..15]"]
    assert [[cell.maps for cell in lane.cells] for lane in picture.lanes] == [
        ["f1..f3 r", "f4 r", "f5..f16 r"],
        ["f1..f3 r", "f17 rw", "f5..f16 r"],
    ]
    assert [cell.sharing for cell in picture.lanes[1].cells] == ["shared", "exclusive", "shared"]
    assert [(row.id, row.nr, row.counts, row.sharing) for row in picture.folios] == [
        ("f1", 3, ((1, 2),), "shared"),
        ("f4", 1, ((1, 1),), "exclusive"),
        ("f5", 12, ((1, 2),), "shared"),
        ("f17", 1, ((1, 1),), "exclusive"),
    ]


def test_who_is_wrong_about_sharing() -> None:
    """A folio across two tables: per-page says that it is shared, tuples may not say."""
    picture = picture_after("file lib 16 order=4 ; mmap win 16 file=lib align=512 skew=504 ; read win")

    assert [cell.table for cell in picture.lanes[0].cells] == ["pt1", "pt2"]
    (row,) = picture.folios
    assert (row.sharing, row.wrong, row.undecided) == ("exclusive", ("per-page",), ("tuples",))


def test_gaps_and_holes() -> None:
    """What lies between two VMAs is no stretch; a hole in one process's VMAs is an empty cell."""
    picture = picture_after("mmap a 4 ; mmap b 4 ; fault a ; fork B ; B: munmap a[1]")

    assert [(stretch.label, stretch.pages, stretch.gap) for stretch in picture.stretches] == [
        ("a[0]", 1, 0),
        ("a[1]", 1, 0),
        ("a[2..3]", 2, 0),
        ("b", 4, 508),
    ]
    assert [cell.vma for cell in picture.lanes[1].cells].count("") == 1
    assert picture.lanes[0].cells[3].maps == ""


def test_a_large_picture_is_summed_up() -> None:
    """More runs than can be told apart: a stretch a VMA. More processes and folios: the notes say how many."""
    many = MOST_STRETCHES + 2
    faults = " ; ".join(f"fault buf[{2 * page}]" for page in range(many))
    picture = picture_after(f"mmap buf {2 * many} ; {faults}")
    assert [
        (stretch.label, cell.maps) for stretch, cell in zip(picture.stretches, picture.lanes[0].cells, strict=True)
    ] == [("buf", f"{many} pages in {many} runs")]
    picture = picture_after(*(f"fork P{number}" for number in range(MOST_LANES + 1)))
    assert len(picture.lanes) == MOST_LANES
    assert picture.notes == ("2 more processes not shown; see `show processes`, `show tables`",)
    regions = " ; ".join(f"mmap r{number} 1 ; fault r{number}" for number in range(many))
    picture = picture_after(regions)
    assert len(picture.stretches) == MOST_STRETCHES
    assert len(picture.folios) <= MOST_FOLIO_LANES
    assert picture.notes[0] == "2 more stretches of addresses not shown; see `show vmas`, `show tables`"


def test_many_pages_are_few_runs() -> None:
    """Tables that go on with each other are one cell, whatever the size."""
    picture = picture_after("mmap buf 20000 ; fault buf")

    assert [(cell.table, cell.maps) for cell in picture.lanes[0].cells] == [("pt1..pt40", "f1..f20000 rw")]
    assert len(picture.folios) == 1


def test_nothing_is_left() -> None:
    """Without processes there is nothing to draw, and nothing breaks."""
    picture = picture_after("fork B ; exit A ; exit B")

    assert (picture.lanes, picture.stretches, picture.folios) == ((), (), ())


@pytest.mark.parametrize(
    "line",
    [
        "mmap buf 16 ; fault buf ; fork B ; B: write buf[3] ; B: write buf[9..11] ; munmap buf[5]",
        "set swap on ; mmap buf 16 ; write buf[0..12] ; madvise pageout buf[2..4] ; fork B ; mprotect buf[7..9] r",
        "file lib 32 order=4 ; mmap win 16 file=lib align=512 skew=504 ; fault win[0] ; fork B ; B: fault win[8]",
        "set thp.pmd always ; mmap huge 4M ; fault huge ; fork B ; B: munmap huge[3] ; mprotect huge[700] r",
        "mmap buf 600 ; write buf ; fork B ; fork C ; C: write buf[500..520] ; B: mremap buf[8..11] new=moved",
    ],
)
def test_what_is_counted_is_what_would_be_made(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there are too many entries to draw, each VMA says how many runs it has, without making them."""
    session = Session()
    session.execute(line)
    workspace = session.workspace
    mms, entries = list(workspace.kernel.mms.values()), entries_of_all(workspace)
    groups = folio_groups(workspace, (), entries)
    made = columns_of(mms, entries, groups, (), 0)
    monkeypatch.setattr("folioshell.session.picture._MOST_CUTS", -1)
    counted = columns_of(mms, entries, groups, (), 0)

    assert counted == made
    assert any(slot.nr_runs for column in counted for slot in column.slots)
