"""Faults that race: what they saw before a lock was granted is checked again under it."""

from __future__ import annotations

import pytest

from folioshell.commands import Session

HUGE = "mmap buf 512 align=512 ; madvise hugepage buf"
SHARED = "file lib 512 order=4 ; mmap win 512 file=lib shared prot=rw align=512 ; read win[0]"
#: a shared file mapping whose first pages are not mapped
CLEAN = "file lib 32 order=4 ; mmap win 16 file=lib shared prot=rw align=512 ; read win[1] ; madvise dontneed win[0..3]"

#: what is raced -> setup, threads
RACES = {
    "two writes to the huge zero page": (f"{HUGE} ; read buf", "{ A.t1: write buf[0] ; A.t2: write buf[1] }"),
    "write to a huge page that is zapped": (
        f"{HUGE} ; write buf ; fork B",
        "{ A.t1: write buf[0] ; A.t2: madvise dontneed buf }",
    ),
    "table freed before a write": (
        "mmap buf 512 align=512 ; write buf[0]",
        "{ A.t1: write buf[1] ; A.t2: madvise dontneed buf }",
    ),
    "table freed before a read": (
        "mmap buf 512 align=512 ; write buf[0]",
        "{ A.t1: read buf[1] ; A.t2: madvise dontneed buf }",
    ),
    "table freed before fault-around": (SHARED, "{ A.t1: read win[16] ; A.t2: madvise dontneed win }"),
    "table freed before a shared write": (SHARED, "{ A.t1: write win[16] ; A.t2: madvise dontneed win }"),
    "table freed before a private copy": (
        "file lib 512 order=4 ; mmap win 512 file=lib prot=rw align=512 ; write win[0]",
        "{ A.t1: write win[16] ; A.t2: madvise dontneed win }",
    ),
    "huge page split before it is populated": (
        f"{HUGE} ; write buf",
        "{ A.t1: madvise populate_write buf[0] ; A.t2: madvise dontneed buf[8] }",
    ),
    "shared write to a page that is truncated": (CLEAN, "{ A.t1: write win[0] ; A.t2: madvise remove win }"),
    "shared write to a folio that is split": (CLEAN, "{ A.t1: write win[0] ; A.t2: split win[4] }"),
    "shared write to a folio that is migrated": (CLEAN, "{ A.t1: write win[0] ; A.t2: migrate win[4] }"),
    "fault-around over a hole that is punched": (
        CLEAN.replace("order=4", "order=4 fs=tmpfs"),
        "{ A.t1: read win[0] ; A.t2: madvise remove win }",
    ),
    "swap-in of one page by two threads": (
        "mmap buf 16 ; write buf[0] ; reclaim buf[0]",
        "{ A.t1: write buf[0] ; A.t2: read buf[0] ; A.t3: madvise dontneed buf }",
    ),
}


@pytest.mark.parametrize(("setup", "threads"), RACES.values(), ids=RACES)
def test_what_was_seen_without_the_lock_is_checked_under_it(setup: str, threads: str) -> None:
    """Whatever other threads do before the page-table lock is granted, no invariant breaks and no fault fails."""
    session = Session()
    assert not any(report.failed for report in session.execute(setup))

    (report,) = session.execute(f"race {threads} max-states=6000")

    assert report.extra["race"]["findings"] == []
