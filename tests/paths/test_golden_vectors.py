"""What a 6.18 kernel was seen doing with short scripts, and where a 6.12 kernel does otherwise.

Pictures: A×n(c) is n pages of anonymous order-0 folios that c entries map each; T large anonymous, F file, Z zero page,
- nothing; ! is mapped by a PMD.
"""

from __future__ import annotations

import pytest

from tests.paths.memory import Memory

BOTH = pytest.mark.parametrize("profile", ["6.18", "6.12"])


@BOTH
def test_01_zero_page(profile: str) -> None:
    """A read of anonymous memory maps the zero page, which counts nowhere; a write replaces it."""
    m = Memory(profile)
    p = m.mmap(4)

    m.read(p)
    assert (m.look(p, 1), m.smaps(p, "Rss")) == ("Z×1", 0)
    m.write(p)
    assert (m.look(p, 1), m.smaps(p, "Rss")) == ("A×1(1)", 4)


@pytest.mark.parametrize(("profile", "after"), [("6.18", "T!×512(1)"), ("6.12", "A×1(1) Z×511")])
def test_02_huge_zero_page(profile: str, after: str) -> None:
    """A write to the huge zero page makes a THP; on 6.12 it splits the PMD and copies one page."""
    m = Memory(profile)
    p = m.mmap(512, thp=True)

    m.read(p)
    assert m.look(p, 512) == "Z!×512"
    m.write(p)
    assert m.look(p, 512) == after


@BOTH
def test_03_fork_shares_a_thp_by_pmd(profile: str) -> None:
    """After fork both have the THP by a PMD."""
    m = Memory(profile)
    p = m.thp()
    m.fork("B")

    assert m.look(p, 512) == m.look(p, 512, "B") == "T!×512(2)"


@BOTH
def test_04_child_writes_one_page(profile: str) -> None:
    """A write splits the writer's PMD and copies one page; the other's PMD stays."""
    m = Memory(profile)
    p = m.thp()
    m.fork("B")
    m.write(p + 5, who="B")

    assert m.look(p, 512) == "T!×5(2) T!×1(1) T!×506(2)"
    assert m.look(p, 512, "B") == "T×5(2) A×1(1) T×506(2)"
    assert [m.smaps(p, "Pss", who) for who in "AB"] == [1026, 1026]
    assert [m.smaps(p, "AnonHugePages", who) for who in "AB"] == [2048, 0]
    assert m.count("thp_split_pmd") == 1


@BOTH
def test_05_pmd_is_reused(profile: str) -> None:
    """With the child gone the parent writes in place, its PMD and all."""
    m = Memory(profile)
    p = m.thp()
    before = m.folio(p)
    m.fork("B")
    m.write(p + 5, who="B")
    m.exit("B")
    m.write(p)

    assert (m.look(p, 512), m.folio(p)) == ("T!×512(1)", before)


@BOTH
def test_06_mprotect_of_a_page(profile: str) -> None:
    """A page made read-only and writable again leaves the THP mapped by PTEs, with the same pages."""
    m = Memory(profile)
    p = m.thp()
    before = m.folio(p)
    m.mprotect(p + 10, 1, "r")
    m.mprotect(p + 10, 1, "rw")

    assert (m.look(p, 512), m.folio(p), len(m.mm("A").vmas)) == ("T×512(1)", before, 1)


@pytest.mark.parametrize(("profile", "same"), [("6.18", True), ("6.12", False)])
def test_07_reuse_of_a_pte_mapped_thp(profile: str, same: bool) -> None:
    """The only mapper of a PTE-mapped THP writes in place; 6.12 always copies."""
    m = Memory(profile)
    p = m.pte_thp()
    before = m.pfn(p + 9)
    m.fork("B")
    m.exit("B")
    m.write(p + 9)

    assert (m.pfn(p + 9) == before) is same


