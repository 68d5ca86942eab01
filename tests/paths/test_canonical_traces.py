"""Lock operations and rmap calls of common paths, in order, on one processor and without contention.

``+`` acquire, ``-`` release, ``~`` trylock, ``v`` downgrade; ``pt1`` and ``pmd1`` are page-table locks, ``A.mm`` the
page_table_lock of A, MCL the bit spinlock of a large folio's mapcount. A VMA that is write-marked is taken and let go.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import pytest

from tests.paths.memory import Memory

_NEW, _REMOVE = "folio_add_new_anon_rmap", "folio_remove_rmap_ptes"
_FILE, _DUP = "folio_add_file_rmap_ptes", "folio_try_dup_anon_rmap_ptes"
_TABLES = "+A.mm -A.mm +A.mm -A.mm +pmd1 -pmd1"
_PREPARE = "~MMAP(A)(R) +AVR(av1)(W) +A.mm -A.mm -AVR(av1)(W) -MMAP(A)(R)"


class Case(NamedTuple):
    """A path and its trace: the last step of ``made``."""

    name: str
    made: Callable[[], Memory]
    locks: str
    calls: list[tuple[str, int]]


def _first_write() -> Memory:
    m = Memory()
    m.write(m.mmap(600))
    return m


def _second_page(write: bool) -> Memory:
    m = Memory()
    p = m.mmap(600)
    m.write(p)
    (m.write if write else m.read)(p + 1)
    return m


def _mthp_write() -> Memory:
    m = Memory(thp={4: "always"})
    p = m.mmap(64)
    m.write(p)
    m.write(p + 16)
    return m


def _thp_write() -> Memory:
    m = Memory()
    p = m.mmap(1024)
    m.write(p + 600)
    m.madvise("hugepage", p, 1024)
    m.write(p)
    return m


def _exclusive_write_protected() -> Memory:
    m = Memory(thp={4: "always"})
    p = m.mmap(16)
    m.write(p)
    m.mprotect(p, 16, "r")
    m.mprotect(p, 16, "rw")
    m.write(p)
    return m


def _reuse_small() -> Memory:
    m = Memory()
    p = m.mmap(4)
    m.write(p, 4)
    m.fork("B")
    m.exit("B")
    m.write(p)
    return m


def _reuse_large() -> Memory:
    m = Memory()
    p = m.pte_thp()
    m.fork("B")
    m.exit("B")
    m.write(p + 3)
    return m


def _copy(large: bool) -> Memory:
    m = Memory()
    p = m.pte_thp() if large else m.mmap(4)
    m.write(p)
    m.fork("B")
    m.write(p)
    return m


def _copy_from_pmd() -> Memory:
    m = Memory()
    p = m.thp()
    m.fork("B")
    m.write(p + 3)
    return m


def _file_read(order: int) -> Memory:
    m = Memory()
    m.read(m.mmap(16, kind="shared", prot="r", file=m.file("f", 64, order)))
    return m


def _private_write() -> Memory:
    m = Memory()
    p = m.mmap(16, kind="private", file=m.file("f", 16))
    m.write(p)
    m.write(p + 1)
    return m


def _file_pmd() -> Memory:
    m = Memory()
    m.read(m.mmap(512, kind="shared", prot="r", file=m.file("f", 600, 9)))
    return m


def _fork() -> Memory:
    m = Memory(thp={4: "always"})
    p = m.mmap(32)
    m.write(p)
    m.kernel.config.thp[4] = "never"
    m.write(p + 16, 3)
    m.fork("B")
    return m


def _fork_thp() -> Memory:
    m = Memory()
    m.thp()
    m.fork("B")
    return m


def _munmap() -> Memory:
    m = Memory(thp={4: "always"})
    p = m.mmap(32)
    m.write(p, 32)
    m.munmap(p, 32)
    return m


def _mprotect_of_a_part() -> Memory:
    m = Memory()
    m.mprotect(m.thp(), 4, "r")
    return m


def _mremap() -> Memory:
    m = Memory()
    p = m.mmap(512)
    m.write(p, 8)
    m.mremap(p, 512, m.place())
    return m


def _dontneed() -> Memory:
    m = Memory(thp={4: "always"})
    p = m.mmap(16)
    m.write(p)
    m.madvise("dontneed", p + 4, 4)
    return m


def _cold() -> Memory:
    m = Memory(thp={4: "always"})
    p = m.mmap(16)
    m.write(p, 16)
    m.madvise("cold", p + 4, 4)
    return m


#: each of these folios is unlocked before the next one is locked
_FOLIOS = "~FOLIO(f2..f16) ×15 -FOLIO(f2..f16) ×15"
_MCL = "+MCL(f1) -MCL(f1)"

CASES = [
    Case(
        "A1 first write",
        _first_write,
        f"~VMA(v1)(R) {_TABLES} {_PREPARE} +pt1 -pt1 -VMA(v1)(R)",
        [(_NEW, 1)],
    ),
    Case("A2 second page", lambda: _second_page(True), "~VMA(v1)(R) +pt1 -pt1 -VMA(v1)(R)", [(_NEW, 1)]),
    Case("A3 read", lambda: _second_page(False), "~VMA(v1)(R) +pt1 -pt1 -VMA(v1)(R)", []),
    Case("A4 mTHP write", _mthp_write, "~VMA(v1)(R) +pt1 +LRU -LRU -pt1 -VMA(v1)(R)", [(_NEW, 16)]),
    Case("A5 THP write", _thp_write, "~VMA(v1)(R) +pmd1 +LRU -LRU +DSQ -DSQ -pmd1 -VMA(v1)(R)", [(_NEW, 512)]),
    Case("no fault where mprotect made it writable", _exclusive_write_protected, "", []),
    Case("W2 reuse, small", _reuse_small, "~VMA(v1)(R) +pt1 ~FOLIO(f1) -FOLIO(f1) -pt1 -VMA(v1)(R)", []),
    Case("W3 reuse, large", _reuse_large, f"~VMA(v2)(R) +pt1 {_MCL} -pt1 -VMA(v2)(R)", []),
    Case(
        "W4 copy, small",
        lambda: _copy(False),
        "~VMA(v1)(R) +pt1 -pt1 +pt1 -pt1 -VMA(v1)(R)",
        [(_NEW, 1), (_REMOVE, 1)],
    ),
    Case(
        "W4 copy, large",
        lambda: _copy(True),
        f"~VMA(v2)(R) +pt1 -pt1 +pt1 {_MCL} -pt1 -VMA(v2)(R)",
        [(_NEW, 1), (_REMOVE, 1)],
    ),
    Case(
        "W5 copy from a PMD",
        _copy_from_pmd,
        f"~VMA(v1)(R) +pmd1 ~FOLIO(f1) -FOLIO(f1) -pmd1 +pmd1 {_MCL} {_MCL} -pmd1 "
        f"+pt1 -pt1 +pt1 {_MCL} -pt1 -VMA(v1)(R)",
        [("folio_add_anon_rmap_ptes", 512), ("folio_remove_rmap_pmd", 512), (_NEW, 1), (_REMOVE, 1)],
    ),
    Case(
        "F1 read, small folios",
        lambda: _file_read(0),
        f"~VMA(v1)(R) +A.mm -A.mm +A.mm -A.mm ~FOLIO(f1) +pmd1 -pmd1 +pt1 -FOLIO(f1) {_FOLIOS} -pt1 -VMA(v1)(R)",
        [(_FILE, 1)] * 16,
    ),
    Case(
        "F2 read, one large folio",
        lambda: _file_read(4),
        f"~VMA(v1)(R) +A.mm -A.mm +A.mm -A.mm ~FOLIO(f1) +pmd1 -pmd1 +pt1 {_MCL} -FOLIO(f1) -pt1 -VMA(v1)(R)",
        [(_FILE, 16)],
    ),
    Case(
        "F4 private write",
        _private_write,
        "~VMA(v1)(R) ~FOLIO(f2) +pt1 -pt1 -FOLIO(f2) -VMA(v1)(R)",
        [(_NEW, 1)],
    ),
    Case(
        "F5 PMD of a file",
        _file_pmd,
        f"~VMA(v1)(R) +A.mm -A.mm +A.mm -A.mm ~FOLIO(f1) +pmd1 {_MCL} -pmd1 -FOLIO(f1) -VMA(v1)(R)",
        [("folio_add_file_rmap_pmd", 512)],
    ),
    Case(
        "K1 fork",
        _fork,
        "+MMAP(A)(W) +MMAP(B)(W) nested +VMA(v1)(W) -VMA(v1)(W) +AVR(av1)(W) -AVR(av1)(W) +AVR(av1)(W) -AVR(av1)(W) "
        f"+B.mm -B.mm +B.mm -B.mm +pmd2 -pmd2 +pt2 +pt1 nested {_MCL} -pt1 -pt2 -MMAP(B)(W) -MMAP(A)(W)",
        [(_DUP, 16), (_DUP, 1), (_DUP, 1), (_DUP, 1)],
    ),
    Case(
        "K2 fork of a THP",
        _fork_thp,
        "+MMAP(A)(W) +MMAP(B)(W) nested +VMA(v1)(W) -VMA(v1)(W) +AVR(av1)(W) -AVR(av1)(W) +AVR(av1)(W) -AVR(av1)(W) "
        f"+B.mm -B.mm +B.mm -B.mm +pmd2 +pmd1 nested {_MCL} -pmd1 -pmd2 -MMAP(B)(W) -MMAP(A)(W)",
        [("folio_try_dup_anon_rmap_pmd", 512)],
    ),
    Case(
        "M1 munmap",
        _munmap,
        f"+MMAP(A)(W) +VMA(v1)(W) -VMA(v1)(W) vMMAP(A)(R) +pt1 {_MCL} +MCL(f2) -MCL(f2) -pt1 "
        "+AVR(av1)(W) -AVR(av1)(W) -MMAP(A)(R)",
        [(_REMOVE, 16), (_REMOVE, 16)],
    ),
    Case(
        "M2 mprotect of a part of a THP",
        _mprotect_of_a_part,
        "+MMAP(A)(W) +AVR(av1)(W) -AVR(av1)(W) +VMA(v1)(W) -VMA(v1)(W) +VMA(v2)(W) -VMA(v2)(W) "
        f"+AVR(av1)(W) +pmd1 {_MCL} {_MCL} -pmd1 -AVR(av1)(W) +VMA(v1)(W) -VMA(v1)(W) +pt1 -pt1 -MMAP(A)(W)",
        [("folio_add_anon_rmap_ptes", 512), ("folio_remove_rmap_pmd", 512)],
    ),
    Case(
        "M3 mremap of a whole table",
        _mremap,
        "+MMAP(A)(W) +VMA(v1)(W) -VMA(v1)(W) +AVR(av1)(W) -AVR(av1)(W) +VMA(v2)(W) -VMA(v2)(W) +A.mm -A.mm "
        "+AVR(av1)(W) +pmd1 +pmd2 nested -pmd2 -pmd1 -AVR(av1)(W) "
        "+VMA(v1)(W) -VMA(v1)(W) +AVR(av1)(W) -AVR(av1)(W) -MMAP(A)(W)",
        [],
    ),
    Case(
        "D1 DONTNEED of a part",
        _dontneed,
        f"~VMA(v1)(R) +pt1 {_MCL} +DSQ -DSQ -pt1 -VMA(v1)(R)",
        [(_REMOVE, 4)],
    ),
    Case(
        "D2 COLD of a part",
        _cold,
        f"+MMAP(A)(R) +pt1 ~FOLIO(f1) -pt1 +AVR(av1)(W) +pt1 {_MCL} +DSQ -DSQ {' '.join([_MCL] * 15)} -pt1 "
        "+DSQ -DSQ +LRU +FOLIO(f2) -FOLIO(f1) -LRU "
        f"{' '.join(['+pt1 -pt1'] * 16)} -AVR(av1)(W) -FOLIO(f2) +pt1 -pt1 -MMAP(A)(R)",
        [(_REMOVE, 1)] * 16 + [("folio_add_anon_rmap_ptes", 1)] * 16,
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[re.sub(r"\W+", "_", case.name) for case in CASES])
def test_trace(case: Case) -> None:
    """The last step took these locks in this order and made these rmap calls."""
    m = case.made()

    assert " ".join(m.locks()) == case.locks
    assert m.calls() == case.calls


def test_first_write_to_an_exclusive_read_only_page() -> None:
    """W1: where PageAnonExclusive is set a write fault only makes the entry writable."""
    m = Memory()
    p = m.mmap(4)
    m.write(p, 4)
    table = m.mm("A").tables.leaf(p)
    assert table is not None
    # As a page is left that was read in from swap: exclusive, but not writable before its first write.
    table.entries[p % 512] &= ~2

    m.write(p)

    assert (" ".join(m.locks()), m.calls()) == ("~VMA(v1)(R) +pt1 -pt1 -VMA(v1)(R)", [])


def test_clean_pages_cut_batches_of_fork() -> None:
    """Fork duplicates a folio in one call while the dirty bits of its entries agree, else run by run."""
    m = Memory(thp={4: "always"})
    p = m.mmap(16)
    m.write(p, 16)
    m.madvise("free", p, 16)
    m.write(p + 4, 2)
    m.fork("B")

    assert m.calls() == [(_DUP, 4), (_DUP, 2), (_DUP, 10)]


def test_read_from_disk_retries() -> None:
    """F3: the VMA lock is dropped before the pages are read in; the fault is made again under mmap_lock."""
    m = Memory()
    m.read(m.mmap(16, kind="shared", prot="r", file=m.file("f", 16, cached=False)))
    trace = " ".join(m.locks())

    inserted, mapped = trace.split(" +MMAP(A)(R)")
    assert inserted.startswith("~VMA(v1)(R) +A.mm -A.mm +A.mm -A.mm -VMA(v1)(R) +INVAL(f)(R) +XA(f)")
    assert mapped.startswith(f" ~FOLIO(f1) +pmd1 -pmd1 +pt1 -FOLIO(f1) {_FOLIOS}")
    assert mapped.endswith("-pt1 -MMAP(A)(R)")
    assert m.calls() == [(_FILE, 1)] * 16


@pytest.mark.parametrize(("nr", "skew", "tables"), [(16, 0, 1), (16, 504, 2)])
def test_cost_of_a_walk(nr: int, skew: int, tables: int) -> None:
    """A walk over a folio that m processes map takes one PTL in each table: m of them, or 2m where it straddles two."""
    from folioshell.paths.walk import rmap_walk

    m = Memory()
    p = m.mmap(nr, kind="shared", prot="r", file=m.file("f", nr, 4), skew=skew)
    m.fork("B")
    m.fork("C")
    for who in "ABC":
        m.read(p, nr, who)
    m.do(rmap_walk(m.kernel, m.folio(p), "test"))

    assert sum(1 for lock in m.locks() if lock.startswith("+pt")) == 3 * tables
