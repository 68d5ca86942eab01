"""The interval index that leads from pages of a mapping to the VMAs over them."""

from __future__ import annotations

import random

from folioshell.engine.machine import Machine
from folioshell.model.anon_vma import AnonVma
from folioshell.model.interval_index import IntervalIndex
from folioshell.model.vma import Vma


def _vma(machine: Machine, pgoff: int, nr: int, start: int = 0) -> Vma:
    return machine.kernel.new_vma(machine.kernel.mms["A"], start, start + nr, 0, pgoff, None)


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
