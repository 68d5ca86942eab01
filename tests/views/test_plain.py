"""The plain renderer prints aligned text that a person can read and a diff can compare."""

from __future__ import annotations

import subprocess
import sys

import pytest

from folioshell.report import Report, Text
from folioshell.views.blocks import Column, Grid, Span, line
from folioshell.views.plain import render
from folioshell.views.report_view import ScriptPlace, report_blocks
from tests.views import samples


def text_of(report: Report, width: int = 100) -> str:
    return render(report_blocks(report), width)


def test_step() -> None:
    """A step prints its sentence, every touched folio with old and new numbers, and the PTLs in order."""
    assert text_of(samples.STRADDLE) == (
        "A read win[8]: filemap_map_pages() mapped pages 8..15 of f1 in pt2.\n"
        "  folio  order  per-page  tuples  vmas   mm-id\n"
        "  f1         4    8 → 16   1 → 2     1  8 → 16\n"
        "2 PTLs taken, in order\n"
        "  lock  depth  taken by\n"
        "  A.mm      0  __pte_alloc\n"
        "  pt2       0  filemap_map_pages\n"
    )


def test_runs_and_nesting() -> None:
    """Folios and locks that were treated alike share a row, and a nested lock is set in."""
    assert text_of(samples.FORK) == (
        "A forked B: 3 VMAs, 8 entries of f1 and 100000 small folios copied.\n"
        "  folio        order  per-page  tuples   vmas  note\n"
        "  f1               3    8 → 16   1 → 2  1 → 2\n"
        "  f2..f100001      0     1 → 2   1 → 2  1 → 2\n"
        "  f100002          4    0 → 16   0 → 1      -  new\n"
        "2,050 PTLs taken, in order\n"
        "  lock            depth  taken by\n"
        "  pmd2                0  copy_huge_pmd\n"
        "    pmd1              1  copy_huge_pmd\n"
        "  pt7..pt10 ×512      0  copy_present_ptes\n"
    )


def test_walk_and_finding() -> None:
    """A walk shows every VMA, misses too; a finding stands before all tables."""
    assert text_of(samples.COLD, 120) == (
        "A advised win cold: f1 may be shared, so the PTL was dropped and the rmap walked.\n"
        "!!! FINDING: vmas said no, but B reads f1 too\n"
        "rmap walk of f1 through i_mmap of lib for folio_maybe_mapped_shared: "
        "3 VMAs visited (1 without an entry), 6 PTLs, 2,064\nentries\n"
        "  process  vma  tables entered     entries  note\n"
        "  A        v1   pt1..pt2 8 each         16\n"
        "  B        v4   none                     0  its page table was never filled\n"
        "  C        v9   pt5..pt8 512 each     2048\n"
    )


def test_query() -> None:
    """A query shows a row a scheme, marks a wrong verdict with ``!``, and the truth stands beside it."""
    assert text_of(samples.QUERY) == (
        "shared? win[0] (f1, order 4)\n"
        "  scheme    number  answer  verdict           cost to resolve\n"
        "  per-page      16  yes     ! false positive\n"
        "  tuples         2  maybe   undecided         a walk of 2 PTLs and 16 entries\n"
        "  vmas           1  no      exact\n"
        "  mm-id         16  no      exact\n"
        "  truth: no; 1 mm, 1 VMA, 2 tuples, 16 entries, 16 pages mapped\n"
    )


def test_query_without_schemes() -> None:
    """What only the page tables can answer is one line."""
    assert text_of(samples.PRESENT) == "present? win[3]: no\n"


def test_query_leaves_out_empty_columns() -> None:
    """A number is not repeated as an answer, and there is no verdict on a number."""
    assert text_of(samples.MAPCOUNT) == (
        "mapcount f1 (order 4)\n"
        "  scheme    number\n"
        "  per-page      16\n"
        "  vmas           1\n"
        "  truth: 1 mm, 1 VMA, 2 tuples, 16 entries, 16 pages mapped\n"
    )


