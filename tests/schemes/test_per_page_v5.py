"""per-page-v5: the counters as they are stored, and what is made of them."""

from __future__ import annotations

import pytest
from hypothesis import given

from folioshell.contract.histories import RandomHistory
from folioshell.contract.player import Player
from folioshell.contract.world import World
from folioshell.errors import KernelBug
from folioshell.schemes.base import Answer, Part, Sharing
from folioshell.schemes.cost import Cost
from folioshell.schemes.mm_id import MmId
from folioshell.schemes.per_page_v5 import PerPageV5
from tests.contract.strategies import histories
from tests.schemes.costs import mapped, pmd_mapped


def thp(*mms: int, anon: bool = True) -> tuple[World, PerPageV5, int]:
    """An order-9 folio that the first mm maps by a PMD entry; every other is its child."""
    scheme = PerPageV5()
    world = World([scheme])
    folio = world.folio(9, anon)
    world.vma(mms[0], 0, 512)
    world.map_pmd(mms[0], folio, 0)
    for child in mms[1:]:
        world.fork(mms[0], child)
    return world, scheme, folio


@given(history=histories())
def test_every_stored_counter_is_what_its_rules_say(history: RandomHistory) -> None:
    """PTEs, PMD entries in file memory, one more under PageDoubleMap, which is set only while a PMD entry is left."""
    scheme = PerPageV5()
    player = Player(history, [scheme])
    folio = player.large
    for step in history.steps:
        player.play(step)
        pmds = sum(other == folio for other in player.world.pmds.values())
        ptes = [0] * player.nr_pages
        for other, page in player.world.ptes.values():
            ptes[page] += other == folio
        for page, count in enumerate(ptes):
            stored, compound, double_map = scheme.stored(folio, page)
            assert compound == pmds
            assert stored == count + (int(double_map) if history.anon else pmds)
            assert compound or not double_map or not history.anon


def test_the_first_split_of_two_pmd_entries_sets_the_flag_and_the_last_entry_clears_it() -> None:
    """Every page is counted once more in between, so that it does not look unmapped."""
    world, scheme, folio = thp(1, 2, 3)
    assert scheme.stored(folio, 0) == (0, 3, False)
    world.split_pmd(1, 0)
    assert scheme.stored(folio, 0) == (2, 2, True)
    world.split_pmd(2, 0)
    assert scheme.stored(folio, 0) == (3, 1, True)
    assert scheme.why(folio) == [
        Part("PMD entries", 1, nr=512),
        Part("PTEs", 1024, first=0, nr=512),
        Part("DoubleMap set", 0),
    ]
    world.unmap_pmd(3, 0)
    assert scheme.stored(folio, 0) == (2, 0, False)


def test_the_split_of_the_only_pmd_entry_sets_no_flag() -> None:
    """Nothing is left that the flag would tell apart."""
    world, scheme, folio = thp(1)
    world.split_pmd(1, 0)
    assert scheme.stored(folio, 0) == (1, 0, False)
    assert not scheme.deferred(folio)


def test_a_zap_right_after_a_mapping_elsewhere_is_no_split() -> None:
    """Only PTEs at the place of the PMD entry are what it was split into."""
    world, scheme, folio = thp(1, 2)
    world.vma(3, 512, 1024)
    world.map(3, folio, 512)
    world.unmap_pmd(1, 0)
    assert scheme.stored(folio, 0) == (1, 1, False)


def test_ptes_of_file_memory_set_the_flag_and_pmd_entries_count_in_every_page() -> None:
    """The flag is no offset there."""
    world, scheme, folio = thp(1, 2, anon=False)
    assert scheme.stored(folio, 7) == (2, 2, False)
    world.vma(3, 512, 1024)
    world.map(3, folio, 512, 7, 1)
    assert scheme.stored(folio, 7) == (3, 2, True)
    assert (scheme.mapcount(folio), scheme.page_mapcount(folio, 7), scheme.page_mapcount(folio, 8)) == (3, 3, 2)


def test_a_folio_is_queued_for_splitting_even_if_nothing_of_it_stays_mapped() -> None:
    """An unmapped page is enough in v6.1; later kernels want a page that is mapped, too."""
    old, new = PerPageV5(), MmId()
    world = World([old, new])
    folio = world.folio(4)
    world.vma(1, 0, 16)
    world.map(1, folio, 0)
    world.unmap(1, folio, 0)
    assert old.deferred(folio)
    assert new.newly_unmapped(folio) == 16
    assert new.pages_mapped(folio) == 0
    assert old.partially_mapped(folio) is Answer.NO


def test_a_file_folio_is_never_queued_for_splitting() -> None:
    """Only anonymous memory is."""
    scheme = PerPageV5()
    world = World([scheme])
    folio = world.folio(4, anon=False)
    world.vma(1, 0, 16)
    world.map(1, folio, 0)
    world.unmap(1, folio, 0, 0, 4)
    assert not scheme.deferred(folio)
    assert scheme.partially_mapped(folio) is Answer.YES


@pytest.mark.parametrize(("kept", "queued"), [(0, False), (100, True), (512, False)])
def test_the_last_pmd_entry_queues_the_folio_if_some_pages_have_ptes_and_others_not(kept: int, queued: bool) -> None:
    """All pages or none are no reason."""
    world, scheme, folio = thp(1, 2)
    world.split_pmd(1, 0)
    if kept < 512:
        world.unmap(1, folio, 0, kept, 512 - kept)
    assert not scheme.deferred(folio)
    world.unmap_pmd(2, 0)
    assert scheme.deferred(folio) == queued


def test_the_page_that_is_asked_about_decides() -> None:
    """Without one it is page 0, shared with nobody here."""
    scheme = PerPageV5()
    world = World([scheme])
    folio = world.folio(4)
    for mm in (1, 2):
        world.vma(mm, 0, 16)
    world.map(1, folio, 0)
    world.map(2, folio, 0, 8, 8)
    assert scheme.shared(folio, 1) is Sharing.NO
    assert [scheme.page_shared(folio, page, 1) for page in (0, 8)] == [Sharing.NO, Sharing.YES]


def test_a_pmd_entry_that_is_not_there_cannot_go() -> None:
    """Counting below 0 is a bug of the path that announced it."""
    world, _, folio = thp(1)
    world.pmds[1, 512] = folio
    world.vma(1, 512, 1024)
    world.unmap_pmd(1, 0)
    with pytest.raises(KernelBug, match="has none"):
        world.unmap_pmd(1, 512)


def test_state_grows_with_the_pages() -> None:
    """Four bytes a page, and four for a large folio."""
    assert [PerPageV5().bytes_of_state(order) for order in (0, 4, 9)] == [4, 68, 2052]


def test_a_pmd_entry_of_file_memory_costs_513_atomics() -> None:
    """One in every page, and compound_mapcount; of anonymous memory only that."""
    assert PerPageV5.cost_of(pmd_mapped(anon=False)) == Cost(atomics=513, lines=512)
    assert PerPageV5.cost_of(pmd_mapped(anon=True)) == Cost(atomics=1, lines=1)
    assert PerPageV5.cost_of(mapped(4, first=4, nr=8)) == Cost(atomics=8, lines=9)
