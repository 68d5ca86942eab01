"""khugepaged: what it collapses, why not what it does not, and what is sound afterwards, in five releases.

The limits, sharing, read-only, accessed and tmpfs cases were compared with khugepaged of 6.18.44.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.model import pte
from folioshell.model.lock import LockOp
from folioshell.paths.gup import do_pin
from folioshell.paths.reclaim import do_reclaim
from folioshell.units import CLASSROOM
from tests.paths.memory import Memory

PROFILES = ("5.10", "6.1", "6.12", "6.18", "7.3")


def _block(m: Memory, *pages: int, nr: int = 8) -> int:
    """A block of small pages, some of which are written; it is advised hugepage after that."""
    p = m.mmap(nr)
    for page in pages:
        m.write(p + page)
    assert m.madvise("hugepage", p, nr) is None
    return p


def _small(profile: str = "6.18", **thp: str) -> Memory:
    return Memory(profile, CLASSROOM, {int(order[1:]): mode for order, mode in thp.items()})


# Limits.


@pytest.mark.parametrize(
    ("none", "pages", "expected"),
    [
        (511, 1, "SUCCEED"),
        (0, 511, "EXCEED_NONE_PTE"),
        (0, 512, "SUCCEED"),
        (10, 501, "EXCEED_NONE_PTE"),
        (10, 502, "SUCCEED"),
    ],
)
def test_max_ptes_none(none: int, pages: int, expected: str) -> None:
    """So many pages may be missing; they are zeros in the new folio."""
    m = Memory()
    m.kernel.config.max_ptes_none = none
    p = m.mmap(512)
    m.write(p, pages)
    m.madvise("hugepage", p, 512)

    assert m.khugepaged() == [f"SCAN_{expected}"]
    assert m.look(p, 512) == ("T!×512(1)" if expected == "SUCCEED" else m.look(p, 512).replace("!", ""))
    assert m.smaps(p, "Rss") == 4 * (512 if expected == "SUCCEED" else pages)


def test_the_zero_page_counts_as_none() -> None:
    """Only zero pages, and a zero page beside 511 written ones if none may be missing: no collapse."""
    m = Memory()
    p = m.mmap(512)
    m.write(p, 511)
    m.read(p + 511)
    m.madvise("hugepage", p, 512)
    m.kernel.config.max_ptes_none = 0

    assert m.khugepaged() == ["SCAN_EXCEED_NONE_PTE"]
    m.kernel.config.max_ptes_none = 1
    assert m.khugepaged() == ["SCAN_SUCCEED"]


@pytest.mark.parametrize(("shared", "expected"), [(256, "SUCCEED"), (257, "EXCEED_SHARED_PTE")])
@pytest.mark.parametrize("profile", PROFILES)
def test_max_ptes_shared(profile: str, shared: int, expected: str) -> None:
    """Half of the pages may be shared with a child, which keeps them."""
    m = Memory(profile)
    p = m.mmap(512)
    m.write(p, shared)
    m.fork("B")
    m.write(p + shared, 512 - shared)
    m.madvise("hugepage", p, 512)

    assert m.khugepaged() == [f"SCAN_{expected}"]
    assert m.look(p, shared, "B") == f"A×{shared}({1 if expected == 'SUCCEED' else 2})"


@pytest.mark.parametrize("profile", PROFILES)
def test_a_page_of_a_shared_huge_folio(profile: str) -> None:
    """B maps half of a huge page. Up to 6.1 each page is asked about; since then, whether any page is shared."""
    m = Memory(profile, CLASSROOM)
    p = m.thp(8)
    m.fork("B")
    m.munmap(p, 5, "B")
    m.mprotect(p + 7, 1, "r")
    m.mprotect(p + 7, 1, "rw")
    m.write(p)

    m.kernel.config.max_ptes_shared = 3
    few = profile in ("5.10", "6.1")
    assert m.khugepaged() == ["SCAN_SUCCEED" if few else "SCAN_EXCEED_SHARED_PTE"]


@pytest.mark.parametrize(("swapped", "expected"), [(1, "SUCCEED"), (2, "EXCEED_SWAP_PTE")])
@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("is_sync", [False, True])
def test_max_ptes_swap(profile: str, swapped: int, expected: str, is_sync: bool) -> None:
    """So many pages are read from swap by faults; the slots are free then."""
    m = _small(profile)
    m.kernel.config.swap, m.kernel.config.sync_swap = True, is_sync
    p = _block(m, *range(8))
    for page in range(swapped):
        m.do(do_reclaim(m.kernel, m.folio(p + page)))

    assert m.khugepaged() == [f"SCAN_{expected}"]
    if expected == "SUCCEED":
        assert (m.look(p, 8), m.folio(p).nonzero, any(m.kernel.slots.counts)) == ("T!×8(1)", 0xFF, False)


# Which pages, and which VMAs.


@pytest.mark.parametrize("profile", PROFILES)
def test_no_writable_entry(profile: str) -> None:
    """After a fork whose child has gone, all entries are read-only: up to 6.12 that is a reason."""
    m = _small(profile)
    p = _block(m, *range(8))
    m.fork("B")
    m.exit("B")
    is_new = profile in ("6.18", "7.3")

    assert m.khugepaged() == ["SCAN_SUCCEED" if is_new else "SCAN_PAGE_RO"]
    m.write(p)
    assert m.khugepaged() == ["SCAN_PMD_MAPPED" if is_new else "SCAN_SUCCEED"]


@pytest.mark.parametrize("profile", PROFILES)
def test_nothing_was_accessed(profile: str) -> None:
    """All entries are old; one that is young is enough, but not beside a page in swap."""
    m = _small(profile)
    m.kernel.config.swap = True
    p = _block(m, *range(8))
    m.madvise("cold", p, 8)

    assert m.khugepaged() == ["SCAN_LACK_REFERENCED_PAGE"]
    m.read(p)
    m.do(do_reclaim(m.kernel, m.folio(p + 1)))
    assert m.khugepaged() == ["SCAN_LACK_REFERENCED_PAGE"]
    m.read(p, 4)
    assert m.khugepaged() == ["SCAN_SUCCEED"]


@pytest.mark.parametrize("profile", PROFILES)
def test_lazyfree_pages(profile: str) -> None:
    """A clean lazyfree page: since 7.1 khugepaged leaves it to reclaim."""
    m = _small(profile)
    p = _block(m, *range(8))
    m.madvise("free", p, 1)

    assert m.khugepaged() == ["SCAN_PAGE_LAZYFREE" if profile == "7.3" else "SCAN_SUCCEED"]
    m.write(p)
    assert (m.khugepaged()[0] == "SCAN_SUCCEED") is (profile == "7.3")


@pytest.mark.parametrize("profile", PROFILES)
def test_a_page_in_the_swap_cache(profile: str) -> None:
    """A read-only page that another process has in swap: 5.10 leaves it alone, 6.1 wants another, writable one."""
    m = _small(profile)
    m.kernel.config.swap = True
    p = _block(m, *range(8))
    m.fork("B")
    m.do(do_reclaim(m.kernel, m.folio(p)))
    m.read(p)
    m.write(p + 1, 7)

    assert m.khugepaged() == ["SCAN_SWAP_CACHE_PAGE" if profile == "5.10" else "SCAN_SUCCEED"]
    assert m.read(p, 1, "B") == []


@pytest.mark.parametrize("profile", PROFILES)
def test_what_is_huge_already(profile: str) -> None:
    """A block that a PMD entry maps, and one whose huge page PTEs map: that is copied."""
    m = _small(profile)
    p = m.thp(8)
    was = m.folio(p).id

    assert m.khugepaged() == ["SCAN_PMD_NULL" if profile == "5.10" else "SCAN_PMD_MAPPED"]
    m.mprotect(p, 1, "r")
    m.mprotect(p, 1, "rw")
    m.write(p)
    if profile != "5.10":
        assert m.khugepaged() == ["SCAN_SUCCEED"]
        assert m.look(p, 8) == "T!×8(1)" and m.folio(p).id != was


@pytest.mark.parametrize(("profile", "expected"), [("5.10", "PMD_NULL"), ("6.18", "PMD_NONE"), ("7.3", "NO_PTE_TABLE")])
def test_no_page_table(profile: str, expected: str) -> None:
    """The second block of a VMA was never touched."""
    m = _small(profile)
    _block(m, 0, nr=16)

    assert m.khugepaged() == ["SCAN_SUCCEED", f"SCAN_{expected}"]


def test_references() -> None:
    """A pinned page stays where it is."""
    m = _small()
    p = _block(m, *range(8))
    m.do(do_pin(m.kernel, m.mm("A"), p, 1))

    assert m.khugepaged() == ["SCAN_PAGE_COUNT"]
    assert m.look(p, 8) == "A×8(1)"


@pytest.mark.parametrize("profile", ["6.18", "7.3"])
def test_guard_regions(profile: str) -> None:
    """A guard marker counts as a page in swap until it is to be read; madvise ends there."""
    m = _small(profile)
    p = _block(m, *range(16), nr=16)
    m.madvise("guard_install", p + 1, 1)

    assert m.khugepaged() == ["SCAN_FAIL", "SCAN_SUCCEED"]
    m.kernel.config.max_ptes_swap = 0
    assert m.khugepaged() == ["SCAN_EXCEED_SWAP_PTE", "SCAN_PMD_MAPPED"]
    m.mprotect(p + 8, 1, "r")
    m.mprotect(p + 8, 1, "rw")
    assert m.madvise("collapse", p, 16) == "EINVAL"
    assert m.look(p, 16) == "A×1(1) -×1 A×6(1) T×8(1)"


def _unadvised(m: Memory) -> None:
    m.write(m.mmap(8))


def _nohugepage(m: Memory) -> None:
    m.madvise("nohugepage", _block(m, 0), 8)


def _partly_advised(m: Memory) -> None:
    p = m.mmap(8)
    m.write(p)
    m.madvise("hugepage", p, 7)


def _never_written(m: Memory) -> None:
    _block(m)


def _on_a_disk(m: Memory) -> None:
    m.read(m.mmap(8, kind="shared", file=m.file("lib", 8), thp=True))


def _plain_tmpfs(m: Memory) -> None:
    m.read(m.mmap(8, kind="shared", file=m.file("lib", 8, fs="tmpfs"), thp=True))


def _other_blocks(m: Memory) -> None:
    m.read(m.mmap(16, kind="shared", file=m.file("lib", 20, fs="tmpfs-huge"), pgoff=1))


@pytest.mark.parametrize(
    ("prepare", "reasons"),
    [
        (_unadvised, ["no huge pages are enabled for it"]),
        (_nohugepage, ["advised nohugepage"]),
        (_partly_advised, ["it covers no whole block", "it covers no whole block"]),
        (_never_written, ["nothing was written to it"]),
        (_on_a_disk, ["lib is not in shared memory"]),
        (_plain_tmpfs, ["no huge pages are enabled for it"]),
        (_other_blocks, ["its blocks are not those of lib"]),
    ],
)
def test_vmas_that_are_passed_over(prepare: Callable[[Memory], None], reasons: list[str]) -> None:
    """Why no block of a VMA is looked at."""
    m = _small("6.12")
    prepare(m)

    assert m.khugepaged() == reasons


@pytest.mark.parametrize("profile", PROFILES)
def test_it_sleeps_if_nothing_is_enabled(profile: str) -> None:
    """Before mTHP the PMD's size has to be enabled for anonymous memory, even for huge tmpfs."""
    m = _small(profile, o2="always", o3="never")
    m.read(m.mmap(8, kind="shared", file=m.file("lib", 8, fs="tmpfs-huge"), prot="r"))

    assert bool(m.khugepaged()) is (profile == "7.3")


