"""Tests of folioshell.commands.complete: candidates, and hints."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.commands.complete import complete, hint
from folioshell.commands.grammar import registry
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
        ("expect", ["expect", "expect["]),
        ("expect[6.1", ["6.1", "6.12", "6.16", "6.18", "]"]),
        ("expect[6.1,5", ["5.10"]),
        ("fails[6.1,5", ["5.10"]),
        ("fails[6.1] ENO", ["ENOMEM", "ENOENT"]),
        ("expect[6.1,6.1", ["6.12", "6.16", "6.18", "]"]),
        ("expect[6.1] present? ", ["win", "buf", "B:"]),
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
        ("set kh", ["khugepaged.max_ptes_none", "khugepaged.max_ptes_shared", "khugepaged.max_ptes_swap"]),
        ("khugepaged ", ["A", "B"]),
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


@pytest.fixture(scope="module")
def mapped() -> Session:
    """A mapped with a folio."""
    mapped = Session()
    mapped.execute("mmap buf 4 ; fault buf")
    return mapped


@pytest.mark.parametrize(
    ("line", "current"),
    [
        ("mmap", "mmap"),
        ("mmap ", "NAME"),
        ("mmap x", "NAME"),
        ("mmap x ", "SIZE"),
        ("mmap x 4 ", "[anon|shared|private]"),
        ("mmap x 4 shared ", "[populate]"),
        ("mmap x 4 at=", "[at=ADDR]"),
        ("fork B ; mmap x ", "SIZE"),
        ("B: munmap ", "PLACE"),
        ("mremap buf ", "[SIZE]"),
        ("mremap buf new=x ", "[SIZE]"),
        ("query ", "shared?|mapped?|mapcount|partial?|page_mapcount|truth|order|present?|same|free|vmas|counted|…"),
        ("query shared? ", "FOLIO|PLACE"),
        ("set decide ", "SCHEME"),
        ("expect mapped? ", "[SCHEME]"),
        ("expect mapped? f1 ", "==|!= no|yes|cannot"),
        ("expect mapcount vmas f1 == ", "==|!=|<|<=|>|>= NUMBER"),
        ("expect free f1 ", "[==|!= no|yes]"),
        ("fails ", "ERRNO|SIGNAL"),
        ("race { ", "THREAD:"),
        ("race { A.t1: ", "COMMAND"),
        ("race { A.t1: { ", "COMMAND"),
        ("race { A.t1: madvise ", "ADVICE"),
        ("race { A.t1: fault buf } ", "[schedule=1,1,2,…]"),
        ("spawn t1: mprotect buf ", "r|rw|none"),
    ],
)
def test_the_part_that_is_typed(mapped: Session, line: str, current: str) -> None:
    """The part of the signature that the cursor stands at is marked."""
    found = hint(mapped, line, len(line))

    assert found is not None
    assert found.parts[found.current] == current


@pytest.mark.parametrize("line", ["munmap buf ", "finish ", "exit B "])
def test_nothing_more(mapped: Session, line: str) -> None:
    """No part is marked where nothing may follow."""
    found = hint(mapped, line, len(line))

    assert found is not None
    assert found.current == -1


@pytest.mark.parametrize("line", ["", "mma", "nonsense ", "# mmap ", "| mmap ", "save 'x", "B: "])
def test_no_command(mapped: Session, line: str) -> None:
    """There is no hint where no command is."""
    assert hint(mapped, line, len(line)) is None


def test_what_the_part_means(mapped: Session) -> None:
    """The meaning says what the argument is for and how it is written."""
    found = hint(mapped, "mmap x ", 7)

    assert found is not None
    assert found.meaning == "its size; pages, or bytes: 64K 2M 1G"


@pytest.mark.parametrize("verb", list(registry.commands))
def test_every_command_has_one(mapped: Session, verb: str) -> None:
    """The hint of a command begins with its verb, and agrees with a usage line of help where there is one form."""
    found = hint(mapped, f"{verb} ", len(verb) + 1)
    command = registry.commands[verb]

    assert found is not None
    if len(command.forms) == 1 and not command.leads and verb != "spawn":
        assert [" ".join(found.parts)] == command.usages()


@given(st.text(alphabet="abfmpquery?=:;,[]{}'#|.0x1 BK", max_size=30), st.integers(0, 30))
def test_hints_never_fail(mapped: Session, line: str, cursor: int) -> None:
    """Whatever is typed, the marked part is one of the parts."""
    found = hint(mapped, line, min(cursor, len(line)))

    assert found is None or -1 <= found.current < len(found.parts)
