"""Calls that fail: their errno, and what was done before it."""

from __future__ import annotations

import pytest

from folioshell.paths.mmap import do_mmap
from folioshell.paths.mremap import do_mremap
from tests.paths.memory import Memory


def _with_hole(m: Memory) -> int:
    """Pages 0-3 and 6-9 are mapped and written."""
    p = m.mmap(10)
    m.write(p, 10)
    m.munmap(p + 4, 2)
    return p


def test_mmap_over_a_mapping() -> None:
    """What is mapped is not replaced unless MAP_FIXED says so."""
    m = Memory()
    p = m.mmap(4)
    m.write(p, 4)

    assert m.do(do_mmap(m.kernel, m.mm("A"), p + 3, 4)) == "EEXIST"
    assert m.do(do_mmap(m.kernel, m.mm("A"), p + 3, 4, fixed=True)) is None
    assert m.look(p, 7) == "A×3(1) -×4"


def test_munmap_of_nothing() -> None:
    """Unmapping addresses where nothing is succeeds; no pages is EINVAL."""
    m = Memory()

    assert m.munmap(m.place(), 10) is None
    assert m.munmap(m.place(), 0) == "EINVAL"


def test_mprotect_over_a_hole() -> None:
    """ENOMEM, and what lies before the hole is changed."""
    m = Memory()
    p = _with_hole(m)

    assert m.mprotect(p, 10, "r") == "ENOMEM"
    assert (m.vma(p).perm, m.vma(p + 6).perm) == ("r--p", "rw-p")


def test_mlock_over_a_hole() -> None:
    """ENOMEM, and what lies before the hole is locked."""
    m = Memory()
    p = _with_hole(m)

    assert m.mlock(p, 10) == "ENOMEM"
    assert ("lo" in m.vma(p).flag_words, "lo" in m.vma(p + 6).flag_words) == (True, False)


def test_dontneed_over_a_hole() -> None:
    """ENOMEM, and both sides of the hole are dropped."""
    m = Memory()
    p = _with_hole(m)

    assert m.madvise("dontneed", p, 10) == "ENOMEM"
    assert m.look(p, 10) == "-×10"


@pytest.mark.parametrize("advice", ["dontneed", "free", "cold", "pageout"])
def test_locked_memory_refuses(advice: str) -> None:
    """Advice that would let go of pages is EINVAL on locked memory."""
    m = Memory()
    p = m.mmap(4)
    m.mlock(p, 4)

    assert m.madvise(advice, p, 4) == "EINVAL"
    assert m.look(p, 4) == "A×4(1)"


@pytest.mark.parametrize(
    ("advice", "kind", "result"),
    [
        ("free", "shared", "EINVAL"),
        ("wipeonfork", "shared", "EINVAL"),
        ("remove", "anon", "EINVAL"),
        ("remove", "private", "EACCES"),
        ("collapse", "anon", "EINVAL"),
        ("cold", "shared", None),
    ],
)
def test_advice_that_does_not_fit(advice: str, kind: str, result: str | None) -> None:
    """Some advice is for private anonymous memory only, some for shared files only."""
    m = Memory()
    f = m.file("f", 8, fs="tmpfs") if kind == "private" else None
    p = m.mmap(8, kind=kind, file=f)

    assert m.madvise(advice, p, 8) == result


def test_populate_where_nothing_may_be_written() -> None:
    """POPULATE_WRITE of read-only memory is EINVAL, over a hole ENOMEM, beyond the end of a file EFAULT."""
    m = Memory()
    p, hole = m.mmap(4, prot="r"), _with_hole(m)
    f = m.mmap(8, kind="shared", file=m.file("f", 4))

    assert m.madvise("populate_write", p, 4) == "EINVAL"
    assert m.madvise("populate_read", hole, 10) == "ENOMEM"
    assert m.madvise("populate_read", f, 8) == "EFAULT"
    assert m.look(f, 8) == "F×4(1) -×4"


@pytest.mark.parametrize(
    ("start", "nr", "to", "new_nr", "dontunmap", "result"),
    [
        (0, 0, 100, 0, False, "EINVAL"),
        (0, 4, 2, 4, False, "EINVAL"),
        (0, 4, 100, 8, True, "EINVAL"),
        (4, 2, 100, 2, False, "EFAULT"),
        (2, 6, 100, 7, False, "EFAULT"),
    ],
)
def test_mremap(start: int, nr: int, to: int, new_nr: int, dontunmap: bool, result: str) -> None:
    """Ranges that overlap, that have other sizes or that begin in a hole cannot move."""
    m = Memory()
    p = _with_hole(m)

    assert m.do(do_mremap(m.kernel, m.mm("A"), p + start, nr, p + to, new_nr, dontunmap=dontunmap)) == result
    assert m.look(p, 10) == "A×4(1) -×2 A×4(1)"


@pytest.mark.parametrize(("profile", "result"), [("6.18", None), ("6.12", "EFAULT")])
def test_mremap_over_several_vmas(profile: str, result: str | None) -> None:
    """A range over several VMAs moves with its holes if its size stays; 6.12 refuses."""
    m = Memory(profile)
    p = _with_hole(m)
    to = m.place()

    assert m.mremap(p, 10, to) == result
    if result is None:
        assert m.look(to, 10) == "A×4(1) -×2 A×4(1)"


def test_signals() -> None:
    """An access where nothing is mapped or that is not allowed is SIGSEGV, beyond the end of a file SIGBUS."""
    m = Memory()
    hole, none = _with_hole(m), m.mmap(2, prot="none")
    readable, f = m.mmap(2, prot="r"), m.mmap(8, kind="shared", file=m.file("f", 5))

    assert m.write(hole, 10) == [[4, 2, "SIGSEGV"]]
    assert m.read(none, 2) == [[0, 2, "SIGSEGV"]]
    assert m.write(readable, 2) == [[0, 2, "SIGSEGV"]]
    assert m.read(f, 8) == [[5, 3, "SIGBUS"]]