@pytest.mark.parametrize(("profile", "same"), [("6.18", True), ("6.12", False)])
def test_08_reuse_of_a_partially_mapped_thp(profile: str, same: bool) -> None:
    """A hole in the THP does not matter: L equals ref."""
    m = Memory(profile)
    p = m.pte_thp()
    m.madvise("dontneed", p + 100, 1)
    m.fork("B")
    m.exit("B")
    before = m.pfn(p + 10)
    m.write(p + 10)

    assert (m.pfn(p + 10) == before) is same


@BOTH
def test_09_shared_pages_are_copied_twice(profile: str) -> None:
    """While a child lives the parent's write copies, and so does the child's of a page that only it has left."""
    m = Memory(profile)
    p = m.pte_thp()
    m.fork("B")
    m.write(p + 11)

    assert (m.look(p + 11, 1), m.look(p + 11, 1, "B")) == ("A×1(1)", "T×1(1)")
    m.write(p + 11, who="B")
    assert m.look(p + 11, 1, "B") == "A×1(1)"


@BOTH
def test_10_all_pages_copied(profile: str) -> None:
    """A parent that writes all of a shared THP gets 512 small pages in 512 faults; the child keeps its PMD."""
    m = Memory(profile)
    p = m.thp()
    m.fork("B")
    m.write(p, 512)

    assert (m.faults(), m.look(p, 512), m.look(p, 512, "B")) == (512, "A×512(1)", "T!×512(1)")


def test_11_all_pages_reused() -> None:
    """After the child's exit every page of a PTE-mapped THP costs one fault, and none is copied."""
    m = Memory()
    p = m.pte_thp()
    m.fork("B")
    m.exit("B")
    m.write(p, 512)

    assert (m.faults(), m.look(p, 512), m.count("pgreuse")) == (512, "T×512(1)", 512)


@BOTH
def test_12_dontneed_of_a_part(profile: str) -> None:
    """Pages dropped from a THP split its PMD and put it on the deferred-split queue."""
    m = Memory(profile)
    p = m.thp()
    m.madvise("dontneed", p + 10, 4)

    assert m.look(p, 512) == "T×10(1) -×4 T×498(1)"
    assert (m.count("thp_split_pmd"), m.count("thp_deferred_split_page")) == (1, 1)
    assert m.folio(p).partially_mapped


@BOTH
def test_13_munmap_and_mprotect_of_a_part(profile: str) -> None:
    """Unmapping the first page does the same; mprotect of a part only splits the PMD."""
    m = Memory(profile)
    p, q = m.thp(), m.thp()
    m.munmap(p, 1)

    assert (m.look(p, 512), m.count("thp_split_pmd")) == ("-×1 T×511(1)", 1)
    assert m.folio(p + 1).partially_mapped
    m.mprotect(q, 1, "r")
    assert (m.look(q, 512), m.count("thp_split_pmd")) == ("T×512(1)", 2)
    assert not m.folio(q).partially_mapped


def _barely_written(m: Memory) -> int:
    p = m.mmap(512, thp=True)
    m.write(p)
    return p


@BOTH
def test_14_cold_of_a_part_splits(profile: str) -> None:
    """COLD on a part of an exclusive THP splits it; pages that are all zero become the zero page."""
    m = Memory(profile)
    p = _barely_written(m)
    m.madvise("cold", p + 10, 4)

    assert m.look(p, 512) == "A×1(1) Z×511"
    assert (m.count("thp_split_pmd"), m.count("thp_split_page")) == (1, 1)


@BOTH
def test_15_cold_of_a_part_of_a_shared_thp(profile: str) -> None:
    """COLD leaves a THP alone that a child has too."""
    m = Memory(profile)
    p = _barely_written(m)
    m.fork("B")
    m.madvise("cold", p + 10, 4)

    assert m.look(p, 512) == "T!×512(2)"


