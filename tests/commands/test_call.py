"""Tests of folioshell.commands.call: what a command may need is checked against the limits."""

from __future__ import annotations

import pytest

from folioshell.commands import Session
from folioshell.commands.call import missing_entries
from folioshell.session.host import Limits


@pytest.mark.parametrize(
    ("setup", "first", "nr", "missing"),
    [
        ("mmap buf 2048", 0, 2048, 2048),
        ("mmap buf 2048 ; fault buf[0..99]", 0, 2048, 1948),
        ("mmap buf 2048 ; fault buf[0..99]", 50, 100, 50),
        ("mmap buf 2048 ; madvise hugepage buf", 0, 2048, 4),
        ("mmap buf 2048 ; madvise hugepage buf", 100, 1024, 412 + 1 + 100),
        ("mmap buf 2048 ; madvise hugepage buf ; fault buf[600]", 0, 2048, 3),
        ("mmap buf 2048 ; madvise hugepage buf ; fault buf ; mprotect buf[0] r", 0, 2048, 0),
        ("mmap buf 2048 ; fault buf[0] ; madvise hugepage buf", 0, 2048, 511 + 3),
    ],
)
def test_missing_entries(setup: str, first: int, nr: int, missing: int) -> None:
    """One for each page, and one for a block that may get a huge page; those that are there are not missing."""
    session = Session()
    session.execute(setup)
    kernel = session.workspace.kernel
    start = session.workspace.regions["buf"].start + first

    assert missing_entries(kernel, kernel.mms["A"], start, start + nr) == missing


def test_huge_pages_are_single_entries() -> None:
    """Huge pages pass a limit that their pages would not, and what went is not counted."""
    session = Session()
    session.host.limits = Limits(pages=1500)
    session.execute("mmap big 512M ; madvise hugepage big ; fault big ; fork B ; B: write big[0]")
    assert [mm.nr_entries for mm in session.workspace.kernel.mms.values()] == [256, 255 + 512]

    session.execute("exit B ; munmap big ; mmap small 1400 ; fault small ; undo ; redo")
    assert session.workspace.kernel.mms["A"].nr_entries == 1400
