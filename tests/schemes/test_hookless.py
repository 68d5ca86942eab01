"""tuples-naive, tuples-hookless and vmas-hookless: where rmap calls alone miscount, and where they do not."""

from __future__ import annotations

from hypothesis import given

from folioshell.contract.histories import HistoryStep, RandomHistory
from folioshell.contract.player import Player
from folioshell.contract.world import World, single, whole
from folioshell.schemes.base import Part, Sharing
from folioshell.schemes.hookless import TuplesHookless, TuplesNaive, VmasHookless
from folioshell.schemes.tuples import Tuples
from folioshell.schemes.vmas import Vmas
from tests.contract.strategies import histories

UNSEEN = {"split", "merge", "shift", "punch", "fill", "move", "move-pmd"}


def world_of() -> tuple[World, TuplesHookless, VmasHookless, int]:
    """An order-4 folio that mm 1 maps in one table and one VMA."""
    tuples, vmas = TuplesHookless(), VmasHookless()
    world = World([tuples, vmas])
    folio = world.folio(4)
    world.vma(1, 0, 64)
    world.map(1, folio, 0)
    return world, tuples, vmas, folio


@given(history=histories())
def test_without_splits_merges_and_moves_they_are_exact(history: RandomHistory) -> None:
    """Hooks are all that the exact definitions have more."""
    tuples, vmas, exact = TuplesHookless(), VmasHookless(), [Tuples(), Vmas()]
    player = Player(history, [tuples, vmas, *exact])
    for step in history.steps:
        if step.kind in UNSEEN:
            continue
        player.play(step)
        for folio in (player.large, player.small):
            assert [tuples.mapcount(folio), vmas.mapcount(folio)] == [one.mapcount(folio) for one in exact]
            assert tuples.miscount(folio) == vmas.miscount(folio) == 0


@given(history=histories(mms=2))
def test_the_drift_is_what_is_missing_to_the_exact_number(history: RandomHistory) -> None:
    """In every state, whatever happened."""
    tuples, vmas = TuplesHookless(), VmasHookless()
    player = Player(history, [tuples, vmas])
    for step in history.steps:
        player.play(step)
        truth = player.world.truth(player.large)
        assert tuples.mapcount(player.large) - tuples.miscount(player.large) == truth.tuples
        assert vmas.mapcount(player.large) - vmas.miscount(player.large) == truth.vmas


def test_a_split_makes_the_number_too_small_and_then_negative() -> None:
    """Example 5: 1 for two VMAs; each half that goes counts 1 down."""
    world, tuples, vmas, folio = world_of()
    world.split(1, 8)
    assert (tuples.mapcount(folio), vmas.mapcount(folio)) == (1, 1)
    world.unmap(1, folio, 0, 0, 8)
    assert (tuples.mapcount(folio), vmas.mapcount(folio), vmas.mapped(folio)) == (0, 0, False)
    world.unmap(1, folio, 0, 8, 8)
    assert (tuples.mapcount(folio), vmas.mapcount(folio)) == (-1, -1)
    assert vmas.why(folio) == [Part("miscount", -1)]


def test_a_merge_leaves_a_count_behind() -> None:
    """Two VMAs that were counted become one that counts down once: 1 with nothing mapped."""
    world, _, vmas, folio = world_of()
    world.unmap(1, folio, 0)
    world.split(1, 8)
    world.map(1, folio, 0)
    assert vmas.mapcount(folio) == 2
    world.merge(1, 8)
    world.unmap(1, folio, 0)
    assert (vmas.mapcount(folio), vmas.mapped(folio), world.truth(folio).entries) == (1, True, 0)


def test_a_move_takes_entries_to_a_table_where_none_was_counted() -> None:
    """Example 18: 1 for two tuples and two VMAs."""
    world, tuples, vmas, folio = world_of()
    world.vma(1, 1032, 1040)
    world.move(1, folio, 0, 1024, 8, 8)
    assert (tuples.mapcount(folio), vmas.mapcount(folio)) == (1, 1)
    assert (tuples.miscount(folio), vmas.miscount(folio)) == (-1, -1)
    assert vmas.why(folio) == [
        Part("VMA", 1, mm=1, first=0, nr=8, vpn=0),
        Part("VMA", 1, mm=1, first=8, nr=8, vpn=1032),
        Part("miscount", -1),
    ]


def test_two_processes_may_look_like_one_after_a_split() -> None:
    """A half that goes counts down what was counted for both halves."""
    world, tuples, vmas, folio = world_of()
    world.fork(1, 2)
    world.split(1, 8)
    world.unmap(1, folio, 0, 0, 8)
    assert world.truth(folio).mms == 2
    assert (tuples.shared(folio, 2), vmas.shared(folio, 2)) == (Sharing.NO, Sharing.NO)


def test_tuples_answer_as_with_hooks() -> None:
    """2 is undecided, more is shared."""
    world, tuples, _, folio = world_of()
    world.fork(1, 2)
    assert tuples.shared(folio, 1) is Sharing.MAYBE
    world.fork(1, 3)
    assert tuples.shared(folio, 1) is Sharing.YES


def test_a_pmd_split_is_seen() -> None:
    """It is made of rmap calls: the tuple is another one, the VMA the same."""
    tuples, vmas = TuplesHookless(), VmasHookless()
    player = Player(RandomHistory(3, 0, ()), [tuples, vmas])
    for kind in ("map-pmd", "split-pmd"):
        assert player.play(HistoryStep(kind, 1, 0, 0, 1)) == kind
        assert (tuples.mapcount(player.large), vmas.mapcount(player.large)) == (1, 1)
        assert tuples.miscount(player.large) == 0


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
