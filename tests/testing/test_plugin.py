"""The pytest plugin: what is collected, what fails and how it is told, in which order soever items run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# Imported here, it need not be imported again by every inner run.
import folioshell.testing.collect
from folioshell.testing.collect import ScriptReplay

pytest_plugins = ["pytester"]

MAGIC = "#!folioshell 1\n"
SETUP = f"{MAGIC}file lib 32 order=4\nmmap win 16 file=lib align=512 skew=504\n"
GOOD = f"{SETUP}fault win[0] ; expect mapcount vmas f1 == 1\nexpect vmas A == 1 ; expect vmas A == 1\n"
BAD = f"{SETUP}fault win[0] ; fault win[8]\n  expect mapcount tuples f1 == 3\nexpect vmas A == 1\n"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Inner runs have this plugin only, from this tree, whatever else is installed."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", str(Path(folioshell.testing.collect.__file__).parents[2]))


def run(pytester: pytest.Pytester, *words: str) -> pytest.RunResult:
    """Run pytest with the plugin."""
    return pytester.runpytest_inprocess(
        "-p", "folioshell.testing.plugin", "-W", "ignore::pytest.PytestAssertRewriteWarning", *words
    )


def script(pytester: pytest.Pytester, name: str, text: str) -> Path:
    path = pytester.path / name
    path.write_text(text)
    return path


def outcomes(result: pytest.RunResult) -> dict[str, str]:
    """The outcome of each item by what stands behind ``::``."""
    lines = [line.partition("::")[2] for line in result.outlines if "%]" in line]
    return dict(re.findall(r"^(.*?) (PASSED|FAILED) ", "\n".join(lines), re.MULTILINE))


def test_items(pytester: pytest.Pytester) -> None:
    """An item an expect, golden block and script read, and one for the end; equal names get their column."""
    script(pytester, "more.fs", "fork B\n")
    shows = "show processes\n> processes\n> ...\n"
    script(pytester, "a.fs", f"{GOOD}source more.fs\n{shows}race {{\n A.t1: fault win[0]\n}} ; expect states > 0\n")
    result = run(pytester, "--collect-only", "-q")

    assert result.outlines[:-2] == [
        "a.fs::4: mapcount vmas f1 == 1",
        "a.fs::5: vmas A == 1",
        "a.fs::5:22: vmas A == 1",
        "a.fs::6: source more.fs",
        "a.fs::8: output of show processes",
        "a.fs::12: states > 0",
        "a.fs::runs to its end",
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("forth.fs", ": square dup * ;\n"),
        ("late.fs", "# a comment first\n#!folioshell 1\nexpect vmas A == 1\n"),
        ("other.fs", "#!folioshellx\n"),
        ("script.txt", GOOD),
        ("empty.fs", ""),
    ],
)
def test_what_is_not_collected(pytester: pytest.Pytester, name: str, text: str) -> None:
    """Other languages have the suffix, too: the first line tells."""
    script(pytester, name, text)

    assert run(pytester).ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_pass_and_fail(pytester: pytest.Pytester) -> None:
    """Each expect passes or fails on its own; a failed one is told as `folioshell run` tells it."""
    script(pytester, "good.fs", GOOD)
    script(pytester, "bad.fs", BAD)
    result = run(pytester)

    result.assert_outcomes(passed=4 + 2, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*_ 5: mapcount tuples f1 == 3 _*",
            "FAIL  bad.fs:5:29: is 2, expected == 3",
            "        expect mapcount tuples f1 == 3",
            "                                  ^^^^",
            "      changed to 2 from 1 by step 4: `fault win[[]8]`",
            "      open:  folioshell run bad.fs --until 4 -i",
        ]
    )


@pytest.mark.parametrize(
    ("stop", "text"),
    [
        ("mprotect 0x1000 r", "FAIL  a.fs:3:1: mprotect 0x1000 r"),
        ("fault nowhere", "a.fs:3:7: error: no such region"),
        ("source missing.fs", "a.fs:3:8: error: cannot read missing.fs*"),
    ],
)
def test_a_stop_in_the_middle(pytester: pytest.Pytester, stop: str, text: str) -> None:
    """What was before it passes, what is behind it fails with the reason, and so does the script."""
    script(pytester, "a.fs", f"{MAGIC}expect vmas A == 0\n{stop}\nexpect vmas A == 0\n")
    result = run(pytester)

    result.assert_outcomes(passed=1, failed=2 + stop.startswith("source"))
    result.stdout.fnmatch_lines([f"not reached: {text}", text])


def test_quit_in_the_middle(pytester: pytest.Pytester) -> None:
    """An expect that is never evaluated does not pass."""
    script(pytester, "a.fs", f"{MAGIC}expect vmas A == 0\nquit\nexpect vmas A == 0\n")
    result = run(pytester, "-v")

    assert outcomes(result)["4: vmas A == 0"] == "FAILED"
    result.stdout.fnmatch_lines(["not reached: `quit` ended the script at line 3"])


def test_a_script_that_cannot_be_parsed(pytester: pytest.Pytester) -> None:
    """It is an error of its own, with a caret under the place; the others are run."""
    script(pytester, "broken.fs", f"{MAGIC}falut a\n")
    script(pytester, "good.fs", GOOD)
    result = run(pytester)

    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(["broken.fs:2:1: error: unknown command", "  falut a", "  ^^^^^"])


def test_a_script_that_cannot_be_read(pytester: pytest.Pytester) -> None:
    """One file that cannot be read, even by root, is an error of its own; the others are run."""
    (pytester.path / "bad.fs").symlink_to("/proc/self/mem")
    script(pytester, "good.fs", GOOD)
    result = run(pytester)

    result.assert_outcomes(passed=4, errors=1)
    result.stdout.fnmatch_lines(["*bad.fs: error: cannot*"])


def test_a_race_that_finds_something(pytester: pytest.Pytester) -> None:
    """It fails the script as a whole, unless an expect asks for what it found."""
    setup = "madvise dontneed win[0..2]\nset decide vmas ; set protocol as-mailed\nrace { A.t1: fault win[0] }\n"
    script(pytester, "a.fs", f"{SETUP}fault win[0]\n{setup}expect states > 1\n")
    result = run(pytester, "-v")

    assert outcomes(result) == {"8: states > 1": "PASSED", "runs to its end": "FAILED"}
    result.stdout.fnmatch_lines(["FAIL  a.fs:7:1: race { A.t1: fault win[[]0] }"])


def test_sourced_and_golden(pytester: pytest.Pytester) -> None:
    """A script that is read fails at the line that reads it; a golden block where it stands."""
    script(pytester, "more.fs", "mmap a 4\nexpect vmas A == 7\n")
    script(pytester, "empty.fs", "# nothing\n")
    script(pytester, "a.fs", f"{MAGIC}source empty.fs\nsource more.fs\nfork B\n> old\nexpect vmas B == 1\n")
    result = run(pytester, "-v")

    assert outcomes(result) == {
        "2: source empty::fs": "PASSED",
        "3: source more::fs": "FAILED",
        "5: output of fork B": "FAILED",
        "6: vmas B == 1": "PASSED",
        "runs to its end": "PASSED",
    }
    result.stdout.fnmatch_lines(["FAIL  more.fs:2:15: is 1, expected == 7"])
    result.stdout.fnmatch_lines(["*to accept: folioshell run --update a.fs"])


def test_one_item_alone(pytester: pytest.Pytester) -> None:
    """By its id or by -k: the script is replayed up to it."""
    script(pytester, "bad.fs", BAD)

    run(pytester, "bad.fs::6: vmas A == 1").assert_outcomes(passed=1)
    run(pytester, "-k", "tuples").assert_outcomes(failed=1, deselected=2)


def test_last_failed(pytester: pytest.Pytester) -> None:
    """--lf runs what failed, and nothing else."""
    script(pytester, "bad.fs", BAD)
    run(pytester)

    run(pytester, "--lf").assert_outcomes(failed=1)


def test_any_order_and_one_run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Items of several scripts in the opposite order give the same; in order, each script is run once."""
    begun = []
    begin = ScriptReplay._begin
    monkeypatch.setattr(ScriptReplay, "_begin", lambda self: (begun.append(self.name), begin(self)))
    script(pytester, "a.fs", BAD)
    script(pytester, "b.fs", GOOD)
    pytester.makeconftest(
        """
        def pytest_addoption(parser):
            parser.addoption("--backwards", action="store_true")
        def pytest_collection_modifyitems(config, items):
            if config.getoption("--backwards"):
                items[:] = items[::-2] + items[-2::-2]
        """
    )
    forwards = run(pytester, "-v")
    assert begun == ["a.fs", "b.fs"]
    backwards = run(pytester, "-v", "--backwards")

    assert outcomes(forwards) == outcomes(backwards)
    assert "5: mapcount tuples f1 == 3" in outcomes(forwards)


