"""run --junit writes what was asserted, whatever came of it, and the same bytes each time."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree.ElementTree import Element, parse

import pytest

from folioshell.cli import main
from folioshell.errors import Refused
from folioshell.session.session import Session
from folioshell.shell.run_outputs import check_permitted

SETUP = "#!folioshell 1\nmmap a 4\nfault a\n"


@pytest.fixture(autouse=True)
def at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """These tests are no build, wherever they run; names are short, so that lines are not broken."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)


def suites(*names: str, status: int) -> dict[str, Element]:
    """The suites of a run by name."""
    assert main(["run", "--quiet", "--junit", "out.xml", *names]) == status
    return {str(suite.get("name")): suite for suite in parse("out.xml").getroot()}


def cases(suite: Element) -> list[tuple[str, str]]:
    """(name, what became of it) of each case of a suite."""
    return [(str(case.get("name")), case[0].tag if len(case) else "passed") for case in suite]


def test_not_reached() -> None:
    """An assertion that `quit` left out is an error."""
    Path("a.fs").write_text(f"{SETUP}quit\nexpect vmas A == 99\n")
    suite = suites("a.fs", status=1)["a.fs"]

    assert cases(suite) == [("5: vmas A == 99", "error")]
    assert (suite.get("failures"), suite.get("errors")) == ("0", "1")


def test_a_suite_a_profile() -> None:
    """A script that runs under several has a suite for each, named after it; where they part is shown as without."""
    profiled = "#!folioshell 1\nset thp.pmd always\nmmap buf 2M align=512\nread buf[0]\nwrite buf[0]\n"
    Path("a.fs").write_text(f"{profiled}expect order buf[0] == 9\n")
    found = suites("--profiles", "6.1,6.18", "a.fs", status=1)

    assert {name: cases(suite) for name, suite in found.items()} == {
        "6.1: a.fs": [("6: order buf[0] == 9", "failure")],
        "6.18: a.fs": [("6: order buf[0] == 9", "passed")],
    }
    assert [case.get("classname") for suite in found.values() for case in suite] == ["6.1: a.fs", "6.18: a.fs"]
    assert list(suites("--profiles", "6.1", "a.fs", status=1)) == ["6.1: a.fs"]


def test_golden_blocks_of_a_profile() -> None:
    """They are rewritten under the one profile that is chosen; of several none is meant."""
    Path("a.fs").write_text("#!folioshell 1\nmmap a 4\nmadvise populate_write a\n> old\n")
    assert main(["run", "--update", "--profiles", "5.10,6.18", "a.fs"]) == 2
    assert "> old" in Path("a.fs").read_text()
    assert main(["run", "--update", "--profiles", "6.18", "a.fs"]) == 0
    assert "4 pages" in Path("a.fs").read_text() or "mapped" in Path("a.fs").read_text()


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
    assert str(failure.text).endswith("open:  folioshell run a.fs --until 2 -i")
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


SCRIPT = """#!folioshell 1
# a comment
|  prose,  with its   blanks
mmap   a  4    # spacing
  show processes
  > old
  > old

expect vmas A == 1
fork B
> fork() = B, [..]
> ...
"""
SHOWN = """  > processes
  >   process  current  mm id  parent  VMAs  file  anon  shmem  PTE tables
  >   A        *            1             1     0     0      0           0
  >   file, anon and shmem are pages mapped
"""
UPDATED = SCRIPT.replace("  > old\n  > old\n", SHOWN)


def update(*words: object) -> int:
    return main(["run", "--update", *map(str, words)])


