"""run --junit writes what was asserted, whatever came of it, and the same bytes each time."""

from __future__ import annotations

from pathlib import Path
from xml.etree.ElementTree import Element, parse

import pytest

from folioshell.cli import main
from folioshell.session.session import Session

SETUP = "#!folioshell 1\nmmap a 4\nfault a\n"


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Names are short."""
    monkeypatch.chdir(tmp_path)


def suites(*names: str, status: int) -> dict[str, Element]:
    """The suites of a run by name."""
    assert main(["run", "--quiet", "--junit", "out.xml", *names]) == status
    return {str(suite.get("name")): suite for suite in parse("out.xml").getroot()}


def cases(suite: Element) -> list[tuple[str, str]]:
    """(name, what became of it) of each case of a suite."""
    return [(str(case.get("name")), case[0].tag if len(case) else "passed") for case in suite]


def test_cases() -> None:
    """A case an expect and a golden block; the text of a failure is what is printed."""
    Path("a.fs").write_text(f"{SETUP}expect vmas A == 1 ; expect vmas A == 7\nfork B\n> old\n")
    Path("b.fs").write_text(f"{SETUP}expect vmas A < 9\n")
    found = suites("a.fs", "b.fs", status=1)

    assert cases(found["a.fs"]) == [
        ("4: vmas A == 1", "passed"),
        ("4: vmas A == 7", "failure"),
        ("6: output of fork B", "failure"),
    ]
    assert cases(found["b.fs"]) == [("4: vmas A < 9", "passed")]
    assert (found["a.fs"].get("tests"), found["a.fs"].get("failures"), found["a.fs"].get("errors")) == ("3", "2", "0")
    failure = found["a.fs"][1][0]
    assert failure.get("message") == "a.fs:4:36: is 1, expected == 7"
    assert str(failure.text).endswith("look:  folioshell run a.fs --until 2 -i")
    assert (found["a.fs"][1].get("file"), found["a.fs"][1].get("line")) == ("a.fs", "4")


@pytest.mark.parametrize(
    ("line", "status", "case"),
    [
        ("mprotect 0x1000 r", 1, ("4: mprotect 0x1000 r", "failure")),
        ("fault nowhere", 2, ("4: no such region", "error")),
        ("falut a", 2, ("4: unknown command", "error")),
    ],
)
def test_stops(line: str, status: int, case: tuple[str, str]) -> None:
    """What stops a script is a case of its own."""
    Path("a.fs").write_text(f"{SETUP}{line}\n")

    assert cases(suites("a.fs", status=status)["a.fs"]) == [case]


def test_files_that_cannot_be_read() -> None:
    """A missing script is an error; the others are run."""
    Path("b.fs").write_text(f"{SETUP}expect vmas A == 1\n")
    found = suites("missing.fs", "b.fs", status=2)

    assert [kind for _, kind in cases(found["missing.fs"])] == ["error"]
    assert [kind for _, kind in cases(found["b.fs"])] == ["passed"]


def test_sourced_scripts() -> None:
    """Assertions of a script that is read stand in the suite of the one that reads it, with their own file."""
    Path("more.fs").write_text("expect vmas A == 1\n")
    Path("a.fs").write_text(f"{SETUP}source more.fs\n")
    (case,) = suites("a.fs", status=0)["a.fs"]

    assert case.get("classname") == "more.fs"


def test_the_same_bytes_each_time() -> None:
    """No clock, host or date."""
    Path("a.fs").write_text(f"{SETUP}expect vmas A == 7\n")
    suites("a.fs", status=1)
    first = Path("out.xml").read_bytes()
    suites("a.fs", status=1)

    assert Path("out.xml").read_bytes() == first
    assert first.count(b'time="0"') == 2
    assert b"timestamp" not in first


def test_what_xml_cannot_hold() -> None:
    """A file name and a line may hold anything."""
    name = "a\x1b<&\ufffe.fs"
    Path(name).write_text("mmap \x01 4\n")

    assert [kind for _, kind in cases(suites(name, status=2)["a?<&?.fs"])] == ["error"]


def test_a_bug(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Even then there is a file, with what was asserted before."""
    Path("a.fs").write_text("expect vmas A == 0\nfork B\n")

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(Session, "_run_step", broken)
    assert cases(suites("a.fs", status=3)["a.fs"]) == [("1: vmas A == 0", "passed"), ("runs to its end", "error")]


def test_where_it_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that is not there is refused by name; -i would come in between."""
    Path("a.fs").write_text(SETUP)

    assert main(["run", "--junit", "no/out.xml", "a.fs"]) == 2
    assert "error: cannot write no/out.xml: No such file or directory" in capsys.readouterr().err
    assert main(["run", "--junit", "out.xml", "-i", "a.fs"]) == 2
