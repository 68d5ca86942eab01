"""The page cache of a file, and the interval index of VMAs."""

from __future__ import annotations

import random

import pytest

from folioshell.engine.machine import Machine
from folioshell.model.folio import Folio
from folioshell.model.mapping import AddressSpace, AnonVma, IntervalIndex, write_orders
from folioshell.model.vm import Vma


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


def _vma(machine: Machine, pgoff: int, nr: int, start: int = 0) -> Vma:
    return machine.kernel.new_vma(machine.kernel.mms["A"], start, start + nr, 0, pgoff, None, pgoff)


def test_order_is_by_offset_then_by_insertion() -> None:
    """VMAs of one offset keep the order in which they were added; a fork child stands right behind its parent."""
    machine = Machine()
    index = IntervalIndex()
    first, second, third, child = (_vma(machine, pgoff, 4) for pgoff in (5, 5, 2, 5))
    for vma in (first, second, third):
        index.insert(vma)
    index.insert_after(child, first)

    assert list(index) == [third, first, child, second]


def test_overlapping_agrees_with_looking_at_all() -> None:
    """The VMAs over a range are those that a look at each finds, in the same order, after removals too."""
    machine = Machine()
    index = IntervalIndex()
    chance = random.Random(7)
    vmas = [_vma(machine, chance.randrange(60), chance.randrange(1, 20)) for _ in range(60)]
    for vma in vmas:
        index.insert(vma)
    for vma in vmas[::3]:
        index.remove(vma)
    for first in range(0, 80, 3):
        last = first + chance.randrange(10)
        expected = [vma for vma in index if vma.pgoff <= last and vma.pgoff + vma.nr_pages > first]

        assert index.overlapping(first, last) == expected


def test_many_vmas_keep_their_order() -> None:
    """With more VMAs than stand in a chunk, order and look-ups are those of a plain list."""
    machine = Machine()
    index = IntervalIndex()
    chance = random.Random(7)
    plain: list[Vma] = []
    for number in range(1500):
        if plain and chance.random() < 0.3:
            index.remove(plain.pop(chance.randrange(len(plain))))
        elif plain and chance.random() < 0.5:
            place = chance.randrange(len(plain))
            child = _vma(machine, plain[place].pgoff, 4)
            index.insert_after(child, plain[place])
            plain.insert(place + 1, child)
        else:
            vma = _vma(machine, chance.randrange(5), 1000 if number % 90 == 0 else 2)
            index.insert(vma)
            plain.insert(sum(other.pgoff <= vma.pgoff for other in plain), vma)

    assert list(index) == plain
    assert len(index) == len(plain) > 300
    for first in (0, 3, 5, 7, 999):
        assert index.overlapping(first, first) == [
            vma for vma in plain if vma.pgoff <= first < vma.pgoff + vma.nr_pages
        ]
    for vma in plain:
        index.remove(vma)
    assert not list(index)


def test_one_lock_for_a_family() -> None:
    """All anon_vmas of a tree have the lock of its root."""
    root = AnonVma(1)
    child = AnonVma(2, root)
    grandchild = AnonVma(3, child)

    assert (child.root, grandchild.root, grandchild.parent) == (root, root, child)
    assert grandchild.rwsem is root.rwsem
