"""A second explorer, against which the first is checked: small programs, every interleaving, all states by copying.

It shares nothing with ``folioshell.explore`` and ``folioshell.paths``. A folio of eight pages lies across two PTE
tables, four pages in each *half*; there is its lock, the lock of each table, that of the PMD table above them, and one
counter of VMAs. Faults, madvise(MADV_DONTNEED) and the protocols are written down again from what the kernel and the
mail say.

A thread is a generator that yields operations, and every operation is a step of its own: nothing is reduced. A
suspended generator cannot be copied, so a thread's state is where it began (its *stage*) and the answers it has had
since; to continue, it is run again from there. ``goto`` begins a new stage and forgets the answers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from functools import cache
from typing import Any, NamedTuple

#: pages of the folio in each of the two tables
HALF = 4

#: what a thread asks for: a word, then arguments
Op = tuple[Any, ...]
Steps = Generator[Op, Any, Any]
#: a generator function and its arguments
Stage = tuple[Any, ...]
#: marks of the pages in each table: ``f`` maps the folio, ``c`` a copy, ``.`` nothing; None: there is no table
Tables = tuple[str | None, str | None]


class Memory(NamedTuple):
    """All that threads share.

    Args:
        tables: the tables.
        count: the counter.
        notes: letters that were noted down, in this order.
        owners: the thread that holds each lock, by lock.
        queue: (lock, thread) of those that wait for a fair lock, in order.
    """

    tables: Tables = (None, None)
    count: int = 0
    notes: str = ""
    owners: tuple[tuple[str, int], ...] = ()
    queue: tuple[tuple[str, int], ...] = ()


class Thread(NamedTuple):
    """The private state of a thread: its stages, the present one first, and the answers that it has had in that."""

    stages: tuple[Stage, ...]
    answers: tuple[Any, ...] = ()


State = tuple[Memory, tuple[Thread, ...]]


class Verdict(NamedTuple):
    """What all interleavings of a race come to.

    Args:
        ends: the memory of every state in which all threads have ended.
        deadlocks: for every deadlock (thread, lock) of the threads that wait for each other in a circle.
        cycle: ``fair``: a scheduler can run the threads forever, though each of them runs or has to wait again and
            again (livelock); ``unfair``: only one that never runs some thread that could run; else empty.
        states: how many there are.
    """

    ends: frozenset[Memory]
    deadlocks: frozenset[tuple[tuple[int, str], ...]]
    cycle: str
    states: int

    @property
    def miscounts(self) -> bool:
        """Does the counter of any end state differ from the number of VMAs that map the folio?"""
        return any(end.count != mapped(end.tables) for end in self.ends)

    def __str__(self) -> str:
        words = (("deadlock", self.deadlocks), ("miscount", self.miscounts), (f"{self.cycle} cycle", self.cycle))
        return ", ".join(word for word, found in words if found) or "ok"


def mapped(tables: Tables) -> int:
    """The number of VMAs that map the folio: there is one VMA."""
    return int(any("f" in marks for marks in tables if marks is not None))


def explore(tables: Tables, threads: Iterable[tuple[Stage, ...]], fair: bool = True) -> Verdict:
    """Every interleaving of threads, from tables whose number of VMAs is counted right.

    Args:
        fair: a lock goes to the thread that has waited for it longest; else to any thread that comes.
    """
    first: State = (Memory(tables, mapped(tables)), tuple(map(Thread, threads)))
    #: state -> those that follow, by the thread that runs
    following: dict[State, dict[int, State]] = {}
    ends, deadlocks, queue = set(), set(), deque([first])
    while queue:
        state = queue.popleft()
        if state in following:
            continue
        memory, threads = state
        nexts = following[state] = {
            number: after for number in range(len(threads)) if (after := step(state, number, fair))
        }
        if not any(thread.stages for thread in threads):
            ends.add(memory)
        elif not nexts:
            deadlocks.add(circle(state))
        queue.extend(nexts.values())
    return Verdict(frozenset(ends), frozenset(deadlocks), cycle(following), len(following))


def step(state: State, number: int, fair: bool) -> State | None:
    """The state after one operation of a thread; None if it has ended or must wait."""
    memory, threads = state
    stages, answers = threads[number]
    if not stages or any(thread == number for _, thread in memory.queue):
        return None
    op = next_op(stages[0], answers)
    if op is None:
        thread = Thread(stages[1:])
    elif op[0] == "goto":
        thread = Thread((op[1:], *stages[1:]))
    else:
        done = perform(memory, number, op)
        if done is None:
            return (memory._replace(queue=(*memory.queue, (op[1], number))), threads) if fair else None
        memory, answer = done
        thread = Thread(stages, (*answers, answer))
    state = memory, (*threads[:number], thread, *threads[number + 1 :])
    return hand_over(state, op[1]) if op is not None and op[0] == "unlock" else state


def hand_over(state: State, lock: str) -> State:
    """A lock that was released goes to the first thread in its queue, which continues."""
    memory, threads = state
    heir = next((thread for wanted, thread in memory.queue if wanted == lock), None)
    if heir is None:
        return state
    queue = tuple(waiter for waiter in memory.queue if waiter[1] != heir)
    stages, answers = threads[heir]
    memory = memory._replace(queue=queue, owners=_sorted({**dict(memory.owners), lock: heir}))
    return memory, (*threads[:heir], Thread(stages, (*answers, None)), *threads[heir + 1 :])


@cache
def next_op(stage: Stage, answers: tuple[Any, ...]) -> Op | None:
    """What a thread asks for next; None if it ends."""
    function, *arguments = stage
    steps = function(*arguments)
    try:
        op: Op = next(steps)
        for answer in answers:
            op = steps.send(answer)
    except StopIteration:
        return None
    return op


def perform(memory: Memory, number: int, op: Op) -> tuple[Memory, Any] | None:
    """(memory afterwards, answer) of an operation of a thread; None if it must wait."""
    owners, tables = dict(memory.owners), list(memory.tables)
    match op:
        case ("lock", lock):
            return None if lock in owners else (memory._replace(owners=_sorted({**owners, lock: number})), None)
        case ("trylock", lock):
            got = lock not in owners
            return (memory._replace(owners=_sorted({**owners, lock: number})) if got else memory), got
        case ("unlock", lock):
            assert owners.pop(lock) == number
            return memory._replace(owners=_sorted(owners)), None
        case ("read", half):
            return memory, tables[half]
        case ("install", half):
            tables[half] = tables[half] or "." * HALF
            return memory._replace(tables=tuple(tables)), None
        case ("write", half, first, marks):
            old = tables[half]
            assert (pt(half), number) in memory.owners
            tables[half] = old[:first] + marks + old[first + len(marks) :]
            return memory._replace(tables=tuple(tables)), None
        case ("add", delta):
            return memory._replace(count=memory.count + delta), None
        case ("note", letter):
            return memory._replace(notes=memory.notes + letter), None
    raise AssertionError(op)


def circle(state: State) -> tuple[tuple[int, str], ...]:
    """(thread, lock that it waits for) of threads that wait for each other, from the first that waits for itself."""
    memory, threads = state
    owners = dict(memory.owners)
    wanted: dict[int, str] = {}
    for number, (stages, answers) in enumerate(threads):
        if stages and (op := next_op(stages[0], answers)):
            wanted[number] = op[1]
    for start in wanted:
        way, at = [start], owners[wanted[start]]
        while at in wanted and at not in way:
            way.append(at)
            at = owners[wanted[at]]
        if at == start:
            return tuple((number, wanted[number]) for number in sorted(way))
    return tuple(sorted(wanted.items()))


def cycle(following: dict[State, dict[int, State]]) -> str:
    """The gravest kind of cycle among states, as ``Verdict`` has it.

    A cycle lies within a strongly connected component, and the walk through all of one is a cycle as well.
    """
    kinds = set()
    for component in components(following):
        inside = {(state, number) for state in component for number, to in following[state].items() if to in component}
        if inside:
            runs = {number for _, number in inside}
            (_, threads), *_ = component
            idle = [number for number, thread in enumerate(threads) if thread.stages and number not in runs]
            waits = all(any(number not in following[state] for state in component) for number in idle)
            kinds.add("fair" if waits else "unfair")
    return min(kinds, default="")


def components(following: dict[State, dict[int, State]]) -> list[set[State]]:
    """Strongly connected components, by two walks: states in the order in which they are done, then backwards."""
    order: list[State] = []
    seen: set[State] = set()
    for start, after in following.items():
        path = [(start, iter(after.values()))] if start not in seen else []
        seen.add(start)
        while path:
            state, left = path[-1]
            to = next((to for to in left if to not in seen), None)
            if to is None:
                order.append(state)
                path.pop()
            else:
                seen.add(to)
                path.append((to, iter(following[to].values())))
    before: dict[State, list[State]] = {}
    for state, nexts in following.items():
        for to in nexts.values():
            before.setdefault(to, []).append(state)
    found: list[set[State]] = []
    placed: set[State] = set()
    for start in reversed(order):
        component = set()
        pending = [start]
        while pending:
            state = pending.pop()
            if state not in placed:
                placed.add(state)
                component.add(state)
                pending += before.get(state, ())
        if component:
            found.append(component)
    return found


def _sorted(owners: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(owners.items()))


def pt(half: int) -> str:
    """The lock of a table."""
    return f"pt{half}"


# What threads do. The lock of the folio is "folio", that of the PMD table "pmd".


class Span(NamedTuple):
    """Entries that are to be changed, under the lock of their table.

    Args:
        half, first, nr: the table, the first entry, the number of entries.
        delta: 1: they are none, and are to map the folio; -1: the other way round.
        again: the stage that begins with this very change, for a protocol that has changed nothing.
    """

    half: int
    first: int
    nr: int
    delta: int
    again: Stage

    def part(self, marks: str) -> str:
        """The span's own entries."""
        return marks[self.first : self.first + self.nr]

    def change(self) -> Op:
        """The operation that changes the entries."""
        return ("write", self.half, self.first, ("f" if self.delta > 0 else ".") * self.nr)


