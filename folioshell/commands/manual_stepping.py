"""thread, spawn, step and finish: threads by hand.

Spawned threads change nothing until `finish`: each `step` repeats the schedule so far from the present state, shows
what the thread did, and gives the machine back. `finish` follows the whole schedule as one `race … schedule=`, so that
history, undo and scripts know nothing but races.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from folioshell.commands.build import NEW_NAME, arg, command, done
from folioshell.commands.call import Call
from folioshell.commands.grammar import MODEL, SESSION, Form
from folioshell.commands.lex import Token
from folioshell.commands.operands import Word, read_name
from folioshell.commands.parse import Grammar, read_statement
from folioshell.commands.race import race_in, step_table, threads_in
from folioshell.commands.statement import ParsedStatement
from folioshell.commands.threads_operand import raceable
from folioshell.report import Report, Table
from folioshell.session.language import Ending
from folioshell.session.spawned import Spawned
from folioshell.wording import counted

if TYPE_CHECKING:
    from folioshell.explore.race import Race
    from folioshell.explore.replay import RaceStep
    from folioshell.session.session import Session

TOPIC = "concurrency"


@command(
    "thread",
    Form(args=(arg("NAME", NEW_NAME, "name of the thread"),)),
    kind=MODEL,
    topic=TOPIC,
    summary="add a thread to the process",
    explained="The thread shares the memory of its process: A.t1 is thread t1 of A, and `A.t1: verb …` lets it run a "
    "command. Races and `spawn` make the threads that they name.",
    examples=("thread t1 ; mmap buf 16 ; A.t1: fault buf[0]",),
    subject=lambda call: f"{call.process} has a thread {call.word('NAME')} now",
)
def thread(call: Call) -> Ending:
    """Add a thread to the process."""
    name = call.word("NAME")
    if name in call.workspace.threads.get(call.process, ()):
        raise call.refused_at("NAME", f"{call.process} has a thread {name} already")
    call.workspace.note_thread(call.process, name)
    return None


class ThreadCommand(Word):
    """A thread with a colon behind it, and what it is to do."""

    thread = True


def _under_way(session: Session) -> list[tuple[str, str]]:
    spawned = session.spawned
    return [(name, " ; ".join(commands)) for name, commands in spawned.commands.items()] if spawned else []


@command(
    "spawn",
    Form(
        args=(
            arg(
                "THREAD: COMMAND", ThreadCommand("a thread and its command"), "who, and what it is to do", repeated=True
            ),
        )
    ),
    kind=SESSION,
    topic=TOPIC,
    summary="let a thread begin a command, to be stepped by hand",
    explained="`spawn t1: fault buf[0]` is thread t1 of the process that runs this; `spawn B.t1: …` names another's. "
    "Nothing happens before `step`. What can race can be spawned.",
    examples=("mmap buf 16 ; spawn t1: fault buf[0] ; spawn t2: fault buf[1] ; step t1 ; step t2 ; finish",),
)
def spawn(call: Call) -> Report:
    """Let a thread begin a command."""
    words = call.arguments.tokens("THREAD: COMMAND")
    label, rest = _thread_name(call, words)
    if not rest:
        raise call.refused(words[-1], "a command is missing", allowed=raceable())
    statement = read_statement(call.statement.line, rest)
    if not statement.command.races:
        raise call.refused(rest[0], f"{statement.command.verb} cannot race", allowed=raceable())
    spawned = call.session.spawned or Spawned()
    if label in spawned.commands and spawned.names.index(label) + 1 in spawned.schedule:
        raise call.refused(words[0], f"{label} has begun already", hint=f"`step {label}`, or `finish`")
    trial = Spawned({**spawned.commands, label: [*spawned.commands.get(label, ()), statement.text]}, spawned.schedule)
    _race(call, trial).restore()
    call.session.spawned = trial
    return done(call, f"{label} is to do: {' ; '.join(trial.commands[label])}.")


def _thread_name(call: Call, words: Sequence[Token]) -> tuple[str, list[Token]]:
    """(thread as it is printed, the words behind its colon)."""
    prefix, colon, left = words[0].text.partition(":")
    if not colon:
        hint = "spawn t1: COMMAND"
        raise call.refused(words[0], "a thread with a colon behind it is wanted", allowed=[hint])
    process, dot, name = prefix.rpartition(".")
    start = words[0].start + len(process) + len(dot)
    read_name(Token(name, start, start + max(len(name), 1)))
    if dot and process not in call.kernel.mms:
        token = Token(process, words[0].start, start - 1)
        raise call.refused(token, "no such process", allowed=list(call.kernel.mms))
    rest = [Token(left, words[0].start + len(prefix) + 1, words[0].end)] if left else []
    return f"{process or call.mm.name}.{name}", [*rest, *words[1:]]


def _race(call: Call, spawned: Spawned) -> Race:
    (statement,) = Grammar().parse(f"race {spawned.block}")
    assert isinstance(statement, ParsedStatement)
    return race_in(call, threads_in(call, statement.arguments))


def _spawned(call: Call) -> Spawned:
    spawned = call.session.spawned
    if spawned is None:
        raise call.refused(None, "no thread is under way", hint="`spawn t1: COMMAND` lets one begin")
    return spawned


def _replayed(race: Race, spawned: Spawned) -> list[RaceStep]:
    from folioshell.explore.replay import replay
    from folioshell.explore.search import Schedule

    return list(replay(race, Schedule(tuple(spawned.schedule))))


@command(
    "step",
    Form(args=(arg("THREAD", Word("a thread", _under_way), "who goes on"),)),
    kind=SESSION,
    topic=TOPIC,
    summary="let a spawned thread go on to its next lock operation",
    explained="Shows the lock operations (+ - ~ as in `help trace`) and events of the step. The state stays as it is "
    "until `finish`.",
    examples=("mmap buf 16 ; spawn t1: fault buf[0] ; step t1 ; step t1",),
)
def step(call: Call) -> Report:
    """Let a spawned thread go on."""
    spawned, word = _spawned(call), call.word("THREAD")
    label = word if "." in word else f"{call.process}.{word}"
    if label not in spawned.commands:
        raise call.refused_at("THREAD", f"{label} is not under way", allowed=spawned.names)
    trial = Spawned(spawned.commands, [*spawned.schedule, spawned.names.index(label) + 1])
    race = _race(call, trial)
    try:
        steps = _replayed(race, trial)
        flaws = [f"{flaw.kind}: {flaw.text}" for flaw in race.verdict()] if not race.enabled() else []
    except ValueError as error:
        raise call.refused_at("THREAD", str(error).partition(": ")[2], allowed=spawned.names) from None
    finally:
        race.restore()
    call.session.spawned = trial
    table = step_table(call, trial.names, steps[-1:], len(steps))
    return done(call, findings=tuple(flaws), sections=(table,))


def lock_table(call: Call) -> Table:
    """Who holds which lock, and who waits for one, among the threads that are under way."""
    spawned = _spawned(call)
    race = _race(call, spawned)
    try:
        if spawned.schedule:
            _replayed(race, spawned)
        table = race.locks()
    finally:
        race.restore()
    held = {lock: [_holder(spawned, task, mode) for task, mode in tasks] for lock, tasks in table.holders()}
    wanted: dict[str, list[str]] = {}
    for wait in table.waits():
        wanted.setdefault(wait.lock, []).append(_holder(spawned, wait.task, wait.mode))
    rows = [
        (lock, ", ".join(held.get(lock, ())), ", ".join(wanted.get(lock, ())))
        for lock in dict.fromkeys([*held, *wanted])
    ]
    note = f"after {counted(len(spawned.schedule), 'step')} by hand"
    return Table("locks", ("lock", "held by", "wanted by"), tuple(rows), note)


def _holder(spawned: Spawned, task: int, mode: str) -> str:
    return f"{spawned.names[task]}{f' ({mode})' if mode else ''}"


@command(
    "finish",
    kind=SESSION,
    topic=TOPIC,
    summary="let all spawned threads run to their end, taking turns",
    explained="The whole schedule becomes one step, `race … schedule=…`. In a deadlock the state stays as it was, and "
    "the threads are forgotten.",
    examples=("mmap buf 16 ; spawn t1: fault buf[0] ; spawn t2: fault buf[1] ; step t2 ; finish",),
)
def finish(call: Call) -> list[Report]:
    """Let all spawned threads run to their end."""
    spawned = _spawned(call)
    race = _race(call, spawned)
    schedule = _by_turns(race, spawned)
    session = call.session
    session.spawned = None
    (statement,) = session.language.parse(f"race {spawned.block} schedule={','.join(map(str, schedule))}")
    return list(session.run(statement))


#: steps after which threads that keep each other from going on are left where they are
_PATIENCE = 1000


def _by_turns(race: Race, spawned: Spawned) -> list[int]:
    """The schedule so far, and the rest of it by turns; the machine is as before."""
    schedule = list(spawned.schedule)
    try:
        _replayed(race, spawned)
        last = schedule[-1] - 1 if schedule else -1
        while (able := race.enabled()) and len(schedule) < _PATIENCE:
            last = min(able, key=lambda task: (task - last - 1) % len(race.tasks))
            race.do(last)
            schedule.append(last + 1)
    finally:
        race.restore()
    return schedule
