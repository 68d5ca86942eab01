"""smaps, pagemap, kpagecount and the counters of mapped pages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.commands import Session
from folioshell.errors import Refused
from folioshell.events import Mapped, Mlocked, Rmap
from folioshell.model import pte
from folioshell.model.kernel import Kernel
from folioshell.model.proc import (
    PresentRun,
    is_exclusive,
    kpagecounts,
    mlock_counts,
    native_way,
    pagemap_bits,
    present_runs,
    smaps,
    statistics,
)
from folioshell.model.vm import Vma
from tests.paths.histories import COMMAND, PLACE
from tests.paths.memory import Memory


def test_runs_are_cut_where_counts_change() -> None:
    """Pages of one folio that are mapped alike are one run; a page that another process dropped cuts it."""
    m = Memory(thp={4: "always"})
    p = m.mmap(16)
    m.write(p, 16)
    m.fork("B")
    m.munmap(p + 4, 2, "B")

    runs = [(run.vpn - p, run.nr, run.pfn - m.pfn(p), run.mapcount) for run in present_runs(m.kernel, m.vma(p))]

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


def figures(m: Memory, counter: str) -> list[int]:
    """One counter: precise, without page mapcounts, as in the mail."""
    return [statistics(m.kernel, way)[counter] for way in ("precise", "no-page-mapcount", "as-mailed")]


def test_one_page_of_a_large_folio() -> None:
    """One mapped page of 16 is one page, or the whole folio for a kernel that does not count pages."""
    m = Memory()
    p = m.mmap(16, kind="shared", file=m.file("lib", 32, order=4))
    assert figures(m, "nr_mapped") == [0, 0, 0]

    m.write(p)
    m.madvise("dontneed", p + 1, 15)
    assert figures(m, "nr_mapped") == [1, 16, 1]


def test_the_mail_adds_a_page_twice() -> None:
    """Two processes that map the same pages count them once in Linux, twice in the sketch of the mail."""
    m = Memory()
    p = m.mmap(16, file=m.file("lib", 32, order=4), prot="r")
    m.read(p)
    m.fork("B")
    m.read(p, who="B")
    assert figures(m, "nr_mapped") == [16, 16, 32]

    m.exit("A")
    assert figures(m, "nr_mapped") == [16, 16, 16]


def test_anonymous_pages_are_not_what_the_mail_speaks_of() -> None:
    """A shared anonymous page counts once under all three."""
    m = Memory()
    p = m.mmap(3)
    m.write(p, 3)
    m.fork("B")

    assert figures(m, "nr_anon_pages") == [3, 3, 3]


def test_part_of_an_anonymous_folio() -> None:
    """With half of a folio unmapped a kernel without page mapcounts still counts it whole."""
    m = Memory(thp={4: "always"})
    p = m.mmap(16)
    m.write(p, 16)
    m.munmap(p, 8)

    assert figures(m, "nr_anon_pages") == [8, 16, 8]


@pytest.mark.parametrize(
    ("kind", "fs", "counter"),
    [
        ("anon", "", "nr_anon_transparent_hugepages"),
        ("shared", "tmpfs", "nr_shmem_pmdmapped"),
        ("shared", "ext4", "nr_file_pmdmapped"),
    ],
)
def test_pmd_mapped(kind: str, fs: str, counter: str) -> None:
    """A folio counts as PMD-mapped from its first PMD entry to its last, each kind in a counter of its own."""
    m = Memory()
    if fs:
        p = m.mmap(512, kind=kind, file=m.file("lib", 1024, order=9, fs=fs))
        m.read(p)
    else:
        p = m.thp()
    m.fork("B")
    m.read(p, who="B")
    assert m.look(p, 512, "B").startswith(("T!", "F!"))
    assert figures(m, counter)[:2] == [512, 512]

    m.exit("A")
    assert figures(m, counter)[:2] == [512, 512]
    m.munmap(p, 512, "B")
    assert figures(m, counter) == [0, 0, 0]


def test_pmd_and_pte_entries_together() -> None:
    """Pages under a PMD entry and a PTE count once in Linux; the sketch adds the PTE to the 512."""
    m = Memory()
    p = m.mmap(512, kind="shared", file=m.file("lib", 1024, order=9, fs="tmpfs"))
    m.read(p)
    q = m.mmap(1, kind="shared", file=m.kernel.files["lib"])
    m.read(q)

    assert figures(m, "nr_mapped") == [512, 512, 513]


def test_the_way_of_the_kernel_itself() -> None:
    """The kernel is precise unless CONFIG_PAGE_MAPCOUNT is off."""
    m = Memory()
    assert native_way(m.kernel) == "precise"
    m.kernel.config.page_mapcount = False
    assert native_way(m.kernel) == "no-page-mapcount"


def pages_one_by_one(k: Kernel, vma: Vma) -> list[PresentRun]:
    """The present pages of a VMA, each read on its own."""
    found = []
    for vpn in range(vma.start, vma.end):
        entry, pmd = k.entry(vma.mm, vpn), vma.mm.tables.leaf(vpn) is None
        if entry > 0 and pte.is_zero_page(entry):
            found.append(PresentRun(vpn, 1, pte.ZERO_PFN, 0, None, 0, False, entry, pmd))
        elif entry > 0:
            pfn, flags = pte.pfn_of(entry), entry & pte.FLAGS
            folio = k.physmem.folio(pfn)
            (count,) = (count for at, nr, count in kpagecounts(k, folio) if at <= pfn - folio.pfn < at + nr)
            exclusive = is_exclusive(k, vma.mm, folio.id, count)
            found.append(PresentRun(vpn, 1, pfn, folio.id, folio.looks, count, exclusive, flags, pmd))
    return found


@given(
    st.sampled_from(("set page_mapcount on", "set page_mapcount off", "set profile 6.1")),
    st.sampled_from(
        ("mmap buf 32", "file lib 32 ; mmap buf 32 file=lib", "file lib 32 fs=tmpfs ; mmap buf 32 file=lib shared")
    ),
    st.lists(COMMAND, max_size=12),
)
def test_runs_against_pages(kernel: str, region: str, commands: list[str]) -> None:
    """Runs, their bits and their figures are those of their pages, each read on its own."""
    session = Session(counting=())
    session.execute(f"set geometry classroom ; {kernel} ; set swap on ; {region}")
    for command in ("read buf[0..7]", "write buf[8..23]", "fork B", *commands):
        try:
            session.execute(command)
        except Refused:
            continue
        k = session.workspace.kernel
        for vma in (vma for mm in k.mms.values() for vma in mm.vmas):
            runs, pages = [*present_runs(k, vma)], pages_one_by_one(k, vma)

            assert [run.part(page, 1) for run in runs for page in range(run.nr)] == pages
            assert "".join(pagemap_bits(k, run) * run.nr for run in runs) == "".join(
                pagemap_bits(k, page) for page in pages
            )
            assert smaps(k, vma, runs) == smaps(k, vma, pages)


#: memory of each kind, of which half is mapped, and then locked in part by two processes
REGIONS = (
    "mmap buf 32",
    "set thp.16K always ; mmap buf 32",
    "file lib 32 order=2 ; mmap buf 32 file=lib prot=r",
    "file lib 32 order=3 fs=tmpfs ; mmap buf 32 file=lib shared",
)
#: above all what mlocks, munlocks and splits
LOCKING = st.one_of(
    st.builds("{} {}".format, st.sampled_from(("mlock", "munlock", "munmap", "read", "B: mlock")), PLACE),
    st.builds("split f{}".format, st.integers(1, 10)),
    COMMAND,
)


@given(st.sampled_from(("6.18", "6.12")), st.sampled_from(REGIONS), st.lists(LOCKING, max_size=12))
def test_events_tell_all_of_mlock(profile: str, region: str, commands: list[str]) -> None:
    """The kernel's rule, applied to events, gives every PG_mlocked and mlock_count: so another rule can be compared."""
    session = Session(counting=())
    session.execute(f"set profile {profile} ; set geometry classroom ; set swap on ; {region}")
    for command in ("read buf[0..15] ; fork B", "mlock buf[8..23]", "mlock buf[0..3]", "B: mlock buf", *commands):
        try:
            session.execute(command)
        except Refused:
            continue
    k = session.workspace.kernel

    def calls(event: Rmap | Mlocked) -> bool:
        if not isinstance(event, Mapped) or event.new or not event.order:
            return True
        return k.release.mlocks_fully_mapped_folio and event.nr == 1 << event.order

    events = [event for record in session.workspace.journal for event in record.events()]
    found = {number: count for number, count in mlock_counts(events, calls).items() if number in k.folios}

    assert found == {folio.id: folio.mlock_count for folio in k.folios.values() if folio.mlocked}
