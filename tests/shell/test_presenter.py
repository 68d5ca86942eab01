"""Reports are shown in the mode that is set, and `once` takes one command's to a file."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import pytest

import folioshell
from folioshell.session.host import MODES
from folioshell.shell.presenter import Pager, Presenter, answers, lines_to, reproducer, statements
from folioshell.shell.repl import Repl
from folioshell.views.screen import Screen
from tests.shell.stubs import Typist, plain_screen

READ = "file lib 32 order=4 ; mmap win 16 file=lib ; fault win[0] ; fork B ; B: fault win[3]"


def typed(*lines: str) -> tuple[str, str]:
    """What a person who types these lines sees, and what is said on the error stream."""
    screen, out = plain_screen()
    errors, err = plain_screen()
    assert Repl(folioshell.Session(), screen, Typist(*lines), errors=errors).run() == 0
    return out.getvalue(), err.getvalue()


EVERYTHING = (
    READ,
    "mprotect 0x1000+1 r ; watch f1 ; B: munmap win[2] ; madvise cold win",
    "query shared? win[0] ; query mapcount win[0..3] ; query present? win[2] ; rmap f1 ; walk win[0]",
    "show ; show folios ; trace all ; why f1 vmas ; diff ; cost",
    "expect vmas A == 1 ; expect mapcount vmas f1 == 7 ; set ; history ; watch ; help fault ; help places",
)


@pytest.mark.parametrize("mode", MODES)
def test_everything_in_every_mode(mode: str) -> None:
    """Every kind of report keeps the promises of every mode."""
    out, err = typed(f"mode {mode}", *EVERYTHING)

    assert "error" not in out + err
    assert "\x1b" not in out
    if mode == "json":
        assert all(json.loads(text)["v"] == 2 for text in out.splitlines())
    elif mode == "csv":
        tables = [list(csv.reader(StringIO(table))) for table in out.split("\n\n")]
        assert len(tables) > 20
        assert all(len(row) == len(table[0]) for table in tables for row in table)
    elif mode != "markdown":
        # The lines of a reproducer are not broken.
        width = 72 if mode == "mail" else 100
        assert all(len(text) <= width for text in out.splitlines() if text[2:] not in " ; ".join(EVERYTHING))


def test_json() -> None:
    """In mode json every command is a document a line; what is refused is said apart."""
    out, err = typed("mode json", READ, "query shared? win[0]", "expect vmas A == 1", "fok")
    documents = [json.loads(text) for text in out.splitlines()]

    verbs = [document["command"].split()[0] for document in documents]
    assert verbs == ["mode", "file", "mmap", "fault", "fork", "fault", "query", "expect"]
    assert "fork" in err


def test_csv_of_a_paste() -> None:
    """Tables of what was pasted are set apart from those before and behind it."""
    out, _ = typed("mode csv", "show processes", "mmap other 4\nshow vmas\nshow processes", "show vmas")

    assert [block.split(",")[1] for block in out.split("\n\n")] == ["current", "vma", "current", "vma"]


def test_csv() -> None:
    """In mode csv there are tables alone, an empty line between two, and sentences apart."""
    out, err = typed("mode csv", READ, "show vmas", "help places", "query present? win[0]")
    tables = [list(csv.reader(block.splitlines())) for block in out.split("\n\n")]

    assert [table[0][0] for table in tables] == ["step"] * 5 + ["process", "query"]
    assert all(len(row) == len(table[0]) for table in tables for row in table)
    assert not out.startswith("\n")
    assert out.endswith("\n")
    assert not out.endswith("\n\n")
    assert "fork() = B" in err
    assert "its page 3" in err


def test_markdown() -> None:
    """In mode markdown errors are said apart, sentences and tables stand there with empty lines between them."""
    out, err = typed("mode markdown", READ, "query shared? win[0]", "fok")

    assert "\n\n| scheme " in out
    assert "fork() = B, 1 VMA copied.\n\n" in out
    assert "error" not in out
    assert "error" in err


def test_mail() -> None:
    """In mode mail nothing is wider than 72 columns or beyond ASCII, and an answer has its reproducer, a step none."""
    out, _ = typed("mode mail", READ, "B: query shared? win[0]")
    shown, script = out.split("Reproducer (folioshell 1):\n")

    assert out.isascii()
    assert max(map(len, out.splitlines())) <= 72
    assert "0 -> 16" in shown
    assert [text.strip() for text in script.splitlines() if text] == [*READ.split(" ; "), "B: query shared? win[0]"]


def test_a_paste_has_one_reproducer() -> None:
    """Lines that are pasted together are followed by one, and it begins before them."""
    out, _ = typed("mode mail", "mmap buf 4", "fault buf[0]\nquery present? buf[0]\nshow vmas\n")

    assert out.split("Reproducer (folioshell 1):\n")[1].split("\n") == [
        *("  mmap buf 4", "  fault buf[0]", "  query present? buf[0]", "  show vmas", "", "")
    ]


def test_the_reproducer_reproduces() -> None:
    """The lines under a mail, typed as they stand, give the same answer."""
    first, _ = typed("mode mail", "set schemes tuples,vmas", READ, "undo", "fork C", "B: query shared? f1")
    shown, script = first.split("Reproducer (folioshell 1):\n")
    again, _ = typed("mode mail", *script.splitlines())

    assert shown[shown.index("shared?") :] == again[again.index("shared?") : again.index("Reproducer")]


@pytest.mark.parametrize("spoken", [False, True])
def test_errors_are_spoken_where_all_else_is(spoken: bool) -> None:
    """The place of an error is a word in mode spoken and has a caret in mode plain, whatever the session began with."""
    out = StringIO()
    screen = Screen(out, rich=False, spoken=spoken)
    Repl(folioshell.Session(), screen, Typist("mode spoken", "fok", "mode plain", "fok"), errors=screen).run()
    said, drawn = out.getvalue().split("at word 1, column 1: fok\n")

    assert "^^^" not in said
    assert "\n  fok\n  ^^^\n" in drawn


def test_mode_alone() -> None:
    """`mode` says which mode is set; to set one says nothing, which would stand in what is taken elsewhere."""
    assert typed("mode")[0] == "The mode is plain: aligned text without rules or color.\n\n"
    assert typed("mode mail")[0].strip() == ""


def test_once(tmp_path: Path) -> None:
    """The next command's output goes to the file, in the mode given or set; the one after it is shown again."""
    answer, table = tmp_path / "answer.mail", tmp_path / "table.csv"
    asked = (f"once {answer} mail", "query shared? win[0]", f"once {table}", "mode csv", "show vmas")
    out, _ = typed(READ, *asked, "mode plain", "show vmas")

    assert "per-page" not in out.split("output redirected", 1)[1]
    assert answer.read_text().startswith("shared? win[0] (f1, order 4)\n")
    assert answer.read_text().endswith("  B: fault win[3]\n  query shared? win[0]\n")
    assert [row[1] for row in csv.reader(table.read_text().splitlines())] == ["vma", "v1", "v2"]
    assert "A        v1" in out


