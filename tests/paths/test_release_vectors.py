"""Short scripts that kernels from 5.10 to 7.3 end differently, and what each was seen or read to do.

Pictures as in ``test_golden_vectors``. A column a profile: 5.10, 6.1, 6.12, 6.18, 7.3.
"""

from __future__ import annotations

import pytest

from tests.paths.memory import Memory

PROFILES = ("5.10", "6.1", "6.12", "6.18", "7.3")


def cases(*expected: object) -> pytest.MarkDecorator:
    """The parameters ``profile`` and ``expected``, of the five profiles."""
    return pytest.mark.parametrize(("profile", "expected"), list(zip(PROFILES, expected, strict=True)))


def _pte_thp_after_fork(m: Memory) -> int:
    p = m.pte_thp()
    m.fork("B")
    m.exit("B")
    return p


@cases("A×1(1) Z×511", "A×1(1) Z×511", "A×1(1) Z×511", "T!×512(1)", "T!×512(1)")
def test_02_write_to_the_huge_zero_page(profile: str, expected: str) -> None:
    """A THP since 6.13; before, the PMD entry is split and one page copied."""
    m = Memory(profile)
    p = m.mmap(512, thp=True)
    m.read(p)
    m.write(p)

    assert m.look(p, 512) == expected


@cases(False, False, False, True, True)
def test_07_write_to_a_page_of_a_thp_after_a_fork(profile: str, expected: bool) -> None:
    """MM-IDs tell that the page is not shared any more; PageAnonExclusive is gone for good."""
    m = Memory(profile)
    p = _pte_thp_after_fork(m)
    before = m.pfn(p + 9)
    m.write(p + 9)

    assert (m.pfn(p + 9) == before) is expected


@cases(False, False, False, True, True)
def test_08_the_same_of_a_partially_mapped_one(profile: str, expected: bool) -> None:
    """Partially mapped or not makes no difference."""
    m = Memory(profile)
    p = _pte_thp_after_fork(m)
    m.madvise("dontneed", p + 100, 1)
    before = m.pfn(p + 10)
    m.write(p + 10)

    assert (m.pfn(p + 10) == before) is expected


@cases("A×511(1) T×1(1)", "A×511(1) T×1(1)", "A×512(1)", "T×512(1)", "T×512(1)")
def test_11_write_to_all_pages(profile: str, expected: str) -> None:
    """Copied one by one, reused one by one, or the last one reused."""
    m = Memory(profile)
    p = _pte_thp_after_fork(m)
    m.write(p, 512)

    assert m.look(p, 512) == expected


@cases("A×512(1)", "A×512(1)", "A×1(1) Z×511", "A×1(1) Z×511", "A×1(1) Z×511")
def test_14_cold_of_a_part(profile: str, expected: str) -> None:
    """The split drops pages of zeros since 6.12."""
    m = Memory(profile)
    p = m.mmap(512, thp=True)
    m.write(p)
    m.madvise("cold", p + 10, 4)

    assert m.look(p, 512) == expected


@cases(False, False, True, True, True)
def test_16_cold_while_a_child_has_half(profile: str, expected: bool) -> None:
    """Older kernels look at the page's own count, and split the folio under the child."""
    m = Memory(profile)
    p = m.pte_thp()
    m.fork("B")
    m.munmap(p, 256, "B")
    m.madvise("cold", p + 10, 4)

    assert (m.look(p, 512) == "T×256(1) T×256(2)") is expected


@cases(True, True, True, False, False)
def test_17_the_last_of_four(profile: str, expected: bool) -> None:
    """It maps the folio alone, but has no MM-ID slot."""
    m = Memory(profile)
    p = m.pte_thp()
    for child in "BCD":
        m.fork(child)
    for gone in "BC":
        m.exit(gone)
    m.munmap(p, 512)
    m.madvise("cold", p + 10, 4, "D")

    assert (m.folio(p + 20, "D").order == 0) is expected


@cases("A×512(1)", "A×512(1)", "A×1(1) Z×511", "A×1(1) Z×511", "A×1(1) Z×511")
def test_19_pageout_without_swap(profile: str, expected: str) -> None:
    """Reclaim splits the folio: it drops pages of zeros, too."""
    m = Memory(profile)
    p = m.mmap(512, thp=True)
    m.write(p)
    m.madvise("pageout", p, 512)

    assert m.look(p, 512) == expected


