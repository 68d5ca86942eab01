"""The tree of page tables."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from folioshell.model import pte
from folioshell.model.pagetable import PageTable, PmdTable, TableTree


def _tree() -> TableTree:
    """Fan-out 8: a leaf table at block 8, a PMD entry at 16, another PMD table from 128 on."""
    tree = TableTree(3)
    low, high = PmdTable(1), PmdTable(2)
    tree.pmds = {0: low, 2: high}
    low.entries = {2: pte.make(64, pte.WRITE), 1: PageTable(1, 8)}
    high.entries = {0: PageTable(2, 8)}
    return tree


def test_entry() -> None:
    """Under a PMD entry each page has the entry that a leaf would hold; where no table is, there is none."""
    tree = _tree()
    leaf = tree.leaf(9)
    assert leaf is not None
    leaf.entries[1] = pte.make(5, 0)

    assert pte.pfn_of(tree.entry(9)) == 5
    assert [pte.pfn_of(tree.entry(vpn)) for vpn in (16, 23)] == [64, 71]
    assert (tree.entry(24), tree.entry(1000), tree.leaf(16)) == (pte.NONE, pte.NONE, None)


def test_blocks() -> None:
    """Entries that are not none come by ascending address, in the whole tree or in a range."""
    tree = _tree()

    assert [block for block, _, _ in tree.blocks()] == [8, 16, 128]
    assert [block for block, _, _ in tree.blocks_in(15, 17)] == [8, 16]
    assert [block for block, _, _ in tree.blocks_in(24, 128)] == []
    assert [block for block, _, _ in tree.blocks_in(24, 129)] == [128]


def test_blocks_in_visits_tables_that_exist() -> None:
    """However long a range is, only the PMD tables in it are visited, those that come meanwhile too."""
    tree = _tree()

    assert [block for block, _, _ in tree.blocks_in(0, 1 << 60)] == [8, 16, 128]
    seen = []
    for block, table, _ in tree.blocks_in(0, 1 << 60):
        seen.append(block)
        if block == 8:
            tree.pmds[1 << 40] = PmdTable(3)
            tree.pmds[1 << 40].entries = {1: PageTable(3, 8)}
            table.entries[3] = PageTable(4, 8)
    assert seen == [8, 16, 24, 128, (1 << 46) + 8]


@given(st.lists(st.sampled_from([pte.NONE, pte.NONE, 1, pte.make(64, pte.WRITE), -(1 << 62)]), min_size=8, max_size=8))
def test_used(values: list[int]) -> None:
    """All entries that are not none lie within, and those at its ends are such."""
    table = PageTable(1, 8)
    table.entries[:] = pte.packed(values)
    present = [index for index, value in enumerate(values) if value]
    assert table.used == (range(present[0], present[-1] + 1) if present else range(0))