def test_definitions_and_invariants(pytester: pytest.Pytester) -> None:
    """The configuration names definitions that count too, and lets invariants be checked."""
    (pytester.path / "mine.py").write_text(
        "from folioshell.schemes.vmas import Vmas\n"
        "class Mine(Vmas):\n    name = 'mine'\n    version = 'none'\n    about = ('As vmas does.', 'It is the same.')\n"
    )
    pytester.makeini("[pytest]\nfolioshell_scheme = mine.py\nfolioshell_check = true\n")
    script(pytester, "a.fs", f"{SETUP}fault win[0]\nexpect mapcount mine f1 == 1\nexpect mapcount mine f1 == 2\n")
    result = run(pytester)

    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(["*open:  folioshell run --scheme *mine.py a.fs --until 3 -i"])


def test_a_script_may_not_write_or_load(pytester: pytest.Pytester) -> None:
    """Untrusted scripts are tests, too."""
    script(pytester, "a.fs", f"{MAGIC}save out.fs\n")
    script(pytester, "b.fs", f"{MAGIC}source ../x.fs\n")

    run(pytester).assert_outcomes(failed=3)
    assert not (pytester.path / "out.fs").exists()


def test_nothing_is_imported_without_scripts(pytester: pytest.Pytester) -> None:
    """Who has folioshell installed and tests something else does not pay for it."""
    pytester.makepyfile(
        """
        import sys
        def test_modules():
            assert "folioshell.testing.plugin" in sys.modules
            assert "folioshell.session" not in sys.modules
            assert "folioshell.testing.collect" not in sys.modules
        """
    )
    script(pytester, "forth.fs", ": square dup * ;\n")
    pytester.runpytest_subprocess("-p", "folioshell.testing.plugin").assert_outcomes(passed=1)


