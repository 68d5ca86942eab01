"""Histories of many address spaces, what they find within the default bounds, and the script that shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from folioshell import Session
from folioshell.contract.check import breach, check_scheme, counterexample
from folioshell.contract.histories import RandomHistory, SearchBounds, seeded_histories, wide_histories
from folioshell.contract.laws import CHECKS
from folioshell.contract.player import Player
from folioshell.contract.script import script_of
from folioshell.schemes import all_schemes
from folioshell.schemes.base import Law, Scheme
from tests.contract import wrong
from tests.contract.wrong import WRONG, HashedWord

SCHEMES = all_schemes()
WIDE = tuple(wide_histories(SearchBounds()))


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_schemes_fall(kind: type[Scheme]) -> None:
    """Each answers a wrong "no" in some history within the default bounds, although it claims never to."""
    check = CHECKS[Law.NEVER_FALSE_NEGATIVE]
    assert Law.NEVER_FALSE_NEGATIVE in kind.laws
    assert any(breach(kind, check, history) for history in (*seeded_histories(240), *WIDE))


@pytest.mark.full
@pytest.mark.parametrize("kind", SCHEMES.values(), ids=SCHEMES)
def test_right_schemes_pass(kind: type[Scheme]) -> None:
    """What they claim holds with many address spaces, too: all registered schemes."""
    for law in kind.laws & {Law.NEVER_FALSE_NEGATIVE, Law.MAPPED_IFF_POSITIVE}:
        assert not any(breach(kind, CHECKS[law], history) for history in WIDE), law


def test_few_address_spaces_do_not_show_a_collision() -> None:
    """The histories of four mms alone do not find the hashed word."""
    assert counterexample(HashedWord, CHECKS[Law.NEVER_FALSE_NEGATIVE], seeded_histories(240)) is None


def test_the_histories_reach_the_limits() -> None:
    """Orders 0 to 10, sparse MM-IDs, more mms than bits in a word, counts past 2^8 and 2^16, the same at every call."""
    assert {history.order for history in WIDE} == set(range(11))
    assert all(len(set(history.ids)) == 300 for history in WIDE)
    assert max(max(history.ids) for history in WIDE) > 1 << 30
    assert tuple(wide_histories(SearchBounds())) == WIDE
    mms, entries = [], []
    for history in WIDE:
        if history.steps[1].kind == "fork-all":
            player = Player(history, [])
            for step in history.steps[:2]:
                player.play(step)
            mms.append(len(player.world.mms_of(player.large)))
            entries.append(player.world.entries(player.large))
    assert max(mms) > 1 << 8
    assert min(mms) > 64
    assert max(entries) > 1 << 16


def test_bounds_are_kept() -> None:
    """Fewer mms, steps and histories, and another seed."""
    small = list(wide_histories(SearchBounds(histories=40, steps=6, mms=5, seed=3)))
    assert len(small) == 12
    assert max(len(history.steps) for history in small) == 6
    assert {len(history.ids) for history in small} == {5}
    assert small != list(wide_histories(SearchBounds(histories=40, steps=6, mms=5, seed=4)))


def test_a_false_negative_becomes_a_script(tmp_path: Path) -> None:
    """The shortest history has two processes, and the script leads the shell to the same wrong answer."""
    (verdict,) = (
        verdict
        for verdict in check_scheme(HashedWord, SearchBounds(histories=80))
        if verdict.law == Law.NEVER_FALSE_NEGATIVE
    )
    assert verdict.breach == "no, but 2 mms"
    assert verdict.history[1:] == ("mm 1 maps page 0 at 72", "mm 52 maps page 0 at 72")

    path = tmp_path / "hashed.py"
    path.write_text(
        Path(wrong.__file__).read_text().replace("HashedWord(WrongScheme, register=False)", "HashedWord(WrongScheme)")
    )
    session = Session()
    session.execute(f'load scheme "{path}"')
    reports = [report for line in verdict.script for report in session.execute(line)]
    assert "false negative" in str(reports[-1])


def test_what_has_no_script() -> None:
    """Anonymous memory is shared by fork alone, and commands cannot choose where a PMD entry is moved."""
    history = next(
        history for history in seeded_histories(240) if any(step.kind == "move-pmd" for step in history.steps)
    )
    assert script_of(history, "mine") == ()
    assert script_of(RandomHistory(2, 0, ()), "mine") == ()