@cases("EINVAL", None, None, None, None)
def test_20_collapse(profile: str, expected: str | None) -> None:
    """5.10 has no MADV_COLLAPSE."""
    m = Memory(profile)
    p = m.mmap(512)
    for page in range(0, 512, 2):
        m.write(p + page)

    assert m.madvise("collapse", p, 512) == expected


@cases("EINVAL", "EINVAL", "EINVAL", None, None)
def test_21_collapse_of_shared_pages(profile: str, expected: str | None) -> None:
    """Older kernels want a writable page."""
    m = Memory(profile)
    p = m.mmap(512)
    m.write(p, 512)
    m.fork("B")

    assert m.madvise("collapse", p, 512) == expected


@cases("EINVAL", None, None, None, None)
def test_22_collapse_of_a_thp_that_ptes_map(profile: str, expected: str | None) -> None:
    """Where there is MADV_COLLAPSE it copies."""
    m = Memory(profile)
    p = m.pte_thp()
    before = m.folio(p)

    assert m.madvise("collapse", p, 512) == expected
    assert (m.look(p, 512), m.folio(p) is before) == (("T×512(1)", True) if expected else ("T!×512(1)", False))


@cases(*[([28], [24])] * 4, ([28], []))
def test_24_read_ahead(profile: str, expected: tuple[list[int], list[int]]) -> None:
    """Order 0 everywhere; 7.3 marks no folio for the next window where this one ends with the file."""
    marks = []
    for pages in (400, 32):
        m = Memory(profile)
        file = m.file("f", pages, cached=False)
        p = m.mmap(32, kind="private", prot="r", file=file, skew=7)
        m.read(p + 20 if pages > 32 else p)
        assert {folio.order for folio in file.folios} == {0}
        marks.append([folio.index for folio in file.folios if folio.readahead])
    assert tuple(marks) == expected


@cases(*["F×16(1) -×496"] * 3, *["F!×512(1)"] * 2)
def test_25_read_of_a_file_written_at_once(profile: str, expected: str) -> None:
    """ext4 has large folios since 6.16; a PMD maps one of its size. Before, the fault-around window is mapped."""
    m = Memory(profile)
    order = 9 if m.kernel.release.ext4_has_large_folios else 0
    p = m.mmap(512, kind="shared", file=m.file("f", 600, order))
    m.read(p)

    assert (m.look(p, 512), m.smaps(p, "FilePmdMapped")) == (expected, 2048 if order else 0)


@cases("-×192 F×8(1) A×1(1) F×7(1) -×304", *["-×192 F×8(1) A×1(1) F×7(1) -×304"] * 2, *["F×200(1) A×1(1) F×311(1)"] * 2)
def test_27_read_beside_a_private_page(profile: str, expected: str) -> None:
    """The whole folio is mapped since 6.18; before, the fault-around window."""
    m = Memory(profile)
    p = m.mmap(512, kind="private", file=m.file("lib", 600, order=9))
    m.write(p + 200)
    m.read(p + 201)

    assert m.look(p, 512) == expected


@cases(8, 0, 0, 0, 0)
def test_31_mprotect_and_back(profile: str, expected: int) -> None:
    """Faults of the writes afterwards; none copies."""
    m = Memory(profile)
    p = m.mmap(8)
    m.write(p, 8)
    before = [m.pfn(p + page) for page in range(8)]
    m.mprotect(p, 8, "r")
    m.mprotect(p, 8, "rw")
    m.write(p, 8)

    assert m.faults() == expected
    assert [m.pfn(p + page) for page in range(8)] == before


@cases(0, 0, 0, 2, 2)
def test_37_dontneed_frees_tables(profile: str, expected: int) -> None:
    """Empty PTE tables are freed since 6.14."""
    m = Memory(profile)
    p = m.mmap(1024)
    m.write(p, 1024)
    before = m.mm("A").nr_ptes
    m.madvise("dontneed", p, 1024)

    assert before - m.mm("A").nr_ptes == expected