def test_16_cold_while_a_child_has_half() -> None:
    """COLD leaves a THP alone of which a child has half, and splits it once the child is gone."""
    m = Memory()
    p = m.thp()
    m.fork("B")
    m.munmap(p, 256, "B")
    m.madvise("cold", p + 10, 4)
    assert m.look(p, 512) == "T!×256(1) T!×256(2)"

    m.exit("B")
    m.madvise("cold", p + 10, 4)
    assert m.look(p, 512) == "A×512(1)"


@pytest.mark.parametrize(("profile", "after"), [("6.18", "T×512(1)"), ("6.12", "A×512(1)")])
def test_17_mm_id_knows_two(profile: str, after: str) -> None:
    """The last of four mms had no slot and stays "maybe shared" though it maps the folio alone; 6.12 guesses right."""
    m = Memory(profile)
    p = m.pte_thp()
    for child in "BCD":
        m.fork(child)
    m.exit("B")
    m.exit("C")
    m.munmap(p, 512)
    m.madvise("cold", p + 10, 4, "D")

    assert m.look(p, 512, "D") == after


@BOTH
def test_18_free_and_pageout(profile: str) -> None:
    """FREE of a whole THP makes it lazyfree under its PMD; PAGEOUT then discards it."""
    m = Memory(profile)
    p = m.thp()
    m.madvise("free", p, 512)
    assert (m.look(p, 512), m.smaps(p, "LazyFree"), m.smaps(p, "AnonHugePages")) == ("T!×512(1)", 2048, 2048)

    m.madvise("pageout", p, 512)
    assert m.look(p, 512) == "-×512"


@BOTH
def test_19_pageout_without_swap(profile: str) -> None:
    """PAGEOUT of a THP without swap splits it and drops its zero pages; what was written stays."""
    m = Memory(profile)
    p = _barely_written(m)
    m.madvise("pageout", p, 512)

    assert m.look(p, 512) == "A×1(1) Z×511"


def _every_second(m: Memory, thp: bool = True) -> int:
    p = m.mmap(512)
    for page in range(0, 512, 2):
        m.write(p + page)
    if thp:
        m.madvise("hugepage", p, 512)
    return p


@BOTH
def test_20_collapse_with_holes(profile: str) -> None:
    """COLLAPSE fills the holes: Rss doubles."""
    m = Memory(profile)
    p = _every_second(m)
    before = m.smaps(p, "Rss")

    assert m.madvise("collapse", p, 512) is None
    assert (m.look(p, 512), m.smaps(p, "Rss")) == ("T!×512(1)", 2 * before)


@pytest.mark.parametrize(("profile", "result"), [("6.18", None), ("6.12", "EINVAL")])
def test_21_collapse_of_shared_pages(profile: str, result: str | None) -> None:
    """COLLAPSE copies pages that a child has too; 6.12 wants one writable page."""
    m = Memory(profile)
    p = m.mmap(512)
    m.write(p, 512)
    m.madvise("hugepage", p, 512)
    m.fork("B")

    assert m.madvise("collapse", p, 512) == result
    if result:
        m.write(p)
        assert m.madvise("collapse", p, 512) is None
    assert m.look(p, 512) == "T!×512(1)"
    assert m.look(p, 512, "B") == "A×512(1)"


@BOTH
def test_22_collapse_makes_a_new_folio(profile: str) -> None:
    """COLLAPSE of a PTE-mapped THP does not put its PMD back, it copies."""
    m = Memory(profile)
    p = m.pte_thp()
    before = m.folio(p)

    assert m.madvise("collapse", p, 512) is None
    assert m.look(p, 512) == "T!×512(1)"
    assert m.folio(p) is not before


@BOTH
def test_23_nothing_to_collapse(profile: str) -> None:
    """COLLAPSE of untouched memory, and of zero pages only, is EINVAL."""
    m = Memory(profile)
    p, q = m.mmap(512), m.mmap(512)
    m.read(q, 8)

    assert m.madvise("collapse", p, 512) == "EINVAL"
    assert m.madvise("collapse", q, 512) == "EINVAL"


