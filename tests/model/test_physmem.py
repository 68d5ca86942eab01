"""Physical pages: alignment, and which folio has which."""

from __future__ import annotations

import pytest

from folioshell.model.folio import Folio
from folioshell.model.mapping import AnonVma
from folioshell.model.physmem import PhysicalMemory


def _folio(memory: PhysicalMemory, number: int, order: int) -> Folio:
    folio = Folio(number, memory.allocate_pfn(order), order, AnonVma(1), 0, True)
    memory.place(folio)
    return folio


def test_folios_are_aligned_and_apart() -> None:
    """Every folio begins at a multiple of its size, and no two share a page; pfn 0 is the zero page's."""
    memory = PhysicalMemory()
    taken: set[int] = {0}
    for number, order in enumerate([0, 4, 0, 9, 2, 10, 1, 0, 9, 3, 0]):
        folio = _folio(memory, number, order)
        pages = set(range(folio.pfn, folio.pfn + folio.nr_pages))

        assert folio.pfn % folio.nr_pages == 0
        assert not pages & taken
        assert all(memory.folio(pfn) is folio for pfn in pages)
        taken |= pages


@pytest.mark.parametrize("order", [0, 3, 9, 10])
def test_removed_folios_are_gone(order: int) -> None:
    """Pages of a folio that was freed belong to nobody, and are not given out again."""
    memory = PhysicalMemory()
    folio = _folio(memory, 1, order)
    memory.remove(folio)

    with pytest.raises(KeyError):
        memory.folio(folio.pfn)
    assert _folio(memory, 2, order).pfn > folio.pfn


def test_pieces_take_the_pages_of_what_they_were_cut_from() -> None:
    """After a split each page belongs to its piece."""
    memory = PhysicalMemory()
    folio = _folio(memory, 1, 9)
    pieces = [Folio(2 + first, folio.pfn + first, 8, AnonVma(1), 0, True) for first in (0, 256)]
    for piece in pieces:
        memory.place(piece)

    assert memory.folio(folio.pfn + 255) is pieces[0]
    assert memory.folio(folio.pfn + 256) is pieces[1]