# Files.


@pytest.mark.parametrize("profile", PROFILES)
def test_tmpfs(profile: str) -> None:
    """The page cache gets one folio, the PTE tables of all who map it go, and a fault maps it by a PMD entry."""
    m = _small(profile)
    file = m.file("lib", 8, fs="tmpfs-within", cached=False)
    p = m.mmap(8, kind="shared", file=file, thp=True)
    m.madvise("nohugepage", p, 8)
    m.write(p, 3)
    m.fork("B")
    m.read(p, 3, "B")
    m.madvise("hugepage", p, 8)

    assert m.khugepaged() == ["SCAN_SUCCEED"]
    assert [folio.order for folio in file.folios] == [3]
    assert (m.look(p, 8), m.look(p, 8, "B")) == ("-×8", "-×8")
    assert [m.mm(who).nr_ptes for who in "AB"] == [0, 0]
    m.read(p)
    assert m.look(p, 8) == "F!×8(1)"
    assert (m.folio(p).nonzero, m.folio(p).dirty) == (0b111, True)
    later = {"5.10": "PAGE_COMPOUND", "6.1": "PTE_MAPPED_HUGEPAGE"}.get(profile, "PMD_MAPPED")
    assert m.khugepaged() == [f"SCAN_{later}"]


@pytest.mark.parametrize("profile", PROFILES)
def test_tmpfs_limits(profile: str) -> None:
    """Holes count against max_ptes_none, pages in swap against max_ptes_swap."""
    m = _small(profile)
    m.kernel.config.swap, m.kernel.config.max_ptes_none = True, 4
    p = m.mmap(8, kind="shared", file=m.file("lib", 8, fs="tmpfs-within", cached=False), thp=True)
    m.madvise("nohugepage", p, 8)
    m.write(p, 3)
    m.madvise("hugepage", p, 8)

    assert m.khugepaged() == ["SCAN_EXCEED_NONE_PTE"]
    m.madvise("nohugepage", p, 8)
    m.write(p + 3, 3)
    m.madvise("hugepage", p, 8)
    m.madvise("pageout", p, 2)
    assert m.khugepaged() == ["SCAN_EXCEED_SWAP_PTE"]
    m.read(p)
    assert m.khugepaged() == ["SCAN_SUCCEED"]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_huge_folio_that_ptes_map(profile: str) -> None:
    """Its table is removed, since 6.1: then by the start of the next scan, since 6.6 at once."""
    m = _small(profile)
    p = m.mmap(8, kind="shared", file=m.file("lib", 8, fs="tmpfs-huge"))
    m.mprotect(p, 1, "r")
    m.write(p + 1, 7)
    m.mprotect(p, 1, "rw")
    assert m.look(p + 1, 7) == "F×7(1)"

    assert m.khugepaged() == ["SCAN_PAGE_COMPOUND" if profile == "5.10" else "SCAN_PTE_MAPPED_HUGEPAGE"]
    assert m.look(p + 1, 7) == ("F×7(1)" if profile == "5.10" else "-×7")