def test_24_fault_around_window() -> None:
    """The window of a file fault is aligned in addresses; what is read from disk is order 0."""
    m = Memory()
    f = m.file("f", 400, cached=False)
    p = m.mmap(256, kind="private", prot="r", file=f, skew=7)
    m.read(p + 20)

    assert m.look(p, 26) == "-×9 F×16(1) -×1"
    assert {folio.order for folio in f.folios} == {0}


def test_25_file_pmd() -> None:
    """A 2 MiB page-cache folio is mapped by a PMD on a read, whatever the THP setting."""
    m = Memory()
    p = m.mmap(512, kind="shared", file=m.file("f", 600, order=9))
    m.read(p)

    assert (m.look(p, 512), m.smaps(p, "FilePmdMapped")) == ("F!×512(1)", 2048)


def test_26_small_vma_of_a_large_folio() -> None:
    """A folio that does not lie within the VMA is mapped by the window only."""
    m = Memory()
    p = m.mmap(64, kind="shared", file=m.file("f", 600, order=9))
    m.read(p + 20)

    assert m.look(p, 64) == "-×16 F×16(1) -×32"


@pytest.mark.parametrize(
    ("profile", "after"), [("6.18", "F×200(1) A×1(1) F×311(1)"), ("6.12", "-×192 F×8(1) A×1(1) F×7(1) -×304")]
)
def test_27_read_beside_a_private_page(profile: str, after: str) -> None:
    """A read beside a COW page maps all the rest of the folio; 6.12 the window."""
    m = Memory(profile)
    p = m.mmap(512, kind="private", file=m.file("f", 600, order=9))
    m.write(p + 200)
    assert m.look(p, 512) == "-×200 A×1(1) -×311"

    m.read(p + 201)
    assert m.look(p, 512) == after


@BOTH
def test_28_fork_of_a_private_file(profile: str) -> None:
    """A private mapping that was only read starts empty in the child; one private page makes fork copy every entry."""
    m = Memory(profile)
    p = m.mmap(16, kind="private", file=m.file("f", 16))
    m.read(p, 16)
    m.fork("B")
    assert m.look(p, 16, "B") == "-×16"

    m.write(p + 3)
    m.fork("C")
    assert m.look(p, 16, "C") == "F×3(2) A×1(2) F×12(2)"


@BOTH
def test_29_shared_memory_in_a_child(profile: str) -> None:
    """Shared memory starts empty in a child, and its first read maps all that the cache has around it."""
    m = Memory(profile)
    p = m.mmap(8, kind="shared")
    for page in (0, 1, 5):
        m.write(p + page)
    m.fork("B")
    assert m.look(p, 8, "B") == "-×8"

    m.read(p, who="B")
    assert m.look(p, 8, "B") == m.look(p, 8) == "F×2(2) -×3 F×1(2) -×2"


@BOTH
def test_30_writes_after_reads(profile: str) -> None:
    """Shared memory is mapped writable by reads; ext4 wants to hear of each first write."""
    m = Memory(profile)
    p = m.mmap(64, kind="shared")
    q = m.mmap(64, kind="shared", file=m.file("f", 64))
    m.read(p, 64)
    m.read(q, 64)

    m.write(p, 64)
    assert m.faults() == 0
    m.write(q, 64)
    assert m.faults() == 64


@BOTH
def test_31_mprotect_back(profile: str) -> None:
    """Exclusive pages are writable again without a fault, shared ones with one each."""
    m = Memory(profile)
    p = m.mmap(8)
    m.write(p, 8)
    m.mprotect(p, 8, "r")
    m.mprotect(p, 8, "rw")
    m.write(p, 8)
    assert m.faults() == 0

    m.fork("B")
    m.mprotect(p, 8, "r")
    m.mprotect(p, 8, "rw")
    m.write(p, 8)
    assert m.faults() == 8


