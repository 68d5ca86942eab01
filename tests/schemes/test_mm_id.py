"""The kernel's own bookkeeping: slots, the SHARED bit, pages mapped and partial mapping."""

from __future__ import annotations

from collections import Counter

import pytest

from folioshell.contract.histories import seeded_histories
from folioshell.contract.player import Player
from folioshell.contract.world import World
from folioshell.errors import KernelBug
from folioshell.schemes.base import Answer, Part, Sharing
from folioshell.schemes.mm_id import MmId, MmIdV1, RfcWithoutPagesMapped


def world_of(order: int, *mms: int) -> tuple[World, MmId, int]:
    """A world with one folio and a VMA over it at 0 for each mm."""
    scheme = MmId()
    world = World([scheme])
    folio = world.folio(order)
    for mm in mms:
        world.vma(mm, 0, 1 << order)
    return world, scheme, folio


def check(player: Player, scheme: MmId) -> None:
    """What holds between the bookkeeping and the entries in every state."""
    folio, world = player.large, player.world
    by_mm = Counter(mm for mm, *_ in world.found(folio))
    total = by_mm.total()
    slots, shared = scheme.slots(folio)[:2], scheme.slots(folio)[2]
    assert scheme.mapcount(folio) == total
    assert scheme.entire(folio) == sum(other == folio for other in world.pmds.values())
    assert scheme.pages_mapped(folio) == len({page for other, page in world.ptes.values() if other == folio})
    assert [scheme.page_mapcount(folio, page) for page in range(player.nr_pages)] == world.page_entries(folio)
    assert scheme.page_mapcount(player.small, 0) == scheme.mapcount(player.small) == world.truth(player.small).entries
    assert all((mm == 0) == (count == 0) and 0 <= count <= by_mm[mm] for mm, count in slots)
    assert slots[0][0] != slots[1][0] or not slots[0][0]
    assert shared or total == 0 or any(count == total for _, count in slots)
    assert not (slots[0][0] and slots[1][0]) or shared
    assert total or not shared


def test_bookkeeping_fits_the_entries() -> None:
    """Counts are exact; no slot counts more than its mm has; without the bit, one slot counts everything."""
    for history in seeded_histories(200):
        scheme = MmId()
        player = Player(history, [scheme])
        for step in history.steps:
            player.play(step)
            check(player, scheme)


def test_a_pmd_split_gives_a_slotless_mm_a_slot_that_counts_one_too_few() -> None:
    """All PTEs are added before the PMD entry is subtracted: 512 + 1 - 1 - 1 are counted for 512."""
    world, scheme, folio = world_of(9, 1)
    world.map_pmd(1, folio, 0)
    world.fork(1, 2)
    world.fork(1, 3)
    assert scheme.slots(folio) == ((1, 1), (2, 1), True)
    world.exit(1)
    world.split_pmd(3, 0)
    assert scheme.slots(folio) == ((3, 511), (2, 1), True)
    world.exit(2)
    assert scheme.mapcount(folio) == 512
    assert scheme.slots(folio) == ((3, 511), (0, 0), True)
    assert scheme.shared(folio, 3) is Sharing.YES


def test_a_pmd_split_by_a_slot_owner_leaves_the_bit_alone() -> None:
    """Adding 512 and subtracting 1 with a slot is neither the first nor the last mapping."""
    world, scheme, folio = world_of(9, 1)
    world.map_pmd(1, folio, 0)
    world.split_pmd(1, 0)
    assert scheme.slots(folio) == ((1, 512), (0, 0), False)
    assert (scheme.mapcount(folio), scheme.pages_mapped(folio), scheme.entire(folio)) == (512, 512, 0)


