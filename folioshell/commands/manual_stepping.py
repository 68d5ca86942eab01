"""thread, spawn, step and finish: threads by hand.

Spawned threads change nothing until `finish`: each `step` repeats the schedule so far from the present state, shows
what the thread did, and gives the machine back. `finish` follows the whole schedule as one `race … schedule=`, so that
history, undo and scripts know nothing but races.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from folioshell.commands.call import Call, done
from folioshell.commands.grammar import MODEL, SESSION, Arg, Form, command
from folioshell.commands.lex import Token
from folioshell.commands.operands import NEW_NAME, Word, read_name
from folioshell.commands.parse import Grammar, ParsedStatement
from folioshell.commands.race import race_in, step_table, told_schedule
from folioshell.commands.threads_operand import raceable, thread_command
from folioshell.report import Report, Table
from folioshell.session.history import Ending
from folioshell.session.progress import Spawned
from folioshell.wording import counted

if TYPE_CHECKING:
    from folioshell.explore.race import Race
    from folioshell.explore.replay import RaceStep
    from folioshell.session.session import Session

TOPIC = "concurrency"


@command(
    "thread",
    Form(args=(Arg("NAME", NEW_NAME, "name of the thread"),)),
    kind=MODEL,
    topic=TOPIC,
    subject=lambda call: f"{call.process}.{call.word('NAME')} created",
)
def thread(call: Call) -> Ending:
    """Add a thread to the process.

    The thread shares the memory of its process: A.t1 is thread t1 of A, and `A.t1: verb …` runs a command in it. Races
    and `spawn` create the threads that they name.

    Example:
        thread t1 ; mmap buf 16 ; A.t1: fault buf[0]
    """
    name = call.word("NAME")
    if name in call.workspace.threads.get(call.process, ()):
        raise call.refused_at("NAME", f"{call.process} already has a thread {name}")
    call.workspace.note_thread(call.process, name)
    return None


class ThreadCommand(Word):
    """A thread with a colon, and its command."""

    thread = True


def _under_way(session: Session) -> list[tuple[str, str]]:
    spawned = session.spawned
    return [(name, " ; ".join(commands)) for name, commands in spawned.commands.items()] if spawned else []


@command(
    "spawn",
    Form(
        args=(
            Arg(
                "THREAD: COMMAND",
                ThreadCommand("a thread and its command"),
                "the thread and its command",
                repeated=True,
            ),
        )
    ),
    kind=SESSION,
    topic=TOPIC,
)
def spawn(call: Call) -> Report:
    """Start a command in a thread, to be stepped by hand.

    `spawn t1: fault buf[0]` uses thread t1 of the process that runs it; `spawn B.t1: …` names another's. Nothing
    happens before `step`. Any command that can be raced can be spawned.

    Example:
        mmap buf 16 ; spawn t1: fault buf[0] ; spawn t2: fault buf[1] ; step t1 ; step t2 ; finish
    """
    words = call.arguments.tokens("THREAD: COMMAND")
    label, rest = _thread_name(call, words)
    if not rest:
        raise call.refused(words[-1], "a command is missing", allowed=raceable())
    statement = thread_command(call.statement.line, rest)
    spawned = call.session.spawned or Spawned()
    if label in spawned.commands and spawned.names.index(label) + 1 in spawned.schedule:
        raise call.refused(words[0], f"{label} has already started", hint=f"`step {label}`, or `finish`")
    trial = Spawned({**spawned.commands, label: [*spawned.commands.get(label, ()), statement.text]}, spawned.schedule)
    _race(call, trial).restore()
    call.session.spawned = trial
    return done(call, f"{label} will run: {' ; '.join(trial.commands[label])}.")


def _thread_name(call: Call, words: Sequence[Token]) -> tuple[str, list[Token]]:
    """(thread as it is printed, the words after its colon)."""
    prefix, colon, left = words[0].text.partition(":")
    if not colon:
        hint = "spawn t1: COMMAND"
        raise call.refused(words[0], "a thread with a colon is missing", allowed=[hint])
    process, dot, name = prefix.rpartition(".")
    start = words[0].start + len(process) + len(dot)
    read_name(Token(name, start, start + max(len(name), 1)))
    living = call.workspace.processes
    if dot and process not in living and process not in _new_names(call.session.spawned):
        token = Token(process, words[0].start, start - 1)
        raise call.refused(token, "no such process", allowed=list(living))
    rest = [Token(left, words[0].start + len(prefix) + 1, words[0].end)] if left else []
    return f"{process or call.mm.name}.{name}", [*rest, *words[1:]]


def _new_names(spawned: Spawned | None) -> set[str]:
    """The names that commands of spawned threads make."""
    lines = [text for commands in spawned.commands.values() for text in commands] if spawned is not None else []
    statements = [statement for line in lines for statement in Grammar().parse(line)]
    return {name for one in statements if isinstance(one, ParsedStatement) for name in one.new_names}


def _race(call: Call, spawned: Spawned) -> Race:
    (statement,) = Grammar().parse(f"race {spawned.block}")
    assert isinstance(statement, ParsedStatement)
    return race_in(call, statement.arguments)


def _spawned(call: Call) -> Spawned:
    spawned = call.session.spawned
    if spawned is None:
        raise call.refused(None, "no thread is spawned", hint="`spawn t1: COMMAND` starts one")
    return spawned


def _replayed(race: Race, spawned: Spawned) -> list[RaceStep]:
    from folioshell.explore.replay import replay
    from folioshell.explore.search import Schedule

    return list(replay(race, Schedule(tuple(spawned.schedule))))


@command(
    "step", Form(args=(Arg("THREAD", Word("a thread", _under_way), "the thread to run"),)), kind=SESSION, topic=TOPIC
)
def step(call: Call) -> Report:
    """Run a spawned thread to its next lock operation.

    Shows the lock operations (signs as in `help trace`; ? is a lockless read, or a change that one may see) and events
    of the step. The state does not change until `finish`.

    Example:
        mmap buf 16 ; spawn t1: fault buf[0] ; step t1 ; step t1
    """
    spawned, word = _spawned(call), call.word("THREAD")
    label = word if "." in word else f"{call.process}.{word}"
    if label not in spawned.commands:
        raise call.refused_at("THREAD", f"{label} is not spawned", allowed=spawned.names)
    trial = Spawned(spawned.commands, [*spawned.schedule, spawned.names.index(label) + 1])
    race = _race(call, trial)
    try:
        steps = _replayed(race, trial)
        flaws = [(flaw.kind, flaw.text) for flaw in race.verdict()] if not race.enabled() else []
    except ValueError as error:
        raise call.refused_at("THREAD", str(error).partition(": ")[2], allowed=spawned.names) from None
    finally:
        race.restore()
    call.session.spawned = trial
    call.session.note_flaws(flaws)
    table = step_table(call, trial.names, steps[-1:], len(steps))
    told = {"schedule": told_schedule(call, trial.names, steps[-1:])}
    return done(call, findings=tuple(f"{kind}: {text}" for kind, text in flaws), sections=(table,), extra=told)


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


@command("finish", kind=SESSION, topic=TOPIC)
def finish(call: Call) -> list[Report]:
    """Run all spawned threads to their end, taking turns.

    The whole schedule becomes one step, `race … schedule=…`. After a deadlock the state is unchanged, and the threads
    are forgotten.

    Example:
        mmap buf 16 ; spawn t1: fault buf[0] ; spawn t2: fault buf[1] ; step t2 ; finish
    """
    from folioshell.explore.replay import completed
    from folioshell.explore.search import Schedule

    spawned = _spawned(call)
    race = _race(call, spawned)
    schedule = completed(race, Schedule(tuple(spawned.schedule)))
    session = call.session
    session.spawned = None
    (statement,) = session.language.parse(f"race {spawned.block} schedule={schedule}")
    return list(session.run(statement))
