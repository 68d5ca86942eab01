"""The picture is drawn in any width with letters and digits."""

from __future__ import annotations

import io
import re
from itertools import pairwise
from pathlib import Path

import pytest

from folioshell import Session
from folioshell.script.runner import run_file
from folioshell.views.csv_view import csv_tables
from folioshell.views.glyphs import spelled
from folioshell.views.layout import columns_of
from folioshell.views.plain import render
from folioshell.views.report_view import report_blocks
from folioshell.views.screen import Screen
from tests.repo.tree import ROOT

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
FORKED = "mmap buf 16 ; fault buf ; fork B ; B: write buf[3]"
STRADDLE = "file lib 32 order=4 ; mmap win 16 file=lib align=512 skew=504 ; fault win[0] ; fault win[8] ; fork B"
SPARSE = (
    "mmap a 16 ; fault a[0..7] ; fork B ; B: munmap a[4..6] ; "
    "mmap far 10 at=0x7e0000000000 ; fault far ; mmap z 4 ; read z"
)
CLASSROOM = (
    "set geometry classroom ; mmap buf 12 ; fault buf ; file lib 8 order=2 ; mmap win 8 file=lib ; fault win[0] ; "
    "fork B ; B: write buf[3] ; B: fault win[5]"
)


def shown(line: str, width: int = 80, *, rich: bool = True) -> list[str]:
    """The lines of ``show``, without colour."""
    session = Session()
    session.execute(line)
    return picture_lines(session, width, rich=rich)


def picture_lines(session: Session, width: int = 80, *, rich: bool = True) -> list[str]:
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8")
    Screen(stream, rich=rich, width=width).write(report_blocks(session.execute("show")[0]))
    stream.seek(0)
    return [text.rstrip() for text in _COLOUR.sub("", stream.read()).splitlines()]


def test_who_shares_what_stands_in_one_column() -> None:
    """The same page of parent and child stands in the same place, marked by letters."""
    lines = shown(FORKED)
    maps = [text for text in lines if "maps" in text]

    assert len({text.index("f5..f16 r S") for text in maps}) == 1
    assert "f4 r x" in maps[0]
    assert "f17 rw x" in maps[1]
    assert any(text.split()[:5] == ["f5..f16", "0", "anon", "av1", "222222222222"] for text in lines)
    assert lines[-1] == "* current, S shared, x exclusive, ? maybe"


def test_bars_over_tables() -> None:
    """The VMA's bar covers both tables' bars."""
    lines = shown(STRADDLE)
    vmas, tables = next(pair for pair in pairwise(lines) if "VMAs" in pair[0] and "[v1" in pair[0])

    assert (vmas.index("["), vmas.rindex("]")) == (tables.index("[pt1"), tables.rindex("]"))
    assert "][pt2 " in tables


@pytest.mark.parametrize("width", [40, 60, 80, 200])
@pytest.mark.parametrize("line", [FORKED, STRADDLE, SPARSE, CLASSROOM])
def test_every_width(line: str, width: int) -> None:
    """No line is wider than the screen, and no folio is lost."""
    lines = shown(line, width)

    assert max(map(columns_of, lines)) <= width
    assert all(sign in "".join(lines) for sign in ("f1", "v1", "pt1"))


def test_classroom_fits_a_small_terminal() -> None:
    """Two processes and a few folios, the prompt and its toolbar below."""
    assert len(shown(CLASSROOM)) <= 22


def in_class(line: str, width: int = 80) -> list[str]:
    return shown(f"set geometry classroom ; set schemes per-page,tuples,vmas,mm-id ; {line}", width)


def test_small_tables_are_drawn_entry_by_entry() -> None:
    """A table is a row of eight: a folio that straddles two of them is seen, with a digit for each of its pages."""
    lines = in_class("file lib 16 order=2 ; mmap win 4 file=lib align=8 skew=6 ; fault win[0] ; fault win[2]")

    assert lines[:4] == [
        "1 process, 1 VMA, 2 PTE tables, 4 folios",
        "A* v1 win r--p lib+0 at 0x16000",
        "   pt1 0x10000 [ · · · · · · 0 1 ] f1[0..1] r",
        "   pt2 0x18000 [ 2 3 · · · · · · ] f1[2..3] r",
    ]
    assert lines[-1] == "* current, x exclusive, ! wrong, ? maybe, · none, [0] page"


def test_equal_signs_are_the_same_page() -> None:
    """A letter is an order-0 folio, so a copy has another one; of several large folios each has a letter, too."""
    copied = in_class("mmap buf 4 ; write buf ; fork B ; B: write buf[1] ; read buf[0]")
    assert [text.partition("[")[2].partition("]")[0] for text in copied if " pt" in text[:6]] == [
        " a b c d · · · · ",
        " a e c d · · · · ",
    ]
    large = in_class(
        "set thp.16K always ; mmap buf 8 ; write buf[0] ; write buf[4] ; fork B ; B: madvise dontneed buf[5]"
    )
    assert [text.partition("[")[2].partition("]")[0] for text in large if " pt" in text[:6]] == [
        " a0 a1 a2 a3 b0 b1 b2 b3 ",
        " a0 a1 a2 a3 b0  · b2 b3 ",
    ]
    assert large[-1].endswith("· none, [a0] page 0 of a")