def test_own_mappings_without_a_slot_set_the_bit() -> None:
    """A slot that is taken while the folio has other entries sets SHARED, even if those are the mm's own."""
    world, scheme, folio = world_of(4, 1, 2, 3)
    for mm in (1, 2, 3):
        world.map(mm, folio, 0, 0, 4)
    world.exit(1)
    world.exit(2)
    world.map(3, folio, 0, 4, 1)
    assert scheme.slots(folio) == ((3, 1), (0, 0), True)
    assert scheme.shared(folio, 3) is Sharing.YES


def test_a_slot_that_stays_positive_never_clears_the_bit() -> None:
    """The bit is looked at when a slot is freed or an mm without one unmaps, not while a slot counts on."""
    world, scheme, folio = world_of(4, 1, 2, 3)
    for mm in (1, 2, 3):
        world.map(mm, folio, 0)
    world.unmap(3, folio, 0)
    world.unmap(2, folio, 0, 0, 15)
    assert scheme.slots(folio) == ((1, 16), (2, 1), True)
    world.unmap(1, folio, 0, 1, 15)
    assert scheme.slots(folio) == ((1, 1), (2, 1), True)
    world.unmap(2, folio, 0, 15, 1)
    assert scheme.slots(folio) == ((1, 1), (0, 0), False)


def test_more_unmapped_than_counted_frees_the_slot() -> None:
    """Entries that were mapped without a slot are absorbed when they go, not counted below 0."""
    world, scheme, folio = world_of(4, 1, 2, 3)
    for mm in (1, 2, 3):
        world.map(mm, folio, 0, 0, 4)
    world.exit(1)
    world.map(3, folio, 0, 4, 1)
    assert scheme.slots(folio) == ((3, 1), (2, 4), True)
    world.unmap(3, folio, 0, 0, 4)
    assert scheme.slots(folio) == ((0, 0), (2, 4), True)


def test_order_0_has_no_slots() -> None:
    """A small folio is shared when it has two entries, whoever has them; nothing is kept for its owners."""
    world, scheme, folio = world_of(0, 1)
    world.vma(1, 8, 9)
    world.map(1, folio, 0)
    assert scheme.shared(folio, 1) is Sharing.NO
    world.map(1, folio, 8)
    assert scheme.shared(folio, 1) is Sharing.YES
    assert scheme.slots(folio) == ((0, 0), (0, 0), False)
    assert (scheme.pages_mapped(folio), scheme.entire(folio), scheme.newly_unmapped(folio)) == (0, 0, 0)


def partially_mapped(scheme: MmId, folio: int, order: int, pmd: bool = False) -> bool:
    """What a path makes of the latest unmapping, as the kernel does."""
    nr = scheme.newly_unmapped(folio)
    return 0 < nr < 1 << order if pmd else nr > 0 and scheme.pages_mapped(folio) > 0


def test_a_page_that_another_mm_maps_does_not_become_unmapped() -> None:
    """Parent and child drop the same page: only the second time is the folio partially mapped (golden vector 45)."""
    world, scheme, folio = world_of(9, 1)
    world.map(1, folio, 0)
    assert scheme.newly_unmapped(folio) == 0
    world.fork(1, 2)
    world.unmap(1, folio, 0, 0, 1)
    assert (scheme.newly_unmapped(folio), partially_mapped(scheme, folio, 9)) == (0, False)
    world.unmap(2, folio, 0, 0, 1)
    assert (scheme.newly_unmapped(folio), partially_mapped(scheme, folio, 9)) == (1, True)


def test_ptes_never_make_a_folio_partial_while_a_pmd_maps_it() -> None:
    """Under a PMD entry no page becomes unmapped; when that goes, the pages without PTEs do."""
    world, scheme, folio = world_of(9, 1)
    world.map_pmd(1, folio, 0)
    world.fork(1, 2)
    world.split_pmd(1, 0)
    assert scheme.newly_unmapped(folio) == 0
    world.unmap(1, folio, 0, 0, 256)
    assert scheme.newly_unmapped(folio) == 0
    world.unmap_pmd(2, 0)
    assert (scheme.newly_unmapped(folio), partially_mapped(scheme, folio, 9, pmd=True)) == (256, True)