@pytest.mark.parametrize("is_shared", [False, True])
def test_files_on_a_disk(is_shared: bool) -> None:
    """7.3 takes clean files; a dirty one is written back for the next scan, unless someone can dirty it again."""
    m = _small("7.3")
    m.kernel.config.thp[3] = "always"
    file = m.file("lib", 8)
    next(file.folios).mark_dirty()
    p = m.mmap(8, kind="shared" if is_shared else "private", prot="rw" if is_shared else "r", file=file)
    m.read(p)

    assert m.khugepaged() == ["SCAN_PAGE_DIRTY_OR_WRITEBACK"]
    assert m.khugepaged() == ["SCAN_PAGE_DIRTY_OR_WRITEBACK" if is_shared else "SCAN_SUCCEED"]


def test_what_is_not_cached_of_a_file_is_read() -> None:
    """A page of a file on a disk that is not in the page cache is no hole."""
    m = _small("7.3", o3="always")
    m.kernel.config.fault_around, m.kernel.config.read_ahead = 1, 4
    file = m.file("lib", 8, cached=False)
    p = m.mmap(8, kind="private", prot="r", file=file)
    m.read(p)
    assert 0 < len(list(file.folios)) < 8

    assert m.khugepaged() == ["SCAN_SUCCEED"]
    assert [(folio.order, folio.nonzero) for folio in file.folios] == [(3, 0xFF)]


