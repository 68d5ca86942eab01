"""For every registered scheme all requirements and claimed laws hold, and every law not claimed is violated."""

from __future__ import annotations

import pytest
from hypothesis import given

from folioshell.contract.check import counterexample
from folioshell.contract.histories import RandomHistory, seeded_histories
from folioshell.contract.laws import CHECKS, REQUIREMENTS
from folioshell.schemes import all_schemes
from folioshell.schemes.base import Law, Scheme
from tests.contract.strategies import histories

SCHEMES = all_schemes()
EACH = pytest.mark.parametrize("kind", SCHEMES.values(), ids=SCHEMES.keys())
BROKEN = [
    pytest.param(kind, law, id=f"{name}-{law}") for name, kind in SCHEMES.items() for law in Law if law not in kind.laws
]


@EACH
@given(history=histories())
def test_claimed_laws_hold(kind: type[Scheme], history: RandomHistory) -> None:
    """No random history violates a law that the scheme claims."""
    for law in kind.laws:
        assert CHECKS[law](kind, history) is None, law


@EACH
@given(history=histories())
def test_requirements_hold(kind: type[Scheme], history: RandomHistory) -> None:
    """No random history finds a scheme that violates a requirement."""
    for required, check in REQUIREMENTS.items():
        assert check(kind, history) is None, required


@pytest.mark.parametrize(("kind", "law"), BROKEN)
def test_an_undeclared_law_is_broken(kind: type[Scheme], law: Law) -> None:
    """Six steps or fewer break each law that the scheme does not declare: it could not declare more."""
    found = counterexample(kind, CHECKS[law], seeded_histories(600))
    assert found is not None
    assert len(found.steps) <= 6
