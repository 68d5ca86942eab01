"""trace, diff, compare and cost: what steps did, what they changed, here and in other kernels, and what they cost."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from folioshell.commands.call import Call, done
from folioshell.commands.grammar import VIEW, Arg, Form, command, flags
from folioshell.commands.history import POINT, point_of, point_text
from folioshell.commands.operands import Choices, StepNumber
from folioshell.commands.schemes import SchemeName, scheme_of
from folioshell.commands.settings import kernel_settings
from folioshell.engine.machine import Uncollected
from folioshell.model.lock import Lock, LockOp
from folioshell.model.release import RELEASES
from folioshell.report import Report, Table
from folioshell.schemes.base import Scheme
from folioshell.session.changes import (
    EntryChange,
    changes_between,
    count_changes,
    entry_changes,
    numbers_of,
    vma_changes,
)
from folioshell.session.history import HistoryPoint, StepRecord
from folioshell.session.step_events import Described, Describer, described
from folioshell.session.workspace import Region, Workspace, labels_of
from folioshell.units import format_address
from folioshell.wording import Row, counted, row_runs

if TYPE_CHECKING:
    from folioshell.session.costs import StepCosts, Tally

TOPIC = "asking"

#: rows of a trace; a step that touched very many pages has millions
TRACE_ROWS = 2000

STEP = StepNumber(least=1)


def _record(call: Call, name: str) -> StepRecord:
    journal = call.workspace.journal
    if not journal:
        raise call.refused_at(name, "there is no step yet", hint="a step is a command that changes state")
    number = call.number(name, len(journal))
    if not 1 <= number <= len(journal):
        raise call.refused_at(name, f"there is no step {number}", hint=f"steps go from 1 to {len(journal)}")
    return journal[number - 1]


@command(
    "trace",
    Form(
        args=(Arg("N", STEP, "number of the step (default: the last one)", optional=True),),
        flags=flags("part", locks="lock operations only", events="events only", all="both (default)"),
    ),
    kind=VIEW,
    topic=TOPIC,
)
def trace(call: Call) -> Report:
    """Show what a step did, in order.

    Every lock operation (+ acquire, - release, ~ trylock, v downgrade, w wait for the release) with the function that
    did it, indented by the number of locks held, and every event that the kernel path announced. ×512: 512 consecutive
    faults took the same path, each for a page of its own, and are shown once, with whatever the first one did in
    addition; of locks f1..f512 each took one.

    Example:
        mmap buf 16 ; fault buf[0] ; trace locks
    """
    record = _record(call, "N")
    part = call.word("part", "all")
    describer = Describer(call.workspace)
    lines: list[tuple[int, Described]] = []
    held: dict[Lock, int] = {}
    total = 0
    for event in record.trace:
        depth = len(held)
        if isinstance(event, LockOp):
            if event.verb == "-":
                depth = held.pop(event.lock, 0)
            elif event.verb in "+~":
                held[event.lock] = depth
        if part == "all" or isinstance(event, LockOp) == (part == "locks"):
            total += 1
            if total <= TRACE_ROWS:
                lines.append((depth, described(event, describer)))
    from folioshell.explore.locks import legend

    shown = () if part == "events" else record.trace
    notes = [legend(event.lock.lock_class for event in shown if isinstance(event, LockOp))]
    if total > TRACE_ROWS:
        notes.append(f"… {total - TRACE_ROWS:,} more rows; `trace N locks` and `trace N events` show a part of them")
    note = "\n".join(filter(None, notes))
    title = f"step {record.number}, {record.process}: {record.command}"
    rows = tuple(
        (number, depth, f"{'  ' * depth}{line.text}", line.function) for number, (depth, line) in enumerate(lines, 1)
    )
    words = tuple(f"{number}. {line.sentence}, depth {depth}." for number, (depth, line) in enumerate(lines, 1))
    return done(call, sections=(Table(title, ("row", "depth", "what", "function"), rows, note, words),))


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
            Arg(
                "N", POINT, "from the state after this step, at this mark, or at the end of this branch", optional=True
            ),
            Arg("M", POINT, "to the state there (default: the present one)", optional=True),
        )
    ),
    kind=VIEW,
    topic=TOPIC,
)
def diff(call: Call) -> Report:
    """Show what changed between two states.

    Compares the states after step N and after step M; the default is what the last step changed. Shows the numbers of
    folios, settings, counters of processes, VMAs and entries, old and new, in runs. What is equal is left out, also
    within a changed VMA. `diff N` compares the state after N with the present one. A state may be named by a mark, or
    by a branch for its last step; branches that diverged give the same ids to different objects.

    Example:
        mmap buf 16 ; fault buf[0] ; diff
        mmap buf 16 ; fault buf ; diff 0 2
        mmap buf 16 ; fault buf ; branch forked ; fork B ; diff main forked
    """
    session = call.session
    line, last = session.history.current, session.step
    if not last and "N" not in call.arguments:
        raise call.refused_at("N", "there is no step yet", hint="a step is a command that changes state")
    first = point_of(call, "N") if "N" in call.arguments else HistoryPoint(line, last - 1)
    second = point_of(call, "M") if "M" in call.arguments else HistoryPoint(line, last)
    shown = session.shown_schemes
    with Uncollected():
        before, after = (_state(call, point) for point in (first, second))
        folios = changes_between(numbers_of(before, shown), numbers_of(after, shown), shown)
        tables = [table for table in _tables(before, after) if table.rows]
        if before is not call.workspace:
            session.keep(before, first)
    here, there = (point_text(session.history, point) for point in (first, second))
    counts = [counted(sum(row.nr for row in folios), "folio")] if folios else []
    counts += [counted(len(table.rows), *_NOUNS[table.title]) for table in tables]
    listed = " and ".join(filter(None, (", ".join(counts[:-1]), *counts[-1:])))
    what = f"differences in {listed}" if counts else "no differences"
    sections = tuple(table._replace(rows=row_runs(table.rows)) for table in tables)
    return done(call, f"From {here} to {there}: {what}.", folios=folios, sections=sections)


def _state(call: Call, point: HistoryPoint) -> Workspace:
    """The state at a point; the present one need not be made again."""
    session = call.session
    if point == HistoryPoint(session.history.current, session.step):
        return call.workspace
    return session.replay(point.position, point.branch)


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


class _ProfileList(Choices):
    """Profiles, of which there is at least one."""

    at_once = MappingProxyType({"all": "all of them"})


def _compare_schemes(call: Call) -> Report:
    names = scheme_of(call, "A").name, scheme_of(call, "B").name
    if names[0] == names[1]:
        raise call.refused_at("B", "one scheme has nothing to compare with")
    # Few sessions compare.
    from folioshell.session.scheme_answers import compared_schemes

    sentence, sections = compared_schemes(call.session, names)
    return done(call, sentence, sections=sections)


_PROFILES = _ProfileList({row.version: f"Linux {row.point}" for row in RELEASES.values()}, "profile", show=False)


@command(
    "compare",
    Form(
        "profiles",
        (Arg("NAME,…", _PROFILES, "profiles with commas between them (default: all)", optional=True, repeated=True),),
        summary="the history so far under several kernels: where they part, and why",
    ),
    Form(
        "schemes",
        (Arg("A", SchemeName(), "a scheme"), Arg("B", SchemeName(), "another one")),
        summary="the history so far: after which steps the answers of two schemes part",
        handler=_compare_schemes,
    ),
    kind=VIEW,
    topic=TOPIC,
    lead_name="comparison",
)
def compare(call: Call) -> Report:
    """Show where the history so far parts under several kernels, or where the answers of two schemes part.

    `compare profiles` does the steps again under each profile, and shows those in which not all end alike: which
    profiles go together, and what each group has there: result, VMAs, orders of folios, whether pages were copied,
    numbers of the shown schemes, smaps, bits of pagemap, and page-table locks. Of a difference that lasts only the
    first step is shown.

    Below stands the rule: the difference between two neighboring releases without which they would not have parted,
    and where the kernel has it. It is found by flipping each difference on its own. `several together` are differences
    of which none is enough. `set profile` in the history is left out. The schedule
    of a race is kept as far as it fits, and the rest of its threads take turns. docs/releases.md lists the differences.

    `compare schemes` asks both schemes after each step whether each folio is shared, for each process that maps it,
    whether it is mapped, and whether it is partially mapped. It shows the steps after which they part in a new way,
    with the truth, and the numbers of the first such folio.

    Example:
        mmap buf 2M ; read buf[0] ; write buf[0] ; compare profiles
        mmap buf 16 ; madvise populate_write buf ; compare profiles 5.10,7.3
        set thp.64K always ; mmap buf 64K ; write buf ; fork B ; B: munmap buf[0..7] ; compare schemes likely mm-id
    """
    chosen = {name for names in call.arguments.every("NAME,…") for name in names}
    versions = [version for version in RELEASES if version in chosen or "NAME,…" not in call.arguments]
    if len(versions) < 2:
        raise call.refused_at("NAME,…", "one profile has nothing to compare with", allowed=RELEASES)
    if not call.session.step:
        raise call.refused_at("lead", "there is no step yet", hint="a step is a command that changes state")
    from folioshell.session.profiles import compared_profiles

    sentence, sections = compared_profiles(call.session, versions)
    return done(call, sentence, sections=sections)


_COLUMNS = ("atomics", "walks", "PTLs", "slots", "lines", "bytes")
_PATH = "(the kernel's path)"
_NOTE = "counts of a model, not time; PTLs of a scheme are extra ones; see `help cost`"


@command("cost", Form(args=(Arg("N", StepNumber(least=1), "only this step", optional=True),)), kind=VIEW, topic=TOPIC)
def cost(call: Call) -> Report:
    """Show what the steps so far cost each scheme.

    Counts of a model, not time: what each shown scheme does beyond what Linux does anyway, derived from the events that
    each step announced. *Atomics* are read-modify-write operations on counters and locks of the folio, and on
    page->_mapcount. *Walks* are the rmap walks that each `maybe` requires, with every scheme answering the kernel's own
    queries; `query shared?` shows what one costs. A walk needs the folio lock, which is only tried under a page-table
    lock: 2 more atomics, and a folio whose lock is contended is treated as shared. *PTLs* and *slots* are page-table
    locks taken and slots read to find out whether the number changes, in addition to the locks that the kernel's path
    takes anyway, which have a row of their own. *Lines* are cache lines of struct page touched, 64 bytes each. *Bytes*
    are the state kept after the step for all living folios. Schemes with the same cost in a step share a row; those
    without any cost have none.

    Example:
        file lib 32 order=4 ; mmap win 16 file=lib align=512 skew=504 ; fault win[0] ; fault win[8] ; cost
        mmap buf 16 ; fault buf ; cost 2
    """
    # Few sessions ask for costs.
    from folioshell.session.costs import step_costs

    names = call.session.shown_schemes
    with Uncollected():
        steps = step_costs(call.workspace, names)
        if "N" in call.arguments:
            one = steps[_record(call, "N").number - 1]
            return done(call, sections=(_all_steps(call, names, [one], f"cost of {_title(one)}"),))
        sections = [_all_steps(call, names, steps, f"cost of {counted(len(steps), 'step')}")]
        rows = row_runs([row for step in steps for row in _step_rows(step, names)])
    if rows:
        sections.append(Table("each step", ("step", "schemes", *_COLUMNS), rows, _NOTE))
    return done(call, sections=tuple(sections))


def _title(step: StepCosts) -> str:
    return f"step {step.record.number}, {step.record.command}"


def _all_steps(call: Call, names: Sequence[str], steps: Sequence[StepCosts], title: str) -> Table:
    """A row a scheme."""
    from folioshell.session.costs import total

    rows: list[Row] = [(_PATH, *_own(sum(step.ptls for step in steps)))]
    rows += [(name, *total([step.tallies[at] for step in steps])) for at, name in enumerate(names)]
    note = _NOTE
    if unknown := [name for name in names if _has_no_model(call.workspace.machine.schemes[name])]:
        note += f"\nno cost model: {', '.join(unknown)}"
    return Table(title, ("scheme", *_COLUMNS), tuple(rows), note)


def _has_no_model(scheme: Scheme) -> bool:
    return getattr(type(scheme).cost_of, "__func__", None) is getattr(Scheme.cost_of, "__func__", None)


def _step_rows(step: StepCosts, names: Sequence[str]) -> Iterable[Row]:
    """A row for the path itself, then one for the schemes that it costs the same; none for those it costs nothing."""
    alike: dict[Tally, list[str]] = {}
    for name, tally in zip(names, step.tallies, strict=True):
        alike.setdefault(tally, []).append(name)
    number = step.record.number
    if step.ptls:
        yield (number, _PATH, *_own(step.ptls))
    for tally, schemes in alike.items():
        if any(tally[:-1]):
            yield (number, ", ".join(schemes), *tally)


def _own(ptls: int) -> Row:
    return (None, None, ptls, None, None, None)
