"""race-sweep finds each kernel path from which a reference, a re-check or a freeze was removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from folioshell.commands.sweep import Sweep
from folioshell.shell.race_sweep import SweepChoice
from tests.mutations.mutants import MUTANTS, Mutant, swept

#: the one that is tried in every run
ALWAYS = "__folio_split(): folio_ref_freeze()"
ROWS = [
    pytest.param(mutant, id=mutant.rule, marks=() if mutant.rule == ALWAYS else pytest.mark.full) for mutant in MUTANTS
]


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.rule for mutant in MUTANTS])
def test_the_text_is_there(mutant: Mutant) -> None:
    """What a row removes occurs once in its module, which can be compiled without it."""
    compile(mutant.text(), mutant.file, "exec")


@pytest.mark.parametrize("mutant", ROWS)
def test_a_mutant_is_found(mutant: Mutant, tmp_path: Path) -> None:
    """The pair has findings without what the row removes."""
    done = swept(mutant, tmp_path)

    assert done.stdout.endswith(": 1 pair with findings\n"), done
    assert done.returncode == 1


@pytest.mark.full
@pytest.mark.parametrize(("setup", "pair"), sorted({(mutant.setup, mutant.pair) for mutant in MUTANTS}))
def test_the_original_is_right(setup: str, pair: str) -> None:
    """The same pairs have no findings in the package itself."""
    (chosen,) = SweepChoice(setups=[setup], pairs=[pair]).chosen()

    assert Sweep(20_000).explore(chosen).findings == ()
