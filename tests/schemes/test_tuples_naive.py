"""tuples-naive: where counting calls goes wrong."""

from __future__ import annotations

from folioshell.contract.world import World, single, whole
from folioshell.schemes.base import Part, Sharing
from folioshell.schemes.tuples import Tuples
from folioshell.schemes.tuples_naive import TuplesNaive


def test_calls_that_do_not_come_in_pairs_drift() -> None:
    """Example 21: two calls map one tuple; unmapped at once it ends at 0, page by page at -6."""
    naive, exact = TuplesNaive(), Tuples()
    world = World([naive, exact])
    numbers = []
    for chunks in (whole, single):
        folio = world.folio(4)
        world.vma(folio, 0, 16)
        world.chunks = whole
        world.map(folio, folio, 0, 0, 4)
        world.map(folio, folio, 0, 4, 4)
        assert (exact.mapcount(folio), naive.mapcount(folio)) == (1, 2)
        assert (exact.shared(folio, folio), naive.shared(folio, folio)) == (Sharing.NO, Sharing.MAYBE)
        world.chunks = chunks
        world.unmap(folio, folio, 0, 0, 2)
        if chunks is whole:
            assert (exact.mapcount(folio), naive.mapcount(folio)) == (1, 1)
        world.unmap(folio, folio, 0, 2, 6)
        assert (exact.mapcount(folio), world.truth(folio).pages) == (0, 0)
        numbers.append(naive.mapcount(folio))
    assert numbers == [0, -6]


def test_a_number_below_0_reads_as_not_mapped_and_not_shared() -> None:
    """After the miscount a mapped folio may look unmapped."""
    naive = TuplesNaive()
    world = World([naive])
    folio = world.folio(4)
    for mm in (1, 2):
        world.vma(mm, 0, 16)
    world.map(1, folio, 0)
    world.map(2, folio, 0)
    world.chunks = single
    world.unmap(1, folio, 0, 0, 4)
    assert (naive.mapcount(folio), naive.mapped(folio), naive.shared(folio, 1)) == (-2, False, Sharing.NO)
    assert naive.why(folio) == [Part("calls that mapped", 2), Part("calls that unmapped", -4)]


def test_many_calls_are_shared() -> None:
    """Three calls of one process are more than two."""
    naive = TuplesNaive()
    world = World([naive], chunks=single)
    folio = world.folio(4)
    world.vma(1, 0, 16)
    world.map(1, folio, 0, 0, 3)
    assert naive.shared(folio, 1) is Sharing.YES
