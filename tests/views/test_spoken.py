"""Mode spoken says one fact a line, in words, and draws nothing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from folioshell import Session
from folioshell.commands.grammar import registry
from folioshell.errors import Refused
from folioshell.report import Report, Table
from folioshell.views.blocks import Block, Column, Grid, Span, line, preformatted
from folioshell.views.refusal_view import refusal_blocks
from folioshell.views.report_view import report_blocks
from folioshell.views.spoken import labelled, render, said
from tests.command_line import folioshell
from tests.views import samples

ROOT = Path(__file__).parents[2] / "scenarios"
SCRIPTS = sorted(ROOT.rglob("*.fs"))
#: what nobody can hear: columns, and signs that are seen
UNSPEAKABLE = re.compile(r" {2}|^ |[·→─×…│┊^]")


def lines_of(blocks: list[Block], width: int = 10_000) -> list[str]:
    return render(blocks, width).splitlines()


def spoken(*reports: Report) -> list[str]:
    return [text for report in reports for text in lines_of(report_blocks(report))]


def answers(*lines: str) -> list[str]:
    """What the last of some commands says."""
    session = Session()
    *_, last = [session.execute(text) for text in lines]
    return spoken(*last)


def test_step() -> None:
    """What changed comes first, each number after its scheme; locks are a numbered list."""
    assert spoken(samples.STRADDLE) == [
        "A read win[8]: filemap_map_pages() mapped pages 8..15 of f1 in pt2.",
        "f1, order 4: per-page 8 to 16, tuples 1 to 2, mm-id 8 to 16, vmas stays 1.",
        "2 PTLs taken, in order:",
        "1. A.mm, by __pte_alloc.",
        "2. pt2, by filemap_map_pages.",
    ]
    assert "2. pmd1, under 1 other, by copy_huge_pmd." in spoken(samples.FORK)
    assert "3. pt7..pt10 512 times, by copy_present_ptes." in spoken(samples.FORK)


def test_walk_and_finding() -> None:
    """A walk is a line a VMA, with the tables entered; a VMA without an entry says why."""
    texts = spoken(samples.COLD)

    assert texts[2].endswith(": 3 VMAs visited (1 without an entry), 6 PTLs, 2,064 entries")
    assert [texts[1], *texts[3:]] == [
        "!!! FINDING: vmas said no, but B reads f1 too",
        "A v1: 16 entries: 8 in pt1, 8 in pt2.",
        "B v4: 0 entries, no table entered; its page table was never filled.",
        "C v9: 2,048 entries: 512 in pt5, 512 in pt6, 512 in pt7, 512 in pt8.",
    ]


STRADDLE = "file lib 16 order=2 ; mmap win 4 file=lib align=8 skew=6 ; fault win[0] ; fault win[2]"


def test_answers() -> None:
    """A scheme's answer, whether it is right, its number, and what resolving it costs."""
    assert answers("set geometry classroom ; set schemes per-page,tuples,vmas", STRADDLE, "query shared? f1") == [
        "shared? f1 (order 2):",
        "per-page: yes, wrong, false positive, number 4.",
        "tuples: maybe, undecided, number 2, to resolve it: a walk of 1 VMA, 2 PTLs, 4 entries.",
        "vmas: no, exact, number 1.",
        "truth: no; 1 mm, 1 VMA, 2 tuples, 4 entries, 4 pages mapped",
    ]


def test_picture() -> None:
    """Each stretch of a VMA, and each folio with who maps it."""
    assert answers("set geometry classroom ; set schemes per-page,tuples", STRADDLE, "show")[1:] == [
        "A, the current process: 1 VMA.",
        "A v1: r--p, lib+0, 4 pages at 0x16000.",
        "win[0..1] of A: f1[0..1] r, exclusive, in pt1.",
        "win[2..3] of A: f1[2..3] r, exclusive, in pt2.",
        "f1, order 2, of lib+0: exclusive, per-page is wrong, tuples says maybe.",
        "f1: 1 entry a page, mapped by A v1 in pt1, pt2.",
        "f2..f4, order 2, of lib+4: unmapped.",
    ]


def test_pages_of_a_folio_that_differ() -> None:
    """Entries are told by page where the pages differ."""
    texts = answers("set thp.16K always ; mmap buf 4 ; write buf ; fork B ; B: madvise dontneed buf[1..2]", "show")

    assert any("page[0] 2 entries, page[1..2] 1 entry, page[3] 2 entries, mapped by" in text for text in texts)


DEADLOCK = (
    "file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504 ; write win[3] ; write win[12]",
    "fault win[0] ; fault win[8]",
    "set decide vmas ; set protocol exclude-own",
)
RACE = "race { A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..10] }"


def test_races_are_numbered_lists() -> None:
    """What a race finds, the deadlock, and a schedule followed by hand: who takes what, who waits for whom."""
    session = Session()
    for text in DEADLOCK:
        session.execute(text)
    (race,) = session.execute(RACE)
    texts = spoken(race)
    schedule = texts[2].rpartition(": ")[2].rstrip(".")

    assert texts[2].startswith("1. deadlock in ")
    assert "2. A.t1 takes pt1 in zap_pte_range()." in texts
    assert [text for text in texts if " waits for " in text][1:] == [
        "5. A.t1 waits for pt2, held by A.t2, in folio_mapped_in_vma().",
        "6. A.t2 waits for pt1, held by A.t1, in folio_mapped_in_vma().",
    ]
    followed = spoken(*session.execute(f"{RACE} schedule={schedule}"))
    assert "3. A.t1 takes pt1, in zap_pte_range()." in followed
    assert "5. A.t1 releases mapcount bit lock of f1." in followed