@BOTH
def test_32_file_pmd_split_unmaps(profile: str) -> None:
    """A file PMD that must be split is dropped; the other process keeps its own."""
    m = Memory(profile)
    p = m.mmap(512, kind="shared", file=m.file("f", 512, fs="tmpfs-huge"))
    m.fork("B")
    m.read(p)
    m.read(p, who="B")
    m.mprotect(p + 3, 1, "r")
    assert (m.look(p, 512), m.look(p, 512, "B")) == ("-×512", "F!×512(1)")

    m.read(p + 100)
    assert m.look(p, 512) == "-×96 F×16(2) -×400"


@BOTH
def test_33_private_write_to_a_file_pmd(profile: str) -> None:
    """A private write drops the PMD and leaves the one copied page; a read maps file pages around it."""
    m = Memory(profile)
    p = m.mmap(512, kind="private", file=m.file("f", 512, fs="tmpfs-huge"))
    m.read(p)
    m.write(p + 7)
    assert m.look(p, 512) == "-×7 A×1(1) -×504"

    m.read(p + 8)
    assert m.look(p, 10) == "F×7(1) A×1(1) F×2(1)"


@BOTH
def test_34_cold_of_a_part_of_shmem(profile: str) -> None:
    """COLD on a part of an exclusive shmem THP splits it, which unmaps all of it; a fault maps 16 small pages."""
    m = Memory(profile)
    p = m.mmap(512, kind="shared", file=m.file("f", 512, fs="tmpfs-huge"))
    m.read(p)
    m.madvise("cold", p + 10, 4)
    assert m.look(p, 512) == "-×512"

    m.read(p + 100)
    assert (m.look(p, 512), m.folio(p + 100).order) == ("-×96 F×16(1) -×400", 0)


@BOTH
def test_35_remove_keeps_private_copies(profile: str) -> None:
    """A hole punched in a file takes its pages from every mapping, but not the private copies."""
    m = Memory(profile)
    f = m.file("f", 8, fs="tmpfs")
    p = m.mmap(8, kind="shared", file=f)
    q = m.mmap(8, kind="private", file=f)
    m.read(p, 8)
    m.read(q, 8)
    m.write(q)
    assert m.madvise("remove", p, 4) is None

    assert (m.look(p, 8), m.look(q, 8)) == ("-×4 F×4(2)", "A×1(1) -×3 F×4(2)")


@pytest.mark.parametrize(("skew", "splits", "picture"), [(0, 0, "T!×512(1)"), (5, 1, "T×512(1)")])
def test_36_mremap_of_a_thp(skew: int, splits: int, picture: str) -> None:
    """A THP moved to a PMD boundary keeps its PMD, elsewhere its PMD is split; its pages stay the same."""
    m = Memory()
    p = m.thp()
    before, to = m.folio(p), m.place(skew)

    assert m.mremap(p, 512, to) is None
    assert (m.look(to, 512), m.folio(to), m.count("thp_split_pmd")) == (picture, before, splits)


@pytest.mark.parametrize(("profile", "freed"), [("6.18", 2), ("6.12", 0)])
def test_37_dontneed_frees_tables(profile: str, freed: int) -> None:
    """DONTNEED of whole tables in one call frees them, in two calls not; 6.12 never does."""
    m = Memory(profile)
    p, q = m.mmap(1024), m.mmap(1024)
    m.write(p, 1024)
    m.write(q, 1024)
    tables = m.mm("A").nr_ptes

    m.madvise("dontneed", p, 1024)
    assert tables - m.mm("A").nr_ptes == freed
    m.madvise("dontneed", q, 256)
    m.madvise("dontneed", q + 256, 256)
    assert tables - m.mm("A").nr_ptes == freed