def test_only_blocks_that_differ_are_rewritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Comments, prose, spacing and blocks that hold stay; the difference and a count are printed; then all passes."""
    path = Path("a.fs")
    path.write_text(SCRIPT)
    path.chmod(0o640)

    assert update(path) == 0
    assert path.read_text() == UPDATED
    assert path.stat().st_mode & 0o777 == 0o640
    out = capsys.readouterr().out
    assert "-  > old\n" in out and "+  > processes\n" in out
    assert out.endswith("1 golden block in 1 file rewritten\n")
    assert main(["run", "--quiet", str(path)]) == 0
    assert capsys.readouterr().out == f"{path}: passed: 2 steps, 1 expect, 2 golden blocks\n"
    assert update(path) == 0
    assert capsys.readouterr().out == "all golden blocks are up to date\n"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.fs"]


def test_line_ends_and_mark_are_kept(tmp_path: Path) -> None:
    """A script with CRLF and a byte-order mark stays one."""
    path = tmp_path / "dos.fs"
    path.write_bytes(b"\xef\xbb\xbf" + SCRIPT.replace("\n", "\r\n").encode())

    assert update(path) == 0
    assert path.read_bytes() == b"\xef\xbb\xbf" + UPDATED.replace("\n", "\r\n").encode()


@pytest.mark.parametrize("wrong", ["expect vmas A == 9", "mprotect 0x1000 r", "fault nowhere", "falut a"])
def test_nothing_is_written_if_something_else_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], wrong: str
) -> None:
    """A failed expect, a stop or a refusal in one script keeps all as they are, and is shown."""
    good, bad = Path("good.fs"), Path("bad.fs")
    good.write_text(SCRIPT)
    bad.write_text(f"{SCRIPT}{wrong}\n")

    assert update(good, bad) == 2
    assert (good.read_text(), bad.read_text()) == (SCRIPT, f"{SCRIPT}{wrong}\n")
    shown = capsys.readouterr()
    assert "no golden block rewritten: 1 other failure" in shown.err
    assert "bad.fs:13:" in shown.out + shown.err


def test_sourced_scripts_are_rewritten_too(tmp_path: Path) -> None:
    """The block stands where it is read from; a link to a script stays a link."""
    (tmp_path / "real.fs").write_text("fork B\n> old\n")
    (tmp_path / "link.fs").symlink_to("real.fs")
    Path("main.fs").write_text("source link.fs\n")

    assert update("main.fs") == 0
    assert (tmp_path / "real.fs").read_text() == "fork B\n> fork() = B, 0 VMAs copied.\n"
    assert (tmp_path / "link.fs").is_symlink()
    assert Path("main.fs").read_text() == "source link.fs\n"


def test_a_block_shown_two_ways_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No text is right for a block that is read from two states; with gaps there may be one."""
    Path("more.fs").write_text("show processes\n> old\n")
    Path("main.fs").write_text("source more.fs\nfork B\nsource more.fs\n")

    assert update("main.fs") == 2
    assert "more.fs:2: error: this golden block has two different outputs" in capsys.readouterr().err
    Path("more.fs").write_text("show processes\n> processes\n> ...\n")
    assert update("main.fs") == 0


def test_where_ci_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On a build machine nothing is rewritten unless it is forced."""
    path = Path("a.fs")
    path.write_text(SCRIPT)
    monkeypatch.setenv("CI", "true")

    assert update(path) == 2
    assert "--update --force" in capsys.readouterr().err
    assert path.read_text() == SCRIPT
    assert update("--force", path) == 0
    assert path.read_text() == UPDATED
    check_permitted({"CI": "false"}, forced=False)
    with pytest.raises(Refused):
        check_permitted({"CI": "1"}, forced=False)


def test_what_it_does_not_go_with(tmp_path: Path) -> None:
    """Standard input cannot be rewritten; -i and --json want to show something else."""
    for words in (["-"], ["-i", tmp_path], ["--json", tmp_path]):
        assert update(*words) == 2


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be written is named, and the script is as it was."""
    path = Path("a.fs")
    path.write_text(SCRIPT)
    tmp_path.chmod(0o500)
    try:
        assert update(path) == 2
    finally:
        tmp_path.chmod(0o700)
    assert "cannot write" in capsys.readouterr().err
    assert path.read_text() == SCRIPT


def test_a_mismatch_names_the_switch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who meets a failed block reads how to accept it."""
    path = Path("a.fs")
    path.write_text("fork B\n> old\n")

    assert main(["run", "--quiet", str(path)]) == 1
    assert capsys.readouterr().out == (
        f"FAIL  {path}:2: output differs from the golden block (- expected, + actual)\n"
        "      @@ -1 +1 @@\n"
        "      -old\n"
        "      +fork() = B, 0 VMAs copied.\n"
        f"      to accept: folioshell run --update {path}\n"
        f"      open:  folioshell run {path} --until 1 -i\n"
        f"{path}: FAILED: 1 step, 0 expects, 1 golden block, 1 of them failed\n"
    )
