"""mremap to another size: shrinking and growing in place, and moving where there is no room."""

from __future__ import annotations

from typing import Any

import pytest

from folioshell.events import VmaMerged, VmaSplit
from folioshell.paths.mremap import do_resize, must_move
from tests.paths.memory import Memory


def resize(m: Memory, start: int, nr: int, new_nr: int, to: int | None = None) -> str | None:
    """Resize a range of A, in place unless there is a place to go ``to``."""
    ended = m.do(do_resize(m.kernel, m.mm("A"), start, nr, new_nr, to))
    return ended if isinstance(ended, str) else None


def vmas(m: Memory, start: int) -> list[tuple[int, int]]:
    """(page from ``start`` on, pages) of the VMAs of A."""
    return [(vma.start - start, vma.nr_pages) for vma in m.mm("A").vmas]


def test_growing_in_place() -> None:
    """The VMA grows, its pages stay, and the new ones belong to its anon_vma."""
    m = Memory()
    p = m.mmap(8)
    m.write(p, 8)
    folio, anon_vma = m.folio(p), m.vma(p).anon_vma

    assert resize(m, p, 8, 32) is None
    m.write(p + 8, 24)
    assert (vmas(m, p), m.folio(p), m.vma(p).anon_vma) == ([(0, 32)], folio, anon_vma)


def test_shrinking() -> None:
    """The excess is unmapped as by munmap, whatever VMAs it crosses, with mmap_lock downgraded."""
    m = Memory()
    p = m.mmap(16)
    m.write(p, 16)
    m.mprotect(p + 12, 4, "r")

    assert resize(m, p, 16, 8) is None
    assert (vmas(m, p), m.look(p, 16)) == ([(0, 8)], "A×8(1) -×8")
    assert [lock for lock in m.locks() if lock.startswith("v")] == ["vMMAP(A)(R)"]


@pytest.mark.parametrize(("page", "nr"), [(2, 3), (0, 8), (0, 99)])
def test_same_size_does_nothing(page: int, nr: int) -> None:
    """A part stays a part of its VMA, and no VMA is looked at but the first."""
    m = Memory()
    p = m.mmap(8)

    assert resize(m, p + page, nr, nr) is None
    assert vmas(m, p) == [(0, 8)]


def test_growth_closes_a_gap() -> None:
    """Growing up to the next VMA merges with it if it continues this one: same flags and offsets, no other anon_vma."""
    m = Memory()
    p = m.mmap(24)
    m.munmap(p + 8, 8)

    assert vmas(m, p) == [(0, 8), (16, 8)]
    assert resize(m, p, 8, 16) is None
    assert vmas(m, p) == [(0, 24)]
    assert [event.vpn for event in m.machine.trace if isinstance(event, VmaMerged)] == [p + 8, p + 16]


def test_growth_does_not_merge_what_differs() -> None:
    """The next VMA has another anon_vma: they stay apart."""
    m = Memory()
    p = m.mmap(8)
    m.write(p)
    m.mmap(8, at=p + 16)
    m.write(p + 16)

    assert resize(m, p, 8, 16) is None
    assert vmas(m, p) == [(0, 16), (16, 8)]


def test_file_grows_with_its_offsets() -> None:
    """The new pages of a file mapping map the pages of the file that follow."""
    m = Memory()
    file = m.file("lib", 32)
    p = m.mmap(8, kind="private", prot="r", file=file, pgoff=4)

    assert resize(m, p, 8, 16) is None
    m.read(p + 15)
    assert m.folio(p + 15).index == 19


def test_locked_growth_is_populated() -> None:
    """VM_LOCKED promises that all pages are there."""
    m = Memory()
    p = m.mmap(4)
    m.mlock(p, 4)

    assert resize(m, p, 4, 8) is None
    assert m.look(p, 8) == "A×8(1)"


BLOCKED: dict[str, Any] = {
    "by the next VMA": lambda m, p: m.mmap(8, at=p + 12, prot="r"),
    "within its VMA": lambda m, p: m.mmap(8, at=p + 8),
}


@pytest.mark.parametrize("block", BLOCKED)
def test_no_room(block: str) -> None:
    """Without MREMAP_MAYMOVE ENOMEM, with it the range moves, and its entries with it."""
    m = Memory()
    p = m.mmap(8)
    m.write(p, 8)
    BLOCKED[block](m, p)
    folio, to = m.folio(p + 3), m.place()

    assert must_move(m.mm("A"), p, 8, 16)
    assert resize(m, p, 8, 16) == "ENOMEM"
    assert m.folio(p + 3) is folio
    assert resize(m, p, 8, 16, to) is None
    assert (m.look(p, 8), m.look(to, 16), m.folio(to + 3)) == ("-×8", "A×8(1) -×8", folio)


@pytest.mark.parametrize(
    ("page", "nr", "new_nr", "errno"),
    [(0, 8, 0, "EINVAL"), (0, 0, 8, "EINVAL"), (0, 9, 16, "EFAULT"), (20, 4, 2, "EFAULT"), (20, 4, 8, "EFAULT")],
)
def test_errors(page: int, nr: int, new_nr: int, errno: str) -> None:
    """Impossible sizes, nothing mapped at the start, and a range to grow that leaves its VMA."""
    m = Memory()
    p = m.mmap(8)

    assert resize(m, p + page, nr, new_nr) == errno
    assert vmas(m, p) == [(0, 8)]
    assert not [event for event in m.machine.trace if isinstance(event, VmaSplit)]


def test_the_same_size_changes_nothing() -> None:
    """Neither the whole range nor one in the middle of a VMA is split or zapped."""
    m = Memory()
    p = m.mmap(16)
    m.write(p, 16)
    before = m.folio(p + 7)

    assert resize(m, p + 7, 1, 1) is None
    assert resize(m, p, 16, 16) is None
    assert vmas(m, p) == [(0, 16)]
    assert m.folio(p + 7) is before
