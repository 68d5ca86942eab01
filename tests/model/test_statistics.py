"""Statistics of mapped pages, kept in three ways."""

from __future__ import annotations

import pytest

from folioshell.model.statistics import native_way, statistics
from tests.paths.memory import Memory


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
    assert figures(m, counter) == [512, 512, 512]

    m.exit("A")
    assert figures(m, counter) == [512, 512, 512]
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
