"""Every registered scheme does its duties, keeps the laws that it declares, and breaks those that it does not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from folioshell.contract.check import counterexample
from folioshell.contract.histories import History, seeded_histories
from folioshell.contract.laws import CHECKS, Check
from folioshell.contract.requirements import DUTIES, Duty
from folioshell.schemes import all_schemes
from folioshell.schemes.base import Law, Scheme
from tests.contract.strategies import histories

SCHEMES = all_schemes()
KEPT = [
    pytest.param(kind, law, id=f"{name}-{law}") for name, kind in SCHEMES.items() for law in Law if law in kind.laws
]
BROKEN = [
    pytest.param(kind, law, id=f"{name}-{law}") for name, kind in SCHEMES.items() for law in Law if law not in kind.laws
]


def nothing_breaks(check: Check, kind: type[Scheme]) -> None:
    """No random history does."""

    @settings(max_examples=40, derandomize=True, deadline=None, database=None)
    @given(histories())
    def attempt(history: History) -> None:
        assert check(kind, history) is None

    attempt()


@pytest.mark.parametrize(("kind", "law"), KEPT)
def test_a_declared_law_is_kept(kind: type[Scheme], law: Law) -> None:
    """No random history breaks a law that the scheme declares."""
    nothing_breaks(CHECKS[law], kind)


@pytest.mark.parametrize(("kind", "law"), BROKEN)
def test_an_undeclared_law_is_broken(kind: type[Scheme], law: Law) -> None:
    """Six steps or fewer break each law that the scheme does not declare: it could not declare more."""
    found = counterexample(kind, CHECKS[law], seeded_histories(600))
    assert found is not None
    assert len(found.steps) <= 6


@pytest.mark.parametrize("duty", DUTIES)
@pytest.mark.parametrize("kind", SCHEMES.values(), ids=SCHEMES.keys())
def test_a_duty_is_done(kind: type[Scheme], duty: Duty) -> None:
    """No random history finds a scheme that fails in a duty."""
    nothing_breaks(DUTIES[duty], kind)