@BOTH
def test_38_wiped_and_left_out(profile: str) -> None:
    """A child has wiped pages as holes and no VMA where fork was told so; the parent's stay exclusive."""
    m = Memory(profile)
    p = m.mmap(8)
    m.write(p, 8)
    m.madvise("wipeonfork", p, 2)
    m.madvise("dontfork", p + 4, 2)
    m.fork("B")

    assert m.look(p, 8, "B") == "-×2 A×2(2) -×2 A×2(2)"
    assert m.mm("B").vmas.find(p + 4) is None
    assert m.look(p, 8) == "A×2(1) A×2(2) A×2(1) A×2(2)"


@pytest.mark.parametrize(
    ("kind", "prot", "of_file", "picture"),
    [
        ("anon", "rw", False, "A×4(1)"),
        ("anon", "r", False, "Z×4"),
        ("anon", "none", False, "-×4"),
        ("shared", "rw", True, "F×4(1)"),
        ("private", "rw", True, "A×4(1)"),
        ("private", "r", True, "F×4(1)"),
    ],
)
@BOTH
def test_39_populate(profile: str, kind: str, prot: str, of_file: bool, picture: str) -> None:
    """MAP_POPULATE writes to private writable memory, reads the rest, and leaves what has no access alone."""
    m = Memory(profile)
    p = m.mmap(4, kind=kind, prot=prot, file=m.file("f", 4) if of_file else None, populate=True)

    assert m.look(p, 4) == picture


@BOTH
def test_40_mlock(profile: str) -> None:
    """Locking faults pages in and marks them; a THP is marked whole, and a part of one only splits the PMD."""
    m = Memory(profile)
    p, whole, part = m.mmap(4), m.thp(), m.thp()
    m.mlock(p, 2)
    assert (m.look(p, 4), m.folio(p).mlocked) == ("A×2(1) -×2", True)

    m.mlock(whole, 512)
    assert (m.look(whole, 512), m.folio(whole).mlocked) == ("T!×512(1)", True)
    m.mlock(part, 4)
    assert (m.look(part, 512), m.folio(part).mlocked) == ("T×512(1)", False)


@BOTH
def test_42_fork_of_zero_pages(profile: str) -> None:
    """Zero pages alone leave a VMA without anon_vma, so fork copies nothing; one written page makes it copy all."""
    m = Memory(profile)
    p = m.mmap(4)
    m.read(p, 4)
    m.fork("B")
    assert m.look(p, 4, "B") == "-×4"

    m.write(p)
    m.fork("C")
    assert m.look(p, 4, "C") == "A×1(2) Z×3"


@BOTH
def test_43_fork_of_the_huge_zero_page(profile: str) -> None:
    """The huge zero page prepares an anon_vma, so the child gets it."""
    m = Memory(profile)
    p = m.mmap(512, thp=True)
    m.read(p)
    m.fork("B")

    assert m.look(p, 512, "B") == "Z!×512"


@pytest.mark.parametrize(
    ("profile", "calls", "picture"),
    [("6.18", 1, "T!×512(1)"), ("6.18", 2, "A×1(1) -×511"), ("6.12", 1, "A×1(1) -×511")],
)
def test_44_an_empty_table_blocks_a_thp(profile: str, calls: int, picture: str) -> None:
    """Only where DONTNEED freed the table can a fault make a THP again."""
    m = Memory(profile)
    p = m.mmap(512)
    m.write(p, 512)
    m.madvise("hugepage", p, 512)
    for part in range(calls):
        m.madvise("dontneed", p + part * 512 // calls, 512 // calls)
    m.write(p)

    assert m.look(p, 512) == picture


@BOTH
def test_45_partial_mapping_is_seen_late(profile: str) -> None:
    """A folio is flagged partially mapped when the last mapping of a page goes, not when one of two does."""
    m = Memory(profile)
    p = m.pte_thp()
    m.fork("B")
    m.madvise("dontneed", p, 1)
    assert not m.folio(p + 1).partially_mapped

    m.madvise("dontneed", p, 1, "B")
    assert m.folio(p + 1).partially_mapped
