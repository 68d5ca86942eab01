"""rmap calls: what they do to flags, and when a folio is known to be partially mapped."""

from __future__ import annotations

import pytest

from tests.paths.memory import Memory


def _mthp(m: Memory) -> int:
    p = m.mmap(16)
    m.write(p, 16)
    return p


def test_a_page_that_another_maps_is_no_hole() -> None:
    """The first of two processes that drops a page leaves no trace; the second makes the folio partially mapped."""
    m = Memory(thp={4: "always"})
    p = _mthp(m)
    m.fork("B")
    m.munmap(p, 4)
    assert not m.folio(p + 4).partially_mapped

    m.munmap(p, 4, "B")
    assert m.folio(p + 4).partially_mapped


def test_no_hole_under_a_pmd() -> None:
    """While anybody has a PMD on the folio, pages that others drop are never holes."""
    m = Memory()
    p = m.thp()
    m.fork("B")
    m.munmap(p, 4, "B")

    assert not m.folio(p).partially_mapped


def test_the_last_pmd_shows_the_holes() -> None:
    """When the last PMD goes, what PTEs do not map is a hole."""
    m = Memory()
    p = m.thp()
    m.fork("B")
    m.munmap(p, 4, "B")
    m.munmap(p, 512)

    assert m.folio(p + 4, "B").partially_mapped


def test_the_flag_is_history() -> None:
    """Once flagged, a folio stays so, though every page of it that is left is mapped again and again."""
    m = Memory(thp={4: "always"})
    p = _mthp(m)
    m.madvise("dontneed", p, 4)
    m.fork("B")
    m.exit("B")

    assert m.folio(p + 4).partially_mapped
    assert m.count("split_deferred") == 1


def test_a_new_thp_is_queued_without_the_flag() -> None:
    """Every new THP is on the deferred-split queue, which says nothing about how it is mapped."""
    m = Memory()
    folio = m.folio(m.thp())

    assert (folio.deferred, folio.partially_mapped) == (True, False)
    assert m.count("split_deferred") == 0


def test_wholly_unmapped_is_not_partially_mapped() -> None:
    """A folio that loses all its entries at once is freed, and was never partially mapped."""
    m = Memory(thp={4: "always"})
    p = _mthp(m)
    m.munmap(p, 16)

    assert m.count("split_deferred") == 0
    assert not m.kernel.folios


def test_file_folios_are_never_queued() -> None:
    """Deferred splitting is for anonymous memory."""
    m = Memory()
    p = m.mmap(16, kind="shared", prot="r", file=m.file("f", 64, 4))
    m.read(p, 16)
    m.munmap(p, 4)

    assert not m.folio(p + 4).deferred


def test_order_2_is_the_smallest_that_is_queued() -> None:
    """Folios of order 2 have room for the queue's links."""
    m = Memory(thp={2: "always"})
    p = m.mmap(4)
    m.write(p, 4)
    m.munmap(p, 1)

    assert m.folio(p + 1).partially_mapped


def test_exclusive_after_fork() -> None:
    """Fork takes the exclusive flag from every page that it shares; a write in place gives it back to one."""
    m = Memory(thp={4: "always"})
    p = _mthp(m)
    assert m.folio(p).anon_exclusive == 0xFFFF

    m.fork("B")
    m.exit("B")
    assert m.folio(p).anon_exclusive == 0
    m.write(p + 3)
    assert m.folio(p).anon_exclusive == 1 << 3


def test_mlocked_folio() -> None:
    """A locked VMA marks the folios that it maps whole, and any unmapping from it clears the mark."""
    m = Memory(thp={4: "always"})
    p = _mthp(m)
    folio = m.folio(p)
    m.mlock(p, 16)
    assert folio.mlocked

    m.munmap(p, 4)
    assert not folio.mlocked


@pytest.mark.parametrize(("profile", "mlocked"), [("6.18", True), ("6.12", False)])
def test_mlock_of_a_new_pmd_mapping(profile: str, mlocked: bool) -> None:
    """6.12 leaves a large folio of a locked VMA to reclaim, however it is mapped."""
    m = Memory(profile)
    p = m.mmap(512, kind="shared", file=m.file("lib", 512, order=9))
    m.mlock(p, 512)

    assert m.kernel.counts.entire(m.folio(p).id)
    assert m.folio(p).mlocked == mlocked
