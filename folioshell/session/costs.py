"""What the steps so far cost each scheme: the events of the journal, run through its cost model.

Rules:
- Nothing is measured. What every scheme pays alike, the page-table locks of the kernel's paths, is kept apart.
- An rmap walk is counted where a scheme answers ``maybe`` to a query of the kernel; for schemes other than the deciding
  one, a copy that gets the same events is queried. The folio lock that a walk needs is counted as atomics.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from folioshell.events import CALLBACKS, Asked, Event, FolioFreed, FolioNew
from folioshell.model.lock import LockOp
from folioshell.schemes.base import Scheme, Sharing
from folioshell.schemes.cost import WALK_ATOMICS, Cost, Layout
from folioshell.session.history import StepRecord
from folioshell.session.workspace import Workspace


class Tally(NamedTuple):
    """What a step cost one scheme.

    Args:
        cost: counts of its model.
        walks: rmap walks that its answers made necessary.
        state: bytes that it keeps for the folios that live after the step.
    """

    cost: Cost
    walks: int
    state: int


class StepCosts(NamedTuple):
    """What a step cost.

    Args:
        record: the step.
        ptls: page-table locks that the kernel's path took, whatever is counted.
        tallies: by scheme, in the order asked for.
    """

    record: StepRecord
    ptls: int
    tallies: dict[str, Tally]


def step_costs(workspace: Workspace, names: Sequence[str]) -> list[StepCosts]:
    """The costs of every step, under the schemes of these names."""
    orders: dict[int, int] = {}
    layout = Layout(workspace.kernel.geometry.table_entries, orders)
    asked = any(isinstance(event, Asked) for record in workspace.journal for event in record.events())
    meters = [_Meter(workspace.machine.schemes[name], layout, asked) for name in names]
    made = []
    for record in workspace.journal:
        ptls = 0
        for event in record.trace:
            if isinstance(event, LockOp):
                ptls += event.times if event.verb in "+~" and event.lock.lock_class.is_page_table_lock else 0
                continue
            if isinstance(event, FolioNew) and event.order:
                orders[event.folio] = event.order
            for meter in meters:
                meter.take(event)
            if isinstance(event, FolioFreed):
                orders.pop(event.folio, None)
        made.append(StepCosts(record, ptls, {meter.scheme.name: meter.tally() for meter in meters}))
    return made


class _Meter:
    """Adds up what one scheme costs.

    Args:
        scheme: the definition as it counts in the machine.
        layout: what events do not tell; its orders are those of the folios that live.
        asks: some event is a question, so that a copy of the definition must be kept to put it to.
    """

    def __init__(self, scheme: Scheme, layout: Layout, asks: bool) -> None:
        self.scheme = scheme
        self._layout = layout
        self._copy = type(scheme)() if asks else None
        self._state = 0
        self._sizes: dict[int, int] = {}
        self._counts = [0, 0, 0, 0]
        self._walks = 0

    def take(self, event: Event) -> None:
        """Add what an event costs."""
        if isinstance(event, FolioNew):
            self._state += event.nr * self._size(event.order)
        elif isinstance(event, FolioFreed):
            self._state -= event.nr * self._size(event.order)
        elif isinstance(event, Asked):
            walks = self._answer(event) == Sharing.MAYBE
            self._walks += walks
            self._counts[0] += walks * WALK_ATOMICS
        cost = self.scheme.cost_of(event, self._layout)
        counts = self._counts
        counts[0] += cost.atomics
        counts[1] += cost.slots
        counts[2] += cost.ptls
        counts[3] += cost.lines
        if self._copy is not None:
            getattr(self._copy, CALLBACKS[type(event)])(event)

    def _answer(self, event: Asked) -> str:
        if event.scheme == self.scheme.name:
            return event.answer
        assert self._copy is not None
        return self._copy.page_shared(event.folio, event.page, event.mm)

    def _size(self, order: int) -> int:
        if order not in self._sizes:
            self._sizes[order] = self.scheme.bytes_of_state(order)
        return self._sizes[order]

    def tally(self) -> Tally:
        """What was added since the last time."""
        tally = Tally(Cost(*self._counts), self._walks, self._state)
        self._counts = [0, 0, 0, 0]
        self._walks = 0
        return tally


def total(tallies: Sequence[Tally]) -> Tally:
    """All of them together; the state is that after the last."""
    cost = sum((tally.cost for tally in tallies), start=Cost())
    return Tally(cost, sum(tally.walks for tally in tallies), tallies[-1].state if tallies else 0)
