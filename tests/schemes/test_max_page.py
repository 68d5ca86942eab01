"""The page that is mapped most often."""

from __future__ import annotations

from folioshell.contract.histories import seeded_histories
from folioshell.contract.player import Player
from folioshell.contract.world import World
from folioshell.schemes.base import Part, Sharing
from folioshell.schemes.max_page import MaxPage


def test_it_is_the_most_entries_of_any_page() -> None:
    """In every state, with PMD entries and without."""
    for history in seeded_histories(120):
        scheme = MaxPage()
        player = Player(history, [scheme])
        for step in history.steps:
            player.play(step)
            pages = player.world.page_entries(player.large)
            assert scheme.mapcount(player.large) == max(pages)
            assert [scheme.mapcount(player.large, page) for page in range(player.nr_pages)] == pages


def test_processes_that_map_different_pages_look_exclusive() -> None:
    """8: each maps half of the folio; 7a: both map all of it."""
    scheme = MaxPage()
    world = World([scheme])
    folio = world.folio(4)
    for mm, first in ((1, 0), (2, 8)):
        world.vma(mm, 0, 16)
        world.map(mm, folio, 0, first, 8)
    assert (scheme.mapcount(folio), scheme.shared(folio, 1)) == (1, Sharing.NO)
    world.map(1, folio, 0, 8, 8)
    assert (scheme.mapcount(folio), scheme.shared(folio, 1)) == (2, Sharing.YES)
    assert scheme.why(folio) == [Part("PTEs", 2, first=8, nr=1)]


def test_it_keeps_nothing() -> None:
    """It reads what other schemes count of each page."""
    assert [MaxPage().bytes_of_state(order) for order in (0, 4, 9)] == [0, 0, 0]
