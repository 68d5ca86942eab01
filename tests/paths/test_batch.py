"""Runs of entries that are handled in one go."""

from __future__ import annotations

import pytest

from folioshell.model import pte
from folioshell.model.folio import Folio
from folioshell.model.mapping import AnonVma
from folioshell.model.pagetable import PageTable
from folioshell.paths.batch import folio_pte_batch

_FOLIO = Folio(1, 64, 3, AnonVma(1), 0, True)


def _table(*entries: tuple[int, int]) -> PageTable:
    """A table whose entries are (pfn, flags); pfn 0 stands for none."""
    table = PageTable(1, 16)
    for index, (pfn, flags) in enumerate(entries):
        table.entries[index] = pte.make(pfn, flags) if pfn else pte.NONE
    return table


@pytest.mark.parametrize(
    ("entries", "limit", "significant", "nr"),
    [
        ([(64 + page, 0) for page in range(8)], 16, 0, 8),
        ([(64 + page, 0) for page in range(8)], 5, 0, 5),
        ([(70, 0), (71, 0), (72, 0)], 16, 0, 2),
        ([(64, 0), (66, 0)], 16, 0, 1),
        ([(64, 0), (0, 0), (66, 0)], 16, 0, 1),
        ([(64, pte.DIRTY), (65, pte.YOUNG), (66, pte.WRITE)], 16, 0, 3),
        ([(64, pte.DIRTY), (65, pte.DIRTY | pte.YOUNG), (66, 0)], 16, pte.DIRTY, 2),
        ([(64, pte.WRITE), (65, 0)], 16, pte.WRITE, 1),
        ([(64, pte.PROTNONE), (65, 0)], 16, 0, 1),
    ],
)
def test_batch(entries: list[tuple[int, int]], limit: int, significant: int, nr: int) -> None:
    """A batch ends at the limit, the folio's end, a hole, another page, and where a flag that matters changes."""
    assert folio_pte_batch(_table(*entries), 0, limit, _FOLIO, significant) == nr


def test_migration_entries_end_a_batch() -> None:
    """An entry that is not present belongs to no batch."""
    table = _table((64, 0), (65, 0), (66, 0))
    table.entries[1] = pte.migration(table.entries[1], exclusive=False)

    assert folio_pte_batch(table, 0, 16, _FOLIO) == 1