def test_once_and_the_lines_of_a_script(tmp_path: Path) -> None:
    """All that `source` shows is one command's output."""
    (tmp_path / "steps.fs").write_text("mmap buf 4\nfault buf[0]\nshow vmas\n")
    out, _ = typed(f"once {tmp_path}/all.txt", f"source {tmp_path}/steps.fs", "query present? buf[0]")
    kept = (tmp_path / "all.txt").read_text()

    assert "mmap(buf" in kept
    assert "A wrote buf[0]" in kept
    assert "VMAs" in kept
    assert "A wrote" not in out
    assert "present? buf[0] (f1, order 0): yes" in out


def test_once_waits_for_a_command_that_is_done(tmp_path: Path) -> None:
    """A refused command leaves `once` as it is; another `once` takes its place."""
    out, _ = typed(f"once {tmp_path}/a", f"once {tmp_path}/b", "fork A", "mmap buf 4")

    assert "error" in out
    assert not (tmp_path / "a").exists()
    assert (tmp_path / "b").read_text().startswith("mmap(buf")


def test_a_file_that_cannot_be_written_loses_nothing(tmp_path: Path) -> None:
    """If the folder is gone by then, what was meant for the file is shown, with an error."""
    folder = tmp_path / "gone"
    folder.mkdir()
    screen, out = plain_screen()
    repl = Repl(folioshell.Session(), screen, Typist())
    repl.execute(f"once {folder}/x csv")
    folder.rmdir()
    repl.execute("mmap buf 4")

    assert "No such file or directory; shown here instead" in " ".join(out.getvalue().split())
    assert "mmap(buf" in out.getvalue()