def test_a_file_on_a_disk_that_ends_within_the_block() -> None:
    """There is nothing to be read beyond EOF, and no hole either: no collapse, for madvise neither."""
    m = _small("7.3", o3="always")
    file = m.file("lib", 6)
    p = m.mmap(8, kind="private", prot="r", file=file)
    m.read(p, 6)

    assert m.khugepaged() == ["SCAN_FAIL"]
    assert m.madvise("collapse", p, 8) == "EINVAL"
    # They were unmapped on the way, and are faulted in again.
    assert (m.look(p, 8), [folio.order for folio in file.folios]) == ("-×8", [0] * 6)


# mTHP.


def test_mthp_without_new_pages() -> None:
    """With max_ptes_none 0, the largest aligned parts that are full are collapsed, each to a folio of its own."""
    m = Memory("7.3", thp={2: "always", 3: "always"})
    m.kernel.config.thp[2] = m.kernel.config.thp[3] = "never"
    m.kernel.config.max_ptes_none = 0
    p = m.mmap(512)
    m.write(p, 14)
    m.write(p + 64, 4)
    m.kernel.config.thp[2] = m.kernel.config.thp[3] = "always"

    assert m.khugepaged() == ["SCAN_SUCCEED"]
    assert [m.folio(p + page).order for page in (0, 8, 12, 13, 64)] == [3, 2, 0, 0, 2]
    assert m.look(p, 16) == "T×12(1) A×2(1) -×2"
    assert m.khugepaged()[0] != "SCAN_SUCCEED"


