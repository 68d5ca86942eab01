"""The truth, and the invariants that are checked against it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from folioshell.model import pte
from folioshell.model.truth import TruthCounts, broken_invariants, mappings, truth
from tests.paths.memory import Memory


def test_runs() -> None:
    """Mappings are runs within one VMA and one table, in order of processes and addresses."""
    m = Memory()
    p = m.mmap(16, kind="shared", prot="r", file=m.file("f", 32, 4), skew=504)
    m.read(p, 16)
    m.munmap(p + 10, 2)
    m.fork("B")
    m.read(p, who="B")

    found = [(row.mm.name, row.first, row.nr, row.pmd) for row in mappings(m.kernel, m.folio(p))]

    assert found[:3] == [("A", 0, 8, False), ("A", 8, 2, False), ("A", 12, 4, False)]
    assert {row[0] for row in found} == {"A", "B"}


def test_counts() -> None:
    """A PMD mapping is one entry and all pages; two VMAs over one table are two tuples."""
    m = Memory()
    p = m.thp()
    m.fork("B")
    m.mprotect(p + 100, 50, "r", "B")

    assert truth(m.kernel, m.folio(p)) == TruthCounts(mms=2, vmas=4, tuples=4, entries=513, pages=512, pmds=1)
    assert truth(m.kernel, m.folio(p)).shared


def test_nobody() -> None:
    """A page-cache folio that nobody maps has no mappings."""
    m = Memory()
    (folio,) = m.file("f", 16, 4).folios

    assert truth(m.kernel, folio) == TruthCounts(0, 0, 0, 0, 0, 0)


class _Broken:
    """A process with a large folio, small ones and file pages, shared in part with a child."""

    def __init__(self) -> None:
        self.m = Memory(thp={4: "always"})
        self.p = self.m.mmap(64)
        self.m.write(self.p, 16)
        self.q = self.m.mmap(8, kind="shared", file=self.m.file("f", 8))
        self.m.read(self.q, 8)
        self.folio = self.m.folio(self.p)
        table = self.m.mm("A").tables.leaf(self.p)
        assert table is not None
        self.entries = table.entries

    def set_entry(self, page: int, entry: int) -> None:
        self.entries[(self.p + page) % 512] = entry

    def entry(self, page: int) -> int:
        return self.entries[(self.p + page) % 512]


def _lost_entry(b: _Broken) -> None:
    b.set_entry(3, pte.NONE)


def _writable_without_exclusive(b: _Broken) -> None:
    b.folio.anon_exclusive &= ~(1 << 3)


def _reference(b: _Broken) -> None:
    b.folio.ref += 1


def _rss(b: _Broken) -> None:
    b.m.mm("A").rss.anon += 1


def _tables(b: _Broken) -> None:
    b.m.mm("A").nr_ptes += 1


def _offset(b: _Broken) -> None:
    b.folio.index += 1


def _outside(b: _Broken) -> None:
    b.m.vma(b.p).end = b.p + 8


def _migration(b: _Broken) -> None:
    b.set_entry(40, pte.migration(b.entry(3), exclusive=False))


def _writable_zero_page(b: _Broken) -> None:
    b.set_entry(40, pte.make(pte.ZERO_PFN, pte.WRITE))


def _mapped_twice(b: _Broken) -> None:
    b.set_entry(40, b.entry(3))


def _not_in_tree(b: _Broken) -> None:
    b.m.vma(b.p).chain = []


def _not_queued(b: _Broken) -> None:
    b.folio.partially_mapped = True


def _writable_read_only(b: _Broken) -> None:
    b.m.vma(b.p).flags &= ~2


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (_lost_entry, "15 entries, but the mapcount is 16"),
        (_writable_without_exclusive, "writable at 0x.* but not exclusive"),
        (_reference, "17 references, 16 are accounted for"),
        (_rss, "entries give rss"),
        (_tables, "PTE tables, but nr_ptes"),
        (_offset, "its offset there is"),
        (_outside, "outside of all VMAs"),
        (_migration, "a migration entry is left"),
        (_writable_zero_page, "the zero page is writable"),
        (_mapped_twice, "page 3 of f1 is exclusive but mapped 2 times"),
        (_not_in_tree, "but is not in the tree of av1"),
        (_not_queued, "not on the deferred-split queue"),
        (_writable_read_only, "a writable entry at"),
    ],
)
def test_damage_is_noticed(damage: Callable[[_Broken], None], message: str) -> None:
    """A state without damage breaks nothing; one with it breaks the invariant that names it."""
    b = _Broken()
    assert broken_invariants(b.m.kernel) == []
    damage(b)

    import re

    assert any(re.search(message, sentence) for sentence in broken_invariants(b.m.kernel))