def test_a_failed_expect_is_shown_in_any_case(tmp_path: Path) -> None:
    """What makes a run fail is seen although its output goes to a file."""
    out, _ = typed(f"once {tmp_path}/x mail", "expect vmas A == 1")

    assert "FAIL" in out
    assert "FAIL" in (tmp_path / "x").read_text()


class NotedPager(Pager):
    """A pager that keeps what it is given instead of showing it, and takes everything or nothing."""

    def __init__(self, takes: bool) -> None:
        self.takes = takes
        self.given: list[str] = []

    def show(self, text: str) -> bool:
        self.given.append(text)
        return self.takes


def test_pager() -> None:
    """Tables and plain text go to the pager, unless it is switched off; what it does not take is printed."""
    for takes in (True, False):
        pager, out = NotedPager(takes), StringIO()
        repl = Repl(folioshell.Session(), Screen(out, rich=False), Typist(), pager=pager)
        for text in ("mode", "set pager off", "mode", "set pager on", "mode markdown", "mode", "mode json", "mode"):
            repl.execute(text)

        assert [text for text in pager.given if text] == [typed("mode")[0].rstrip() + "\n", "Set pager on.\n"]
        assert out.getvalue().count("The mode is plain") == 1 + (not takes)


def test_nothing_is_lost_of_an_ascii_stream() -> None:
    """A stream of another encoding gets documents in ASCII."""
    session = folioshell.Session()
    session.host.output.mode = "json"
    out = StringIO()
    Presenter(session, Screen(out, rich=False), Screen(StringIO(), rich=False)).show(session.execute("help lines"))

    assert out.getvalue().isascii()
    assert "…" in " ".join(json.loads(out.getvalue())["sections"][0]["lines"])


@pytest.mark.parametrize(
    ("line", "pieces"),
    [
        ("fork B", ["fork B"]),
        ("mode mail; B: fault x ;once 'a;b' ; query shared? x[0]", ["B: fault x", "query shared? x[0]"]),
        ("race { A.t1: fault x ; A.t2: fault x } ; mode", ["race { A.t1: fault x ; A.t2: fault x }"]),
        ("fork B # ; not this", ["fork B # ; not this"]),
        (" ; ", []),
    ],
)
def test_statements(line: str, pieces: list[str]) -> None:
    """A line is taken apart where its commands end, and what only says where output goes is left out."""
    assert statements(line) == pieces


def test_answers() -> None:
    """A query, a view and an expect answer a question about the kernel; steps, settings and help do not."""
    session = folioshell.Session()
    line = "mmap buf 4 ; fault buf[0] ; query present? buf[0] ; show vmas ; set ; help ; history ; expect vmas A == 1"

    assert [answers(report) for report in session.execute(line)] == [
        False,
        False,
        True,
        True,
        False,
        False,
        False,
        True,
    ]


def test_lines_to() -> None:
    """What is set, the steps in force, and the question with the process that was asked for it."""
    session = folioshell.Session()
    session.execute("set schemes vmas ; mmap buf 4 ; fork C ; undo ; fork B ; mode mail")
    reports = session.execute("B: show vmas")

    assert lines_to(session, reports) == ["set schemes vmas", "mmap buf 4", "fork B", "B: show vmas"]
    assert reproducer(["a\nb"]) == "Reproducer (folioshell 1):\n  a\n  b\n"


def test_terms_are_explained_to_a_class() -> None:
    """At the prompt a class reads what a term means when it first appears, once; no one else does."""
    typing = ("mmap buf 4 ; write buf", "show vmas", "show vmas")
    shown, _ = typed("set geometry classroom", *typing)
    expert, _ = typed("set geometry classroom", "set audience expert", *typing)

    for meaning in ("folio: one page, or several", "VMA: a range of addresses with the same attributes"):
        assert shown.count(meaning) == 1
        assert meaning not in expert
    listed, _ = typed("set geometry classroom", "lessons")
    assert "VMAs split and merge" in listed
    assert "same attributes" not in listed