@cases("A×1(1) -×511", "A×1(1) -×511", "A×1(1) -×511", "T!×512(1)", "T!×512(1)")
def test_44_a_write_after_dontneed(profile: str, expected: str) -> None:
    """An empty PTE table keeps a THP out."""
    m = Memory(profile)
    p = m.mmap(512)
    m.write(p, 512)
    m.madvise("hugepage", p, 512)
    m.madvise("dontneed", p, 512)
    m.write(p)

    assert m.look(p, 512) == expected


def _vmas(m: Memory, start: int, nr: int) -> list[tuple[int, int]]:
    return [(vma.start - start, vma.nr_pages) for vma in m.mm("A").vmas.overlapping(start, start + nr)]


@pytest.mark.parametrize("page", [0, 4])
@cases(2, 2, 2, 1, 1)
def test_p1_p2_merge_of_faulted_and_unfaulted(profile: str, expected: int, page: int) -> None:
    """Where the faulted range is the one that changes, only newer kernels merge it; the other way round all do."""
    m = Memory(profile)
    p = m.mmap(8)
    m.madvise("nohugepage", p + 4, 4)
    m.write(p + page)
    m.madvise("nohugepage", p, 4)

    assert len(_vmas(m, p, 8)) == (expected if page == 0 else 1)


@cases(1, 2, 2, 1, 2)
def test_p3_dontunmap_behind_itself(profile: str, expected: int) -> None:
    """Some kernels do not merge a copy with its source."""
    m = Memory(profile)
    p = m.mmap(4)
    m.mremap(p, 4, p + 4, dontunmap=True)

    assert len(_vmas(m, p, 8)) == expected


@pytest.mark.parametrize("first", [True, False])
@cases([16, 8], [8, 16], [16, 8], [16, 8], [16, 8])
def test_p5_p6_a_new_mapping_between_two(profile: str, expected: list[int], first: bool) -> None:
    """It joins one of them if both have an anon_vma of their own; 6.1 asks the next one first."""
    m = Memory(profile)
    p = m.mmap(24)
    m.munmap(p + 8, 8)
    if first:
        m.write(p)
    m.write(p + 16)
    m.mmap(8, at=p + 8)

    wanted = expected if first or profile == "6.1" else [24]
    assert [nr for _, nr in _vmas(m, p, 24)] == wanted


@cases("EINVAL", "EINVAL", "EINVAL", "EINVAL", None)
def test_p7_collapse_without_a_block(profile: str, expected: str | None) -> None:
    """No error any more in 7.3."""
    m = Memory(profile)
    p = m.mmap(1024)
    m.write(p)

    assert m.madvise("collapse", p + 10, 10) == expected


@cases(([8, 8], "file"), ([8, 8], "file"), ([8, 8], "file"), ([16], "file"), ([8, 8], "address"))
def test_p4_copies_of_file_pages_moved_beside_others(profile: str, expected: tuple[list[int], str]) -> None:
    """(pages of the VMAs, what indexes the copies): where addresses index them, their VMA fits nowhere else."""
    m = Memory(profile)
    file = m.file("lib", 16)
    p, q = (m.mmap(8, kind="private", file=file, pgoff=first) for first in (0, 8))
    m.write(q, 8)
    m.mremap(q, 8, p + 8)

    assert [nr for _, nr in _vmas(m, p, 16)] == expected[0]
    assert [m.folio(p + 8 + page).index for page in range(8)] == list(
        range(q, q + 8) if expected[1] == "address" else range(8, 16)
    )


@cases(*["EINVAL"] * 3, "rd wr mr mw me gu ac", "rd wr mr mw me gu ac")
def test_p8_guard_region_in_a_private_file(profile: str, expected: str) -> None:
    """The VMA gets no anon_vma, but a child all entries, markers or not."""
    m = Memory(profile)
    p = m.mmap(8, kind="private", file=m.file("lib", 8))
    m.read(p, 8)
    failed = m.madvise("guard_install", p + 4, 1)
    m.fork("B")
    m.madvise("guard_remove", p + 4, 1)
    m.fork("C")

    if expected == "EINVAL":
        assert (failed, m.look(p, 8, "B")) == (expected, "-×8")
    else:
        assert (m.vma(p).flag_words, m.vma(p).anon_vma) == (expected, None)
        assert m.look(p, 8, "B") == "F×4(3) -×1 F×3(3)" == m.look(p, 8, "C")
        assert [m.read(p + 4, who=who) for who in "BC"] == [[[0, 1, "SIGSEGV"]], []]


