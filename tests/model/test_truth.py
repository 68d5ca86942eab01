"""The truth about a folio, from page tables alone."""

from __future__ import annotations

from folioshell.model.truth import TruthCounts, mappings, truth
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
