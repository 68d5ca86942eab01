"""What /proc shows of VMAs and pages."""

from __future__ import annotations

from folioshell.model.smaps import kpagecounts, pagemap_bits, present_runs, smaps
from tests.paths.memory import Memory


def test_runs_are_cut_where_counts_change() -> None:
    """Pages of one folio that are mapped alike are one run; a page that another process dropped cuts it."""
    m = Memory(thp={4: "always"})
    p = m.mmap(16)
    m.write(p, 16)
    m.fork("B")
    m.munmap(p + 4, 2, "B")

    runs = [(run.vpn - p, run.nr, run.page, run.mapcount) for run in present_runs(m.kernel, m.vma(p))]

    assert runs == [(0, 4, 0, 2), (4, 2, 4, 1), (6, 10, 6, 2)]
    assert kpagecounts(m.kernel, m.folio(p)) == [(0, 4, 2), (4, 2, 1), (6, 10, 2)]


def test_dirty_pages_cut_runs() -> None:
    """A run has one set of flags, so that clean and dirty pages can be told apart."""
    m = Memory(thp={4: "always"})
    p = m.mmap(16)
    m.write(p, 16)
    m.madvise("free", p, 16)
    m.write(p + 3)

    figures = smaps(m.kernel, m.vma(p))

    assert (figures["Private_Clean"], figures["Private_Dirty"], figures["LazyFree"]) == (60, 4, 60)
    assert [run.nr for run in present_runs(m.kernel, m.vma(p))] == [3, 1, 12]


def test_pss_is_a_share() -> None:
    """Pss counts each page by the number of its entries, rounding the shares and their sum down."""
    m = Memory()
    p = m.mmap(4)
    m.write(p, 4)
    m.fork("B")
    m.fork("C")
    m.write(p)

    assert smaps(m.kernel, m.vma(p)) == {
        "Rss": 16,
        "Pss": 7,
        "Shared_Dirty": 12,
        "Private_Dirty": 4,
        "Anonymous": 16,
    }


def test_pmd_bit_56_asks_for_the_first_page() -> None:
    """Under a PMD entry 6.18 asks for the first page only, and says the same of all; 6.12 asks for each."""
    bits = {}
    for profile in ("6.18", "6.12"):
        m = Memory(profile)
        p = m.thp()
        m.fork("B")
        m.munmap(p + 1, 511, "B")
        bits[profile] = [pagemap_bits(m.kernel, run) for run in present_runs(m.kernel, m.vma(p))]

    assert bits == {"6.18": ["ph", "ph"], "6.12": ["ph", "pxh"]}


def test_zero_pages_are_not_resident() -> None:
    """Zero pages are present, the huge one looks like a file's; neither counts in Rss."""
    m = Memory()
    p, q = m.mmap(4), m.mmap(512, thp=True)
    m.read(p, 2)
    m.read(q)

    assert [pagemap_bits(m.kernel, run) for vpn in (p, q) for run in present_runs(m.kernel, m.vma(vpn))] == ["p", "pfh"]
    assert smaps(m.kernel, m.vma(p)) == smaps(m.kernel, m.vma(q)) == {}
