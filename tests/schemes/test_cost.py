"""Counts of what each definition costs, from events alone."""

from __future__ import annotations

import pytest

from folioshell import events
from folioshell.schemes import all_schemes
from folioshell.schemes.anon_exclusive import AnonExclusive
from folioshell.schemes.base import Scheme
from folioshell.schemes.cost import Cost, Layout
from folioshell.schemes.tuples import Tuples
from folioshell.schemes.vmas import Vmas
from tests.schemes.costs import mapped, moved, pmd_mapped, small, small_unmapped, unmapped

SCHEMES = all_schemes()
#: those that keep nothing of their own
FREE = {name for name, kind in SCHEMES.items() if kind.cost_of(mapped(4)) == Cost()}
# Atomic operations of a call that maps 8 of 16 pages, of a PMD entry of anonymous memory, and bytes at orders 4 and 9.
COUNTS = """
per-page-v5       | 8  | 1 | 68 | 2052
zero-one-two-many | 1  | 1 | 1  | 1
per-page          | 16 | 2 | 72 | 2056
tuples            | 1  | 1 | 4  | 4
tuples-naive      | 1  | 1 | 4  | 4
tuples-hookless   | 1  | 1 | 4  | 4
vmas              | 1  | 1 | 4  | 4
vmas-hookless     | 1  | 1 | 4  | 4
estimated-ne1     | 0  | 0 | 0  | 0
estimated-gt1     | 0  | 0 | 0  | 0
rmap-id           | 5  | 6 | 24 | 32
owner             | 1  | 1 | 12 | 12
max-page          | 0  | 0 | 0  | 0
exact-fit         | 10 | 3 | 76 | 2060
references        | 1  | 1 | 0  | 0
mm-id-v1          | 10 | 3 | 92 | 2076
rfc-2026-a        | 9  | 2 | 88 | 2072
rfc-2026-b        | 1  | 2 | 24 | 24
likely-v6.9       | 0  | 0 | 0  | 0
likely            | 10 | 3 | 76 | 2060
mm-id             | 10 | 3 | 92 | 2076
average           | 1  | 2 | 24 | 24
total-pages       | 1  | 1 | 28 | 28
"""
LINES = [line.replace("|", "").split() for line in COUNTS.strip().splitlines()]
TABLE = {name: [int(cell) for cell in cells] for name, *cells in LINES}


@pytest.mark.parametrize("name", TABLE)
def test_atomics_and_bytes(name: str) -> None:
    """Calls cost what the source says, and the same when pages are unmapped; state is as large as it says."""
    kind = SCHEMES[name]
    partial, pmd, *sizes = TABLE[name]
    assert kind.cost_of(mapped(4, first=8, nr=8)).atomics == partial
    assert kind.cost_of(unmapped(4, first=8, nr=8)).atomics == partial
    assert kind.cost_of(pmd_mapped()).atomics == pmd
    assert [kind().bytes_of_state(order) for order in (4, 9)] == sizes


@pytest.mark.parametrize("name", SCHEMES)
def test_new_anonymous_folios_take_plain_stores(name: str) -> None:
    """Nobody else sees them yet; their cache lines are touched all the same. Page flags are set atomically anyway."""
    kind = SCHEMES[name]
    for event in (mapped(4, new=True), pmd_mapped(new=True), small(3, new=True)):
        flags = event.entries * len(event.folios) if name == "anon-exclusive" else 0
        assert kind.cost_of(event).atomics == flags
        assert (kind.cost_of(event).lines > 0) == (name not in FREE)


@pytest.mark.parametrize("kind", [kind for name, kind in SCHEMES.items() if name not in FREE])
def test_an_order_0_folio_costs_one_atomic_and_one_line(kind: type[Scheme]) -> None:
    """Its counter is in its own struct page."""
    assert kind.cost_of(small(3)) == Cost(atomics=3, lines=3)
    # PageAnonExclusive is left as it is when the page goes.
    assert kind.cost_of(small_unmapped(1)) == (Cost() if kind is AnonExclusive else Cost(atomics=1, lines=1))


@pytest.mark.parametrize(("name", "lines"), [("per-page-v5", 512), ("per-page", 512), ("likely", 512), ("mm-id", 512)])
def test_counters_a_page_touch_every_struct_page(name: str, lines: int) -> None:
    """The folio's counters are in its second struct page, one of those that the whole folio touches anyway."""
    assert SCHEMES[name].cost_of(mapped(9)).lines == lines
    assert SCHEMES[name].cost_of(mapped(9, first=0, nr=2)).lines == 2
    assert SCHEMES[name].cost_of(mapped(9, first=0, nr=1)).lines == 2
    assert SCHEMES[name].cost_of(mapped(9, first=2, nr=5)).lines == 6


