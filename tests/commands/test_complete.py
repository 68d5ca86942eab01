"""Tests of folioshell.commands.complete."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.commands.complete import complete
from folioshell.script import Session


@pytest.fixture(scope="module")
def session() -> Session:
    """A session with names of every kind."""
    session = Session()
    session.execute("file lib 32 order=4 ; mmap win 16 file=lib ; mmap buf 4 ; fork B ; thread t2 ; fault win[0]")
    session.execute("spawn t1: fault buf[0]")
    return session


def texts(session: Session, line: str) -> list[str]:
    return [candidate.text for candidate in complete(session, line, len(line))]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("mp", ["mprotect"]),
        ("show ; mrem", ["mremap"]),
        ("B: unma", []),
        ("B: mun", ["munmap", "munlock"]),
        ("B:mun", ["munmap", "munlock"]),
        ("fails ENO", ["ENOMEM", "ENOENT"]),
        ("fails EINVAL mprot", ["mprotect"]),
        ("mprotect ", ["win", "buf"]),
        ("walk ", ["win", "buf", "B:"]),
        ("mprotect win ", ["r", "rw", "none"]),
        ("mprotect win r ", []),
        ("fault win ", ["read", "write"]),
        ("fault win[", [*(f"win[{page}]" for page in range(16)), "win[0..15]"]),
        ("fault win[1", ["win[1]", *(f"win[{page}]" for page in range(10, 16)), "win[1..15]"]),
        ("fault win[3..", ["win[3..15]"]),
        ("fault win[3+", ["win[3+13]"]),
        ("walk B:win[9", ["B:win[9]", "B:win[9..15]"]),
        ("fault win[x", []),
        ("madvise co", ["cold", "collapse"]),
        ("A.", ["A.t2:"]),
        ("race ", ["{"]),
        ("race { ", ["A.t1:", "B.t1:"]),
        ("race { A.t1: fault buf[0] ; A", ["A.t2:"]),
        ("race { A.t1: s", ["split"]),
        ("race { A.t1: mun", ["munmap", "munlock"]),
        ("race { A.t1: { mun", ["munmap", "munlock"]),
        ("race { A.t1: fault buf[0] } t", ["timeout="]),
        ("spawn ", ["A.t1:", "B.t1:"]),
        ("spawn t1: mad", ["madvise"]),
        ("spawn t1: fault b", ["buf"]),
        ("step ", ["A.t1"]),
        ("race { A.t1: fault buf[0] ; A.t2: { madvise do", ["dontneed", "dontfork", "dofork"]),
        ("madvise cold b", ["buf"]),
        ("mmap x 4 f", ["fixed", "file="]),
        ("mmap x 4 file=", ["lib"]),
        ("mmap x 4 file=lib prot=r", ["r", "rw"]),
        ("mmap x 4 at=0x1000 a", ["anon"]),
        ("query sh", ["shared?"]),
        ("query shared? f", ["f1", "f2"]),
        ("query shared? B:w", ["B:win"]),
        ("query shared? B", ["B:"]),
        ("why f1 tup", ["tuples", "tuples-naive", "tuples-hookless"]),
        ("expect mapcount vmas f1 ", ["==", "!=", "<", "<=", ">", ">="]),
        ("expect shared? vmas f1 == ", ["no", "yes", "maybe"]),
        ("expect truth mms f", ["f1", "f2"]),
        ("set thp.6", ["thp.64K"]),
        ("set decide v", ["vmas", "vmas-hookless"]),
        ("set after mapcounts,wa", ["walks"]),
        ("set after mapcounts,", ["walks", "locks", "all", "none"]),
        ("expect mapped? f1 ", ["==", "!="]),
        ("expect locks == ", ["pt1"]),
        ("expect locks all == ", ["A.mm", "pmd1", "pt1"]),
        ("fails ENOMEM un", ["unpin"]),
        ("trace lo", ["locks"]),
        ("diff ", ["main", "6", "5", "4", "3", "2", "1", "0"]),
        ("as ", ["A", "B"]),
        ("exit B ", []),
        ("help mrem", ["mremap"]),
        ("# mmap ", []),
        ("| mmap ", []),
        ("save 'x", []),
        ("nonsense ", []),
    ],
)
def test_candidates(session: Session, line: str, expected: list[str]) -> None:
    """What is offered is what may stand there, names of the session included."""
    assert texts(session, line) == expected


def test_candidates_replace_from_their_column(session: Session) -> None:
    """A candidate replaces only the part of the word that it completes."""
    line = "mmap x 4 file=l"
    (candidate,) = complete(session, line, len(line))

    assert line[: candidate.start] + candidate.text == "mmap x 4 file=lib"
    assert candidate.description == "32 pages on ext4"


def test_everything_is_described(session: Session) -> None:
    """The first word offers every command with its summary, the modifiers and the processes."""
    candidates = complete(session, "", 0)

    assert all(candidate.description for candidate in candidates)
    assert {"mmap", "fails", "A:", "B:"} <= {candidate.text for candidate in candidates}


def test_text_behind_the_cursor_does_not_matter(session: Session) -> None:
    """Only what stands before the cursor counts."""
    assert [candidate.text for candidate in complete(session, "mp win r", 2)] == ["mprotect"]


def test_candidates_tell_what_is_there(session: Session) -> None:
    """Beside a page stands what is mapped there, beside a folio what it is, beside a step what was typed."""
    described = {
        candidate.text: candidate.description
        for line in ("fault win[1", "fault buf[1", "why f1", "diff 1")
        for candidate in complete(session, line, len(line))
    }

    assert described["win[1]"] == "page 1 of f1"
    assert described["buf[1]"] == "not present"
    assert described["f1"] == "order 4, of lib"
    assert described["1"] == "file lib 32 order=4"


def test_files_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """File names go on through folders, each command offers what it reads, and hidden files wait for a dot."""
    (tmp_path / "more").mkdir()
    for name in ("one.fs", "more/two.fs", "mine.py", ".hidden.fs"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    session = Session()

    assert texts(session, "source ") == ["one.fs", "more/"]
    assert texts(session, "save more/") == ["more/two.fs"]
    assert texts(session, f"load {tmp_path}/o") == [f"{tmp_path}/one.fs"]
    assert texts(session, "load scheme m") == ["mine.py", "more/"]
    assert texts(session, "source .h") == [".hidden.fs"]
    assert texts(session, "source none/") == []


@pytest.mark.parametrize("line", ["fault buf[{}", "fault buf[1+{}", "why f{}", "undo {}", "unwatch {}"])
def test_numbers_that_nobody_means(session: Session, line: str) -> None:
    """More digits than Python converts offer nothing, and do no harm."""
    assert texts(session, line.format("9" * 5000)) == []


def test_few_of_very_many() -> None:
    """With a hundred thousand pages and a thousand processes candidates come at once, and can be seen."""
    session = Session()
    session.execute(" ; ".join(f"fork P{number}" for number in range(1000)) + " ; mmap buf 100000 ; fault buf")
    lines = ("", "query shared? ", "query shared? f9", "fault buf[9", "P9", "as P99", "walk P7", "race { ")
    began = time.process_time()
    offered = [texts(session, line) for line in lines]
    took = time.process_time() - began

    assert took / len(lines) < 0.02
    assert all(0 < len(found) <= 200 for found in offered)
    assert "buf" in offered[1]
    assert "f9" in offered[2]


@given(st.text(alphabet="abfmpquery?=:;,[]{}'#|.0x1 BK", max_size=30), st.integers(0, 30))
def test_completion_never_fails(session: Session, line: str, cursor: int) -> None:
    """Whatever is typed, candidates fit before the cursor."""
    cursor = min(cursor, len(line))
    for candidate in complete(session, line, cursor):
        assert 0 <= candidate.start <= cursor
        assert candidate.text.startswith(line[candidate.start : cursor])
