"""No law is empty: each can be kept and can be broken."""

from __future__ import annotations

import pytest

from folioshell.contract.check import counterexample
from folioshell.contract.histories import seeded_histories
from folioshell.contract.laws import CHECKS
from folioshell.schemes import all_schemes
from folioshell.schemes.base import Law
from tests.contract.schemes import Oracle


def test_every_law_can_be_checked() -> None:
    """There is a check for each law, in the same order."""
    assert list(CHECKS) == list(Law)


@pytest.mark.parametrize("law", Law)
def test_some_definition_keeps_each_law(law: Law) -> None:
    """A registered one, or the one that remembers everything."""
    if law in Oracle.laws:
        assert counterexample(Oracle, CHECKS[law], seeded_histories(60)) is None
    else:
        assert any(law in kind.laws for kind in all_schemes().values())


@pytest.mark.parametrize("law", Law)
def test_some_definition_breaks_each_law(law: Law) -> None:
    """A registered one, which does not declare it."""
    assert any(law not in kind.laws for kind in all_schemes().values())
