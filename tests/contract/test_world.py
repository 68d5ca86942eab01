"""The world that definitions are held against: what it announces and what it knows."""

from __future__ import annotations

from folioshell import events
from folioshell.contract.histories import seeded_histories
from folioshell.contract.player import TABLE_PAGES, Player
from folioshell.contract.world import World, WorldTruth, single
from folioshell.events import CALLBACKS
from tests.contract.schemes import Constant


class Recorder(Constant, register=False):
    """Keeps the events."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[events.Event] = []

    def __getattribute__(self, name: str) -> object:
        if name in CALLBACKS.values():
            return self.events.append
        return super().__getattribute__(name)


def world_of(anon: bool = True) -> tuple[World, Recorder, int]:
    """An order-4 folio that stands across two tables of mm 1."""
    recorder = Recorder()
    world = World([recorder])
    folio = world.folio(4, anon)
    world.vma(1, 500, 600)
    return world, recorder, folio


def test_a_mapping_is_announced_by_table_and_call() -> None:
    """One event a table, with the pages that the VMA could map."""
    world, recorder, folio = world_of()
    world.map(1, folio, 504)
    runs = [(f.first, f.nr, f.table, f.vpn, f.low, f.high) for f in recorder.events if isinstance(f, events.Mapped)]
    assert runs == [(0, 8, 1, 504, 0, 16), (8, 8, 2, 512, 0, 16)]
    world.chunks = single
    world.unmap(1, folio, 504, 0, 3)
    assert [(f.first, f.nr) for f in recorder.events if isinstance(f, events.Unmapped)] == [(0, 1), (1, 1), (2, 1)]
    assert world.truth(folio) == WorldTruth(mms=1, vmas=1, tuples=2, entries=13, pages=13)


def test_a_split_names_the_folios_on_both_sides() -> None:
    """And the truth has one VMA more."""
    world, recorder, folio = world_of()
    world.map(1, folio, 504)
    world.split(1, 508)
    world.split(1, 540)
    assert [f.straddling for f in recorder.events if isinstance(f, events.VmaSplit)] == [((folio, 4),), ()]
    assert world.truth(folio) == WorldTruth(mms=1, vmas=2, tuples=3, entries=16, pages=16)


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
        changes = [(event.sign, event.level) for event in recorder.events[1:] if isinstance(event, events.Rmap)]
        ptes = [(1, events.Level.PTE)] if anon else []
        assert changes == [(1, events.Level.PMD), *ptes, (-1, events.Level.PMD)]


def test_a_walk_tells_who_maps_the_folio() -> None:
    """One visit a VMA, with the entries of each table."""
    world, recorder, folio = world_of()
    world.map(1, folio, 504)
    world.walk(folio)
    assert recorder.events[-1] == events.Walked(folio, "test", ((1, 1, (("pt1", 8), ("pt2", 8))),))


def test_facts_lead_to_the_truth() -> None:
    """Whoever adds up the entries of all events has those that there are, in every history."""
    for history in seeded_histories(150):
        recorder = Recorder()
        player = Player(history, [recorder])
        for step in history.steps:
            player.play(step)
        entries = {player.large: 0, player.small: 0}
        for event in recorder.events:
            match event:
                case events.Rmap():
                    assert event.vpn // TABLE_PAGES == (event.vpn + event.nr - 1) // TABLE_PAGES
                    assert event.low <= event.first < event.first + event.nr <= event.high
                    assert event.anon == history.anon
                    entries[event.folio] += event.change
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
    """Else some handler would never be held against anything. Mlocked changes no mapping."""
    seen: set[type] = set()
    for history in seeded_histories(150):
        recorder = Recorder()
        player = Player(history, [recorder])
        for step in history.steps:
            player.play(step)
        player.world.free(player.large)
        seen |= {type(event) for event in recorder.events}
    other = {
        events.Mlocked,
        events.Reused,
        events.Held,
        events.AddedToSwap,
        events.Asked,
        events.Finding,
        events.Scanned,
        events.Tracepoint,
    }
    assert seen == set(CALLBACKS) - other
