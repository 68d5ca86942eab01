"""Faults that race: what they saw before a lock was granted is checked again under it."""

from __future__ import annotations

import pytest

from folioshell.commands import Session
from folioshell.model.lock import LockClass, LockOp
from folioshell.paths.fault import page_fault
from folioshell.paths.reclaim import do_reclaim
from tests.paths.memory import Memory

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
    "populate that dropped mmap_lock to read": (
        "file lib 8 uncached ; mmap win 8 file=lib shared prot=rw",
        "{ A.t1: madvise populate_read win ; A.t2: munmap win[0..3] }",
    ),
    "fault that dropped the VMA lock to wait": (
        f"{CLEAN} ; set fault_around 4K",
        "{ A.t1: read win[0] ; A.t2: migrate win[4] ; A.t3: munmap win[0] }",
    ),
}


@pytest.mark.parametrize(("setup", "threads"), RACES.values(), ids=RACES)
def test_what_was_seen_without_the_lock_is_checked_under_it(setup: str, threads: str) -> None:
    """Whatever other threads do before the page-table lock is granted, no invariant breaks and no fault fails."""
    session = Session()
    assert not any(report.failed for report in session.execute(setup))

    (report,) = session.execute(f"race {threads} max-states=6000")

    assert report.extra["race"]["findings"] == []


def _contended(m: Memory, vpn: int) -> list[str]:
    """The operations on locks of VMAs, mms and folios in a fault of A whose first trylock of a folio fails."""
    path, fails, found = page_fault(m.kernel, m.mm("A"), vpn, write=False), True, []
    answer: bool | None = None
    m.machine.begin()
    while True:
        try:
            step = path.send(answer)
        except StopIteration:
            return [op for op in found if op[1:].startswith(("VMA", "MMAP", "FOLIO"))]
        answer = None
        if not isinstance(step, LockOp):
            m.machine.announce(step)
            continue
        found.append(str(step))
        if step.verb == "~" and step.lock.lock_class is LockClass.FOLIO:
            answer, fails = fails, False


def test_fault_on_a_file_drops_its_lock_to_wait_for_a_folio() -> None:
    """lock_folio_maybe_drop_mmap(): others need not wait for the folio, too; the fault is tried again."""
    m = Memory()
    m.kernel.config.fault_around = 1
    p = m.mmap(4, kind="private", file=m.file("lib", 4, 2))

    assert _contended(m, p)[:6] == [
        *("~VMA(v1)(R)", "~FOLIO(f1)", "-VMA(v1)(R)", "+FOLIO(f1)", "-FOLIO(f1)", "+MMAP(A)(R)")
    ]
    assert m.look(p, 4) == "F×4(1)"


def test_fault_on_shared_memory_waits_with_its_lock() -> None:
    """shmem_get_folio_gfp() locks the folio as it is."""
    m = Memory()
    m.kernel.config.fault_around = 1
    p = m.mmap(4, kind="shared", file=m.file("tmp", 4, fs="tmpfs"))

    assert _contended(m, p) == ["~VMA(v1)(R)", "+FOLIO(f1)", "-FOLIO(f1)", "-VMA(v1)(R)"]


def test_swap_in_drops_its_lock_to_wait_for_a_folio() -> None:
    """__folio_lock_or_retry(): the same for a page in the swap cache."""
    m = Memory()
    m.kernel.config.swap = True
    p = m.mmap(1)
    m.write(p)
    m.fork("B")
    m.do(do_reclaim(m.kernel, m.folio(p)))
    m.read(p, who="B")
    folio = m.folio(p, "B")
    found = _contended(m, p)

    assert found[:3] == ["~VMA(v1)(R)", f"~FOLIO({folio})", "-VMA(v1)(R)"]
    assert m.look(p, 1) == "A×1(2)"
