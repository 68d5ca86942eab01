"""owner: who is it, and until when."""

from __future__ import annotations

from folioshell.contract.world import World
from folioshell.schemes.base import Part, Sharing
from folioshell.schemes.owner import Owner


def world_of(*mms: int) -> tuple[World, Owner, int]:
    """An order-4 folio that each mm maps, in this order."""
    scheme = Owner()
    world = World([scheme])
    folio = world.folio(4)
    for mm in mms:
        world.vma(mm, 0, 16)
        world.map(mm, folio, 0)
    return world, scheme, folio


def test_it_is_precise_when_the_child_exits() -> None:
    """Fork and exit, the case that it was proposed for."""
    world, scheme, folio = world_of(1)
    world.fork(1, 2)
    assert scheme.shared(folio, 1) is Sharing.YES
    assert scheme.why(folio) == [Part("owner", 16, mm=1), Part("others", 16)]
    world.exit(2)
    assert (scheme.owner(folio), scheme.shared(folio, 1)) == ((1, 16, 0), Sharing.NO)


def test_the_owner_that_left_is_remembered() -> None:
    """One other is left alone and looks shared."""
    world, scheme, folio = world_of(1, 2)
    world.exit(1)
    assert (scheme.owner(folio), scheme.shared(folio, 2)) == ((1, 0, 16), Sharing.YES)


def test_the_owner_may_come_back() -> None:
    """It is still the owner, and the other is still another."""
    world, scheme, folio = world_of(1, 2)
    world.unmap(1, folio, 0)
    world.map(1, folio, 0, 0, 4)
    assert scheme.owner(folio) == (1, 4, 16)


def test_a_folio_that_nobody_maps_has_no_owner() -> None:
    """Who maps it next is the owner."""
    world, scheme, folio = world_of(1, 2)
    world.exit(1)
    world.unmap(2, folio, 0)
    assert scheme.owner(folio) == (0, 0, 0)
    world.map(2, folio, 0)
    assert (scheme.owner(folio), scheme.shared(folio, 2)) == ((2, 16, 0), Sharing.NO)
