"""Tests of folioshell.commands.hint."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.commands.grammar import registry
from folioshell.commands.hint import hint
from folioshell.script import Session


@pytest.fixture(scope="module")
def session() -> Session:
    """A session with a folio."""
    session = Session()
    session.execute("mmap buf 4 ; fault buf")
    return session


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
        ("mremap buf ", "new=NAME"),
        ("mremap buf new=x ", "[SIZE]"),
        ("query ", "shared?|mapped?|mapcount|partial?|present?"),
        ("query shared? ", "FOLIO|PLACE"),
        ("set decide ", "SCHEME"),
        ("expect mapped? ", "[SCHEME]"),
        ("expect mapped? f1 ", "==|!= no|yes|cannot"),
        ("expect mapcount vmas f1 == ", "==|!=|<|<=|>|>= NUMBER"),
        ("fails ", "ERRNO|SIGNAL"),
        ("race { ", "THREAD:"),
        ("race { A.t1: ", "COMMAND"),
        ("race { A.t1: { ", "COMMAND"),
        ("race { A.t1: madvise ", "ADVICE"),
        ("race { A.t1: fault buf } ", "[schedule=1,1,2,…]"),
        ("spawn t1: mprotect buf ", "r|rw|none"),
    ],
)
def test_the_part_that_is_typed(session: Session, line: str, current: str) -> None:
    """The part of the signature that the cursor stands at is marked."""
    found = hint(session, line, len(line))

    assert found is not None
    assert found.parts[found.current] == current


@pytest.mark.parametrize("line", ["munmap buf ", "finish ", "fork B "])
def test_nothing_more(session: Session, line: str) -> None:
    """No part is marked where nothing may follow."""
    found = hint(session, line, len(line))

    assert found is not None
    assert found.current == -1


@pytest.mark.parametrize("line", ["", "mma", "nonsense ", "# mmap ", "| mmap ", "save 'x", "B: "])
def test_no_command(session: Session, line: str) -> None:
    """There is no hint where no command is."""
    assert hint(session, line, len(line)) is None


def test_what_the_part_means(session: Session) -> None:
    """The meaning says what the argument is for and how it is written."""
    found = hint(session, "mmap x ", 7)

    assert found is not None
    assert found.meaning == "its size; pages, or bytes: 64K 2M 1G"


@pytest.mark.parametrize("verb", list(registry.commands))
def test_every_command_has_one(session: Session, verb: str) -> None:
    """The hint of a command begins with its verb, and agrees with a usage line of help where there is one form."""
    found = hint(session, f"{verb} ", len(verb) + 1)
    command = registry.commands[verb]

    assert found is not None
    if len(command.forms) == 1 and not command.leads and verb != "spawn":
        assert [" ".join(found.parts)] == command.usages()


@given(st.text(alphabet="abfmpquery?=:;,[]{}'#|.0x1 BK", max_size=30), st.integers(0, 30))
def test_hints_never_fail(session: Session, line: str, cursor: int) -> None:
    """Whatever is typed, the marked part is one of the parts."""
    found = hint(session, line, min(cursor, len(line)))

    assert found is None or -1 <= found.current < len(found.parts)
