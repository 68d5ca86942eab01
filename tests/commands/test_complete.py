"""Tests of folioshell.commands.complete."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell import Session
from folioshell.commands.complete import complete


@pytest.fixture(scope="module")
def session() -> Session:
    """A session with names of every kind."""
    session = Session()
    session.execute("file lib 32 order=4 ; mmap win 16 file=lib ; mmap buf 4 ; fault win[0] ; fork B")
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
        ("mprotect ", ["win", "buf", "B:"]),
        ("mprotect win ", ["r", "rw", "none"]),
        ("mprotect win r ", []),
        ("fault win ", ["read", "write"]),
        ("fault win[", [*(f"win[{page}]" for page in range(16)), "win[0..15]"]),
        ("fault win[1", ["win[1]", *(f"win[{page}]" for page in range(10, 16))]),
        ("madvise co", ["cold", "collapse"]),
        ("race { A.t1: mun", ["munmap", "munlock"]),
        ("race { A.t1: fault buf[0] ; A.t2: { madvise do", ["dontneed", "dontfork", "dofork"]),
        ("madvise cold b", ["buf"]),
        ("mmap x 4 f", ["fixed", "file="]),
        ("mmap x 4 file=", ["lib"]),
        ("mmap x 4 file=lib prot=r", ["r", "rw"]),
        ("mmap x 4 at=0x1000 a", ["anon"]),
        ("query sh", ["shared?"]),
        ("query shared? f", ["f1", "f2"]),
        ("query shared? B:w", ["win"]),
        ("query shared? B", ["B:"]),
        ("why f1 tup", ["tuples", "tuples-naive", "tuples-hookless"]),
        ("expect mapcount vmas f1 ", ["==", "!=", "<", "<=", ">", ">="]),
        ("expect shared? vmas f1 == ", ["no", "yes", "maybe"]),
        ("expect truth mms f", ["f1", "f2"]),
        ("set thp.6", ["thp.64K"]),
        ("set decide v", ["vmas", "vmas-hookless"]),
        ("set after mapcounts,wa", ["walks"]),
        ("trace lo", ["locks"]),
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


@given(st.text(alphabet="abfmpquery?=:;,[]{}'#|.0x1 BK", max_size=30), st.integers(0, 30))
def test_completion_never_fails(session: Session, line: str, cursor: int) -> None:
    """Whatever is typed, candidates fit before the cursor."""
    cursor = min(cursor, len(line))
    for candidate in complete(session, line, cursor):
        assert 0 <= candidate.start <= cursor
        assert candidate.text.startswith(line[candidate.start : cursor])
