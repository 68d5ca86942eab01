"""The world that definitions are held against: what it announces and what it knows."""

from __future__ import annotations

from folioshell import facts
from folioshell.contract.histories import seeded_histories
from folioshell.contract.player import TABLE_PAGES, Player
from folioshell.contract.world import Truth, World, single
from folioshell.schemes.base import HANDLERS, Scheme
from tests.contract.definitions import Constant


class Recorder(Constant, register=False):
    """Keeps the facts."""

    def __init__(self) -> None:
        super().__init__()
        self.facts: list[facts.Fact] = []

    def __getattribute__(self, name: str) -> object:
        if name in HANDLERS.values():
            return self.facts.append
        return super().__getattribute__(name)


def world_of(anon: bool = True) -> tuple[World, Recorder, int]:
    """An order-4 folio that stands across two tables of mm 1."""
    recorder = Recorder()
    world = World([recorder])
    folio = world.folio(4, anon)
    world.vma(1, 500, 600)
    return world, recorder, folio


def test_a_mapping_is_announced_by_table_and_call() -> None:
    """One fact a table, with the pages that the VMA could map."""
    world, recorder, folio = world_of()
    world.map(1, folio, 504)
    runs = [(f.first, f.nr, f.table, f.vpn, f.low, f.high) for f in recorder.facts if isinstance(f, facts.Mapped)]
    assert runs == [(0, 8, 1, 504, 0, 16), (8, 8, 2, 512, 0, 16)]
    world.chunks = single
    world.unmap(1, folio, 504, 0, 3)
    assert [(f.first, f.nr) for f in recorder.facts if isinstance(f, facts.Unmapped)] == [(0, 1), (1, 1), (2, 1)]
    assert world.truth(folio) == Truth(mms=1, vmas=1, tuples=2, entries=13, pages=13)


def test_a_split_names_the_folios_on_both_sides() -> None:
    """And the truth has one VMA more."""
    world, recorder, folio = world_of()
    world.map(1, folio, 504)
    world.split(1, 508)
    world.split(1, 540)
    assert [f.straddling for f in recorder.facts if isinstance(f, facts.VmaSplit)] == [((folio, 4),), ()]
    assert world.truth(folio) == Truth(mms=1, vmas=2, tuples=3, entries=16, pages=16)


def test_a_pmd_entry_of_file_memory_is_dropped_by_a_split() -> None:
    """That of anonymous memory becomes PTEs, which come before it goes."""
    for anon, entries in ((True, 512), (False, 0)):
        recorder = Recorder()
        world = World([recorder])
        folio = world.folio(9, anon)
        world.vma(1, 0, 512)
        world.map_pmd(1, folio, 0)
        world.split_pmd(1, 0)
        assert world.truth(folio).entries == entries
        kinds = [type(fact) for fact in recorder.facts[1:]]
        assert kinds == [facts.PmdMapped, *([facts.Mapped] if anon else []), facts.PmdUnmapped]


def test_a_walk_tells_who_maps_the_folio() -> None:
    """One visit a VMA, with the entries of each table."""
    world, recorder, folio = world_of()
    world.map(1, folio, 504)
    world.walk(folio)
    assert recorder.facts[-1] == facts.Walked(folio, "test", ((1, 1, (("pt1", 8), ("pt2", 8))),))


def test_facts_lead_to_the_truth() -> None:
    """Whoever adds up the entries of all facts has those that there are, in every history."""
    for history in seeded_histories(150):
        recorder = Recorder()
        player = Player(history, [recorder])
        for step in history.steps:
            player.play(step)
        entries = {player.large: 0, player.small: 0}
        for fact in recorder.facts:
            match fact:
                case facts.Mapped() | facts.Unmapped():
                    assert fact.vpn // TABLE_PAGES == (fact.vpn + fact.nr - 1) // TABLE_PAGES
                    assert fact.low <= fact.first < fact.first + fact.nr <= fact.high
                    assert fact.anon == history.anon
                    entries[fact.folio] += fact.nr if isinstance(fact, facts.Mapped) else -fact.nr
                case facts.PmdMapped() | facts.PmdUnmapped():
                    entries[fact.folio] += 1 if isinstance(fact, facts.PmdMapped) else -1
                case facts.MappedSmall() | facts.UnmappedSmall():
                    entries[player.small] += 1 if isinstance(fact, facts.MappedSmall) else -1
        for folio, number in entries.items():
            truth = player.world.truth(folio)
            assert (number, len(player.world.mms_of(folio))) == (truth.entries, truth.mms)
            assert player.world.entries(folio) == number
            counted = [0] * (1 << player.world.orders[folio])
            for *_, pages in player.world.found(folio):
                for page in pages:
                    counted[page] += 1
            assert player.world.page_entries(folio) == counted


def test_every_fact_that_a_scheme_can_learn_comes_up() -> None:
    """Else some handler would never be held against anything."""
    seen: set[type] = set()
    for history in seeded_histories(150):
        recorder = Recorder()
        player = Player(history, [recorder])
        for step in history.steps:
            player.play(step)
        player.world.free(player.large)
        seen |= {type(fact) for fact in recorder.facts}
    assert seen == set(HANDLERS)
    assert all(hasattr(Scheme, handler) for handler in HANDLERS.values())
