"""The check of a scheme, and the shrinking of the histories that it finds."""

from __future__ import annotations

import pytest

from folioshell import events
from folioshell.contract import CheckResult, check_scheme
from folioshell.contract.check import breach, shrunk, told
from folioshell.contract.histories import MMS, HistoryStep, RandomHistory, SearchBounds, seeded_histories
from folioshell.contract.laws import CHECKS, Requirement
from folioshell.schemes.base import Law
from tests.contract.schemes import Constant, Oracle


@pytest.fixture(scope="module", name="verdicts")
def _verdicts() -> dict[str, CheckResult]:
    return {verdict.law: verdict for verdict in check_scheme(Constant, SearchBounds(histories=100))}


def test_every_requirement_and_every_law_has_a_verdict(verdicts: dict[str, CheckResult]) -> None:
    """In a fixed order, requirements first."""
    assert list(verdicts) == [*Requirement, *Law]
    assert all(verdicts[required].declared for required in Requirement)


def test_a_kept_law_has_no_history(verdicts: dict[str, CheckResult]) -> None:
    """Nothing broke it."""
    assert verdicts["decides"] == CheckResult("decides", declared=True)
    assert verdicts["decides"].kept
    assert verdicts["decides"].honest


def test_a_broken_law_has_the_shortest_history(verdicts: dict[str, CheckResult]) -> None:
    """A page and a fork are the least that can be denied."""
    verdict = verdicts["never-false-negative"]
    assert (verdict.kept, verdict.declared, verdict.honest) == (False, False, True)
    assert verdict.breach == "no, but 2 mms"
    assert verdict.history == (
        "order-2 anonymous folio, page 0 at page 72 or 136; page tables of 8 entries",
        "mm 1 maps page 0 at 72",
        "mm 1 forks mm 2",
    )
    assert len(verdicts["mapped-iff-positive"].history) == 2


def test_a_law_that_is_kept_but_not_declared_is_not_honest(verdicts: dict[str, CheckResult]) -> None:
    """A definition that counts nothing of large folios could say that no split changes its number."""
    assert verdicts["ignores-pmd-split"].kept
    assert not verdicts["ignores-pmd-split"].honest


def test_the_check_is_repeatable(verdicts: dict[str, CheckResult]) -> None:
    """The same definition gets the same verdicts."""
    assert check_scheme(Constant, SearchBounds(histories=100)) == list(verdicts.values())


def test_who_knows_everything_keeps_every_law_that_it_declares() -> None:
    """Every law and requirement can hold; only those that are claimed do."""
    assert [verdict for verdict in check_scheme(Oracle, SearchBounds(histories=120, mms=4)) if not verdict.honest] == []


def test_an_exception_is_a_breach() -> None:
    """What a definition raises is told, not passed on."""

    class Careless(Constant, register=False):
        def count_large(self, event: events.Rmap) -> None:
            if event.level is events.Level.PMD:
                raise LookupError("what is a PMD?")

    history = RandomHistory(3, 0, (HistoryStep("map-pmd", 1, 0, 0, 1),))
    assert breach(Careless, CHECKS[Law.DECIDES], history) == "raises LookupError: what is a PMD?"
    (verdict,) = (
        verdict for verdict in check_scheme(Careless, SearchBounds(histories=100, mms=4)) if verdict.law == "decides"
    )
    assert verdict.history[1:] == ("mm 1 maps the folio by a PMD entry at 72",)


def test_a_history_is_told_step_by_step() -> None:
    """Steps that were not possible are left out."""
    steps = (
        HistoryStep("unmap", 1, 0, 0, 1),
        HistoryStep("map", 1, 0, 2, 5),
        HistoryStep("split", 1, 0, 4, 1),
        HistoryStep("unmap", 1, 0, 0, 1),
        HistoryStep("fork", 1, 0, 0, 1),
        HistoryStep("exit", 1, 0, 0, 1),
        HistoryStep("walk", 1, 0, 0, 1),
    )
    assert told(RandomHistory(4, 3, steps, anon=False)) == [
        "order-4 file folio, page 0 at page 75 or 139; page tables of 8 entries",
        "mm 1 maps pages 2..6 at 77",
        "mm 1 splits the VMA at 79",
        "mm 1 unmaps page 2 at 77",
        "mm 1 forks mm 2",
        "mm 1 exits",
        "the reverse maps of both folios are walked",
    ]


def test_only_the_steps_that_matter_are_left() -> None:
    """Of many steps, the two that are wanted, in their order."""
    steps = (
        *(HistoryStep("map" if at % 7 else "fork", 1, 0, 0, 1) for at in range(30)),
        HistoryStep("exit", 1, 0, 0, 1),
    )

    def breaks(history: RandomHistory) -> bool:
        kinds = [step.kind for step in history.steps]
        return "fork" in kinds and "exit" in kinds[kinds.index("fork") :]

    assert [step.kind for step in shrunk(RandomHistory(2, 0, steps), breaks).steps] == ["fork", "exit"]


def test_steps_that_matter_together_only_stay() -> None:
    """None of three can be spared."""
    steps = tuple(HistoryStep("map", 1, 0, at, 1) for at in range(8))

    def breaks(history: RandomHistory) -> bool:
        return len(history.steps) >= 3

    assert len(shrunk(RandomHistory(2, 0, steps), breaks).steps) == 3


def test_numbers_become_as_plain_as_they_can_be() -> None:
    """Each one is the smallest that still breaks the law."""

    def breaks(history: RandomHistory) -> bool:
        return any(step.mm >= 2 and step.at >= 5 and step.nr >= 3 for step in history.steps) and history.order >= 3

    found = shrunk(RandomHistory(5, 5, (HistoryStep("map", 4, 1, 31, 32),), anon=False), breaks)
    assert found == RandomHistory(3, 0, (HistoryStep("map", 2, 0, 5, 3),), anon=True)


def test_what_comes_out_still_breaks_the_law() -> None:
    """Whatever history it was."""
    for history in seeded_histories(60):

        def breaks(shorter: RandomHistory, kinds: int = len({step.kind for step in history.steps})) -> bool:
            return len({step.kind for step in shorter.steps}) >= kinds

        found = shrunk(history, breaks)
        assert breaks(found)
        assert len(found.steps) == len({step.kind for step in history.steps})


def test_address_spaces_are_renumbered_together() -> None:
    """A fork makes the mm with the next number: 3 and its child 4 become 1 and 2, not 1 and 4."""

    def breaks(history: RandomHistory) -> bool:
        kinds = {step.kind: step.mm for step in history.steps}
        return set(kinds) == {"fork", "exit"} and kinds["exit"] == kinds["fork"] % MMS + 1

    found = shrunk(RandomHistory(2, 0, (HistoryStep("fork", 3, 0, 0, 1), HistoryStep("exit", 4, 0, 0, 1))), breaks)
    assert [step.mm for step in found.steps] == [1, 2]
