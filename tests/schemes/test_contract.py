"""Every registered scheme keeps the laws that it declares, and breaks those that it does not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from folioshell import facts
from folioshell.schemes import all_schemes
from folioshell.schemes.base import Law, Scheme
from tests.schemes.histories import History, Player, histories, seeded_histories
from tests.schemes.laws import CHECKS

SCHEMES = all_schemes()
KEPT = [
    pytest.param(kind, law, id=f"{name}-{law}") for name, kind in SCHEMES.items() for law in Law if law in kind.laws
]
BROKEN = [
    pytest.param(kind, law, id=f"{name}-{law}") for name, kind in SCHEMES.items() for law in Law if law not in kind.laws
]
EVERY = pytest.mark.parametrize("kind", SCHEMES.values(), ids=SCHEMES.keys())


def test_every_law_can_be_checked() -> None:
    """There is a check for each law."""
    assert set(CHECKS) == set(Law)


@pytest.mark.parametrize(("kind", "law"), KEPT)
def test_a_declared_law_is_kept(kind: type[Scheme], law: Law) -> None:
    """No random history breaks a law that the scheme declares."""

    @settings(max_examples=60, derandomize=True, deadline=None, database=None)
    @given(histories())
    def check(history: History) -> None:
        assert CHECKS[law](kind, history) is None

    check()


@pytest.mark.parametrize(("kind", "law"), BROKEN)
def test_an_undeclared_law_is_broken(kind: type[Scheme], law: Law) -> None:
    """Some history breaks each law that the scheme does not declare: it could not declare more."""
    assert any(CHECKS[law](kind, history) for history in seeded_histories(2000))


@EVERY
def test_the_parts_of_a_number_add_up_to_it(kind: type[Scheme]) -> None:
    """why() takes every number apart without a rest, whatever the history."""

    @settings(max_examples=60, derandomize=True, deadline=None, database=None)
    @given(histories())
    def check(history: History) -> None:
        scheme = kind()
        player = Player(history, [scheme])
        for step in history.steps:
            player.play(step)
            for folio in (player.large, player.small):
                assert sum(part.amount for part in scheme.why(folio)) == scheme.mapcount(folio)

    check()


@EVERY
def test_a_freed_folio_leaves_no_state(kind: type[Scheme]) -> None:
    """After FolioFreed a scheme keeps nothing, even of folios that were mapped."""
    for history in seeded_histories(20):
        scheme = kind()
        player = Player(history, [scheme])
        for step in history.steps:
            player.play(step)
        for folio in (player.large, player.small):
            player.world.free(folio)
        assert not any(vars(scheme).values())


@EVERY
def test_a_folio_that_nothing_was_said_of_is_not_mapped(kind: type[Scheme]) -> None:
    """An unknown folio has number 0 and no parts."""
    scheme = kind()
    scheme.on_folio_new(facts.FolioNew(7, 4, anon=True))
    assert (scheme.mapcount(7), scheme.mapped(7), scheme.why(7)) == (0, False, [])


@EVERY
def test_a_scheme_describes_itself(kind: type[Scheme]) -> None:
    """Name, version, two lines about it, its state and its bytes are there; more pages never need fewer bytes."""
    assert kind.name
    assert kind.version
    assert kind.state
    assert len(kind.about) == 2
    assert all(line.endswith(".") and len(line) <= 120 for line in kind.about)
    sizes = [kind().bytes_of_state(order) for order in range(12)]
    assert sizes == sorted(sizes)
    assert sizes[0] > 0


@EVERY
def test_answers_hold_for_runs_of_small_folios(kind: type[Scheme]) -> None:
    """One MappedSmall of many folios counts as one of each would."""
    together, apart = kind(), kind()
    together.on_mapped_small(facts.MappedSmall(range(1, 9), True, 1, 1, 1, 100, "test"))
    together.on_mapped_small(facts.MappedSmall([2, 5], True, 2, 2, 2, 100, "test"))
    together.on_unmapped_small(facts.UnmappedSmall([2, 3], True, 1, 1, 1, 101, "test"))
    for folio in range(1, 9):
        apart.on_mapped_small(facts.MappedSmall([folio], True, 1, 1, 1, 99 + folio, "test"))
    apart.on_mapped_small(facts.MappedSmall([2], True, 2, 2, 2, 100, "test"))
    apart.on_mapped_small(facts.MappedSmall([5], True, 2, 2, 2, 101, "test"))
    apart.on_unmapped_small(facts.UnmappedSmall([2], True, 1, 1, 1, 101, "test"))
    apart.on_unmapped_small(facts.UnmappedSmall([3], True, 1, 1, 1, 102, "test"))
    numbers = [together.mapcount(folio) for folio in range(1, 9)]
    assert numbers == [apart.mapcount(folio) for folio in range(1, 9)] == [1, 1, 0, 1, 2, 1, 1, 1]