def test_loops(pytester: pytest.Pytester) -> None:
    """A loop with assertions is one item, and fails if they do in any round."""
    loops = "for i in 1..3 {\n fork B$i\n expect vmas B$i == 1\n}\nfor i in 1..3 { expect order f$i == 0 }\n"
    script(pytester, "a.fs", f"{MAGIC}mmap buf 4 ; write buf[0..1]\n{loops}expect vmas A == 1\n")
    result = run(pytester, "-v")

    assert list(outcomes(result).values()) == ["PASSED", "FAILED", "FAILED", "FAILED"]
    result.stdout.fnmatch_lines(["a.fs:7:30: error: no such folio (i = 3)"])


def test_assertions_of_other_profiles_are_skipped(pytester: pytest.Pytester) -> None:
    """They are neither passed nor failed, in which order soever the items run."""
    script(pytester, "a.fs", f"{GOOD}expect[6.1] vmas A == 7\nexpect[6.18] vmas A == 1\n")
    result = run(pytester, "-v")

    result.assert_outcomes(passed=5, skipped=1)
    assert any("a.fs::6: expect[6.1] vmas A == 7 SKIPPED" in line for line in result.outlines)


def test_questions_and_tasks(pytester: pytest.Pytester) -> None:
    """An item a question, wrong answer and solution; each fails on its own, in whatever order they run."""
    text = (
        f"{MAGIC}mmap buf 2\nwrite buf\n? truth entries f1 == 2 | How many?\n?wrong 2 no\n?wrong 3 no\n"
        "? vmas B == 1 | And VMAs?\nfork B\nexpect vmas A == 1\n"
        "?task alone | x\n?goal truth mms buf[0] == 1\n?solution exit B\n?solution fork C\nexpect vmas B == 1\n"
    )
    script(pytester, "a.fs", text)
    result = run(pytester, "-v", "-p", "no:cacheprovider")

    assert outcomes(result) == {
        "4: ? truth entries f1 == 2": "PASSED",
        "5: ?wrong 2 no": "FAILED",
        "6: ?wrong 3 no": "PASSED",
        "7: ? vmas B == 1": "PASSED",
        "9: vmas A == 1": "PASSED",
        "12: ?solution exit B": "PASSED",
        "13: ?solution fork C": "FAILED",
        "14: vmas B == 1": "PASSED",
        "runs to its end": "PASSED",
    }
    last = run(pytester, "-v", "a.fs::13: ?solution fork C", "a.fs::5: ?wrong 2 no")
    assert list(outcomes(last).values()) == ["FAILED", "FAILED"]
