"""The page cache of a file."""

from __future__ import annotations

import pytest

from folioshell.model.folio import Folio
from folioshell.model.mapping import AddressSpace, write_orders


def _cache(*folios: tuple[int, int]) -> AddressSpace:
    file = AddressSpace("f", 100, "ext4")
    for number, (index, order) in enumerate(folios, 1):
        file.insert(Folio(number, 64 * number, order, file, index, False))
    return file


def test_find() -> None:
    """A page is found in the folio that holds it, whatever the orders around it."""
    file = _cache((0, 2), (4, 0), (8, 3))

    assert [file.find(index).id if file.find(index) else 0 for index in (0, 3, 4, 5, 7, 8, 15, 16)] == [
        *(1, 1, 2, 0, 0, 3, 3, 0),
    ]  # fmt: skip


def test_ranges() -> None:
    """Folios of a range come once each, also where the range begins within one."""
    file = _cache((0, 2), (4, 0), (8, 3))

    assert [folio.id for folio in file.next_from(2, 9)] == [1, 2, 3]
    assert [folio.id for folio in file.folios] == [1, 2, 3]
    assert (file.any_in(5, 3), file.any_in(5, 4)) == (False, True)


def test_remove() -> None:
    """A folio that was taken out is found no more; others of its order are."""
    file = _cache((0, 2), (4, 2))
    first = file.find(0)
    assert first is not None
    file.remove(first)

    assert file.find(0) is None
    assert file.find(5) is not None


@pytest.mark.parametrize(
    ("size", "chunk", "expected"),
    [
        (20, 16, [(0, 4), (16, 2)]),
        (5, 1, [(0, 0), (1, 0), (2, 0), (3, 0), (4, 0)]),
        (7, 3, [(0, 1), (2, 0), (3, 0), (4, 1), (6, 0)]),
        (600, 1024, [(0, 9), (512, 6), (576, 4), (592, 3)]),
    ],
)
def test_orders_of_writes(size: int, chunk: int, expected: list[tuple[int, int]]) -> None:
    """Each folio gets the largest order that its index and the rest of the write allow."""
    assert list(write_orders(size, chunk, 9, False)) == expected


def test_orders_beyond_the_end() -> None:
    """With huge=always tmpfs has whole huge folios, over the end of the file too."""
    assert list(write_orders(600, 512, 9, True)) == [(0, 9), (512, 9)]
