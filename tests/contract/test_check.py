"""The check of a definition that somebody wrote."""

from __future__ import annotations

import pytest

from folioshell import events
from folioshell.contract import Verdict, check_scheme
from folioshell.contract.check import breach, told
from folioshell.contract.histories import History, Step
from folioshell.contract.laws import CHECKS
from folioshell.contract.requirements import Duty
from folioshell.schemes.base import Law
from tests.contract.definitions import Constant, Oracle


@pytest.fixture(scope="module", name="verdicts")
def _verdicts() -> dict[str, Verdict]:
    return {verdict.law: verdict for verdict in check_scheme(Constant, tried=100)}


def test_every_duty_and_every_law_has_a_verdict(verdicts: dict[str, Verdict]) -> None:
    """In a fixed order, duties first."""
    assert list(verdicts) == [*Duty, *Law]
    assert all(verdicts[duty].declared for duty in Duty)


def test_a_kept_law_has_no_history(verdicts: dict[str, Verdict]) -> None:
    """Nothing broke it."""
    assert verdicts["decides"] == Verdict("decides", declared=True)
    assert verdicts["decides"].kept
    assert verdicts["decides"].honest


def test_a_broken_law_has_the_shortest_history(verdicts: dict[str, Verdict]) -> None:
    """A page and a fork are the least that can be denied."""
    verdict = verdicts["never-false-no"]
    assert (verdict.kept, verdict.declared, verdict.honest) == (False, False, True)
    assert verdict.breach == "no, but 2 mms"
    assert verdict.history == (
        "order-2 anonymous folio, page 0 at page 72 or 136; page tables of 8 entries",
        "mm 1 maps page 0 at 72",
        "mm 1 forks mm 2",
    )
    assert len(verdicts["mapped-iff-positive"].history) == 2


def test_a_law_that_is_kept_but_not_declared_is_not_honest(verdicts: dict[str, Verdict]) -> None:
    """A definition that counts nothing of large folios could say that no split changes its number."""
    assert verdicts["ignores-pmd-split"].kept
    assert not verdicts["ignores-pmd-split"].honest


def test_the_check_is_repeatable(verdicts: dict[str, Verdict]) -> None:
    """The same definition gets the same verdicts."""
    assert check_scheme(Constant, tried=100) == list(verdicts.values())


def test_who_knows_everything_keeps_every_law_that_it_declares() -> None:
    """No law, and no duty, asks for what cannot be done; only what is declared is kept."""
    assert [verdict for verdict in check_scheme(Oracle, tried=120) if not verdict.honest] == []


def test_an_exception_is_a_breach() -> None:
    """What a definition raises is told, not passed on."""

    class Careless(Constant, register=False):
        def count_large(self, event: events.Rmap) -> None:
            if event.level is events.Level.PMD:
                raise LookupError("what is a PMD?")

    history = History(3, 0, (Step("map-pmd", 1, 0, 0, 1),))
    assert breach(Careless, CHECKS[Law.DECIDES], history) == "raises LookupError: what is a PMD?"
    (verdict,) = (verdict for verdict in check_scheme(Careless, tried=100) if verdict.law == "decides")
    assert verdict.history[1:] == ("mm 1 maps the folio by a PMD entry at 72",)


def test_a_history_is_told_step_by_step() -> None:
    """Steps that were not possible are left out."""
    steps = (
        Step("unmap", 1, 0, 0, 1),
        Step("map", 1, 0, 2, 5),
        Step("split", 1, 0, 4, 1),
        Step("unmap", 1, 0, 0, 1),
        Step("fork", 1, 0, 0, 1),
        Step("exit", 1, 0, 0, 1),
        Step("walk", 1, 0, 0, 1),
    )
    assert told(History(4, 3, steps, anon=False)) == [
        "order-4 file folio, page 0 at page 75 or 139; page tables of 8 entries",
        "mm 1 maps pages 2..6 at 77",
        "mm 1 splits the VMA at 79",
        "mm 1 unmaps page 2 at 77",
        "mm 1 forks mm 2",
        "mm 1 exits",
        "the reverse maps of both folios are walked",
    ]
