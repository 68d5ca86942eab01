"""locks and protocols: the order of locks, and what each protocol under test is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from folioshell.commands.build import command, done
from folioshell.commands.call import Call
from folioshell.commands.grammar import VIEW, Form
from folioshell.commands.parse import Grammar
from folioshell.commands.shipped_races import RACES, ShippedRace
from folioshell.commands.statement import ParsedStatement
from folioshell.commands.threads_operand import ThreadText
from folioshell.model.lock import LockOp
from folioshell.paths.protocol import PROTOCOLS
from folioshell.report import Report, Table, Text
from folioshell.session.workspace import Workspace

if TYPE_CHECKING:
    from folioshell.explore.race import Race
    from folioshell.session.race import Cost, Verdict

TOPIC = "concurrency"


def _order(call: Call) -> Report:
    from folioshell.explore.lockdep import HIERARCHY, Lockdep, lockdep_report
    from folioshell.explore.locks import value_of

    levels = tuple(
        (number, level.lock_class.value, level.kernel, level.kind) for number, level in enumerate(HIERARCHY, 1)
    )
    note = 'mm/rmap.c, the comment "Lock ordering in mm"; two page-table locks of one level have no documented order'
    sections: list[Table | Text] = [Table("lock hierarchy", ("level", "class", "lock in Linux", "kind"), levels, note)]
    journal = call.workspace.journal
    if journal:
        watcher = Lockdep()
        record = journal[-1]
        watcher.see_all((record.process, value_of(op)) for op in record.trace if isinstance(op, LockOp))
        rows = tuple(
            (str(outer), str(inner), f"{held.op.function}()", f"{wanted.op.function}()")
            for outer, inner, held, wanted in watcher.orders()
        )
        columns = ("held", "then taken", "held by", "taken by")
        sections.append(Table(f"orders seen in step {record.number}", columns, rows))
        sections += [Text(tuple(lockdep_report(complaint)), title="lockdep") for complaint in watcher.complaints]
    return done(call, sections=tuple(sections))


@command(
    "locks",
    Form("order", summary="the hierarchy of locks, outermost first", handler=_order),
    kind=VIEW,
    topic=TOPIC,
    summary="the order in which locks are taken",
    explained="The hierarchy that Linux documents, outermost first: while something is held, only what stands below "
    "may be waited for. Below it the orders of two classes that the last step showed, as lockdep would learn them, and "
    "what it would warn of. `/1` is SINGLE_DEPTH_NESTING: a promise that two locks of a class have an order.",
    examples=("locks order", "mmap buf 16 ; fault buf ; fork B ; locks order"),
    kernel='mm/rmap.c, the comment "Lock ordering in mm"',
)
def locks(call: Call) -> Report:
    """The order of locks; every form has its own handler."""
    raise AssertionError("every form of locks has a handler")


@command(
    "protocols",
    kind=VIEW,
    topic=TOPIC,
    summary="every protocol in every shipped race: deadlocks, miscounts, costs",
    explained="Runs each race of scenarios/locks under each protocol, through every interleaving, on machines of its "
    "own. *Extra PTLs* are page-table locks taken beyond those that Linux takes, and *bit locks* those of folios, when "
    "the threads run one after the other; *retries* is how often a protocol let go of its own lock and looked again "
    "when they take turns at every lock operation.",
    examples=("protocols",),
)
def protocols(call: Call) -> Report:
    """Every protocol in every shipped race."""
    outcomes = [_outcomes(race) for race in RACES]
    matrix = tuple((name, *(_word(outcome[name].verdict) for outcome in outcomes)) for name in PROTOCOLS)
    totals = tuple((name, *_totals([outcome[name] for outcome in outcomes])) for name in PROTOCOLS)
    columns = ("protocol", "deadlocks", "miscounts", "extra PTLs", "bit locks", "retries", "right")
    return done(
        call,
        sections=(
            Table("protocols in the shipped races", ("protocol", *(race.name for race in RACES)), matrix),
            Table(
                "protocols",
                columns,
                totals,
                "states, and locks taken; -: it hangs when the threads run one after the other already",
            ),
            Text(tuple(f"{race.name}: {race.about}" for race in RACES), title="races"),
        ),
    )


class _Outcome:
    """A race under a protocol: what exploring it found, and what it costs beyond what Linux does.

    Attributes:
        verdict: what was found.
        alone, turns: costs when the threads run one after the other, and when they take turns.
        base: the former without any protocol.
    """

    __slots__ = ("alone", "base", "turns", "verdict")

    def __init__(self, verdict: Verdict, alone: Cost, turns: Cost, base: Cost) -> None:
        self.verdict = verdict
        self.alone = alone
        self.turns = turns
        self.base = base


def _outcomes(shipped: ShippedRace) -> dict[str, _Outcome]:
    """Protocol -> what becomes of a race under it."""
    from folioshell.session.race import cost_of, explored

    workspace = Workspace(counting=())
    for statement in Grammar().parse(shipped.setup):
        workspace.run(statement, workspace.current)
    machine = workspace.machine
    machine.decide("vmas")
    plain = _race(workspace, shipped)
    explored(plain, None, None)
    base = cost_of(plain, by_turns=False)
    outcomes = {}
    for name in PROTOCOLS:
        machine.set_protocol(name)
        race = _race(workspace, shipped)
        verdict = explored(race, None, None)
        outcomes[name] = _Outcome(verdict, cost_of(race, by_turns=False), cost_of(race, by_turns=True), base)
    return outcomes


def _race(workspace: Workspace, shipped: ShippedRace) -> Race:
    from folioshell.session.race import Thread, race_of

    (statement,) = Grammar().parse(f"race {shipped.block}")
    assert isinstance(statement, ParsedStatement)
    texts: list[ThreadText] = statement.arguments.get("THREADS", list)
    return race_of(workspace, [Thread(text.process.text, text.name, tuple(text.commands)) for text in texts])


def _word(verdict: Verdict) -> str:
    """What is wrong, in a word or two."""
    words = [word for word, kind in (("deadlock", "deadlocks"), ("miscount", "miscounts")) if verdict.count(kind)]
    words += ["broken"] if verdict.count("invariants") or verdict.count("unlocked") else []
    words += ["livelock"] if verdict.loop else []
    return ", ".join(words) or "ok"


def _totals(outcomes: Sequence[_Outcome]) -> tuple[str | int, ...]:
    verdicts = [outcome.verdict for outcome in outcomes]
    deadlocks, miscounts = (sum(verdict.count(kind) for verdict in verdicts) for kind in ("deadlocks", "miscounts"))
    loops = any(verdict.loop for verdict in verdicts)
    right = "no" if deadlocks or miscounts else "yes, but for livelock" if loops else "yes"
    if not all(outcome.alone.ended for outcome in outcomes):
        return deadlocks, miscounts, "-", "-", "-", right
    extra = sum(outcome.alone.table_locks - outcome.base.table_locks for outcome in outcomes)
    bits = sum(outcome.alone.bit_locks for outcome in outcomes)
    retries = sum(outcome.turns.retries for outcome in outcomes)
    if all(outcome.turns.ended for outcome in outcomes):
        return deadlocks, miscounts, extra, bits, retries, right
    return deadlocks, miscounts, extra, bits, "no end" if loops else "hangs", right
