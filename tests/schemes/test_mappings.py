"""average and total-pages: owners without a counter a page."""

from __future__ import annotations

import pytest
from hypothesis import given

from folioshell.contract.histories import RandomHistory
from folioshell.contract.player import Player
from folioshell.contract.world import World
from folioshell.errors import KernelBug
from folioshell.schemes.average import Average, RfcWithoutPageMapcounts
from folioshell.schemes.base import Answer, Part
from folioshell.schemes.mm_id import MmId
from folioshell.schemes.mm_slots import share_mappings
from folioshell.schemes.total_pages import TotalPages
from tests.contract.strategies import histories


def world_of(order: int, *mms: int) -> tuple[World, Average, TotalPages, int]:
    """A world with one folio and a VMA over it at 0 for each mm."""
    average, total = Average(), TotalPages()
    world = World([average, total])
    folio = world.folio(order)
    for mm in mms:
        world.vma(mm, 0, 1 << order)
    return world, average, total, folio


@given(history=histories())
def test_they_answer_as_mm_id_and_never_say_partial_wrongly(history: RandomHistory) -> None:
    """Slots and answers are the same; partially mapped is said only if it is so."""
    average, total, mm_id = Average(), TotalPages(), MmId()
    player = Player(history, [average, total, mm_id])
    folio = player.large
    for step in history.steps:
        player.play(step)
        pages = player.world.page_entries(folio)
        partial = 0 < sum(map(bool, pages)) < player.nr_pages
        for scheme in (average, total):
            assert scheme.slots(folio) == mm_id.slots(folio)
            assert scheme.shared(folio, 1) == mm_id.shared(folio, 1)
            assert scheme.partially_mapped(folio) is Answer.NO or partial
        assert total.total_mapped_pages(folio) == sum(pages)


@pytest.mark.parametrize(("entries", "page"), [(1, 1), (767, 1), (768, 2), (1279, 2), (1280, 3)])
def test_averages_are_rounded(entries: int, page: int) -> None:
    """At order 9 they change at 768 and 1280, where both formulas agree."""
    world, average, total, folio = world_of(9, 1, 2, 3)
    for mm in (1, 2, 3):
        nr = min(512, entries - 512 * (mm - 1))
        if nr > 0:
            world.map(mm, folio, 0, 0, nr)
    assert average.mapcount(folio) == total.mapcount(folio) == entries
    assert average.page_mapcount(folio, 511) == total.page_mapcount(folio, 511) == page
    assert average.mapcount(folio, 511) == total.mapcount(folio, 511) == page


def test_a_page_of_a_mapped_folio_is_never_mapped_0_times() -> None:
    """One page of 512 rounds to 0, which would say that nothing is mapped."""
    world, average, total, folio = world_of(9, 1)
    assert (average.page_mapcount(folio, 0), total.page_mapcount(folio, 0)) == (0, 0)
    world.map(1, folio, 0, 7, 1)
    assert (average.page_mapcount(folio, 0), total.page_mapcount(folio, 0)) == (1, 1)
    world.unmap(1, folio, 0, 7, 1)
    assert (average.page_mapcount(folio, 0), total.page_mapcount(folio, 0)) == (0, 0)


def test_pmd_entries_count_whole() -> None:
    """Each is one mapping and 512 pages; without PTEs the average is their number."""
    world, average, total, folio = world_of(9, 1)
    world.map_pmd(1, folio, 0)
    world.fork(1, 2)
    assert (average.mapcount(folio), total.total_mapped_pages(folio)) == (2, 1024)
    assert (average.page_mapcount(folio, 0), total.page_mapcount(folio, 0)) == (2, 2)


def test_one_pmd_entry_shows_in_the_difference_of_both_numbers() -> None:
    """512 - 1 pages more than entries: how the first PMD entry is recognised without a counter of its own."""
    world, _, total, folio = world_of(9, 1, 2)
    world.map(2, folio, 0, 0, 4)
    assert total.total_mapped_pages(folio) - total.mapcount(folio) == 0
    world.map_pmd(1, folio, 0)
    assert total.total_mapped_pages(folio) - total.mapcount(folio) == 511


def test_partial_mapping_is_missed_when_two_share_a_half() -> None:
    """As many entries as pages look like all pages once."""
    world, average, total, folio = world_of(4, 1, 2)
    world.map(1, folio, 0, 0, 8)
    assert (average.partially_mapped(folio), total.partially_mapped(folio)) == (Answer.YES, Answer.YES)
    world.map(2, folio, 0, 0, 8)
    assert (average.partially_mapped(folio), total.partially_mapped(folio)) == (Answer.NO, Answer.NO)


def test_order_0_folios_have_their_entries() -> None:
    """There is no average of one page."""
    world, average, total, folio = world_of(0, 1, 2)
    for mm in (1, 2):
        world.map(mm, folio, 0)
    assert (average.mapcount(folio, 0), total.mapcount(folio, 0)) == (2, 2)
    assert average.slots(folio) == ((0, 0), (0, 0), False)


def test_numbers_are_taken_apart_by_owner() -> None:
    """The average, and the pages of all entries, stand behind the slots."""
    world, average, total, folio = world_of(2, 1)
    world.map(1, folio, 0)
    slots = [Part("slot 0", 4, mm=1), Part("SHARED clear", 0)]
    assert average.why(folio) == [*slots, Part("average of a page: 1", 0)]
    assert total.why(folio) == [*slots, Part("pages mapped by all entries: 4", 0)]


def test_entries_that_are_not_there_cannot_go() -> None:
    """Counting below 0 is a bug of the path that announced it, and changes nothing."""
    world, average, _, folio = world_of(9, 1)
    world.map(1, folio, 0, 0, 4)
    world.pmds[1, 0] = folio
    with pytest.raises(KernelBug, match="f1 has 4 entries, 0 of them PMD entries"):
        world.unmap_pmd(1, 0)
    assert average.mapcount(folio) == 4


def test_mappings_are_counted_once_for_all() -> None:
    """Schemes that count them alike read the record of the first one."""
    average, total, middle = Average(), TotalPages(), RfcWithoutPageMapcounts()
    assert list(share_mappings([average, MmId(), total, middle])) == [total, middle]
    world = World([average])
    folio = world.folio(4)
    for mm in (1, 2):
        world.vma(mm, 0, 16)
        world.map(mm, folio, 0, 0, 9)

    assert {scheme.mapcount(folio) for scheme in (average, total, middle)} == {18}
    assert total.slots(folio) == middle.slots(folio) == ((1, 9), (2, 9), True)
    assert middle.why(folio) == average.why(folio)
