"""What the steps so far cost each scheme: the events of the journal, run through its cost model.

Rules:
- Nothing is measured. What every scheme pays alike, the page-table locks of the kernel's paths, is kept apart.
- What an event about order-0 folios costs one of our schemes follows from its kind and their number. So steps whose
  traces are alike are added up once.
- An rmap walk is counted where a scheme answers ``maybe`` to a query of the kernel; for schemes other than the deciding
  one, a copy that gets the same events is queried. The folio lock that a walk needs is counted as atomics.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from folioshell import schemes
from folioshell.events import CALLBACKS, Asked, Event, FolioFreed, FolioNew, Mapped, Unmapped
from folioshell.model.lock import LockOp
from folioshell.records import NamedTuple
from folioshell.schemes.base import Scheme, Sharing
from folioshell.schemes.cost import WALK_ATOMICS, Layout
from folioshell.session.history import Happening, StepRecord
from folioshell.session.workspace import Workspace

#: What a step cost one scheme: atomics, walks, PTLs, slots and lines, and the bytes of state for the folios that live
#: after it. Walks are the rmap walks that its answers made necessary; the others are counts of its model.
Tally = tuple[int, ...]


class StepCosts(NamedTuple):
    """What a step cost.

    Args:
        record: the step.
        ptls: page-table locks that the kernel's path took, whatever is counted.
        tallies: one a scheme, in the order asked for.
    """

    record: StepRecord
    ptls: int
    tallies: Sequence[Tally]


def step_costs(workspace: Workspace, names: Sequence[str]) -> list[StepCosts]:
    """The costs of every step, under the schemes of these names."""
    orders: dict[int, int] = {}
    layout = Layout(workspace.kernel.geometry.table_entries, orders)
    shapes = [_shape(record.trace) for record in workspace.journal]
    # A step of a known shape asks nothing.
    others = (record for record, (shape, _) in zip(workspace.journal, shapes, strict=True) if shape is None)
    asked = any(event.__class__ is Asked for record in others for event in record.trace)
    meters = [_Meter(workspace.machine.schemes[name], layout, asked) for name in names]
    # A copy of a scheme must see every event, and a loaded scheme may look at all of it.
    memoizes = not asked and all(meter.is_ours for meter in meters)
    known: dict[_Shape, list[_Added]] = {}
    made = []
    for record, (shape, ptls) in zip(workspace.journal, shapes, strict=True):
        added = known.get(shape) if shape is not None else None
        if added is None:
            states = [meter.state for meter in meters]
            for event in record.events():
                if isinstance(event, FolioNew) and event.order:
                    orders[event.folio] = event.order
                for meter in meters:
                    meter.take(event)
                if isinstance(event, FolioFreed):
                    orders.pop(event.folio, None)
            tallies = [meter.tally() for meter in meters]
            if shape is not None and memoizes:
                known[shape] = [(tally[:-1], tally[-1] - state) for tally, state in zip(tallies, states, strict=True)]
        else:
            tallies = []
            for meter, (counts, more) in zip(meters, added, strict=True):
                meter.state += more
                tallies.append((*counts, meter.state))
        made.append(StepCosts(record, ptls, tallies))
    return made


#: what the cost of a step depends on, if all its events are about order-0 folios
_Shape = tuple[tuple[object, ...], ...]

#: a tally without its state, and the bytes of state that the step adds
_Added = tuple[Tally, int]


def _shape(trace: Iterable[Happening]) -> tuple[_Shape | None, int]:
    """The shape of a step, and the page-table locks that it took.

    There is no shape if an event is not about order-0 folios, or is none that adds or removes them.
    """
    shape: list[tuple[object, ...]] = []
    ptls, is_known = 0, True
    for event in trace:
        if event.__class__ is LockOp:
            if event.table_locks > 0:
                ptls += event.times
        elif isinstance(event, (Mapped, Unmapped)) and not event.order:
            shape.append((event.__class__, event.anon, event.new, len(event.folios)))
        elif isinstance(event, (FolioNew, FolioFreed)) and not event.order:
            shape.append((event.__class__, event.nr))
        else:
            is_known = False
    return (tuple(shape) if is_known else None), ptls


class _Meter:
    """Adds up what one scheme costs.

    Args:
        scheme: the definition as it counts in the machine.
        layout: what events do not tell; its orders are those of the folios that live.
        asks: some event is a question, so that a copy of the definition must be kept to put it to.

    Attributes:
        state: bytes that it keeps for the folios that live.
        is_ours: its costs are those of a scheme of this package, not of one loaded from a file.
    """

    def __init__(self, scheme: Scheme, layout: Layout, asks: bool) -> None:
        self.scheme = scheme
        self.is_ours = type(scheme).cost_of.__func__.__module__.startswith(f"{schemes.__name__}.")  # type: ignore[attr-defined]
        self._layout = layout
        self._copy = type(scheme)() if asks else None
        self.state = 0
        self._sizes: dict[int, int] = {}
        self._counts = [0, 0, 0, 0]
        self._walks = 0

    def take(self, event: Event) -> None:
        """Add what an event costs."""
        if isinstance(event, FolioNew):
            self.state += event.nr * self._size(event.order)
        elif isinstance(event, FolioFreed):
            self.state -= event.nr * self._size(event.order)
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
        atomics, slots, ptls, lines = self._counts
        tally = (atomics, self._walks, ptls, slots, lines, self.state)
        self._counts = [0, 0, 0, 0]
        self._walks = 0
        return tally


def total(tallies: Sequence[Tally]) -> Tally:
    """All of them together; the state is that after the last."""
    counts = [sum(column) for column in zip(*tallies, strict=True)] or [0] * 6
    return (*counts[:-1], tallies[-1][-1] if tallies else 0)
