"""Golden blocks: what stands below a line is what it shows, and can be rewritten in its own words."""

from __future__ import annotations

import pytest

from folioshell.errors import Refused
from folioshell.report import Report
from folioshell.script.golden import Golden, agree, difference, updated
from folioshell.script.runner import FAILED, PASSED, REFUSED, Runner, run_text
from folioshell.script.script import ScriptEvent
from folioshell.views.report_view import plain_lines


def rendered(reports: list[Report]) -> list[str]:
    return plain_lines(reports, 100)


def play(text: str) -> tuple[Runner, list[ScriptEvent]]:
    runner = run_text(text, name="test.fs", render=rendered)  # type: ignore[arg-type]
    return runner, list(runner)


@pytest.mark.parametrize(
    ("expected", "actual", "agrees"),
    [
        ("a b", "a b", True),
        ("a b", "a", False),
        ("a", "a b", False),
        ("", "", True),
        ("...", "", True),
        ("...", "a b c", True),
        ("a ...", "a b c", True),
        ("... c", "a b c", True),
        ("a ... c", "a c", True),
        ("a ... c", "a b c d", False),
        ("a ... c ... d", "a c b c d", True),
        ("a ... a", "a", False),
        ("... b ... b ...", "a b c", False),
        ("f[..]x a", "f1-x a", True),
        ("f[..]x", "f1-xy", False),
        ("[..]a[..]ab", "xaab", True),
        ("[..]aa[..]a", "aa", False),
        ("ab[..]bc", "abc", False),
        ("a[..][..]a", "aa", True),
        ("a[..]b[..]c", "acb", False),
        ("[..]", "anything", True),
        ("a+b", "aab", False),
    ],
)
def test_agree(expected: str, actual: str, agrees: bool) -> None:
    """Lines are compared as they stand, with gaps where the block has them."""
    assert agree(expected.split(), actual.split()) is agrees


@pytest.mark.parametrize(
    ("expected", "actual", "after"),
    [
        ("a b", "a c", "a c"),
        ("a ... c", "a b c", "a ... c"),
        ("a ... c d", "a b c e", "a ... c e"),
        ("a ... c", "a b d", "a b d"),
        ("x[..] b", "x1 c", "x[..] c"),
        ("... c d", "a b c e", "... c e"),
        ("a b ...", "c b d e", "c b ..."),
        ("...", "a b", "..."),
        ("", "a b", "a b"),
        ("a a", "a", "a"),
    ],
)
def test_updated(expected: str, actual: str, after: str) -> None:
    """A rewritten block agrees with what was shown, and keeps what of it still holds."""
    made = updated(expected.split(), actual.split())

    assert made == after.split()
    assert agree(made, actual.split())


def test_gaps_are_matched_in_one_pass() -> None:
    """Many gaps in a long line take one look at each place; a backtracking match of this would never end."""
    line = "a" * 50_000

    assert agree(["[..]a" * 40 + "[..]b"], [line]) is False
    assert agree(["[..]a" * 40 + "[..]a"], [line]) is True


def test_difference_is_short() -> None:
    """Lines that differ stand between one line of context; of very many only some are shown."""
    assert difference(["a", "b", "c", "d"], ["a", "b", "x", "d"]) == ["@@ -2,3 +2,3 @@", " b", "-c", "+x", " d"]
    assert len(difference([], [str(number) for number in range(100)])) == 17


def test_marks_and_indent() -> None:
    """One blank behind the mark belongs to it; a rewritten block is set in as it was."""
    golden = Golden(3, ("  > a", "  >  b", "  >", "  >c"))

    assert golden.lines == ("a", " b", "", "c")
    assert golden.rewritten(["x", ""]) == ["  > x", "  >"]


def test_a_script_with_blocks() -> None:
    """A block is compared with what all commands of its line show; one that differs fails, and the script goes on."""
    runner, played = play(
        "mmap a 4\n> mmap(a, [..]\n> ...\n\n"
        "fork B ; expect vmas A == 1\n> fork() = B, [..]\n> ...\n> pass  expect vmas A == 1\n"
        "show vmas\n> nothing\nfork C\n"
    )  # fmt: skip
    goldens = [item.golden for item in played if item.golden is not None]

    assert (runner.status, runner.goldens, runner.failed, runner.steps) == (FAILED, 3, 1, 3)
    assert [(golden.passed, golden.golden.number) for golden in goldens] == [(True, 2), (True, 6), (False, 10)]
    assert goldens[-1].actual[0] == "VMAs"


def test_width_and_columns_of_the_screen_do_not_matter() -> None:
    """A block holds plain text of 100 columns."""
    text = "help fault\n> fault: [..]\n> ...\n"

    assert play(text)[0].status == PASSED
    assert max(len(line) for line in rendered(run_reports("help mremap"))) > 60


def run_reports(line: str) -> list[Report]:
    return [played.report for played in run_text(line) if played.report is not None]


def test_blocks_are_not_compared_without_somebody_who_renders() -> None:
    """Whoever only runs a script need not draw it."""
    runner = run_text("show vmas\n> nothing\n")
    list(runner)

    assert (runner.status, runner.goldens) == (PASSED, 0)


def test_a_block_that_is_not_reached() -> None:
    """What a script that stopped did not show is not compared."""
    runner, _ = play("mmap a 4\nfault b\n> text\n")

    assert (runner.status, runner.goldens) == (REFUSED, 0)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("> a\n", 1, "there is no command above this golden block"),
        ("mmap a 4\n\n> a\n", 3, "there is no command above this golden block"),
        ("mmap a 4\n# why\n> a\n", 3, "there is no command above this golden block"),
        ("| prose\n> a\n", 2, "there is no command above this golden block"),
        ("source a.fs\n> a\n", 2, "`source` and `load` cannot have a golden block"),
    ],
)
def test_blocks_in_the_wrong_place(text: str, line: int, message: str) -> None:
    """A block that belongs to nothing is refused with its place before anything runs."""
    runner, played = play(text)
    error = played[-1].refused

    assert runner.status == REFUSED
    assert isinstance(error, Refused)
    assert (error.line, error.start, error.message) == (line, 0, message)


def test_behind_a_line_that_goes_on() -> None:
    """The last line of braces may have a block, and braces within a block hold nothing together."""
    runner, _ = play("mmap a 4\nrace {\n A.t1: fault a[0]\n}\n> Race of A.t1, exhausted: [..]\n> ...\nfork B\n> {\n")

    assert (runner.goldens, runner.failed) == (2, 1)