def test_entries_that_map_no_folio() -> None:
    """The zero page and swap have signs of their own; a huge PMD entry is a row of its PMD table."""
    lines = in_class("set swap on ; mmap buf 8 ; write buf[0] ; read buf[1] ; madvise pageout buf[0]")
    assert "   pt1 0x10000 [ % @ · · · · · · ] swap, zero page r" in lines
    assert lines[-1] == "* current, · none, @ zero page, % swap"
    huge = in_class("set thp.32K always ; mmap buf 8 ; write buf[0]")
    assert "   pmd1 0x10000 [ 0─1─2─3─4─5─6─7 ] f1 rw" in huge
    assert huge[-1] == "* current, x exclusive, [0] page, [0─1] PMD entry"


@pytest.mark.parametrize("path", sorted((ROOT / "scenarios" / "class").glob("*.fs")), ids=lambda path: path.stem)
def test_lessons_fit_a_small_terminal(path: Path) -> None:
    """After every step of a lesson the picture has room at 80x24, and one legend line says every sign."""
    run, step = run_file(path), 0
    for _ in run:
        if run.session.step != step:
            step = run.session.step
            lines = picture_lines(run.session)
            assert len(lines) <= 22
            assert max(map(columns_of, lines)) <= 80
            assert [at for at, text in enumerate(lines, 1) if text.startswith("* current")] in ([], [len(lines)])
    assert step


def test_many_small_tables() -> None:
    """Beyond a number of tables the rest are counted."""
    lines = in_class("mmap buf 512 ; write buf")

    assert sum(" pt" in text[:6] and "[ " in text for text in lines) == 32
    assert "32 more page tables not shown; see `show tables`" in lines


def test_verdicts_stay_on_one_line() -> None:
    """At 80 columns other text is wrapped, a verdict is not."""
    setup = "file lib 4 order=2 ; mmap win 4 file=lib ; fork B ; fork C ; fault win ; B: fault win ; C: fault win"
    lines = in_class(f"{setup} ; exit B ; as C ; exit A ; mprotect win[3] none")

    assert any(text.split("1111")[-1].strip().startswith("x !per-page !vmas !mm-id ?tuples") for text in lines)
    assert lines[-2] == "  f1     C:v4 pt3 3; C:v3 pt3 1"


def test_gaps_are_elided() -> None:
    """A gap takes three columns, whatever its size."""
    lines = shown(SPARSE, 120)

    assert any(" ┊ " in text for text in lines)
    assert lines[-1].endswith("┊ address gap")


def test_ascii() -> None:
    """A terminal without the signs gets their spelling, in the drawing too."""
    session = Session()
    session.execute(SPARSE)
    blocks = spelled(report_blocks(session.execute("show")[0]))
    drawing = next(block for block in blocks if hasattr(block, "draw"))
    text = "".join(span.text for line in drawing.draw(80) for span in line.spans)

    assert text.isascii()


@pytest.mark.parametrize(
    ("mode", "bar"), [("mail", "[pt1 ----"), ("markdown", "[pt1 ────"), ("plain", "[pt1 ────"), ("spoken", "in pt1.")]
)
def test_other_modes(mode: str, bar: str) -> None:
    """A mail, a Markdown page and plain text have the drawing too; speech has words."""
    session = Session()
    session.execute(STRADDLE)
    screen = Screen(io.TextIOWrapper(io.BytesIO(), "utf-8"), rich=False, width=80)
    text = screen.rendered(report_blocks(session.execute("show")[0]), mode)

    assert bar in text
    assert ("```" in text) == (mode == "markdown")


def test_csv() -> None:
    """A row a process and stretch, and a row a run of folios; the drawing is in neither."""
    session = Session()
    session.execute(FORKED)
    lanes, folios = csv_tables(session.execute("show")[0])

    assert "B,v2,0x7f0000003000,1,buf[3],pt2,f17 rw,exclusive\n" in lanes
    assert "f1,3,0,anon av1,2*1,shared,,tuples,A:v1 B:v2\n" in folios


def test_a_class_sees_no_anon_vma() -> None:
    """It has not heard of them; an expert sees which one a folio belongs to."""
    session = Session()
    session.execute("set geometry classroom ; mmap buf 8 ; write buf[0]")
    assert "anon av1" not in render(report_blocks(session.execute("show")[0]), 80)
    session.execute("set audience expert")
    assert "anon av1" in render(report_blocks(session.execute("show")[0]), 80)
