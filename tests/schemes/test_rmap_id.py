"""rmap-id: the values, and where they are exact."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.contract.world import World
from folioshell.schemes.base import Part, Sharing
from folioshell.schemes.rmap_id import RmapId, sub_id, values


@pytest.mark.parametrize(
    ("order", "rmap_id", "value"),
    [(2, number, value) for number, value in enumerate((0, 1, 5, 6, 25, 26, 30, 31))]
    + [(10, 2, 1025), (10, 4, 1050625)],
)
def test_sub_ids(order: int, rmap_id: int, value: int) -> None:
    """The bits of an id are digits to base P + 1."""
    assert sub_id(rmap_id, order) == value


@given(st.integers(0, 3), st.lists(st.integers(1, (1 << 24) - 1), min_size=1, max_size=8), st.integers(1, 5))
def test_up_to_as_many_mappings_as_pages_a_sum_tells_its_addends(order: int, ids: list[int], asker: int) -> None:
    """A sum is that of the asker alone iff all are the asker's."""
    addends = (ids + [asker] * 8)[: 1 << order]
    alone = sum(sub_id(rmap_id, order) for rmap_id in addends) == len(addends) * sub_id(asker, order)
    assert alone == (set(addends) == {asker})


def test_values_grow_slowly_with_the_order() -> None:
    """One to six 64-bit values."""
    assert [values(order) for order in (1, 2, 3, 5, 6, 9, 10, 11, 12, 13, 15)] == [1, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6]


def world_of(order: int, *mms: int) -> tuple[World, RmapId, int]:
    """A world with one folio and a VMA over it at 0 for each mm."""
    scheme = RmapId()
    world = World([scheme])
    folio = world.folio(order)
    for mm in mms:
        world.vma(mm, 0, 1 << order)
    return world, scheme, folio


def test_the_answer_is_for_who_asks() -> None:
    """Who maps nothing is told that others do; who maps all is alone."""
    world, scheme, folio = world_of(2, 1, 2)
    world.map(1, folio, 0)
    assert [scheme.shared(folio, mm) for mm in (1, 2)] == [Sharing.NO, Sharing.YES]
    assert scheme.why(folio) == [Part("mappings", 4), Part("rmap value 4", 0)]


def test_more_mappings_than_pages_are_shared_even_by_one_process() -> None:
    """10a: digits would carry; 10b: half of the pages twice are just as many as there are pages."""
    world, scheme, folio = world_of(2, 1)
    world.vma(1, 64, 68)
    world.map(1, folio, 0, 0, 2)
    world.map(1, folio, 64, 0, 2)
    assert scheme.shared(folio, 1) is Sharing.NO
    world.map(1, folio, 64, 2, 1)
    assert scheme.shared(folio, 1) is Sharing.YES


def test_in_the_middle_of_a_pmd_split_there_is_one_mapping_too_many() -> None:
    """512 PTEs are added before the PMD entry goes: for that moment the folio looks shared."""
    during = []

    class Spy(RmapId, register=False):
        def on_unmapped(self, event: Any) -> None:
            during.append((self.mapcount(event.folio), self.shared(event.folio, 1)))
            super().on_unmapped(event)

    scheme = Spy()
    world = World([scheme])
    folio = world.folio(9)
    world.vma(1, 0, 512)
    world.map_pmd(1, folio, 0)
    world.split_pmd(1, 0)
    assert during == [(513, Sharing.YES)]
    assert (scheme.mapcount(folio), scheme.shared(folio, 1)) == (512, Sharing.NO)
