"""zero-one-two-many: what saturates, and what brings it back."""

from __future__ import annotations

import pytest

from folioshell.contract.world import World
from folioshell.errors import KernelBug
from folioshell.schemes.base import Part, Sharing
from folioshell.schemes.zero_one_two_many import MANY, ZeroOneTwoMany
from tests.schemes.costs import small_unmapped


def world_of(order: int, *mms: int) -> tuple[World, ZeroOneTwoMany, int]:
    """A world with one folio and a VMA over it at 0 for each mm, which maps it."""
    scheme = ZeroOneTwoMany()
    world = World([scheme])
    folio = world.folio(order)
    for mm in mms:
        world.vma(mm, 0, 1 << order)
        world.map(mm, folio, 0)
    return world, scheme, folio


@pytest.mark.parametrize("order", [0, 4])
def test_a_third_vma_is_many_and_stays_until_somebody_walks(order: int) -> None:
    """No unmapping counts down from Many, not even the last; a walk that finds fewer resets it."""
    world, scheme, folio = world_of(order, 1, 2, 3)
    assert (scheme.mapcount(folio), scheme.shared(folio, 1)) == (MANY, Sharing.YES)
    world.walk(folio)
    assert scheme.mapcount(folio) == MANY
    world.exit(1)
    world.exit(2)
    assert (scheme.mapcount(folio), scheme.shared(folio, 3)) == (MANY, Sharing.YES)
    world.walk(folio)
    assert (scheme.mapcount(folio), scheme.shared(folio, 3)) == (1, Sharing.NO)
    world.exit(3)
    assert (scheme.mapcount(folio), scheme.mapped(folio)) == (0, False)


@pytest.mark.parametrize("order", [0, 4])
def test_many_looks_mapped_when_nothing_is(order: int) -> None:
    """The folio stays pinned until a walk finds nothing."""
    world, scheme, folio = world_of(order, 1, 2, 3)
    for mm in (1, 2, 3):
        world.exit(mm)
    assert (scheme.mapcount(folio), scheme.mapped(folio)) == (MANY, True)
    assert scheme.why(folio) == [Part("Many", 3), Part("VMAs that a walk would find: 0", 0)]
    world.walk(folio)
    assert (scheme.mapcount(folio), scheme.mapped(folio), scheme.why(folio)) == (0, False, [])


@pytest.mark.parametrize("order", [0, 4])
def test_two_and_one_count_down(order: int) -> None:
    """Below Many every VMA counts, and a walk changes nothing."""
    world, scheme, folio = world_of(order, 1, 2)
    world.walk(folio)
    assert scheme.mapcount(folio) == 2
    world.exit(1)
    assert scheme.mapcount(folio) == 1
    world.exit(2)
    assert scheme.mapcount(folio) == 0


def test_a_split_goes_unseen_and_can_count_below_what_there_is() -> None:
    """Either half that goes counts down: Zero with half of the folio mapped, and no further."""
    world, scheme, folio = world_of(4, 1)
    world.split(1, 8)
    assert scheme.mapcount(folio) == 1
    world.unmap(1, folio, 0, 0, 8)
    assert (scheme.mapcount(folio), world.truth(folio).pages) == (0, 8)
    world.unmap(1, folio, 0, 8, 8)
    assert scheme.mapcount(folio) == 0


def test_two_processes_may_look_like_one_after_a_split() -> None:
    """What goes with one half of a VMA was counted once for both."""
    world, scheme, folio = world_of(4, 1, 2)
    world.split(1, 8)
    world.unmap(1, folio, 0, 0, 8)
    assert (scheme.mapcount(folio), scheme.shared(folio, 2), world.truth(folio).mms) == (1, Sharing.NO, 2)


def test_a_walk_sees_the_vmas_that_split_unseen() -> None:
    """From Many it finds VMAs as they are."""
    world, scheme, folio = world_of(4, 1, 2, 3)
    world.exit(2)
    world.exit(3)
    world.split(1, 8)
    world.walk(folio)
    assert scheme.mapcount(folio) == 2


def test_an_order_0_entry_that_is_not_there_cannot_go() -> None:
    """Counting below 0 is a bug of the path that announced it, whatever the two bits say."""
    world, scheme, folio = world_of(0, 1, 2, 3)
    for mm in (1, 2, 3):
        world.exit(mm)
    with pytest.raises(KernelBug, match="nothing maps it"):
        scheme.on_unmapped(small_unmapped(folio))


def test_numbers_of_many_folios() -> None:
    """They are those of each, equal ones of order-0 folios in a row together."""
    world, scheme, folio = world_of(4, 1, 2, 3)
    small = world.folio(0)
    world.vma(1, 64, 65)
    world.map(1, small, 64)
    assert (folio, small) == (1, 2)
    assert scheme.mapcount_pieces(1, 3) == [(1, 1, MANY), (2, 1, 1), (3, 1, 0)]