def test_mthp_fills_with_all_but_one() -> None:
    """With max_ptes_none at its most, one page is enough for the largest order; any other value counts as 0."""
    m = Memory("7.3")
    p = m.mmap(512)
    m.write(p + 100)
    m.kernel.config.thp[4] = "always"

    assert m.khugepaged() == ["SCAN_SUCCEED"]
    assert (m.look(p, 96), m.look(p + 96, 16), m.folio(p + 100).order) == ("-×96", "T×16(1)", 4)
    q = m.mmap(512)
    m.kernel.config.thp[4] = "never"
    m.write(q + 100)
    m.kernel.config.thp[4] = "always"
    m.kernel.config.max_ptes_none = 510
    assert m.khugepaged()[-1] == "SCAN_FAIL"


def test_mthp_before_7_2() -> None:
    """Other sizes are of no matter to khugepaged."""
    m = Memory("6.18", thp={4: "never"})
    p = m.mmap(512)
    m.write(p)
    m.kernel.config.thp[4] = "always"

    assert m.khugepaged() == ["no huge pages are enabled for it"]


def test_mthp_takes_no_shared_page_and_none_from_swap() -> None:
    """Parts with a page that is shared or in swap stay; a refusal for the block ends the scan."""
    m = Memory("7.3", CLASSROOM)
    m.kernel.config.swap, m.kernel.config.max_ptes_none = True, 0
    p = m.mmap(8)
    m.write(p)
    m.fork("B")
    m.write(p + 1, 7)
    m.kernel.config.thp[2] = "always"

    assert m.khugepaged() == ["SCAN_SUCCEED"]
    assert m.look(p, 8) == "A×1(2) A×3(1) T×4(1)"
    q = m.mmap(8)
    m.kernel.config.thp[2] = "never"
    m.write(q, 8)
    m.do(do_reclaim(m.kernel, m.folio(q)))
    m.kernel.config.thp[2] = "always"
    assert m.khugepaged()[-1] == "SCAN_SUCCEED"
    assert m.look(q, 8) == "-×1 A×3(1) T×4(1)"


def test_the_new_folio_of_a_part() -> None:
    """Exclusive, writable, with a reference for each entry, and not on the deferred-split queue."""
    m = Memory("7.3", CLASSROOM)
    p = m.mmap(8)
    m.write(p, 2)
    m.kernel.config.thp[2] = "always"
    m.khugepaged()
    folio = m.folio(p)

    assert (folio.order, folio.ref, folio.anon_exclusive, folio.nonzero, folio.deferred) == (2, 4, 0xF, 0b11, False)
    assert all(m.kernel.entry(m.mm("A"), p + page) & (pte.WRITE | pte.DIRTY) for page in range(4))
    assert m.smaps(p, "Rss") == 16
    m.madvise("dontneed", p, 8)
    m.kernel.config.thp[2] = "never"
    m.write(p + 5, 2)
    m.kernel.config.thp[2] = "always"
    m.khugepaged()
    assert (m.look(p, 8), m.folio(p + 4).nonzero) == ("-×4 T×4(1)", 0b0110)


