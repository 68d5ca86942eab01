"""What the source says of the definitions in general, over many states and all of them at once."""

from __future__ import annotations

from collections import Counter

import pytest

from folioshell.contract.histories import seeded_histories
from folioshell.contract.player import Player
from folioshell.schemes import all_schemes
from folioshell.schemes.base import Scheme, Sharing

ENTRIES = (
    *("per-page-v5", "per-page", "rmap-id", "owner", "likely", "exact-fit", "mm-id", "mm-id-v1", "average"),
    *("total-pages", "rfc-2026-a", "rfc-2026-b"),
)
PAGES = ("per-page-v5", "per-page", "likely", "mm-id", "mm-id-v1", "rfc-2026-a")
#: those that come to nothing in the end, whatever happened
ZERO = (
    *(*ENTRIES, "tuples", "vmas", "estimated-ne1", "estimated-gt1", "likely-v6.9", "max-page"),
    "anon-exclusive",
)


@pytest.mark.parametrize(("histories", "states"), [(600, 4_500), pytest.param(2400, 20_000, marks=pytest.mark.full)])
def test_thousands_of_states(histories: int, states: int) -> None:
    """Numbers are exact where they should be, and answers wrong only where the source says that they may be."""
    seen = 0
    wrong: Counter[str] = Counter()
    for history in seeded_histories(histories):
        schemes = {name: kind() for name, kind in all_schemes().items()}
        player = Player(history, list(schemes.values()))
        for step in history.steps:
            if player.play(step):
                seen += 1
                look(player, schemes, wrong)
        for mm in sorted(player.world.vmas):
            player.world.exit(mm)
        assert {schemes[name].mapcount(player.large) for name in ZERO} == {0}
    assert seen >= states
    # Every kind of wrong answer that is allowed below happens: the exceptions are not idle.
    assert set(wrong) == {
        *("likely no", "likely yes", "rmap-id yes", "mm-id yes", "mm-id-v1 yes", "owner yes", "vmas yes"),
        *("references yes", "anon-exclusive maybe"),
    }


def look(player: Player, schemes: dict[str, Scheme], wrong: Counter[str]) -> None:
    """Hold every scheme against one state."""
    folio, world, nr_pages = player.large, player.world, player.nr_pages
    by_mm = Counter(mm for mm, *_ in world.found(folio))
    entries, pages = by_mm.total(), world.page_entries(folio)
    assert {schemes[name].mapcount(folio) for name in ENTRIES} == {entries}
    for name in PAGES:
        assert [schemes[name].page_mapcount(folio, page) for page in range(nr_pages)] == pages
    if schemes["tuples"].mapcount(folio) == 1 or schemes["vmas"].mapcount(folio) == 1:
        assert len(by_mm) == 1
    for mm in by_mm:
        right = Sharing.YES if len(by_mm) > 1 else Sharing.NO
        names = ("likely", "rmap-id", "mm-id", "mm-id-v1", "owner", "vmas", "references", "anon-exclusive")
        answers = {name: schemes[name].shared(folio, mm) for name in names}
        for name, answer in answers.items():
            if answer is not right:
                wrong[f"{name} {answer}"] += 1
                assert name != "rmap-id" or entries > nr_pages
                if answer is Sharing.NO:
                    assert name == "likely"
                    assert entries <= nr_pages
                    assert pages[0] < 2
