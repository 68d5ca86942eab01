"""estimated-ne1, estimated-gt1 and likely-v6.9: one number, two predicates."""

from __future__ import annotations

import pytest

from folioshell.contract.world import World
from folioshell.schemes.base import Answer, Part, Sharing
from folioshell.schemes.first_page import EstimatedGt1, EstimatedNe1, FirstPageScheme, LikelyV69

KINDS = (EstimatedNe1, EstimatedGt1, LikelyV69)


def world_of(order: int, *mms: int) -> tuple[World, list[FirstPageScheme], int]:
    """A world with one folio and a VMA over it at 0 for each mm."""
    schemes: list[FirstPageScheme] = [kind() for kind in KINDS]
    world = World([*schemes])
    folio = world.folio(order)
    for mm in mms:
        world.vma(mm, 0, 1 << order)
    return world, schemes, folio


def test_the_predicates_differ_while_page_0_is_not_mapped() -> None:
    """0 is not 1, and not more than 1."""
    world, schemes, folio = world_of(4, 1)
    world.map(1, folio, 0, 1, 8)
    assert [scheme.mapcount(folio) for scheme in schemes] == [0, 0, 0]
    assert [scheme.shared(folio, 1) for scheme in schemes] == [Sharing.YES, Sharing.NO, Sharing.NO]


def test_only_calls_about_page_0_count() -> None:
    """Other pages are neither here nor there; PMD entries map page 0, too."""
    world, schemes, folio = world_of(9, 1, 2)
    world.map_pmd(1, folio, 0)
    world.map(2, folio, 0, 0, 4)
    world.map(2, folio, 0, 4, 4)
    assert {scheme.mapcount(folio) for scheme in schemes} == {2}
    world.unmap(2, folio, 0, 1, 7)
    assert {scheme.mapcount(folio) for scheme in schemes} == {2}
    assert schemes[0].why(folio) == [Part("entries of page 0", 2, nr=1)]
    world.split_pmd(1, 0)
    world.unmap(2, folio, 0, 0, 1)
    assert {scheme.mapcount(folio) for scheme in schemes} == {1}


@pytest.mark.parametrize("kind", KINDS)
def test_an_estimate_answers_one_question(kind: type[FirstPageScheme]) -> None:
    """Whether any page is mapped, whether some are not, and how often, were asked elsewhere."""
    scheme = kind()
    assert scheme.mapped(1) is None
    assert scheme.partially_mapped(1) is Answer.CANNOT
    assert scheme.page_mapcount(1, 0) is None
    assert scheme.bytes_of_state(9) == 0


def test_order_0_folios_are_their_first_page() -> None:
    """An order-0 folio with two entries looks shared to all, whoever has them."""
    world, schemes, folio = world_of(0, 1)
    world.vma(1, 8, 9)
    world.map(1, folio, 0)
    assert {scheme.shared(folio, 1) for scheme in schemes} == {Sharing.NO}
    world.map(1, folio, 8)
    assert {scheme.shared(folio, 1) for scheme in schemes} == {Sharing.YES}
