"""race: every interleaving of threads, or one of them followed step by step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from folioshell.commands.call import Call, done
from folioshell.commands.grammar import VIEW, Arg, Form, Option, command
from folioshell.commands.lex import Token
from folioshell.commands.operands import Number, Operand, refused
from folioshell.commands.statement import Arguments
from folioshell.commands.threads_operand import Threads, ThreadText
from folioshell.errors import OutOfTime, Refused
from folioshell.report import Report, Section, Table, Text
from folioshell.session.history import Ending
from folioshell.session.host import raised_by
from folioshell.session.progress import Exploring
from folioshell.session.step_events import Described, Describer, described
from folioshell.session.step_report import NoStep
from folioshell.wording import counted

if TYPE_CHECKING:
    from folioshell.explore.race import Race
    from folioshell.explore.replay import RaceStep
    from folioshell.explore.search import Schedule
    from folioshell.session.race import Followed, Found, RaceVerdict, Thread

TOPIC = "concurrency"

#: deadlocks that are drawn, at most
PICTURES = 3
#: findings that are listed, at most
LISTED = 32


class ScheduleOperand(Operand):
    """Numbers of threads with commas between them."""

    label = "a schedule"
    usage = "1,1,2,…"

    def read(self, token: Token) -> Schedule:
        """The schedule."""
        from folioshell.explore.search import Schedule

        try:
            schedule = Schedule.parse(token.text)
        except ValueError as error:
            raise refused(token, str(error), hint="threads are counted from 1: 1,1,2") from None
        if not len(schedule):
            raise refused(token, "an empty schedule", hint="threads are counted from 1: 1,1,2")
        return schedule


def threads_in(call: Call, arguments: Arguments) -> list[Thread]:
    """The threads of a race, looked up in the present state.

    Raises:
        Refused: a process is not there.
    """
    from folioshell.session.race import Thread

    texts: list[ThreadText] = arguments.get("THREADS", list)
    living, coming = call.workspace.processes, _new_names(texts)
    for text in texts:
        if text.process.text not in living and text.process.text not in coming:
            raise call.refused(text.process, "no such process", allowed=list(living))
    return [Thread(text.process.text, text.name, tuple(text.commands)) for text in texts]


def _new_names(texts: Sequence[ThreadText]) -> set[str]:
    """The names that commands of a race make."""
    return {name for text in texts for statement in text.commands for name in statement.new_names}


def race_in(call: Call, arguments: Arguments) -> Race:
    """The race of some threads from the present state on.

    Raises:
        Refused: columns are those of the line as typed.
    """
    from folioshell.session.race import race_of

    try:
        texts = arguments.get("THREADS", list)
        return race_of(call.workspace, threads_in(call, arguments), _new_names(texts))
    except Refused as error:
        error.text = call.statement.line
        raise


def _limit(call: Call) -> Callable[[], bool]:
    """Asked now and then whether the time is over."""
    if "timeout" not in call.arguments:
        return lambda: False
    clock = call.session.host.clock
    if clock is None:
        raise call.refused_at("timeout", "there is no clock here", hint="max-states= limits a race without one")
    end = clock() + call.number("timeout")
    return lambda: clock() >= end


def _race_subject(call: Call) -> str:
    texts: list[ThreadText] = call.arguments.get("THREADS", list)
    return f"{_names([text.label for text in texts])} ran as scheduled"


def _names(labels: Sequence[str]) -> str:
    return " and ".join(labels) if len(labels) < 3 else f"{', '.join(labels[:-1])} and {labels[-1]}"


@command(
    "race",
    Form(
        args=(Arg("THREADS", Threads(), "threads with their commands"),),
        options=(
            Option(
                "schedule", ScheduleOperand(), "follow this one: a number runs that thread to its next switch point"
            ),
            Option("max-states", Number(least=1), "stop after this many states"),
            Option("timeout", Number(least=1), "stop after this many seconds"),
        ),
        step_option="schedule",
    ),
    kind=VIEW,
    topic=TOPIC,
    subject=_race_subject,
)
def race(call: Call) -> Report | Ending:
    """Run threads through every interleaving of their lock operations.

    Explores every order in which the threads can take their locks and do their lockless reads: every deadlock, every
    end state in which the protocol under test counts another number than its definition (miscount), every broken
    invariant, every page table changed without its lock (unlocked update), and the shortest schedule for each. A
    livelock is a cycle of states that a fair scheduler can run forever: each thread runs in it, or waits somewhere in
    it. The state does not change. Missing threads are created; those of one process share its memory. All commands that
    run a kernel path can be raced: file mmap munmap mprotect mremap fault read write madvise fork exit mlock munlock
    reclaim split migrate khugepaged truncate pin unpin. A later command, or another thread, may name regions and files
    that the race makes; a command that comes too early does nothing and ends with the reason. The threads of a process
    that the race forks begin when fork has returned. With schedule= one interleaving is followed step by step: a step,
    if all threads end; otherwise the locks held and wanted are shown, and the state does not change. If nothing is
    found under a protocol that counts VMAs, the report says what the threads never did, and what to type instead.

    Example:
        mmap buf 16 ; race { A.t1: fault buf[0] ; A.t2: { fault buf[1] ; madvise dontneed buf[0] } }
        mmap buf 16 ; race { A.t1: fault buf[0] ; A.t2: fault buf[1] } schedule=1,2,1
        mmap buf 16 ; fault buf ; race { A.t1: fork B ; A.t2: write buf[0] ; B: write buf[0] }
    """
    if "schedule" in call.arguments:
        return _follow(call)
    from folioshell.session.near_misses import near_miss
    from folioshell.session.race import explored

    session, threads, is_over = call.session, threads_in(call, call.arguments), _limit(call)
    limit, wanted = session.host.limits.states, call.number("max-states", 0) or None
    most = min((bound for bound in (limit, wanted) if bound is not None), default=None)
    session.undertaking = exploring = Exploring(call.statement.text, most)

    def stop(states: int) -> bool:
        exploring.states = states
        return is_over()

    try:
        racing = race_in(call, call.arguments)
        verdict = explored(racing, most, stop)
    except Refused:
        raise
    except (OutOfTime, MemoryError):
        session.is_cut_off = True
        raise
    except BaseException:
        session.go_to(session.step)
        raise
    if verdict.stopped == "interrupted":
        session.go_to(session.step)
    if verdict.stopped == "max-states" and most != wanted:
        hint = f"max-states= stops earlier, {raised_by('states')}"
        raise call.refused_at("THREADS", f"this race exceeds the limit of {limit:,} states", hint=hint)
    session.verdict = verdict
    labels = [thread.label for thread in threads]
    missed = None if verdict.findings or verdict.loop or verdict.stopped else near_miss(call.workspace, racing)
    why: dict[str, Any] = {"near_miss": missed.document()} if missed is not None else {}
    return done(
        call,
        _sentence(call, labels, verdict) + (f" {missed.text}" if missed else ""),
        sections=tuple(_sections(call, verdict)),
        extra={"race": {"threads": labels, **verdict.document(), **why, **_schedules(call, labels, racing, verdict)}},
    )


def _sentence(call: Call, labels: Sequence[str], verdict: RaceVerdict) -> str:
    protocol = call.kernel.protocol
    under = f" under {protocol.name}" if protocol is not None else ""
    counts = [
        counted(verdict.count("deadlocks"), "deadlock"),
        counted(verdict.count("miscounts"), "miscount"),
        counted(verdict.count("invariants"), "broken invariant"),
        counted(verdict.count("unlocked"), "unlocked update"),
    ]
    if verdict.count("livelocks"):
        counts.append(counted(verdict.count("livelocks"), "livelocked state"))
    states = counted(verdict.states, "state")
    seen = (
        f"NOT EXHAUSTED ({verdict.stopped}): the first {states}; so far" if verdict.stopped else f"exhausted: {states};"
    )
    schedules = "schedules without end, as threads can return to a state"
    if verdict.schedules is not None:
        schedules = f"{counted(verdict.schedules, 'schedule')} (complete orders of the switch points)"
    text = f"Race of {_names(labels)}{under}, {seen} {', '.join(counts)}; {schedules}."
    unfair = next((cycle for cycle in verdict.cycles if not cycle.is_fair), None)
    if unfair is not None:
        text += (
            f" No livelock: after {unfair.schedule}, {_names(unfair.threads)} can repeat {unfair.cycle}, but only "
            f"under a scheduler that never runs {_names(unfair.starved)}."
        )
    return text


def _sections(call: Call, verdict: RaceVerdict) -> list[Section]:
    if not verdict.findings:
        return []
    rows = tuple((found.kind, found.states, found.text, found.schedule) for found in verdict.findings[:LISTED])
    left = len(verdict.findings) - LISTED
    note = "race … schedule=… replays one step by step"
    if left > 0:
        note = f"… {counted(left, 'finding')} more: `mode json` lists all; {note}"
    words = (
        f"{number}. {kind} in {counted(states, 'state')}: {what}. Shortest schedule: {schedule or 'as run'}."
        for number, (kind, states, what, schedule) in enumerate(rows, 1)
    )
    columns = ("kind", "states", "what", "shortest schedule")
    sections: list[Section] = [Table("findings", columns, rows, note, tuple(words))]
    drawn = [found for found in verdict.findings if found.picture][:PICTURES]
    is_class = call.session.settings.audience_of(call.kernel) == "class"
    return [*sections, *(_picture(found, is_class) for found in drawn)]


def _schedules(call: Call, labels: Sequence[str], racing: Race, verdict: RaceVerdict) -> dict[str, Any]:
    """For ``--json=full``: the shortest schedules of the first findings, or one in which the threads take turns."""
    if not call.session.settings.full:
        return {}
    from folioshell.explore.replay import replay
    from folioshell.explore.search import Schedule
    from folioshell.session.race import steps_by_turns

    made = []
    for found in verdict.findings[:PICTURES]:
        steps = list(replay(racing, Schedule.parse(found.schedule)))
        made.append({"schedule": found.schedule, "kind": found.kind, **told_schedule(call, labels, steps)})
    if not verdict.findings:
        steps = steps_by_turns(racing)
        schedule = str(Schedule.of(one.task for one in steps))
        made.append({"schedule": schedule, **told_schedule(call, labels, steps)})
    racing.restore()
    return {"schedules": made}


def told_schedule(call: Call, labels: Sequence[str], steps: Sequence[RaceStep]) -> dict[str, Any]:
    """A schedule as plain data."""
    from folioshell.explore.replay import schedule_document

    describer = Describer(call.workspace)
    return schedule_document(steps, labels, lambda event: (describer.text(event), describer.who(event)))


def _picture(found: Found, only_columns: bool = False) -> Text:
    """The picture of a finding; ``only_columns``: without what each thread acquires and holds, as lockdep prints it."""
    end = found.picture.index("") if only_columns and "" in found.picture else None
    return Text(found.picture[:end], f"{found.kind}, schedule={found.schedule}", found.words)


def _follow(call: Call) -> Ending:
    """Follow a schedule: a step if all threads end.

    Raises:
        NoStep: they do not.
    """
    from folioshell.explore.replay import completed
    from folioshell.explore.search import Schedule
    from folioshell.session.race import follow

    threads = threads_in(call, call.arguments)
    racing = race_in(call, call.arguments)
    schedule = call.arguments.get("schedule", Schedule)
    if call.workspace.adapts_schedules:
        schedule = completed(racing, schedule)
    try:
        followed = follow(racing, schedule)
    except ValueError as error:
        racing.restore()
        raise call.refused_at(
            "schedule", str(error), hint="`race …` without a schedule lists those that find something"
        ) from None
    labels = [thread.label for thread in threads]
    steps = step_table(call, labels, followed.steps)
    if not followed.over:
        raise NoStep(_unfinished(call, racing, labels, followed, steps), followed.flaws)
    for thread in threads:
        if call.workspace.process(thread.process) is not None:
            call.workspace.note_thread(thread.process, thread.name)
    call.workspace.remarks = (steps, _results(followed))
    call.workspace.noted = {"schedule": told_schedule(call, labels, followed.steps)}
    return None


def _unfinished(call: Call, racing: Race, labels: Sequence[str], followed: Followed, steps: Table) -> Report:
    from folioshell.session.race import picture_of

    sections: list[Section] = [steps]
    if followed.flaws:
        kinds = _names([f"a {kind}" for kind, _ in followed.flaws])
        text = f"{_names(labels)} ended in {kinds}; command discarded, state unchanged."
        if any(kind == "deadlock" for kind, _ in followed.flaws):
            sections.append(picture_of(racing, followed.steps, "deadlock"))
    else:
        text = "The schedule ends before the threads do; command discarded, state unchanged."
        able = [labels[number] for number in racing.enabled()]
        sections.append(Text((f"{_names(able)} can continue.",)))
    return done(
        call,
        text,
        findings=tuple(f"{kind}: {what}" for kind, what in followed.flaws),
        sections=tuple(sections),
        extra={"schedule": told_schedule(call, labels, followed.steps)},
    )


def step_table(call: Call, labels: Sequence[str], steps: Sequence[RaceStep], first: int = 1) -> Table:
    """What each step of a schedule did: the thread, its lock operations and events."""
    from folioshell.explore.locks import kernel_text, legend
    from folioshell.model.lock import LockOp

    describer = Describer(call.workspace)
    rows: list[tuple[str | int | None, ...]] = []
    words: list[str] = []
    for number, step in enumerate(steps, first):
        label = labels[step.task]
        lines = [described(event, describer) for event in step.trace]
        if step.waits is not None:
            function, wanted = step.waits.function, kernel_text(step.waits.lock)
            lines.append(Described(f"{step.waits} waits", function, f"waits for {wanted}"))
        if step.over:
            lines.append(Described("ends", "", "ends"))
        for at, line in enumerate(lines or [Described("continues", "", "continues")]):
            rows.append((number if not at else "", label if not at else "", line.text, line.function))
            words.append(f"{number}. {label} {line.sentence}.")
    locks = [event.lock.lock_class for step in steps for event in step.trace if isinstance(event, LockOp)]
    locks += [step.waits.lock_class for step in steps if step.waits is not None]
    return Table("schedule", ("step", "thread", "what", "function"), tuple(rows), legend(locks), tuple(words))


def _results(followed: Followed) -> Table:
    rows = [
        (name, number, _ending(result))
        for name, results in followed.results.items()
        for number, result in enumerate(results, 1)
    ]
    return Table("results of the commands", ("thread", "command", "result"), tuple(rows))


def _ending(result: object) -> str:
    if not result:
        return "ok"
    if isinstance(result, str):
        return result
    assert isinstance(result, list)
    return ", ".join(f"{signal} at access {first}" for first, _, signal in result)