# Locks.


def _scan_locks(profile: str, **thp: str) -> list[str]:
    m = _small(profile, **thp)
    m.kernel.config.thp[2] = "never"
    p = m.mmap(8)
    m.write(p, 8)
    if thp:
        m.kernel.config.thp[2] = "always"
    else:
        m.madvise("hugepage", p, 8)
    m.khugepaged()
    wanted = ("MMAP", "VMA", "AVR", "pmd", "pt")
    ops = [event for event in m.machine.trace if isinstance(event, LockOp)]
    return [str(op).replace("(v1)", "").replace("(A)", "") for op in ops if str(op)[1:].startswith(wanted)]


def test_locks_of_a_block() -> None:
    """mmap_lock is dropped for the allocation, and taken for reading and then for writing; the PTL is not nested."""
    found = _scan_locks("6.18")

    assert found[:4] == ["~MMAP(R)", "+pt1", "-pt1", "-MMAP(R)"]
    assert found[4:16] == [
        *("+MMAP(R)", "-MMAP(R)", "+MMAP(W)", "+VMA(W)", "-VMA(W)"),
        *("+AVR(av1)(W)", "+pmd1", "-pmd1", "+pt1", "-pt1", "-AVR(av1)(W)", "+pt1"),
    ]
    assert found[-5:] == ["+pmd1", "-pmd1", "-MMAP(W)", "~MMAP(R)", "-MMAP(R)"]


def test_locks_of_a_part() -> None:
    """The anon_vma stays locked until the table is back, which takes two page-table locks at once."""
    found = _scan_locks("7.3", o2="always", o3="never")

    assert found.count("+pt1 nested") == 2
    at = found.index("+pt1 nested")
    assert found[at - 1 : at + 5] == ["+pmd1", "+pt1 nested", "-pt1", "-pmd1", "-AVR(av1)(W)", "-MMAP(W)"]


# A law.

_WORDS = (
    "write",
    "read",
    "cold",
    "free",
    "dontneed",
    "pageout",
    "fork",
    "exit",
    "khugepaged",
    "collapse",
    "nohugepage",
)
_STEP = st.tuples(st.sampled_from(_WORDS), st.sampled_from("AB"), st.integers(0, 15), st.integers(1, 8))


@given(
    st.sampled_from(PROFILES),
    st.lists(_STEP, min_size=4, max_size=14),
    st.sampled_from((0, 3, 7)),
    st.sampled_from((0, 4, 7)),
    st.sampled_from(("never", "always")),
)
def test_contents_and_counts_stay_sound(
    profile: str, steps: list[tuple[str, str, int, int]], none: int, shared: int, mthp: str
) -> None:
    """Whatever khugepaged collapses: every page holds what was written, and all invariants hold after each step."""
    m = Memory(profile, CLASSROOM, {2: mthp, 3: "never"})
    m.kernel.config.swap = True
    m.kernel.config.max_ptes_none, m.kernel.config.max_ptes_shared = none, shared
    p = m.mmap(16)
    written: dict[str, set[int]] = {"A": set()}
    for word, wanted, first, most in steps:
        who, nr = wanted if wanted in written else "A", min(most, 16 - first)
        if word in ("write", "read"):
            (m.write if word == "write" else m.read)(p + first, nr, who)
            written[who] |= set(range(first, first + nr)) if word == "write" else set()
        elif word == "fork" and "B" not in written:
            m.fork("B")
            written["B"] = set(written["A"])
        elif word == "exit" and who == "B":
            m.exit("B")
            del written["B"]
        elif word == "khugepaged":
            m.kernel.config.thp[3] = "always"
            m.khugepaged(who)
            m.kernel.config.thp[3] = "never"
        elif word not in ("fork", "exit", "free"):
            m.madvise(word, p + first, nr, who)
            written[who] -= set(range(first, first + nr)) if word == "dontneed" else set()
    for who, pages in written.items():
        m.read(p, 16, who)
        for page in range(16):
            found = m.kernel.folio_at(m.mm(who), p + page)
            assert (found is not None and bool(found[0].nonzero >> found[1] & 1)) is (page in pages), (who, page)
