"""CONFIG_NO_PAGE_MAPCOUNT: what user space and the deferred-split queue are told without counts of single pages."""

from __future__ import annotations

import pytest

from folioshell.model.proc import average_mapcount, kpagecounts, pagemap_bits, present_runs
from tests.paths.memory import Memory


def bits(m: Memory, vpn: int, who: str = "A") -> str:
    """Bits of pagemap of a page."""
    runs = present_runs(m.kernel, m.vma(vpn, who))
    return next(pagemap_bits(m.kernel, run) for run in runs if run.vpn <= vpn < run.vpn + run.nr)


def half_shared() -> tuple[Memory, int]:
    """An order-9 file folio that A maps whole by PTEs; B maps its page 0 only."""
    m = Memory()
    file = m.file("lib", 1024, order=9, fs="tmpfs")
    p = m.mmap(512, kind="shared", file=file, skew=8)
    m.read(p, 512)
    m.fork("B")
    m.kernel.config.fault_around = 1
    m.write(p, who="B")
    if m.look(p, 512, "B") != "F×1(2) -×511":
        m.madvise("dontneed", p + 1, 511, "B")
    assert m.look(p, 512, "B") == "F×1(2) -×511"
    return m, p


def test_shares_by_pages_and_by_averages() -> None:
    """Precise shares add up to the folio; with the average each process pays in full, and nothing is private."""
    m, p = half_shared()
    private = ("Private_Clean", "Private_Dirty")
    assert [m.smaps(p, "Pss", who) for who in "AB"] == [2046, 2]
    assert sum(m.smaps(p, figure) for figure in private) == 2044

    m.kernel.config.page_mapcount = False
    assert [m.smaps(p, "Pss", who) for who in "AB"] == [2048, 4]
    assert [sum(m.smaps(p, figure, who) for figure in private) for who in "AB"] == [0, 0]


def test_pagemap_asks_the_folio() -> None:
    """Page 1 has one entry; without its count it is as little exclusive as the folio."""
    m, p = half_shared()
    assert (bits(m, p), bits(m, p + 1)) == ("pf", "pfx")

    m.kernel.config.page_mapcount = False
    assert (bits(m, p), bits(m, p + 1)) == ("pf", "pf")


def test_kpagecount_is_the_average() -> None:
    """Counts of pages, or one average of all."""
    m, p = half_shared()
    folio = m.folio(p)
    assert kpagecounts(m.kernel, folio) == [(0, 1, 2), (1, 511, 1)]

    m.kernel.config.page_mapcount = False
    assert kpagecounts(m.kernel, folio) == [(0, 512, 1)]


@pytest.mark.parametrize(("entries", "average"), [(1, 1), (767, 1), (768, 2), (1279, 2), (1280, 3)])
def test_average_rounds_to_the_nearest(entries: int, average: int) -> None:
    """Of 512 pages the average is 1 up to 767 entries, 2 up to 1279, 3 from there on."""
    m = Memory()
    file = m.file("lib", 1024, order=9, fs="tmpfs")
    m.kernel.config.fault_around = 1
    left = entries
    folio = file.find(0)
    assert folio is not None
    while left:
        nr = min(left, 512)
        p = m.mmap(nr, kind="shared", file=file, skew=8)
        m.read(p, nr)
        left -= nr
    assert m.kernel.counts.mapcount(folio.id) == entries

    assert average_mapcount(m.kernel, folio) == average


def test_average_with_pmd_entries() -> None:
    """PMD entries count fully, and PTEs beside them are averaged."""
    m = Memory()
    p = m.thp()
    m.fork("B")
    assert average_mapcount(m.kernel, m.folio(p)) == 2
    m.munmap(p, 1, "B")

    assert average_mapcount(m.kernel, m.folio(p)) == 2
    m.munmap(p, 300, "B")
    assert average_mapcount(m.kernel, m.folio(p)) == 1


def test_average_of_what_nothing_maps() -> None:
    """A folio without entries has 0."""
    m = Memory()
    folio = m.file("lib", 16, order=4).find(0)
    assert folio is not None
    assert average_mapcount(m.kernel, folio) == 0


def test_user_space_sees_the_deciding_scheme() -> None:
    """Without page mapcounts a VMA count calls two halves of one process shared, and `maybe` is walked for."""
    m = Memory(thp={4: "always"})
    p = m.mmap(16)
    m.write(p, 16)
    m.mprotect(p + 8, 8, "r")
    m.kernel.config.page_mapcount = False

    for scheme, expected in (("mm-id", "px"), ("vmas", "p"), ("tuples", "px")):
        m.machine.decide(scheme)
        assert bits(m, p) == expected


@pytest.mark.parametrize(("on", "first", "last"), [(True, 1, 1), (False, 0, 1)])
def test_partial_folio_of_two_processes_is_missed(on: bool, first: int, last: int) -> None:
    """Half unmapped by both: 512 entries for 512 pages look complete; found when the child exits."""
    m = Memory()
    m.kernel.config.page_mapcount = on
    p = m.thp()
    m.fork("B")
    m.munmap(p, 256)
    m.munmap(p, 256, "B")

    assert m.count("split_deferred") == first
    m.exit("B")
    assert m.count("split_deferred") == last


@pytest.mark.parametrize("on", [True, False])
def test_partial_folio_of_one_process_is_found(on: bool) -> None:
    """One process that unmaps a part is noticed either way."""
    m = Memory(thp={4: "always"})
    m.kernel.config.page_mapcount = on
    p = m.mmap(16)
    m.write(p, 16)
    m.munmap(p, 1)

    assert (m.count("split_deferred"), m.folio(p + 1).partially_mapped) == (1, True)


@pytest.mark.parametrize("on", [True, False])
def test_last_unmapping_is_not_partial(on: bool) -> None:
    """A folio that is unmapped whole is freed, not queued."""
    m = Memory(thp={4: "always"})
    m.kernel.config.page_mapcount = on
    p = m.mmap(16)
    m.write(p, 16)
    m.munmap(p, 16)

    assert m.count("split_deferred") == 0


def test_last_pmd_entry_leaves_a_part() -> None:
    """The PMD entry of one goes while the other has half by PTEs: noticed under both, by different rules."""
    for on in (True, False):
        m = Memory()
        m.kernel.config.page_mapcount = on
        p = m.thp()
        m.fork("B")
        m.munmap(p, 256, "B")
        assert m.count("split_deferred") == 0
        m.munmap(p, 512)
        assert m.count("split_deferred") == 1
