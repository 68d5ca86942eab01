"""locks and protocols: the order of locks, and how each protocol under test does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, combinations_with_replacement
from typing import TYPE_CHECKING

from folioshell.commands.call import Call, done
from folioshell.commands.grammar import VIEW, Form, command
from folioshell.commands.parse import Grammar, ParsedStatement
from folioshell.commands.threads_operand import ThreadText
from folioshell.errors import LoadedCodeError, Refused
from folioshell.model.lock import LockOp
from folioshell.records import NamedTuple
from folioshell.report import Report, Table, Text
from folioshell.session.workspace import Workspace

if TYPE_CHECKING:
    from folioshell.explore.race import Race
    from folioshell.session.race import RaceCost, RaceVerdict
    from folioshell.session.session import Session


TOPIC = "concurrency"


def _order(call: Call) -> Report:
    from folioshell.explore.lockdep import Lockdep, lockdep_text
    from folioshell.explore.locks import HIERARCHY, value_of

    levels = tuple((number, lock_class.value, *lock) for number, (lock_class, lock) in enumerate(HIERARCHY.items(), 1))
    note = "two page-table locks of one level have no documented order"
    columns: tuple[str, ...] = ("level", "class", "lock in Linux", "kind", "source (v6.18)")
    sections: list[Table | Text] = [Table("lock hierarchy", columns, levels, note)]
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
        sections += [lockdep_text(complaint, "lockdep") for complaint in watcher.complaints]
    return done(call, sections=tuple(sections))


@command(
    "locks", Form("order", summary="the hierarchy of locks, outermost first", handler=_order), kind=VIEW, topic=TOPIC
)
def locks(call: Call) -> Report:
    """Show the order in which locks are taken.

    The hierarchy, outermost first, and where Linux has each level: in the comment "Lock ordering in mm" or in the code.
    While holding a lock, a task may wait only for those below it. Then the orders of lock classes that the last step
    showed, as lockdep would record them, and what it would report. `/1` is SINGLE_DEPTH_NESTING: an annotation that two
    locks of a class have an order.

    Example:
        locks order
        mmap buf 16 ; fault buf ; fork B ; locks order

    Kernel: mm/rmap.c, the comment "Lock ordering in mm" (v6.18); mm/huge_memory.c: __folio_split() (v6.18)
    """
    raise AssertionError("every form of locks has a handler")


@command("protocols", kind=VIEW, topic=TOPIC)
def protocols(call: Call) -> Report:
    """Run every protocol, loaded ones included, in every shipped race: deadlocks, miscounts, costs.

    Explores each race of scenarios/locks under each protocol, through every interleaving, on machines of their own.
    *Extra PTLs* are page-table locks taken beyond those that Linux takes, and *bit locks* those of folios, when the
    threads run one after the other; *retries* is how often a protocol dropped its own lock and rechecked when they take
    turns at every lock operation.

    Example:
        protocols
    """
    outcomes = [_outcomes(call.session, race) for race in RACES]
    names = list(call.workspace.machine.protocols)
    matrix = tuple((name, *(verdict_word(outcome[name].verdict) for outcome in outcomes)) for name in names)
    totals = tuple((name, *_totals([outcome[name] for outcome in outcomes])) for name in names)
    columns = ("protocol", "deadlocks", "miscounts", "extra PTLs", "bit locks", "retries", "right")
    return done(
        call,
        sections=(
            Table("protocols in the shipped races", ("protocol", *(race.name for race in RACES)), matrix),
            Table(
                "protocols",
                columns,
                totals,
                "states, and locks taken; -: it deadlocks even if the threads run one after the other",
            ),
            Text(tuple(f"{race.name}: {race.about}" for race in RACES), title="races"),
        ),
    )


def explore_protocol(session: Session, name: str, shipped: ShippedRace, most: int | None) -> RaceVerdict:
    """What exploring a race under a protocol finds, on a machine of its own.

    Args:
        name: the protocol, of ours or loaded.
        most: states at most; None for all.
    """
    from folioshell.session.race import Found, RaceVerdict, explored

    workspace = _prepared(session, shipped)
    machine = workspace.machine
    machine.decide(machine.protocols[name].scheme)
    try:
        machine.set_protocol(name)
        verdict = explored(_race(workspace, shipped), most, None)
    except (LoadedCodeError, Refused) as error:
        # Not in a thread: while it started, or said what it has counted; or it holds what cannot be copied.
        return RaceVerdict(0, 0, (Found("protocol error", str(error), 0, ""),))
    if verdict.stopped == "interrupted":
        raise KeyboardInterrupt
    return verdict


def race_lines(name: str, scheme: str, shipped: ShippedRace, schedule: str = "") -> tuple[str, str]:
    """The lines to type that lead to a race under a protocol, and that explore it or follow a schedule."""
    setup = f"{shipped.setup} ; set decide {scheme} ; set protocol {name}"
    return setup, f"race {shipped.block}{f' schedule={schedule}' if schedule else ''}"


def _prepared(session: Session, shipped: ShippedRace) -> Workspace:
    workspace = session.workspace_with(counting=())
    for statement in Grammar().parse(shipped.setup):
        assert isinstance(statement, ParsedStatement)
        workspace.run(statement, statement.process or workspace.current)
    return workspace


class _Outcome(NamedTuple):
    """A race under a protocol: what exploring it found, and what it costs beyond what Linux does.

    Attributes:
        verdict: what was found.
        alone, turns: costs when the threads run one after the other, and when they take turns.
        base: the former without any protocol.
    """

    verdict: RaceVerdict
    alone: RaceCost
    turns: RaceCost
    base: RaceCost


def _outcomes(session: Session, shipped: ShippedRace) -> dict[str, _Outcome]:
    """Protocol, loaded ones included, -> what becomes of a race under it."""
    from folioshell.session.race import cost_of, explored

    workspace = _prepared(session, shipped)
    machine = workspace.machine
    machine.decide("vmas")
    plain = _race(workspace, shipped)
    explored(plain, None, None)
    base = cost_of(plain, by_turns=False)
    outcomes = {}
    for name, kind in machine.protocols.items():
        machine.decide(kind.scheme)
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


def verdict_word(verdict: RaceVerdict) -> str:
    """What is wrong, in a word or two."""
    words = [word for word, kind in (("deadlock", "deadlocks"), ("miscount", "miscounts")) if verdict.count(kind)]
    words += ["broken"] if verdict.count("invariants") or verdict.count("unlocked") else []
    words += ["error"] if "protocol error" in {found.kind for found in verdict.findings} else []
    words += ["livelock"] if verdict.count("livelocks") else []
    return ", ".join(words) or "ok"


def _totals(outcomes: Sequence[_Outcome]) -> tuple[str | int, ...]:
    verdicts = [outcome.verdict for outcome in outcomes]
    deadlocks, miscounts = (sum(verdict.count(kind) for verdict in verdicts) for kind in ("deadlocks", "miscounts"))
    loops = any(verdict.count("livelocks") for verdict in verdicts)
    errors = any(verdict.count("errors") for verdict in verdicts)
    right = "no" if deadlocks or miscounts or errors else "yes, except for livelock" if loops else "yes"
    if not all(outcome.alone.ended for outcome in outcomes):
        return deadlocks, miscounts, "-", "-", "-", right
    extra = sum(outcome.alone.table_locks - outcome.base.table_locks for outcome in outcomes)
    bits = sum(outcome.alone.bit_locks - outcome.base.bit_locks for outcome in outcomes)
    retries = sum(outcome.turns.retries for outcome in outcomes)
    if all(outcome.turns.ended for outcome in outcomes):
        return deadlocks, miscounts, extra, bits, retries, right
    return deadlocks, miscounts, extra, bits, "no end" if loops else "deadlocks", right


class ShippedRace(NamedTuple):
    """A race and what leads to it.

    Args:
        name: as the table of protocols has it.
        about: what happens, in a line.
        setup: commands that lead to it, counted by the definition.
        block: its threads. threads: how many.
    """

    name: str
    about: str
    setup: str
    block: str
    threads: int = 2


_STRADDLE = "file lib 32 order=4 ; mmap win 16 file=lib prot=rw align=512 skew=504"
_ONE_COPY_EACH = f"{_STRADDLE} ; write win[3] ; write win[12]"

RACES = (
    ShippedRace(
        "map, map",
        "two faults, one for each half of the folio; a page of each table was written before",
        _ONE_COPY_EACH,
        "{ A.t1: fault win[0] read ; A.t2: fault win[8] read }",
    ),
    ShippedRace(
        "unmap, map",
        "one half is unmapped while the other is faulted in",
        f"{_STRADDLE} ; fault win[0]",
        "{ A.t1: madvise dontneed win[0..7] ; A.t2: fault win[8] read }",
    ),
    ShippedRace(
        "unmap, unmap",
        "both halves are unmapped at once, the last mapped pages of the folio",
        f"{_STRADDLE} ; fault win[0] ; fault win[8]",
        "{ A.t1: madvise dontneed win[0..7] ; A.t2: madvise dontneed win[8..15] }",
    ),
    ShippedRace(
        "unmap some",
        "some pages of each half are unmapped at once, others stay",
        f"{_ONE_COPY_EACH} ; fault win[0] read ; fault win[8] read",
        "{ A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..10] }",
    ),
    ShippedRace(
        "unmap beside copies",
        "the last pages of the folio are unmapped from both tables; a page of another folio stays in each",
        f"{_ONE_COPY_EACH} ; fault win[0] read ; fault win[8] read ; "
        "madvise dontneed win[4..7] ; madvise dontneed win[13..15]",
        "{ A.t1: madvise dontneed win[0..2] ; A.t2: madvise dontneed win[8..11] }",
    ),
    ShippedRace(
        "split, map",
        "the VMA is split between the tables while the second half is faulted in",
        f"{_STRADDLE} ; fault win[0]",
        "{ A.t1: mprotect win[8..15] r ; A.t2: fault win[8] read }",
    ),
)


# A family of races: what can happen to both halves of a folio that straddles two page tables.

#: the halves of a folio of 4 pages, on tables of 8 entries
_LOWER, _UPPER = "win[0..1]", "win[2..3]"
_SMALL = "set geometry classroom ; set swap on ; file lib 8 order=2 ; mmap win 4 file=lib prot=rw align=8 skew=6"
#: name -> what it does to a half; {page} is one of its pages
_ACTIONS = {
    "fault": "fault {page} read",
    "write": "write {page}",
    "dontneed": "madvise dontneed {half}",
    "mprotect": "mprotect {half} r",
    "mremap": "mremap {half} new={name}",
    "fork": "fork {child}",
    "reclaim": "reclaim f1",
    "cold": "madvise cold {page}",
}
#: name -> what leads to it, and the process of the second thread
_STATES = {
    "": ("", "A"),
    ", beside copies": ("write win[1] ; write win[3]", "A"),
    ", in parent and child": ("fork B ; B: fault win[0] read ; B: fault win[2] read", "B"),
}


def family() -> Iterator[ShippedRace]:
    """Each action on the lower half against each on the upper half, in each state."""
    for state, (before, process) in _STATES.items():
        for first, second in combinations_with_replacement(_ACTIONS, 2):
            mapped = ["fault win[0] read", "fault win[2] read", *([before] if before else [])]
            # A fault finds its half unmapped.
            for action, owner, half in ((first, "A", _LOWER), (second, process, _UPPER)):
                if action == "fault":
                    mapped.append(f"{owner}: madvise dontneed {half}")
            one = _ACTIONS[first].format(page="win[0]", half=_LOWER, name="low", child="C")
            two = _ACTIONS[second].format(page="win[2]", half=_UPPER, name="high", child="D")
            yield ShippedRace(
                f"{first}, {second}{state}",
                f"{first} of the lower half against {second} of the upper half{state}",
                " ; ".join((_SMALL, *mapped)),
                f"{{ A.t1: {one} ; {process}.t2: {two} }}",
            )


#: what three threads do at once: (action, half)
_OF_THREE = (
    ("fault", _LOWER),
    ("dontneed", _LOWER),
    ("dontneed", _UPPER),
    ("mprotect", _UPPER),
    ("mremap", _UPPER),
    ("fork", ""),
    ("reclaim", ""),
)


def triples() -> Iterator[ShippedRace]:
    """Any three actions on the halves at once, by threads of one process, beside copies too."""
    for state in ("", ", beside copies"):
        setup = " ; ".join(filter(None, (_SMALL, "fault win[0] read ; fault win[2] read", _STATES[state][0])))
        for chosen in combinations(_OF_THREE, 3):
            words = [
                f"{action} {'lower' if half == _LOWER else 'upper'}" if half else action for action, half in chosen
            ]
            threads = [
                f"A.t{number}: {_ACTIONS[action].format(page='win[0]', half=half, name='high', child='C')}"
                for number, (action, half) in enumerate(chosen, 1)
            ]
            name = f"{', '.join(words)}{state}"
            yield ShippedRace(name, f"{name}, at once", setup, f"{{ {' ; '.join(threads)} }}", threads=3)
