"""Pieces of folios by VMA and page table, from events alone."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell import events
from folioshell.contract.histories import RandomHistory, seeded_histories
from folioshell.contract.laws import threes
from folioshell.contract.player import Player
from folioshell.contract.world import Chunks, World, single, whole
from folioshell.errors import KernelBug
from folioshell.schemes.base import Part
from folioshell.schemes.tuples import Tuples
from folioshell.schemes.vmas import Vmas
from folioshell.schemes.window import count_pieces, pieces_between

NR_PAGES = 16


def world_of(nr_vma_pages: int = 64) -> tuple[World, Tuples, Vmas, int]:
    """A world with tables of 512 pages, both exact schemes, and an order-4 folio for mm 1."""
    tuples, vmas = Tuples(), Vmas()
    world = World([tuples, vmas])
    folio = world.folio(4)
    world.vma(1, 0, nr_vma_pages)
    return world, tuples, vmas, folio


@given(st.integers(0, (1 << NR_PAGES) - 1), st.sets(st.integers(1, NR_PAGES - 1)))
def test_stretches_are_counted_as_one_would(pages: int, cuts: set[int]) -> None:
    """The count by one addition is that of looking at each stretch."""
    mask = sum(1 << cut for cut in cuts)
    bounds = [0, *sorted(cuts), NR_PAGES]
    pieces = list(itertools.pairwise(bounds))
    assert pieces_between(mask, NR_PAGES) == [(low, high - low) for low, high in pieces]
    assert count_pieces(pages, mask, NR_PAGES) == sum(any(pages >> i & 1 for i in range(*piece)) for piece in pieces)


@pytest.mark.parametrize(
    ("mms", "chunks", "eager"),
    [
        *((mms, whole, eager) for mms in (1, 2, 4) for eager in (False, True)),
        (2, single, False),
        (2, threes, False),
    ],
)
def test_tuples_and_vmas_are_exact(mms: int, chunks: Chunks, eager: bool) -> None:
    """After every step both numbers are those that the entries give: the fewer address spaces, the more happens in
    each; entries that are announced in pieces, and folios that a split or merge need not tell, make no difference.
    """
    for history in seeded_histories(120, mms):
        compare(history, chunks, eager)


def compare(history: RandomHistory, chunks: Chunks, eager: bool = False) -> None:
    """Play a history and hold both numbers against the entries after each step."""
    tuples, vmas = Tuples(), Vmas()
    player = Player(history, [tuples, vmas], chunks, eager)
    for step in history.steps:
        player.play(step)
        for folio in (player.large, player.small):
            truth = player.world.truth(folio)
            assert (tuples.mapcount(folio), vmas.mapcount(folio)) == (truth.tuples, truth.vmas)


def test_one_mm_may_map_a_folio_at_two_addresses() -> None:
    """Two windows of one mm are two VMAs, wherever their pages are."""
    world, tuples, vmas, folio = world_of()
    world.vma(1, 100, 120)
    world.map(1, folio, 0, 0, 8)
    world.map(1, folio, 100, 0, 8)
    assert (tuples.mapcount(folio), vmas.mapcount(folio)) == (2, 2)


def test_a_split_beside_the_entries_changes_nothing_until_the_other_side_is_mapped() -> None:
    """A VMA boundary counts only when both sides have entries."""
    world, _, vmas, folio = world_of()
    world.map(1, folio, 0, 0, 4)
    world.split(1, 8)
    assert vmas.mapcount(folio) == 1
    world.map(1, folio, 0, 12, 2)
    assert vmas.mapcount(folio) == 2


def test_a_boundary_that_went_unseen_does_not_stay() -> None:
    """A merge that no entry straddled is learnt from the next merge around it."""
    world, tuples, vmas, folio = world_of()
    world.map(1, folio, 0)
    world.split(1, 4)
    world.split(1, 8)
    world.unmap(1, folio, 0, 4, 4)
    assert vmas.mapcount(folio) == 2
    world.merge(1, 8)  # between an empty VMA and one with entries: nothing straddles it
    assert vmas.mapcount(folio) == 2
    world.merge(1, 4)
    assert (tuples.mapcount(folio), vmas.mapcount(folio)) == (1, 1)


def test_boundaries_in_a_hole_are_gone_when_it_is_filled() -> None:
    """Two VMAs between entries are unmapped, and one that merges with both neighbours takes their place."""
    world, _, vmas, folio = world_of()
    world.map(1, folio, 0)
    world.split(1, 4)
    world.punch(1, 2, 8)
    assert vmas.mapcount(folio) == 2
    world.fill(1, 2, 8, left=True, right=True)
    assert vmas.mapcount(folio) == 1


def test_a_merge_that_tells_no_more_than_its_place_removes_that_boundary() -> None:
    """Without the range of the merged VMA, the boundaries of others stay."""
    world, _, vmas, folio = world_of()
    world.map(1, folio, 0)
    for vpn in (4, 8):
        world.split(1, vpn)
    assert vmas.mapcount(folio) == 3
    vmas.on_vma_merged(events.VmaMerged(1, 1, 2, 4, ((folio, 4),)))
    assert [(part.first, part.nr) for part in vmas.why(folio)] == [(0, 8), (8, 8)]


@pytest.mark.parametrize("start", [0, 2])
def test_a_boundary_that_went_unseen_is_learnt_from_the_next_mapping(start: int) -> None:
    """A mapping by a VMA that reaches over an old boundary says that it is gone, wherever the VMA begins."""
    world, _, vmas, folio = world_of()
    if start:
        world.split(1, start)
    world.split(1, 6)
    world.map(1, folio, 0, 8, 2)
    world.merge(1, 6)  # nothing is mapped below
    world.map(1, folio, 0, 3, 1)
    assert vmas.mapcount(folio) == 1


def test_a_boundary_that_moves_moves_its_pages() -> None:
    """A split at the new place and a merge at the old one keep two VMAs, with other pages in them."""
    world, _, vmas, folio = world_of()
    world.map(1, folio, 0)
    world.split(1, 8)
    world.split(1, 12)
    world.merge(1, 8)
    assert [(part.first, part.nr) for part in vmas.why(folio)] == [(0, 12), (12, 4)]
    world.unmap(1, folio, 0, 12, 4)
    assert vmas.mapcount(folio) == 1


def test_a_pmd_entry_is_one_tuple_in_the_pmd_table() -> None:
    """Splitting it keeps the number; in the moment between, both tables count and the VMA counts once."""
    seen = []

    class Spy(Tuples, register=False):
        def on_unmapped(self, event: Any) -> None:
            seen.append((tuples.mapcount(folio), vmas.mapcount(folio)))
            super().on_unmapped(event)

    spy, tuples, vmas = Spy(), Tuples(), Vmas()
    world = World([spy, tuples, vmas])
    folio = world.folio(9)
    world.vma(1, 0, 512)
    world.map_pmd(1, folio, 0)
    assert tuples.why(folio) == [Part("pmd1", 1, mm=1, first=0, nr=512, vpn=0)]
    world.split_pmd(1, 0)
    assert seen == [(2, 1)]
    assert tuples.why(folio) == [Part("pt1", 1, mm=1, first=0, nr=512, vpn=0)]
    assert vmas.mapcount(folio) == 1


def test_a_moved_pmd_entry_is_found_where_it_went() -> None:
    """Its old window is empty, and it can be unmapped in the new one."""
    tuples, vmas = Tuples(), Vmas()
    world = World([tuples, vmas])
    folio = world.folio(9)
    world.vma(1, 0, 512)
    world.vma(1, 1024, 1536)
    world.map_pmd(1, folio, 0)
    world.move_pmd(1, 0, 1024)
    assert tuples.why(folio) == [Part("pmd1", 1, mm=1, first=0, nr=512, vpn=1024)]
    world.unmap_pmd(1, 1024)
    assert (tuples.mapcount(folio), vmas.mapcount(folio)) == (0, 0)


def test_a_table_that_is_moved_whole_keeps_its_number() -> None:
    """Moved events may name the same table on both sides: the address is what differs."""
    tuples, vmas = Tuples(), Vmas()
    world = World([tuples, vmas])
    folio = world.folio(4)
    world.vma(1, 0, 512)
    world.vma(1, 1024, 1536)
    world.map(1, folio, 0)
    world.tables[1, 2] = world.tables[1, 0]
    world.move(1, folio, 0, 1024)
    assert tuples.why(folio) == [Part("pt1", 1, mm=1, first=0, nr=16, vpn=1024)]
    assert vmas.mapcount(folio) == 1


def test_a_move_back_beside_the_rest_makes_one_vma_again() -> None:
    """Entries that are moved next to those of the same VMA are counted with them."""
    world, tuples, vmas, folio = world_of()
    world.vma(1, 100, 164)
    world.map(1, folio, 0)
    world.move(1, folio, 0, 100, 8, 8)
    assert (tuples.mapcount(folio), vmas.mapcount(folio)) == (2, 2)
    world.move(1, folio, 100, 0, 8, 8)
    assert (tuples.mapcount(folio), vmas.mapcount(folio)) == (1, 1)


def test_parts_stand_in_the_order_of_address_spaces_and_addresses() -> None:
    """Rows are sorted by mm, address and page, however the entries came."""
    world, tuples, _, folio = world_of()
    world.vma(2, 500, 600)
    world.map(2, folio, 504)
    world.map(1, folio, 8, 2, 9)
    world.split(1, 16)
    assert tuples.why(folio) == [
        Part("pt3", 1, mm=1, first=2, nr=6, vpn=10),
        Part("pt3", 1, mm=1, first=8, nr=3, vpn=16),
        Part("pt1", 1, mm=2, first=0, nr=8, vpn=504),
        Part("pt2", 1, mm=2, first=8, nr=8, vpn=512),
    ]


def test_entries_that_were_never_there_cannot_go() -> None:
    """Unmapping what is not mapped, or through another table, is a bug of the path and not a number."""
    world, _, _, folio = world_of()
    world.map(1, folio, 0, 0, 8)
    world.ptes[1, 12] = (folio, 12)
    with pytest.raises(KernelBug, match="pt1 lost entries that were not there"):
        world.unmap(1, folio, 0, 12, 1)
    world.ptes[1, 21] = (folio, 1)
    with pytest.raises(KernelBug, match="mm 1 does not map f1"):
        world.unmap(1, folio, 20, 1, 1)


def test_a_step_on_a_pmd_sized_folio_does_not_look_at_each_page() -> None:
    """A folio of 2^16 pages that is cut everywhere is counted by a few operations on integers."""
    nr_pages = 1 << 16
    every_second = int("10" * (nr_pages // 2), 2)
    assert count_pieces(every_second, (1 << nr_pages) - 2, nr_pages) == nr_pages // 2


def test_an_emptied_window_is_forgotten() -> None:
    """Boundaries that a window had before it was emptied are not found in it when it fills again."""
    world, _, vmas, folio = world_of()
    world.map(1, folio, 0)
    world.split(1, 4)
    world.unmap(1, folio, 0)
    assert vmas.windows(folio) == []
    world.merge(1, 4)
    world.map(1, folio, 0)
    assert vmas.mapcount(folio) == 1
