"""Each requirement finds schemes that violate it."""

from __future__ import annotations

from typing import Any

import pytest

from folioshell import events
from folioshell.contract.check import counterexample
from folioshell.contract.histories import seeded_histories
from folioshell.contract.laws import REQUIREMENTS, Requirement
from folioshell.schemes.base import Answer, Part, Scheme, Sharing
from tests.contract.schemes import Constant, Oracle


class Nameless(Constant, register=False):
    name = ""


class Talkative(Constant, register=False):
    about = ("One line.", "x" * 121 + ".")


class Shrinking(Constant, register=False):
    def bytes_of_state(self, order: int) -> int:
        return 100 - order


class Vague(Constant, register=False):
    def partially_mapped(self, folio: int) -> Any:
        return Sharing.MAYBE


class Rounding(Constant, register=False):
    def mapcount(self, folio: int, page: int | None = None) -> Any:
        return super().mapcount(folio) / 2


class Surplus(Constant, register=False):
    def why(self, folio: int) -> list[Part]:
        return [*super().why(folio), Part("and one for luck", 1)]


class FirstOfRun(Constant, register=False):
    def on_mapped(self, event: events.Mapped) -> None:
        self.small.change(event.folio, 1, lambda entries: (entries or 0) + 1)


class Hoarder(Constant, register=False):
    def on_folio_freed(self, event: events.FolioFreed) -> None:
        pass


WRONG = [
    (Nameless, Requirement.DESCRIBES_ITSELF),
    (Talkative, Requirement.DESCRIBES_ITSELF),
    (Shrinking, Requirement.DESCRIBES_ITSELF),
    (Vague, Requirement.ANSWERS),
    (Rounding, Requirement.ANSWERS),
    (Surplus, Requirement.PARTS_ADD_UP),
    (FirstOfRun, Requirement.RUNS_ARE_FOLIOS),
    (Hoarder, Requirement.FORGETS_FREED),
]


@pytest.mark.parametrize(("kind", "required"), WRONG)
def test_a_scheme_that_violates_a_requirement_is_found(kind: type[Scheme], required: Requirement) -> None:
    """By a history of at most two steps, as nothing large has to happen."""
    found = counterexample(kind, REQUIREMENTS[required], seeded_histories(60))
    assert found is not None
    assert len(found.steps) <= 2


@pytest.mark.parametrize("required", REQUIREMENTS)
def test_every_requirement_can_hold_and_be_violated(required: Requirement) -> None:
    """All hold for the plainest scheme and for the one that knows everything; one of those above violates each."""
    for kind in (Constant, Oracle):
        assert counterexample(kind, REQUIREMENTS[required], seeded_histories(60)) is None
    assert required in {failed for _, failed in WRONG}


def test_an_answer_may_be_that_there_is_none() -> None:
    """None and cannot are answers."""
    scheme = Constant()
    assert scheme.partially_mapped(1) is Answer.CANNOT
    assert scheme.page_mapcount(1, 0) is None
