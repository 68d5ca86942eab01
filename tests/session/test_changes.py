"""Differences are told in runs, old and new; what is equal is left out."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from folioshell import Session
from folioshell.session.changes import count_changes, entry_changes, vma_changes
from folioshell.session.entries import entry_runs_in
from folioshell.session.workspace import Workspace

FORKED = "mmap buf 16 ; fault buf ; fork B ; B: write buf[3]"


def states(line: str, first: int, second: int) -> tuple[Workspace, Workspace]:
    session = Session()
    session.execute(line)
    return session.replay(first), session.replay(second)


def entries(line: str, first: int, second: int) -> list[tuple[str, str, str, str]]:
    """(process, tables, before, after) of the changes of entries."""
    return [
        (change.process, change.table, *(side.text if side else "-" for side in (change.old, change.new)))
        for change in entry_changes(*states(line, first, second))
    ]


@pytest.mark.parametrize(
    ("line", "first", "second", "expected"),
    [
        (
            FORKED,
            2,
            3,
            [("A", "pt1", "f1..f16 [0] rw", "f1..f16 [0] r"), ("B", "pt2", "-", "f1..f16 [0] r")],
        ),
        (FORKED, 3, 4, [("B", "pt2", "f4[0] r", "f17[0] rw")]),
        (FORKED, 3, 3, []),
        (f"{FORKED} ; exit B", 4, 5, [
            ("B", "pt2", "f1..f3 [0] r", "-"), ("B", "pt2", "f17[0] rw", "-"), ("B", "pt2", "f5..f16 [0] r", "-"),
        ]),
        ("mmap buf 3000 ; fault buf", 1, 2, [("A", "pt1..pt6", "-", "f1..f3000 [0] rw")]),
        (
            "set thp.pmd always ; mmap huge 2M ; fault huge ; mprotect huge[0] r",
            3,
            4,
            [
                ("A", "pmd1 → pt1", "f1[0] rw (PMD)", "f1[0] r"),
                ("A", "pmd1 → pt1", "f1[1..511] rw (PMD)", "f1[1..511] rw"),
            ],
        ),
    ],
)  # fmt: skip
def test_entries(line: str, first: int, second: int, expected: list[tuple[str, str, str, str]]) -> None:
    """Runs end where either side does."""
    assert entries(line, first, second) == expected


def test_many_tables_that_change_alike() -> None:
    """A fork that makes many tables read-only is one row a process."""
    found = entries("mmap buf 3000 ; fault buf ; fork B", 2, 3)

    assert [row[:2] for row in found] == [("A", "pt1..pt6"), ("B", "pt7..pt12")]


def test_vmas_tell_what_differs_of_them() -> None:
    """New ones are told whole, others only what differs."""
    line = "mmap buf 4 ; fault buf ; mprotect buf[0..1] r"

    assert vma_changes(*states(line, 1, 2)) == [("A", "v1", "no anon_vma", "av1")]
    changes = vma_changes(*states(line, 2, 3))
    assert sorted(change[1] for change in changes) == ["v1", "v2"]
    assert any(change[2] == "" and change[3].endswith(", anon, av1") for change in changes)
    assert [change[3][-2:] for change in vma_changes(*states("mmap buf 4 ; mlock buf", 1, 2))] == ["lo"]


def test_counters_of_processes() -> None:
    """A process that did not live has no number before."""
    assert count_changes(*states(FORKED, 2, 3)) == [
        ("B", "VMAs", None, 1),
        ("B", "anon pages", None, 16),
        ("B", "PTE tables", None, 1),
    ]
    assert count_changes(*states(FORKED, 3, 4)) == []


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from("AB"), st.integers(0, 39)), min_size=1, max_size=12))
def test_tables_that_are_equal_are_passed_over(writes: list[tuple[str, int]]) -> None:
    """What differs is the same whether equal tables are read or not: every page whose mapping differs is in one row."""
    session = Session()
    session.execute("set geometry classroom ; mmap buf 40 ; write buf ; fork B")
    for process, page in writes:
        session.execute(f"{process}: write buf[{page}]")
    before, after = session.replay(4), session.workspace

    told = {(row.process, vpn) for row in entry_changes(before, after) for vpn in range(row.vpn, row.end)}

    assert told == {
        (name, vpn)
        for name in ("A", "B")
        for vpn in range(after.regions["buf"].start, after.regions["buf"].end)
        if _mapping(before, name, vpn) != _mapping(after, name, vpn)
    }


def _mapping(workspace: Workspace, name: str, vpn: int) -> tuple[int, str]:
    """(folio, permission) of a page; 0 where nothing is mapped."""
    mm = workspace.kernel.mms.get(name)
    runs = [] if mm is None else entry_runs_in(workspace.kernel, mm, vpn, vpn + 1)
    return (runs[0].folio, runs[0].access) if runs else (0, "")