#: changes the entries of a span, and counts; False: they are others now, and nothing was changed
Protocol = Callable[[Span], Steps]


def unmap(protocol: Protocol, page: int, end: int) -> Steps:
    """madvise(MADV_DONTNEED) of pages ``[page, end)``: table by table, a run of entries of the folio at a time."""
    while page < end:
        half = page // HALF
        last = min(end, (half + 1) * HALF)
        if (yield ("read", half)) is not None:
            yield ("lock", pt(half))
            yield ("goto", zap, protocol, page, last, end)
        page = last


def zap(protocol: Protocol, page: int, last: int, end: int) -> Steps:
    """Clear entries of one table, whose lock is held."""
    half = page // HALF
    while page < last:
        first = page % HALF
        marks = yield ("read", half)
        nr = _run(marks[first : first + last - page])
        if marks[first] == "c":
            yield ("write", half, first, "." * nr)
        elif marks[first] == "f":
            again = (zap, protocol, page, last, end)
            if not (yield from protocol(Span(half, first, nr, -1, again))):
                yield ("goto", *again)
        page += nr
    yield ("unlock", pt(half))
    yield ("goto", unmap, protocol, last, end)


def access(protocol: Protocol, page: int, tried: bool = False) -> Steps:
    """A read of a page, and the faults that it takes: fault-around if the folio is not locked, else ->fault.

    Args:
        tried: the fault waited for the folio lock before; it waits with its own lock held now.
    """
    half = page // HALF
    marks = yield ("read", half)
    if marks is not None and marks[page % HALF] != ".":
        return
    if not (yield ("trylock", "folio")):
        yield ("goto", fault, protocol, page, tried)
    yield from _table(half)
    yield ("lock", pt(half))
    yield ("goto", fault_around, protocol, page, tried, 0)