def test_trace() -> None:
    """A trace is a numbered list of what is taken, released and announced."""
    texts = answers("mmap buf 4", "write buf[0]", "trace")

    assert texts[0] == "step 2, A: write buf[0]:"
    assert "1. does a trylock of vm_lock of v1 for reading, in lock_vma_under_rcu(), depth 0." in texts
    assert any(text.endswith(" f1 new, order 0, anon, depth 1.") for text in texts)


def test_a_place_is_said() -> None:
    """A caret is the number of the word, its column and the word."""
    error = Refused("no such advice", start=8, end=12, text="madvise clod buf", allowed=("cold",), hint="cold")

    assert lines_of(refusal_blocks(error, 80, 7)) == [
        "error: no such advice",
        "madvise clod buf",
        "at word 2, column 9: clod",
        "allowed: cold",
        "help: did you mean cold?",
        "note: state unchanged; still at step 7",
    ]
    at_end = Refused("a place is missing", start=5, end=6, text="fault")
    assert "at the end of the line, column 6" in lines_of(refusal_blocks(at_end, 80))
    within = Refused("no such region", start=9, end=10, text="fault buf[x]")
    assert "at word 2, column 10: [" in lines_of(refusal_blocks(within, 80))


def test_any_other_table() -> None:
    """Each value after its label; of two columns the first is the label, and an empty key is that of the row above."""
    two = Grid((Column("verb"), Column("does")), ((Span("fork"), Span("new child")),), note="x")
    rows = ((Span("v1"), Span("4"), Span("-")), (Span(""), Span("5"), Span("a, b")))
    three = Grid((Column("vma"), Column("pages"), Column("note")), rows, "VMAs")

    assert lines_of([two]) == ["fork: new child", "x"]
    assert lines_of([three]) == ["VMAs:", "vma v1: pages 4.", "vma v1: pages 5; note a, b."]
    title = ((Span("1"), Span("What is a VMA?"), Span("")),)
    assert lines_of([Grid((Column("lesson"), Column("title"), Column("progress")), title)]) == [
        "lesson 1: title What is a VMA?"
    ]
    empty = Report("show", "A", sections=(Table("rows", ("a", "b", "c")),))
    assert spoken(empty) == ["rows:", "nothing"]


@pytest.mark.parametrize(
    ("seen", "heard"),
    [
        ("4 → 8", "4 to 8"),
        ("4 -> 8", "4 to 8"),
        ("vma->vm_flags", "vma->vm_flags"),
        ("pt1 ×1,024, pt2", "pt1 1,024 times, pt2"),
        ("f1 … f9", "f1 ... f9"),
        ("≤ 5", "at most 5"),
        ("a · b — c", "a, b - c"),
        ("a   b", "a b"),
    ],
)
def test_signs(seen: str, heard: str) -> None:
    """Signs are said; the kernel's own arrow between a pointer and a member stays."""
    assert said(seen) == heard


def test_lines() -> None:
    """What is laid out in columns becomes label and text; lines are wrapped without an indent."""
    assert lines_of([preformatted("  fault WHAT    touch pages"), preformatted("# Title")]) == [
        "fault WHAT: touch pages",
        "Title",
    ]
    assert render([line("one two three four", indent=4)], 10) == "one two\nthree four\n"
    assert labelled("example:", "x") == "example: x"


#: a state with large and small folios in two processes, and a number in every view
STATE = (
    "file lib 16 order=2 ; mmap win 4 file=lib align=8 skew=6 ; fault win[0] ; fork B",
    "mmap buf 8 ; write buf ; fork C ; C: write buf[3] ; watch f1",
)
VIEWS = (
    *("show", "show vmas", "show tables", "show folios", "show rmap", "show locks", "show smaps", "show kpagecount"),
    *(
        "show processes",
        "show stats",
        "show schemes",
        "query shared? f1",
        "query present? buf[0]",
        "rmap f1",
        "walk win",
    ),
    *("trace", "trace events", "why f1", "diff", "cost", "dump f1", "set", "history", "watch", "locks order", "help"),
    *("expect mapcount tuples f1 == 7", "expect shared? truth f1 == yes", "compare profiles 6.1,6.12", "mode"),
    *(f"help {verb}" for verb in registry.commands),
)


def test_every_view() -> None:
    """No view of a state, and no help, has columns or signs in it."""
    session = Session()
    session.execute("set geometry classroom")
    texts = [text for line in STATE for text in spoken(*session.execute(line))]
    for view in VIEWS:
        texts += spoken(*session.execute(view))

    assert [text for text in texts if UNSPEAKABLE.search(text)] == []
    assert len(texts) > 1000


def unspeakable(path: Path) -> list[str]:
    """The lines of a run of a script, prose, prompts and summary too, that have columns or signs."""
    done = folioshell("run", "--mode", "spoken", str(path))
    assert done.returncode == 0
    return [text for text in done.stdout.splitlines() if UNSPEAKABLE.search(text)]


@pytest.mark.parametrize("path", [one for one in SCRIPTS if one.parent.name == "class"], ids=lambda path: path.stem)
def test_lessons(path: Path) -> None:
    """No line of a lesson has two blanks in a row, or a sign."""
    assert unspeakable(path) == []


@pytest.mark.full
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_scenarios(path: Path) -> None:
    """The same of every scenario."""
    assert unspeakable(path) == []
