"""show stats: statistics of mapped pages, and event counters."""

from __future__ import annotations

from folioshell.commands.build import done
from folioshell.commands.call import Call
from folioshell.events import Tracepoint
from folioshell.model.proc import COUNTERS, SYMBOLS, WAYS, native_way, statistics
from folioshell.report import Report, Table

Row = tuple[str | int | None, ...]


def show_stats(call: Call) -> Report:
    """Both tables."""
    return done(call, sections=(_mapped_pages(call), _event_counters(call)))


def _mapped_pages(call: Call) -> Table:
    sums = {way: statistics(call.kernel, way) for way in WAYS}
    rows: list[Row] = [(name, SYMBOLS[name], *(sums[way][name] for way in WAYS)) for name in COUNTERS]
    note = f"in pages; this kernel keeps them {native_way(call.kernel)}"
    return Table("mapped pages", ("counter", "symbol", *WAYS), tuple(rows), note)


def _event_counters(call: Call) -> Table:
    counts = dict(call.kernel.vm_events)
    for record in call.workspace.journal:
        for event in record.events():
            if isinstance(event, Tracepoint) and event.count:
                counts[event.count] = counts.get(event.count, 0) + 1
    return Table("event counters", ("counter", "value"), tuple(sorted(counts.items())), "as /proc/vmstat names them")