def fault_around(protocol: Protocol, page: int, tried: bool, first: int) -> Steps:
    """Map the pages of a half that are not mapped, a run at a time. Folio and table are locked."""
    half = page // HALF
    while first < HALF:
        marks = yield ("read", half)
        nr = _run(marks[first:])
        if marks[first] == ".":
            yield from protocol(Span(half, first, nr, 1, (fault_around, protocol, page, tried, first)))
        first += nr
    yield ("unlock", "folio")
    marks = yield ("read", half)
    yield ("unlock", pt(half))
    yield ("goto", fault if marks[page % HALF] == "." else access, protocol, page, tried)


def fault(protocol: Protocol, page: int, tried: bool) -> Steps:
    """->fault: wait for the folio; the first time, only to start over."""
    half = page // HALF
    if not (yield ("trylock", "folio")):
        yield ("lock", "folio")
        if not tried:
            yield ("unlock", "folio")
            yield ("goto", access, protocol, page, True)
    yield from _table(half)
    yield ("lock", pt(half))
    yield ("goto", finish_fault, protocol, page, tried)


def finish_fault(protocol: Protocol, page: int, tried: bool) -> Steps:
    """Map one page. Folio and table are locked."""
    half, first = page // HALF, page % HALF
    marks = yield ("read", half)
    if marks[first] == ".":
        yield from protocol(Span(half, first, 1, 1, (finish_fault, protocol, page, tried)))
    yield ("unlock", pt(half))
    yield ("unlock", "folio")
    yield ("goto", access, protocol, page)


def _table(half: int) -> Steps:
    """See to it that there is a table."""
    if (yield ("read", half)) is None:
        yield ("lock", "pmd")
        yield ("install", half)
        yield ("unlock", "pmd")


def _run(marks: str) -> int:
    """How many marks are like the first."""
    return len(marks) - len(marks.lstrip(marks[0]))
