"""likely: the order in which the guess looks at things."""

from __future__ import annotations

from folioshell.contract.world import World
from folioshell.schemes.base import Sharing
from folioshell.schemes.likely import ExactFit, Likely


def world_of(order: int, *mms: int) -> tuple[World, Likely, int]:
    """A world with one folio and a VMA over it at 0 for each mm."""
    scheme = Likely()
    world = World([scheme])
    folio = world.folio(order)
    for mm in mms:
        world.vma(mm, 0, 1 << order)
    return world, scheme, folio


def test_a_pmd_entry_beside_a_pte_is_shared_whatever_page_0_says() -> None:
    """Entire is asked before the first page: page 0 has no second PTE here."""
    world, scheme, folio = world_of(9, 1, 2)
    world.map_pmd(1, folio, 0)
    assert scheme.shared(folio, 1) is Sharing.NO
    world.map(2, folio, 0, 5, 1)
    assert scheme.shared(folio, 1) is Sharing.YES


def test_more_entries_than_pages_are_shared_whatever_page_0_says() -> None:
    """P + 1 entries cannot be those of one mapping."""
    world, scheme, folio = world_of(2, 1, 2)
    world.map(1, folio, 0)
    world.map(2, folio, 0, 3, 1)
    assert scheme.shared(folio, 1) is Sharing.YES
    world.unmap(1, folio, 0, 1, 1)
    assert scheme.shared(folio, 1) is Sharing.NO


def test_one_entry_is_exclusive_even_of_page_0() -> None:
    """A single entry is decided before anything else is looked at."""
    world, scheme, folio = world_of(4, 1, 2)
    world.map(1, folio, 0, 0, 1)
    assert scheme.shared(folio, 1) is Sharing.NO
    world.map(2, folio, 0, 0, 1)
    assert scheme.shared(folio, 1) is Sharing.YES


def test_state_is_that_of_per_page_and_one_counter() -> None:
    """Twelve bytes beside the pages."""
    assert [Likely().bytes_of_state(order) for order in (0, 4, 9)] == [4, 76, 2060]


def test_an_exact_fit_is_right_for_who_maps_all_pages() -> None:
    """Then any other entry makes it one too many; halves of two processes fit as well, and are not seen."""
    scheme = ExactFit()
    world = World([scheme], table_pages=16)
    folio = world.folio(4)
    for mm in (1, 2):
        world.vma(mm, 0, 16)
    world.map(1, folio, 0)
    assert scheme.shared(folio, 1) is Sharing.NO
    world.map(2, folio, 0, 3, 1)
    assert scheme.shared(folio, 1) is Sharing.YES
    world.unmap(1, folio, 0, 3, 1)
    assert scheme.shared(folio, 1) is Sharing.NO
    world.unmap(2, folio, 0, 3, 1)
    assert scheme.shared(folio, 1) is Sharing.YES
    assert [ExactFit().bytes_of_state(order) for order in (0, 4, 9)] == [4, 76, 2060]
