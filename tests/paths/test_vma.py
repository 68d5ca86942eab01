"""VMAs that merge and split, as rulers: ``a`` is memory that was written, ``.`` memory that was not, ``_`` a hole.

A ruler has a letter for each page and bars between VMAs: ``aa|..`` are two VMAs of two pages.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.commands import Session
from folioshell.errors import Refused
from folioshell.events import VmaMerged, VmaSplit
from folioshell.model.kernel import Kernel
from folioshell.model.vm import Mm
from folioshell.paths.vma import straddling
from tests.paths.histories import COMMAND
from tests.paths.memory import Memory


def ruler(m: Memory, start: int, nr: int, who: str = "A") -> str:
    """The ruler of ``[start, start + nr)``."""
    text, at = "", start
    for vma in m.mm(who).vmas.overlapping(start, start + nr):
        if vma.start > at:
            text += "_" * (vma.start - at)
        elif text:
            text += "|"
        at = vma.end
        present = (m.kernel.folio_at(m.mm(who), vpn) is not None for vpn in range(vma.start, vma.end))
        text += "".join("a" if here else "." for here in present)
    return text + "_" * (start + nr - at)


def test_unfaulted_neighbours_merge() -> None:
    """..|.. becomes ....: neither has an anon_vma."""
    m = Memory()
    p = m.mmap(2)
    m.mmap(2, at=p + 2)

    assert ruler(m, p, 4) == "...."


def test_new_memory_merges_with_written() -> None:
    """aa|.. becomes aa..: the new side has no anon_vma, the other was never forked."""
    m = Memory()
    p = m.mmap(2)
    m.write(p, 2)
    m.mmap(2, at=p + 2)
    m.mmap(2, at=p - 2)

    assert ruler(m, p - 2, 6) == "..aa.."


def test_two_written_neighbours_with_one_between() -> None:
    """aa__aa with a new middle merges to the left only: the two sides have anon_vmas of their own."""
    m = Memory()
    p = m.mmap(2)
    m.mmap(2, at=p + 4)
    m.write(p, 2)
    m.write(p + 4, 2)
    assert m.vma(p).anon_vma is not m.vma(p + 4).anon_vma

    m.mmap(2, at=p + 2)
    assert ruler(m, p, 6) == "aa..|aa"


def test_gap_filled_between_unfaulted() -> None:
    """..__.. with a new middle is one VMA: both sides and the middle have no anon_vma."""
    m = Memory()
    p = m.mmap(2)
    m.mmap(2, at=p + 4)
    m.mmap(2, at=p + 2)

    assert ruler(m, p, 6) == "......"


def test_neighbours_share_an_anon_vma_from_the_first_fault() -> None:
    """A neighbour that differs in protection only lends its anon_vma, so that the two can merge one day."""
    m = Memory()
    p = m.mmap(2)
    m.mmap(2, at=p + 2, prot="r")
    m.mprotect(p + 2, 2, "none")
    m.write(p, 2)
    m.mprotect(p + 2, 2, "r")
    assert ruler(m, p, 4) == "aa|.."

    m.mprotect(p + 2, 2, "rw")
    m.write(p + 2, 2)
    assert ruler(m, p, 4) == "aaaa"
    assert len(m.vma(p).chain) == 1


@pytest.mark.parametrize(("pgoff", "expected"), [(4, "........"), (0, "....|...."), (5, "....|....")])
def test_files_merge_where_offsets_go_on(pgoff: int, expected: str) -> None:
    """Two mappings of one file are one VMA if the second's offset is where the first ends."""
    m = Memory()
    f = m.file("f", 16)
    p = m.mmap(4, kind="private", file=f)
    m.mmap(4, kind="private", file=f, pgoff=pgoff, at=p + 4)

    assert ruler(m, p, 8) == expected


def test_shared_anonymous_memory_never_merges() -> None:
    """Each shared anonymous mapping is a file of its own."""
    m = Memory()
    p = m.mmap(4, kind="shared")
    m.mmap(4, kind="shared", pgoff=4, at=p + 4)

    assert ruler(m, p, 8) == "....|...."


def test_child_and_parent_merge_differently() -> None:
    """A new mapping merges with what a parent wrote, but not with what a child inherited."""
    m = Memory()
    p = m.mmap(2)
    m.write(p, 2)
    m.fork("B")
    for who in "AB":
        m.mmap(2, at=p + 2, who=who)

    assert (ruler(m, p, 4), ruler(m, p, 4, "B")) == ("aa..", "aa|..")