def test_one_of_two_pmd_entries_unmaps_nothing() -> None:
    """Every page is still mapped by the other."""
    world, scheme, folio = world_of(9, 1)
    world.map_pmd(1, folio, 0)
    world.fork(1, 2)
    world.unmap_pmd(1, 0)
    assert scheme.newly_unmapped(folio) == 0


def test_the_last_unmapping_leaves_nothing_partial() -> None:
    """A folio that is wholly unmapped, by PTEs or by its PMD entry, is not partially mapped."""
    world, scheme, folio = world_of(9, 1)
    world.map_pmd(1, folio, 0)
    world.unmap_pmd(1, 0)
    assert (scheme.newly_unmapped(folio), partially_mapped(scheme, folio, 9, pmd=True)) == (512, False)
    world.map(1, folio, 0, 3, 5)
    world.unmap(1, folio, 0, 3, 5)
    assert (scheme.newly_unmapped(folio), partially_mapped(scheme, folio, 9)) == (5, False)


def test_the_number_is_taken_apart_by_owner() -> None:
    """Slots come first, then what no slot counts, then the bit, which adds nothing."""
    world, scheme, folio = world_of(4, 1, 2, 3)
    for mm, nr in ((1, 4), (2, 3), (3, 2)):
        world.map(mm, folio, 0, 0, nr)
    assert scheme.why(folio) == [
        Part("slot 0", 4, mm=1),
        Part("slot 1", 3, mm=2),
        Part("in no slot", 2),
        Part("SHARED set", 0),
    ]


def test_a_pmd_entry_that_is_not_there_cannot_go() -> None:
    """Counting below 0 is a bug of the path that announced it."""
    world, _, folio = world_of(9, 1)
    world.pmds[1, 0] = folio
    with pytest.raises(KernelBug, match="has none"):
        world.unmap_pmd(1, 0)


def test_as_first_posted_slots_change_while_one_mm_has_all_entries() -> None:
    """An mm that leaves keeps its slot while two others share the folio: they stay without one."""
    scheme = MmIdV1()
    world = World([scheme])
    folio = world.folio(4)
    for mm in (1, 2, 3):
        world.vma(mm, 0, 16)
        world.map(mm, folio, 0, 0, 4)
    assert scheme.slots(folio) == ((1, 4), (2, 4), True)
    world.exit(1)
    assert scheme.slots(folio) == ((1, 0), (2, 4), True)
    world.exit(3)
    assert scheme.slots(folio) == ((0, 0), (2, 4), False)
    assert scheme.shared(folio, 2) is Sharing.NO


def test_as_first_posted_a_slot_counts_all_entries_of_its_mm() -> None:
    """So the folio is exclusive exactly if one of the two has all entries."""
    for history in seeded_histories(120):
        scheme = MmIdV1()
        player = Player(history, [scheme])
        for step in history.steps:
            player.play(step)
            by_mm = Counter(mm for mm, *_ in player.world.found(player.large))
            *slots, shared = scheme.slots(player.large)
            assert all(count == by_mm[mm] for mm, count in slots if mm)
            assert shared is not any(count == by_mm.total() for _, count in slots)


def test_the_rfc_of_2026_keeps_pages_and_guesses_what_is_partial() -> None:
    """Two processes map the same half: as many entries as pages."""
    scheme = RfcWithoutPagesMapped()
    world = World([scheme])
    folio = world.folio(4)
    for mm in (1, 2):
        world.vma(mm, 0, 16)
        world.map(mm, folio, 0, 0, 8)
    assert [scheme.page_mapcount(folio, page) for page in (0, 8)] == [2, 0]
    assert scheme.partially_mapped(folio) is Answer.NO
    world.exit(2)
    assert scheme.partially_mapped(folio) is Answer.YES
    assert [scheme.bytes_of_state(order) for order in (0, 4, 9)] == [4, 88, 2072]
