"""lockdep: observed orders of lock classes, and violations of them, whether or not a run deadlocked.

One run tells what may happen in another: two classes taken in both orders can deadlock. Two locks of one class are one
node of the order graph unless the second is taken under a subclass (``nested``), by which the author of the path
asserts that an order exists. lockdep trusts this: two threads that nest each other's locks deadlock unreported. The
search of ``race`` needs no such trust.

Kernel: kernel/locking/lockdep.c: validate_chain(), check_deadlock(), check_noncircular() (v6.18)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from folioshell.explore.locks import HIERARCHY, LockState, Op, is_pte_table_lock
from folioshell.model.lock import LockClass
from folioshell.records import dataclass
from folioshell.report import Text
from folioshell.wording import counted


@dataclass(frozen=True, slots=True)
class Node:
    """A class of locks under one subclass, as the order graph has it.

    Args:
        lock_class: the class.
        subclass: 0, or 1 for SINGLE_DEPTH_NESTING.
    """

    lock_class: LockClass
    subclass: int = 0

    @property
    def kernel_name(self) -> str:
        """As lockdep prints it."""
        return f"{HIERARCHY[self.lock_class][0]}{f'/{self.subclass}' if self.subclass else ''}"

    @classmethod
    def of(cls, op: Op) -> Node:
        """The node of an acquisition."""
        return cls(op.lock_class, int(op.nested))

    def __str__(self) -> str:
        return f"{self.lock_class.value}{f'/{self.subclass}' if self.subclass else ''}"


@dataclass(frozen=True, slots=True)
class Acquired:
    """An observed acquisition, and its thread."""

    thread: str
    op: Op

    @property
    def node(self) -> Node:
        """Its node in the order graph."""
        return Node.of(self.op)


@dataclass(frozen=True, slots=True)
class Complaint:
    """A lockdep warning.

    Args:
        kind: ``recursion``: a thread acquires a lock that it holds; ``missing annotation``: it acquires another lock
            of a class of which it holds one, under the same subclass; ``inversion``: two classes were acquired in the
            opposite order before, directly or through others.
        wanted: the offending acquisition.
        held: what the thread holds, oldest first.
        clash: the held lock that conflicts.
        chain: for an inversion, the earlier orders that lead from the wanted class to the held one: (first, then).
    """

    kind: str
    wanted: Acquired
    held: tuple[Acquired, ...]
    clash: Acquired
    chain: tuple[tuple[Acquired, Acquired], ...] = ()


class Lockdep:
    """Held-lock stacks of threads, and the graph of orders between classes of locks.

    Attributes:
        complaints: the warnings, one per kind and pair of nodes.
    """

    def __init__(self) -> None:
        self.complaints: list[Complaint] = []
        self._held: dict[str, list[Acquired]] = {}
        self._orders: dict[Node, dict[Node, tuple[Acquired, Acquired]]] = {}
        self._said: set[tuple[str, Node, Node]] = set()

    def held(self, thread: str) -> tuple[Acquired, ...]:
        """The locks that a thread holds, oldest first."""
        return tuple(self._held.get(thread, ()))

    def orders(self) -> list[tuple[Node, Node, Acquired, Acquired]]:
        """(outer, inner, the acquisitions that first showed it) of every observed order, sorted by class."""
        rows = [(outer, inner, *seen) for outer, inners in self._orders.items() for inner, seen in inners.items()]
        return sorted(rows, key=lambda row: (_rank(row[0]), _rank(row[1])))

    def see(self, thread: str, op: Op) -> None:
        """Process an operation of a thread: a granted one, or an acquisition that starts to wait.

        Omit a failed trylock. A successful one adds no order after the held locks, since it would not have waited, but
        later acquisitions are ordered after it.
        """
        stack = self._held.setdefault(thread, [])
        if op.verb == "-":
            for position in range(len(stack) - 1, -1, -1):
                if stack[position].op.lock == op.lock:
                    del stack[position]
                    break
        elif op.verb in ("+", "~"):
            wanted = Acquired(thread, op)
            if op.verb == "+":
                self._check(wanted, stack)
            stack.append(wanted)

    def see_all(self, ops: Iterable[tuple[str, Op]]) -> None:
        """Process the operations of a run: (thread, operation) in order."""
        for thread, op in ops:
            self.see(thread, op)

    def _check(self, wanted: Acquired, stack: Sequence[Acquired]) -> None:
        node = wanted.node
        for held in stack:
            if held.op.lock == wanted.op.lock:
                self._complain(Complaint("recursion", wanted, tuple(stack), held))
            elif held.node == node:
                self._complain(Complaint("missing annotation", wanted, tuple(stack), held))
        for held in stack:
            if held.node == node:
                continue
            if chain := self._chain(node, held.node):
                self._complain(Complaint("inversion", wanted, tuple(stack), held, chain))
            self._orders.setdefault(held.node, {}).setdefault(node, (held, wanted))

    def _chain(self, start: Node, end: Node) -> tuple[tuple[Acquired, Acquired], ...]:
        """The shortest chain of orders from one node to another; empty if there is none."""
        chains: deque[tuple[Node, tuple[tuple[Acquired, Acquired], ...]]] = deque([(start, ())])
        seen = {start}
        while chains:
            node, chain = chains.popleft()
            for inner, order in self._orders.get(node, {}).items():
                if inner == end:
                    return (*chain, order)
                if inner not in seen:
                    seen.add(inner)
                    chains.append((inner, (*chain, order)))
        return ()

    def _complain(self, complaint: Complaint) -> None:
        said = (complaint.kind, complaint.clash.node, complaint.wanted.node)
        if said not in self._said:
            self._said.add(said)
            self.complaints.append(complaint)


def _rank(node: Node) -> tuple[int, int]:
    return tuple(LockClass).index(node.lock_class), node.subclass


# Pictures.

#: columns of the first CPU
_COLUMN = 38


def lockdep_text(complaint: Complaint, title: str = "") -> Text:
    """A warning as a section of a report."""
    return Text(tuple(lockdep_report(complaint)), title, tuple(lockdep_report(complaint, words=True)))


def lockdep_report(complaint: Complaint, *, words: bool = False) -> list[str]:
    """A warning in the layout of lockdep: what is acquired, what is held, and how it may deadlock.

    Args:
        words: the scenario is a numbered list instead of a column for each CPU.
    """
    inverted = complaint.kind == "inversion"
    wanted, clash = complaint.wanted, complaint.clash
    lines = [
        f"WARNING: possible {'circular locking dependency' if inverted else 'recursive locking'} detected",
        f"{wanted.thread} is trying to acquire lock:",
        f"  {lock_line(wanted.op)}",
        "but task is already holding lock:",
        f"  {lock_line(clash.op)}",
    ]
    if inverted:
        lines.append("which lock already depends on the new lock.")
        lines.append("the existing dependency chain (in order) is:")
        lines += [
            f"  {first.node.kernel_name} -> {then.node.kernel_name}: {lock_line(then.op)}"
            for first, then in complaint.chain
        ]
    order = _scenario(complaint)
    lines += ["", "Possible unsafe locking scenario:", ""]
    lines += (
        [f"{number}. {cpu} locks {lock}." for number, (cpu, lock) in enumerate(order, 1)] if words else _drawn(order)
    )
    lines += ["", " *** DEADLOCK ***", ""]
    if complaint.kind == "missing annotation":
        lines.append("May be due to missing lock nesting notation")
    return lines + held_lines(wanted.thread, [held.op for held in complaint.held])


def lock_line(op: Op) -> str:
    """An acquisition: ``v1 (vm_lock) (R), at: madvise_lock()``."""
    mode = f" ({op.mode})" if op.mode else ""
    owner = op.lock.removesuffix(")").rpartition("(")[2]
    return f"{owner} ({Node.of(op).kernel_name}){mode}, at: {op.function or 'acquire'}()"


def held_lines(thread: str, held: Sequence[Op]) -> list[str]:
    """The locks that a thread holds, oldest first."""
    lines = [f"  #{number}: {lock_line(op)}" for number, op in enumerate(held)]
    return [f"{counted(len(held), 'lock')} held by {thread}:", *lines]


def _scenario(complaint: Complaint) -> list[tuple[str, str]]:
    """(CPU, lock) of the acquisitions that deadlock, in order."""
    held, wanted = complaint.clash.node.kernel_name, complaint.wanted.node.kernel_name
    if complaint.kind != "inversion":
        return [("CPU0", held), ("CPU0", wanted)]
    middle = complaint.chain[-1][0].node.kernel_name
    return [("CPU0", held), ("CPU1", middle), ("CPU1", held), ("CPU0", wanted)]


def _drawn(order: Sequence[tuple[str, str]]) -> list[str]:
    """A column for each CPU, time going down."""
    cpus = sorted({cpu for cpu, _ in order})
    heads = [
        ("".join(f"{f'       {text}':<{_COLUMN}}" for text in texts)).rstrip() for texts in (cpus, ["----"] * len(cpus))
    ]
    return [*heads, *(f"{' ' * (_COLUMN * cpus.index(cpu))}  lock({lock});" for cpu, lock in order)]


# What was observed over all interleavings of a race.


@dataclass(frozen=True, slots=True)
class Observed:
    """What the threads of a race did about locks.

    Args:
        steps: (operation before which a thread stopped, or None; it was a trylock that failed; the next one).
        waits: (lock, other lock): a thread held the first and waited for the second.
        holds_two: a thread held the locks of two PTE tables.
    """

    steps: frozenset[tuple[Op | None, bool, Op | None]]
    waits: frozenset[tuple[str, str]]
    holds_two: bool

    @classmethod
    def of(cls, steps: Iterable[tuple[Op | None, bool, Op | None]], states: Iterable[LockState]) -> Observed:
        """From the steps that were executed, and the states of the locks that were reached."""
        waits: set[tuple[str, str]] = set()
        holds_two = False
        for holders, queue, _, _ in states:
            held: dict[int, list[str]] = {}
            for lock, tasks in holders:
                for task, _ in tasks:
                    held.setdefault(task, []).append(lock)
            holds_two = holds_two or any(sum(map(is_pte_table_lock, locks)) > 1 for locks in held.values())
            waits |= {(lock, wanted) for wanted, task, _ in queue for lock in held.get(task, ())}
        return cls(frozenset(steps), frozenset(waits), holds_two)

    @property
    def ops(self) -> set[Op]:
        """The operations that were done."""
        return {op for op, _, _ in self.steps if op is not None}

    @property
    def second_ptls(self) -> set[tuple[str, str]]:
        """Of ``waits``, those in which both are locks of PTE tables."""
        return {pair for pair in self.waits if all(map(is_pte_table_lock, pair))}
