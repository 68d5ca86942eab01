"""cost: what the steps so far cost each definition, in counts of a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from folioshell.commands.build import arg, command, done
from folioshell.commands.call import Call
from folioshell.commands.grammar import VIEW, Form
from folioshell.commands.operands import StepNumber
from folioshell.report import Report, Table
from folioshell.schemes.base import Scheme
from folioshell.session.costs import StepCosts, Tally, step_costs, total
from folioshell.wording import counted

TOPIC = "asking"
Row = tuple[str | int | None, ...]

_COLUMNS = ("atomics", "walks", "PTLs", "slots", "lines", "bytes")
_PATH = "(the kernel's path)"
_NOTE = "counts of a model, not time; PTLs of a scheme are extra ones; see `help cost`"


@command(
    "cost",
    Form(args=(arg("N", StepNumber(least=1), "only this step", optional=True),)),
    kind=VIEW,
    topic=TOPIC,
    summary="what the steps so far cost each scheme, as counts",
    explained="Counts of a model, not time: what each shown scheme has to do besides what Linux does anyway, made of "
    "the events that each step announced. *Atomics* are read-modify-write operations on counters and locks of the "
    "folio, and on page->_mapcount. *Walks* are the rmap walks that an answer `maybe` makes necessary, with the "
    "kernel's own questions put to every scheme; `query shared?` says what one costs. *PTLs* and *slots* are "
    "page-table locks taken and slots looked at to find out whether the number changes, besides the locks that the "
    "kernel's path takes anyway, which have a row of their own. *Lines* are cache lines of struct page touched, 64 "
    "bytes each. *Bytes* are the state that is kept after the step for all folios that live. Schemes that a step "
    "costs the same share a row; those that it costs nothing have none.",
    examples=(
        "file lib 32 order=4 ; mmap win 16 file=lib align=512 skew=504 ; fault win[0] ; fault win[8] ; cost",
        "mmap buf 16 ; fault buf ; cost 2",
    ),
)
def cost(call: Call) -> Report:
    """What the steps so far cost each scheme."""
    names = call.session.shown_schemes
    steps = step_costs(call.workspace, names)
    if "N" in call.arguments:
        number = call.number("N")
        if number > len(steps):
            hint = f"steps go from 1 to {len(steps)}" if steps else "a step is a command that changes state"
            raise call.refused_at("N", f"there is no step {number}", hint=hint)
        one = steps[number - 1]
        return done(call, sections=(_all_steps(call, names, [one], f"cost of {_title(one)}"),))
    sections = [_all_steps(call, names, steps, f"cost of {counted(len(steps), 'step')}")]
    rows = [row for step in steps for row in _step_rows(step)]
    if rows:
        sections.append(Table("each step", ("step", "schemes", *_COLUMNS), tuple(rows), _NOTE))
    return done(call, sections=tuple(sections))


def _title(step: StepCosts) -> str:
    return f"step {step.record.number}, {step.record.command}"


def _all_steps(call: Call, names: Sequence[str], steps: Sequence[StepCosts], title: str) -> Table:
    """A row a scheme."""
    rows: list[Row] = [(_PATH, *_own(sum(step.ptls for step in steps)))]
    rows += [(name, *_cells(total([step.tallies[name] for step in steps]))) for name in names]
    note = _NOTE
    if unknown := [name for name in names if _has_no_model(call.workspace.machine.schemes[name])]:
        note += f"\nno cost model: {', '.join(unknown)}"
    return Table(title, ("scheme", *_COLUMNS), tuple(rows), note)


def _has_no_model(scheme: Scheme) -> bool:
    return getattr(type(scheme).cost_of, "__func__", None) is getattr(Scheme.cost_of, "__func__", None)


def _step_rows(step: StepCosts) -> Iterable[Row]:
    """A row for the path itself, then one for the schemes that it costs the same; none for those it costs nothing."""
    alike: dict[tuple[int, ...], list[str]] = {}
    for name, tally in step.tallies.items():
        cells = _cells(tally)
        if any(cells[:-1]):
            alike.setdefault(cells, []).append(name)
    if step.ptls:
        yield (step.record.number, _PATH, *_own(step.ptls))
    for cells, names in alike.items():
        yield (step.record.number, ", ".join(names), *cells)


def _own(ptls: int) -> Row:
    return (None, None, ptls, None, None, None)


def _cells(tally: Tally) -> tuple[int, ...]:
    counts = tally.cost
    return (counts.atomics, tally.walks, counts.ptls, counts.slots, counts.lines, tally.state)