@cases(0, 0, 9, 9, 9)
def test_p9_cold_of_a_page_that_a_child_dropped(profile: str, expected: int) -> None:
    """The page has one entry, the folio more."""
    m = Memory(profile)
    p = m.pte_thp()
    m.fork("B")
    m.madvise("dontneed", p + 5, 1, "B")
    m.madvise("cold", p + 5, 1)

    assert m.folio(p + 5).order == expected


@cases("EINVAL", "EINVAL", "EINVAL", "EINVAL", None)
def test_p11_collapse_of_a_dirty_file(profile: str, expected: str | None) -> None:
    """7.3 writes the file back, and collapses it."""
    m = Memory(profile)
    p = m.mmap(512, kind="shared", file=m.file("data", 512))
    m.write(p, 512)

    assert m.madvise("collapse", p, 512) == expected
    assert m.look(p, 512) == ("F×512(1)" if expected else "F!×512(1)")
    assert m.folio(p).dirty is (expected is not None)


@cases(9, 9, 0, 0, 0)
def test_p13_fault_of_a_small_file_of_huge_tmpfs(profile: str, expected: int) -> None:
    """Before 6.12 the VMA and the size of the file did not matter."""
    m = Memory(profile)
    p = m.mmap(64, kind="shared", file=m.file("t", 64, fs="tmpfs-huge", cached=False))
    m.write(p)

    assert m.folio(p).order == expected


@cases((1, False), (1, True), (0, True), (0, True), (0, True))
def test_p14_mprotect_of_a_page_of_a_thp_and_back(profile: str, expected: tuple[int, bool]) -> None:
    """(faults of the write afterwards, was it in place?)"""
    m = Memory(profile)
    p = m.thp()
    before = m.pfn(p)
    m.mprotect(p, 1, "r")
    m.mprotect(p, 1, "rw")
    m.write(p)

    assert (m.faults(), m.pfn(p) == before) == expected


@cases((4, 4), (4, 0), (0, 0), (0, 0), (0, 0))
def test_p12_a_page_from_swap_that_is_read_and_then_written(profile: str, expected: tuple[int, int]) -> None:
    """(faults of four writes, pages that they copy)"""
    m = Memory(profile)
    m.kernel.config.swap = True
    p = m.mmap(4)
    m.write(p, 4)
    m.madvise("pageout", p, 4)
    m.read(p, 4)
    before = [m.pfn(p + page) for page in range(4)]
    m.write(p, 4)

    assert (m.faults(), sum(m.pfn(p + page) != before[page] for page in range(4))) == expected


@pytest.mark.parametrize("profile", PROFILES)
def test_p10_a_shared_page_from_swap_that_the_last_process_writes(profile: str) -> None:
    """It is written in place in one fault; its copy in swap is dropped."""
    m = Memory(profile)
    m.kernel.config.swap = True
    p = m.mmap(1)
    m.write(p)
    m.fork("B")
    m.madvise("pageout", p, 1)
    m.madvise("pageout", p, 1, "B")
    m.exit("B")
    m.write(p)

    assert (m.faults(), m.look(p, 1), m.folio(p).swap_slot) == (1, "A×1(1)", None)


@cases((9, 9), (9, 9), (9, 0), (9, 0), (9, 0))
def test_cold_after_a_shared_folio_in_one_table(profile: str, expected: tuple[int, int]) -> None:
    """(order of the shared folio, of the one after it): older kernels leave the loop at the first shared page."""
    m = Memory(profile)
    p = m.mmap(1024, thp=True)
    m.write(p, 1024)
    m.fork("B")
    m.munmap(p + 512, 512, "B")
    to = m.place(256)
    m.mremap(p, 1024, to)
    m.madvise("cold", to + 256, 512)

    assert (m.folio(to + 300).order, m.folio(to + 600).order) == expected


@cases("EINVAL", None, None, None, None)
def test_dontunmap_of_a_file(profile: str, expected: str | None) -> None:
    """5.10 takes anonymous private memory alone."""
    m = Memory(profile)
    p = m.mmap(8, kind="shared", file=m.file("data", 8))

    assert m.mremap(p, 8, m.place(), dontunmap=True) == expected
