"""diff: what differs between two states."""

from __future__ import annotations

from collections.abc import Sequence

from folioshell.commands.build import arg, command, done
from folioshell.commands.call import Call
from folioshell.commands.grammar import VIEW, Form
from folioshell.commands.history_points import SPOT, spot_of, spot_text
from folioshell.commands.settings import kernel_settings
from folioshell.report import Report, Table
from folioshell.session.changes import changes_between, numbers_of
from folioshell.session.differences import EntryChange, count_changes, entry_changes, vma_changes
from folioshell.session.history import HistoryPoint
from folioshell.session.region import Region, labels_of
from folioshell.session.workspace import Workspace
from folioshell.units import format_address
from folioshell.wording import counted

TOPIC = "asking"
#: table -> what a row of it is
_NOUNS = {
    "settings": ("setting",),
    "processes": ("counter of a process", "counters of processes"),
    "VMAs": ("VMA",),
    "entries": ("run of entries", "runs of entries"),
}


@command(
    "diff",
    Form(
        args=(
            arg("N", SPOT, "from the state after this step, at this mark, or at the end of this line", optional=True),
            arg("M", SPOT, "to the state there; the present one unless said", optional=True),
        )
    ),
    kind=VIEW,
    topic=TOPIC,
    summary="what changed between two states",
    explained="What differs between the states after step N and after step M, by default what the last step changed: "
    "the numbers of folios, settings, counters of processes, VMAs and entries, old and new, in runs. What is equal is "
    "left out, also of a VMA that changed. `diff N` compares the state after N with the present one. A state may be "
    "named by a mark, or by a line for its last step; lines that parted give the same ids to different objects.",
    examples=(
        "mmap buf 16 ; fault buf[0] ; diff",
        "mmap buf 16 ; fault buf ; diff 0 2",
        "mmap buf 16 ; fault buf ; branch forked ; fork B ; diff main forked",
    ),
)
def diff(call: Call) -> Report:
    """What changed between two states."""
    session = call.session
    line, last = session.history.current, session.step
    if not last and "N" not in call.arguments:
        raise call.refused_at("N", "no step was done yet", hint="a step is a command that changes state")
    first = spot_of(call, "N") if "N" in call.arguments else HistoryPoint(line, last - 1)
    second = spot_of(call, "M") if "M" in call.arguments else HistoryPoint(line, last)
    before, after = (_state(call, spot) for spot in (first, second))
    shown = session.shown_schemes
    folios = changes_between(numbers_of(before, shown), numbers_of(after, shown), shown)
    tables = [table for table in _tables(before, after) if table.rows]
    here, there = (spot_text(session.history, spot) for spot in (first, second))
    counts = [counted(sum(row.nr for row in folios), "folio")] if folios else []
    counts += [counted(len(table.rows), *_NOUNS[table.title]) for table in tables]
    listed = " and ".join(filter(None, (", ".join(counts[:-1]), *counts[-1:])))
    what = f"differences in {listed}" if counts else "no difference in what is compared"
    return done(call, f"From {here} to {there}: {what}.", folios=folios, sections=tuple(tables))


def _state(call: Call, spot: HistoryPoint) -> Workspace:
    """The state at a spot; the present one need not be made again."""
    session = call.session
    if spot == HistoryPoint(session.history.current, session.step):
        return call.workspace
    return session.replay(spot.position, spot.line)


def _tables(before: Workspace, after: Workspace) -> Sequence[Table]:
    """A table for each kind of change."""
    set_before, set_after = (dict(kernel_settings(workspace.kernel)) for workspace in (before, after))
    settings = [(name, set_before.get(name, "-"), value) for name, value in set_after.items()]
    vmas = [(process, vma, old or "-", new or "-") for process, vma, old, new in vma_changes(before, after)]
    regions = list({**before.regions, **after.regions}.values())
    entries = [_entry_row(change, regions) for change in entry_changes(before, after)]
    sides = ("before", "after")
    return (
        Table("settings", ("setting", *sides), tuple(row for row in settings if row[1] != row[2])),
        Table("processes", ("process", "counter", *sides), tuple(count_changes(before, after))),
        Table("VMAs", ("process", "vma", *sides), tuple(vmas)),
        Table("entries", ("process", "pages", "table", *sides), tuple(entries)),
    )


def _entry_row(change: EntryChange, regions: Sequence[Region]) -> tuple[str, ...]:
    where = f"{format_address(change.vpn)}{f'+{change.nr}' if change.nr > 1 else ''}"
    pages = labels_of(regions, change.vpn, change.end) or where
    texts = (run.text if run is not None else "-" for run in (change.old, change.new))
    return (change.process, pages, change.table, *texts)
