"""Folios are grouped with those that are mapped alike, and what a group says is what the page tables say of each."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell import Session
from folioshell.model.truth import truth
from folioshell.session import folio_groups as folio_groups_module
from folioshell.session.folio_groups import FolioGroup, VmaTable, entries_of_all, folio_groups

LINES = (
    "mmap buf 16 ; fault buf ; fork B ; B: write buf[3] ; munmap buf[9]",
    "file lib 32 order=4 ; mmap win 16 file=lib align=512 skew=504 ; read win ; fork B ; B: fault win[0]",
    "set thp.pmd always ; mmap huge 4M ; fault huge ; fork B ; B: munmap huge[3] ; mprotect huge[700] r",
    "file lib 64 order=2 ; mmap win 64 file=lib ; fault win[0] ; munmap win[2..5]",
)


def groups_after(line: str) -> tuple[Session, list[FolioGroup]]:
    session = Session()
    session.execute(line)
    workspace = session.workspace
    return session, folio_groups(workspace, session.shown_schemes, entries_of_all(workspace))


@pytest.mark.parametrize("line", LINES)
def test_groups_say_what_the_page_tables_say(line: str) -> None:
    """Every living folio is in one group; mms, VMAs, tuples, entries and pages are the truth of each."""
    session, groups = groups_after(line)
    kernel = session.workspace.kernel
    numbers = [number for group in groups for number in range(group.first, group.first + group.nr)]
    assert numbers == sorted(kernel.folios)
    for group in groups:
        for number in range(group.first, group.first + group.nr):
            folio = kernel.folios.get(number)
            assert folio is not None
            true = truth(kernel, folio)
            assert (len(group.mms), len(group.mappers)) == (true.mms, true.vmas)
            assert sum(nr for nr, entries in group.counts if entries) == true.pages
            assert sum(nr for nr, _ in group.counts) == folio.nr_pages
            assert group.numbers["per-page"] == true.entries
            assert group.sharing == ("shared" if true.shared else "exclusive" if true.mms else "unmapped")


def test_groups_are_as_long_as_they_can_be() -> None:
    """Order-0 folios by who maps them, whole large folios too; counts tell pages of a large folio apart."""
    _, groups = groups_after(LINES[0])
    assert [(group.first, group.nr) for group in groups] == [(1, 3), (4, 1), (5, 5), (10, 1), (11, 6), (17, 1)]
    _, groups = groups_after(LINES[3])
    assert [(group.first, group.nr, group.counts) for group in groups] == [
        (1, 1, ((2, 1), (2, 0))),
        (2, 1, ((2, 0), (2, 1))),
        (3, 2, ((4, 1),)),
        (5, 12, ((4, 0),)),
    ]


def test_tables_of_a_mapper() -> None:
    """A folio across two tables names both, with the entries in each; a PMD entry is one."""
    _, groups = groups_after(LINES[1])
    assert [(mapper.process, mapper.tables) for mapper in groups[0].mappers] == [
        ("A", (("pt1", 8), ("pt2", 8))),
        ("B", (("pt3", 8),)),
    ]
    _, groups = groups_after("set thp.pmd always ; mmap huge 2M ; fault huge")
    assert [mapper.tables for mapper in groups[0].mappers] == [(("pmd1", 1),)]


PIECES = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 12)), max_size=8)


@given(PIECES)
def test_overlaid_pieces_are_those_of_each_number(ranges: list[tuple[int, int]]) -> None:
    """Whoever has a number is an owner there, in the order given, and pieces ascend without overlap."""
    given_pieces = [(first, nr, (VmaTable("A", 1, f"v{at}", "pt1"),)) for at, (first, nr) in enumerate(ranges)]
    owners_of: dict[int, tuple[VmaTable, ...]] = {}
    last = 0
    for first, nr, owners in folio_groups_module._overlaid(given_pieces):
        assert first >= last and nr
        last = first + nr
        owners_of |= dict.fromkeys(range(first, last), owners)
    for number in range(50):
        expected = tuple(owner for first, nr, (owner,) in given_pieces if first <= number < first + nr)
        assert owners_of.get(number, ()) == expected