@pytest.mark.parametrize("name", ["tuples", "vmas", "rmap-id", "owner", "average", "total-pages", "zero-one-two-many"])
def test_counters_of_the_folio_touch_one_struct_page(name: str) -> None:
    """However many pages are mapped."""
    assert SCHEMES[name].cost_of(mapped(9)).lines == 1


def test_tuples_look_within_their_table_and_vmas_beyond_it() -> None:
    """Half of a folio that stands across two tables: 0 slots in the same table are left, 8 in the other are not."""
    half = mapped(4, vpn=504, nr=8)
    assert Tuples.cost_of(half) == Cost(atomics=1, slots=0, lines=1)
    assert Vmas.cost_of(half) == Cost(atomics=1, slots=8, ptls=1, lines=1)
    third = mapped(4, vpn=504, nr=3)
    assert (Tuples.cost_of(third).slots, Vmas.cost_of(third).slots) == (5, 13)


def test_a_look_ends_where_the_vma_ends() -> None:
    """What the VMA could not map need not be looked at, nor its table locked."""
    clipped = mapped(4, vpn=504, nr=3, high=8)
    assert Vmas.cost_of(clipped) == Tuples.cost_of(clipped) == Cost(atomics=1, slots=5, lines=1)


def test_a_call_for_all_pages_needs_no_look() -> None:
    """Nothing else of the folio can be in the VMA, before or after."""
    for kind in (Tuples, Vmas):
        assert kind.cost_of(mapped(4)) == kind.cost_of(unmapped(4)) == Cost(atomics=1, lines=1)


def test_a_folio_above_the_size_of_a_pmd_has_two_neighbours() -> None:
    """The middle one of three tables."""
    middle = mapped(10, vpn=512, first=256, nr=512)
    assert Vmas.cost_of(middle) == Cost(atomics=1, slots=512, ptls=2, lines=1)
    assert Tuples.cost_of(middle) == Cost(atomics=1, slots=0, lines=1)


def test_the_layout_says_how_large_tables_are() -> None:
    """With tables of 8 entries, an order-4 folio has two or three."""
    layout = Layout(table_pages=8)
    assert Vmas.cost_of(mapped(4, vpn=8, nr=8), layout).ptls == 1
    assert Vmas.cost_of(mapped(4, vpn=12, nr=4), layout).ptls == 2


def test_hooks_cost_where_the_folio_stands_across_the_boundary() -> None:
    """A split within a table is looked at by both; one between two tables only by vmas, under both locks."""
    layout = Layout(orders={1: 4})
    for kind in (events.VmaSplit, events.VmaMerged):
        within, between = kind(1, 1, 2, 508, ((1, 4),)), kind(1, 1, 2, 512, ((1, 8),))
        assert Tuples.cost_of(within, layout) == Cost(atomics=1, slots=8, ptls=1, lines=1)
        assert Tuples.cost_of(between, layout) == Cost()
        assert Vmas.cost_of(within, layout) == Vmas.cost_of(between, layout) == Cost(1, 16, 2, 1)


def test_a_move_looks_where_the_entries_were_and_where_they_are() -> None:
    """One down and one up; the tables of both ends are locked already."""
    half = moved(4, first=8, nr=8, vpn=8, to_vpn=1032)
    assert Tuples.cost_of(half) == Vmas.cost_of(half) == Cost(atomics=2, slots=16, lines=1)
    assert Vmas.cost_of(moved(0, first=0, nr=1, vpn=8, to_vpn=1032)) == Cost()


@pytest.mark.parametrize("name", [name for name in SCHEMES if name not in {"tuples", "vmas"}])
def test_no_other_definition_has_hooks(name: str) -> None:
    """Splits, merges and moves cost nothing where no rmap call is made."""
    for event in (events.VmaSplit(1, 1, 2, 508, ((1, 4),)), moved(4, first=8, nr=8, vpn=8, to_vpn=1032)):
        assert SCHEMES[name].cost_of(event) == Cost()


def test_costs_add_up() -> None:
    """Sums are those of each count."""
    assert Cost(1, 2, 3, 4) + Cost(10, 20, 30, 40) == Cost(11, 22, 33, 44)
