"""Races of the system calls on address spaces: fork, exit, mmap, munmap, mremap, mprotect, mlock, truncate.

Each row failed before the path looked again at what the rmap can change without mmap_lock.
"""

from __future__ import annotations

import pytest

from folioshell.commands import Session

#: what excludes it -> setup, threads; the others run with ``-m full``
RACES = {
    "copy_vma() marks the new VMA as written": (
        "mmap w 4 ; write w ; mmap v 4 after=w prot=r",
        "A.t1: mremap w new=x at=0x20000 ; A.t2: write 0x20000",
    ),
    "zap_huge_pmd() uncounts the pages of a migration entry": (
        "file lib 8 fs=tmpfs-huge ; mmap w 8 file=lib shared ; read w",
        "A.t1: munmap w ; A.t2: migrate f1",
    ),
    "__split_huge_pmd() splits a migration entry": (
        "file lib 8 fs=tmpfs-huge ; mmap w 8 file=lib shared ; read w",
        "A.t1: munmap w[0] ; A.t2: migrate f1",
    ),
    "move_huge_pmd() reads the entry again": (
        "file lib 8 fs=tmpfs-huge ; mmap w 8 file=lib shared ; read w ; mmap v 8 file=lib shared",
        "A.t1: mremap w new=x ; A.t2: truncate lib 2",
    ),
    "truncate_inode_folio() looks at the mapping again": (
        "file lib 8 order=2 ; mmap w 8 file=lib ; read w",
        "A.t1: truncate lib 2 ; A.t2: reclaim f1",
    ),
}
MORE_RACES = {
    "populate_vma_page_range() may not drop mmap_lock under mprotect()": (
        "file lib 4 ; mmap w 4 file=lib ; mlock w",
        "A.t1: mprotect w rw ; A.t2: { truncate lib 0 ; truncate lib 4 }",
    ),
    "change_pmd_range() changes the table that a split left": (
        "set thp.pmd always ; mmap w 8 ; write w",
        "A.t1: mprotect w r ; A.t2: split f1",
    ),
    "copy_huge_pmd() reads the entry again": (
        "set thp.pmd always ; mmap w 8 ; write w",
        "A.t1: fork B ; A.t2: split f1",
    ),
    "copy_huge_pmd() copies a migration entry": (
        "set thp.pmd always ; mmap w 8 ; write w",
        "A.t1: fork B ; A.t2: migrate f1",
    ),
    "zap_pmd_range() zaps the table that a split left": (
        "set thp.pmd always ; mmap w 8 ; write w ; fork B",
        "A.t1: munmap w ; A.t2: reclaim f1",
    ),
    "exit_mmap() zaps the table that a split left": (
        "set thp.pmd always ; mmap w 8 ; write w ; fork B",
        "A: exit ; B: split f1",
    ),
    "move_huge_pmd() leaves the table that a split left to move_ptes()": (
        "set thp.pmd always ; mmap w 8 ; write w",
        "A.t1: mremap w new=x ; A.t2: split f1",
    ),
    "find_lock_entries() takes a reference": (
        "file lib 8 order=2 ; mmap w 8 file=lib ; read w",
        "A.t1: truncate lib 2 ; A.t2: migrate f2",
    ),
    "truncate_inode_partial_folio() takes a reference": (
        "file lib 4 order=2 ; mmap w 4 file=lib prot=rw",
        "A.t1: truncate lib 2 ; A.t2: write w[3]",
    ),
}


@pytest.mark.parametrize(
    ("setup", "threads"),
    [
        *(pytest.param(*race, id=rule) for rule, race in RACES.items()),
        *(pytest.param(*race, id=rule, marks=pytest.mark.full) for rule, race in MORE_RACES.items()),
    ],
)
def test_changes_through_the_rmap_are_seen(setup: str, threads: str) -> None:
    """No interleaving breaks an invariant, deadlocks or ends in an internal error."""
    session = Session()
    assert not any(report.failed for report in session.execute(f"set geometry classroom ; {setup}"))

    (report,) = session.execute(f"race {{ {threads} }}")

    assert report.extra["race"]["exhausted"]
    assert report.extra["race"]["findings"] == []