def test_expect() -> None:
    """An expect that holds is one line; one that fails names its place, both values and why."""
    assert text_of(samples.PASSED) == "pass  expect mapcount vmas f1 == 1\n"
    why = "      pt1 of v1: 1, since step 2\n      pt2 of v1: 1, since step 3\n"
    assert text_of(samples.FAILED) == f"FAIL  expect mapcount tuples f1 == 1\n      is 2, expected == 1\n{why}"
    place = ScriptPlace("mail.fs", 12, "expect mapcount  tuples f1 == 1", "folioshell run mail.fs --until 3 -i")
    assert render(report_blocks(samples.FAILED, place), 100) == (
        "FAIL  mail.fs:12:28: is 2, expected == 1\n"
        "      expect mapcount  tuples f1 == 1\n"
        "                                 ^^^^\n"
        f"{why}"
        "      open:  folioshell run mail.fs --until 3 -i\n"
    )


@pytest.mark.parametrize(
    ("report", "failure"),
    [
        (samples.ENOMEM, "system call failed: ENOMEM"),
        (samples.SIGBUS, "system call failed: SIGBUS at accesses 2..3, SIGSEGV at access 9"),
    ],
)
def test_failure(report: Report, failure: str) -> None:
    """A failure of the kernel follows the sentence."""
    assert text_of(report).splitlines()[1] == failure


def test_failure_is_not_said_twice() -> None:
    """A sentence that names the errno already is enough."""
    report = Report("munmap x", "A", 3, {"errno": "EINVAL"}, "A unmapped x: failed with EINVAL.")

    assert text_of(report) == "A unmapped x: failed with EINVAL.\n"


def test_sections() -> None:
    """Numbers of a table are flush right, what is missing is a dash, and a drawing is left as it is."""
    assert text_of(samples.VMAS) == (
        "VMAs of A\n"
        "  vma  start           pages  perm  file  page\n"
        "  v1   0x7f0000000000     16  r--p  lib      0\n"
        "  v2   0x7f0000400000      4  rw-p  -        -\n"
        "  2 VMAs\n"
        "page tables\n"
        "pt1 ........[f1 0-7]\n"
        "pt2 [f1 8-15].......\n"
    )


@pytest.mark.parametrize("width", [24, 30, 44, 60, 80])
@pytest.mark.parametrize("report", samples.ALL, ids=lambda report: str(report.command))
def test_fits_the_width(report: Report, width: int) -> None:
    """No line is wider than the screen, and no number is lost when a table is folded."""
    text = text_of(report, width)

    assert max(map(len, text.splitlines())) <= width
    for folio in report.folios:
        assert folio.id in text
        for change in folio.mapcounts.values():
            assert str(change.new) in text


def test_long_text_is_broken_within_its_column() -> None:
    """A cell that is too long goes on below itself, beside its row's key."""
    grid = Grid((Column("verb"), Column("does")), ((Span("fork"), Span("new child of the current process")),))

    assert render([grid], 28) == ("  verb  does\n  fork  new child of the\n        current process\n")


def test_no_trailing_spaces() -> None:
    """Lines end where their text ends."""
    for report in samples.ALL:
        assert all(text == text.rstrip() for text in text_of(report).splitlines())


def test_line_is_broken_at_spaces() -> None:
    """A sentence that is too long goes on in the next line, set in."""
    assert render([line("one two three four")], 12) == "one two\n  three four\n"


def test_text_is_broken_within_its_columns() -> None:
    """Prose that is too long goes on flush left, the description of a word under itself; what fits is left alone."""
    report = Report(
        "help", "A", sections=(Text(("one two three four five six", "  at=  where the region goes to", "a   b")),)
    )

    assert text_of(report, 24) == ("one two three four five\nsix\n  at=  where the region\n       goes to\na   b\n")


def test_never_imports_rich() -> None:
    """Importing the plain renderer and all layouts leaves rich out; so does what is written before the first prompt."""
    code = (
        "import sys, folioshell.views.plain, folioshell.views.report_view, folioshell.views.screen\n"
        "folioshell.views.screen.Screen(sys.stdout, rich=True).write_dim('greeting')\n"
        "sys.exit('rich' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
