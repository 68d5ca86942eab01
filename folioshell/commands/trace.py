"""trace: what a step did, in order."""

from __future__ import annotations

from folioshell.commands.build import arg, command, done
from folioshell.commands.call import Call
from folioshell.commands.grammar import VIEW, Flag, Form
from folioshell.commands.operands import StepNumber
from folioshell.model.lock import Lock, LockOp
from folioshell.report import Report, Table
from folioshell.session.describe import Describer
from folioshell.session.journal import StepRecord

TOPIC = "asking"

#: rows of a trace; a step that touched very many pages has millions
TRACE_ROWS = 2000

STEP = StepNumber(least=1)


def _record(call: Call, name: str) -> StepRecord:
    journal = call.workspace.journal
    if not journal:
        raise call.refused_at(name, "no step was done yet", hint="a step is a command that changes state")
    number = call.number(name, len(journal))
    if not 1 <= number <= len(journal):
        raise call.refused_at(name, f"there is no step {number}", hint=f"steps go from 1 to {len(journal)}")
    return journal[number - 1]


@command(
    "trace",
    Form(
        args=(arg("N", STEP, "number of the step; the last unless said", optional=True),),
        flags=(
            Flag("locks", "part", "lock operations only"),
            Flag("events", "part", "events only"),
            Flag("all", "part", "both (the default)"),
        ),
    ),
    kind=VIEW,
    topic=TOPIC,
    summary="what a step did, in order",
    explained="Every lock operation (+ acquire, - release, ~ trylock, v downgrade) with the function that made it, "
    "set in by how many locks were held, and every event that the kernel path announced. ×512 says that as many "
    "faults in a row took the same way, each for a page of its own: they stand there as one, and what the first did "
    "besides stands among its rows.",
    examples=("mmap buf 16 ; fault buf[0] ; trace locks",),
)
def trace(call: Call) -> Report:
    """What a step did, in order."""
    record = _record(call, "N")
    part = call.word("part", "all")
    describer = Describer(call.workspace)
    rows: list[tuple[str | int | None, ...]] = []
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
                rows.append(_trace_row(total, event, depth, describer))
    note = f"{total - TRACE_ROWS:,} more rows are left out" if total > TRACE_ROWS else ""
    title = f"step {record.number}, {record.process}: {record.command}"
    return done(call, sections=(Table(title, ("row", "depth", "what", "function"), tuple(rows), note),))


def _trace_row(number: int, event: object, depth: int, describer: Describer) -> tuple[str | int | None, ...]:
    indent = "  " * depth
    if isinstance(event, LockOp):
        return number, depth, f"{indent}{event}", event.function
    return number, depth, f"{indent}{describer.text(event)}", describer.who(event)  # type: ignore[arg-type]