def test_split_before_a_fork() -> None:
    """Pieces of one anon_vma merge again in the parent, not in the child, where each has its own."""
    m = Memory()
    p = m.mmap(4)
    m.write(p, 4)
    m.mprotect(p, 2, "r")
    m.fork("B")
    for who in "AB":
        m.mprotect(p, 2, "rw", who)

    assert (ruler(m, p, 4), ruler(m, p, 4, "B")) == ("aaaa", "aa|aa")


def test_flags_keep_apart() -> None:
    """Locked, advised and read-only memory is a VMA of its own until the difference goes."""
    m = Memory()
    p = m.mmap(8)
    m.madvise("dontfork", p, 2)
    m.mlock(p + 4, 2)
    assert ruler(m, p, 8) == "..|..|aa|.."

    m.madvise("dofork", p, 2)
    m.munlock(p + 4, 2)
    assert ruler(m, p, 8) == "....aa.."


def test_hole() -> None:
    """Unmapping the middle leaves two VMAs, which new memory joins again."""
    m = Memory()
    p = m.mmap(6)
    m.write(p, 6)
    m.munmap(p + 2, 2)
    assert ruler(m, p, 6) == "aa__aa"

    m.mmap(2, at=p + 2)
    assert ruler(m, p, 6) == "aa..aa"


def test_offset_of_moved_memory() -> None:
    """Memory that was written keeps its offset when it moves, so that the reverse map still leads to it."""
    m = Memory()
    p, q = m.mmap(4), m.mmap(4)
    m.write(p, 4)
    pgoff, to, beside = m.vma(p).pgoff, m.place(), m.place()
    m.mremap(p, 4, to)
    m.mremap(q, 4, beside)

    assert m.vma(to).pgoff == pgoff
    assert m.vma(beside).pgoff == beside


def test_pieces_moved_back_together() -> None:
    """Halves of a written VMA that were moved apart merge when they lie side by side again."""
    m = Memory()
    p = m.mmap(4)
    m.write(p, 4)
    to = m.place()
    m.mremap(p + 2, 2, to)
    assert ruler(m, p, 4) == "aa__"

    m.mremap(to, 2, p + 2)
    assert ruler(m, p, 4) == "aaaa"


def test_what_is_announced() -> None:
    """A split within a large folio names it with its page at the cut; so does the merge that takes it back."""
    m = Memory(thp={4: "always"})
    p = m.mmap(16)
    m.write(p, 16)
    m.mprotect(p + 6, 10, "r")
    (cut,) = [event for event in m.machine.trace if isinstance(event, VmaSplit)]
    m.mprotect(p + 6, 10, "rw")
    (join,) = [event for event in m.machine.trace if isinstance(event, VmaMerged)]

    assert (cut.vpn, cut.straddling) == (p + 6, ((1, 6),))
    assert (join.vpn, join.straddling, join.start, join.end) == (p + 6, ((1, 6),), p, p + 16)


def straddling_by_page(k: Kernel, mm: Mm, vpn: int) -> set[tuple[int, int]]:
    """What ``straddling`` finds, page by page."""
    found = set()
    for vma in mm.vmas:
        for at in range(vma.start, vma.end):
            mapped = k.folio_at(mm, at) if mm.tables.leaf(at) is not None else None
            if mapped is not None and 0 < vpn - at + mapped[1] < mapped[0].nr_pages:
                found.add((mapped[0].id, vpn - at + mapped[1]))
    return found


@given(st.sampled_from(("16K", "pmd")), st.lists(COMMAND, max_size=12))
def test_straddling(size: str, commands: list[str]) -> None:
    """A folio straddles a boundary if some page of it is mapped, and its pages would lie on both sides."""
    session = Session(counting=())
    session.execute(f"set geometry classroom ; set swap on ; set thp.{size} always ; mmap buf 32")
    for command in ("write buf[0..15]", "fork B", *commands):
        try:
            session.execute(command)
        except Refused:
            continue
    k, region = session.workspace.kernel, session.workspace.regions["buf"]
    for mm in k.mms.values():
        for vpn in range(region.start, region.start + 33):
            found = straddling(k, mm, vpn)

            assert len(found) == len(set(found))
            assert set(found) == straddling_by_page(k, mm, vpn)
