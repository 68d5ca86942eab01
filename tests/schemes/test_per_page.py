"""per-page: entries of every page and of the folio."""

from __future__ import annotations

import pytest

from folioshell.contract.world import World
from folioshell.schemes.base import Part, Sharing
from folioshell.schemes.per_page import PerPage


def test_a_pmd_entry_counts_for_every_page_and_once_for_the_folio() -> None:
    """Splitting it makes 512 entries of one, and no page notices."""
    scheme = PerPage()
    world = World([scheme])
    folio = world.folio(9)
    world.vma(1, 0, 512)
    world.map_pmd(1, folio, 0)
    assert (scheme.mapcount(folio), scheme.mapcount(folio, 511), scheme.shared(folio, 1)) == (1, 1, Sharing.NO)
    assert scheme.why(folio) == [Part("PMD entries", 1, nr=512)]
    world.split_pmd(1, 0)
    assert (scheme.mapcount(folio), scheme.mapcount(folio, 511), scheme.shared(folio, 1)) == (512, 1, Sharing.YES)


def test_a_folio_without_entries_does_not_look_exclusive() -> None:
    """The test is "not exactly one", as madvise asked of folios that it found mapped."""
    assert PerPage().shared(1, 1) is Sharing.YES


def test_the_number_is_taken_apart_by_pages_mapped_equally_often() -> None:
    """One row a run of pages; pages without entries have none."""
    scheme = PerPage()
    world = World([scheme])
    folio = world.folio(3)
    for mm in (1, 2):
        world.vma(mm, 0, 8)
    world.map(1, folio, 0, 1, 5)
    world.map(2, folio, 0, 3, 2)
    assert scheme.why(folio) == [
        Part("PTEs", 2, first=1, nr=2),
        Part("PTEs", 4, first=3, nr=2),
        Part("PTEs", 1, first=5, nr=1),
    ]


def test_a_page_beyond_the_folio_has_no_number() -> None:
    """Asking a mapped large folio for a page that it does not have is an IndexError."""
    scheme = PerPage()
    world = World([scheme])
    folio = world.folio(3)
    world.vma(1, 0, 8)
    world.map(1, folio, 0)
    with pytest.raises(IndexError):
        scheme.mapcount(folio, 8)


def test_state_grows_with_the_pages() -> None:
    """Four bytes a page, and eight for a large folio."""
    assert [PerPage().bytes_of_state(order) for order in (0, 4, 9)] == [4, 72, 2056]
