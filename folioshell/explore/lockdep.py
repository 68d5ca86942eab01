"""lockdep: orders of lock classes that were seen, and what is wrong with them, whether or not it led to a deadlock.

It learns from one run what might happen in another: two classes that were taken in both orders may deadlock some day.
Two locks of one class are one node of the order graph unless the second is taken under a subclass (``nested``), which
is the author's promise that an order exists. lockdep believes it: two threads that keep such promises
about each other's locks deadlock unnoticed. The search of ``race`` does not believe anything.

Kernel: kernel/locking/lockdep.c: validate_chain(), check_deadlock(), check_noncircular() (v6.18)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from folioshell.explore.locks import Op
from folioshell.model.lock import LockClass
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

    @classmethod
    def of(cls, op: Op) -> Node:
        """The node that an acquisition goes to."""
        return cls(op.lock_class, int(op.nested))

    def __str__(self) -> str:
        return f"{self.lock_class.value}{f'/{self.subclass}' if self.subclass else ''}"


@dataclass(frozen=True, slots=True)
class Acquired:
    """An acquisition that was seen: by which thread, where, of which lock."""

    thread: str
    op: Op

    @property
    def node(self) -> Node:
        """Its node in the order graph."""
        return Node.of(self.op)


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something that lockdep warns of.

    Args:
        kind: ``recursion``: a thread wants the very lock that it holds; ``missing annotation``: it wants another lock
        of a class of which it holds one, under the same subclass; ``inversion``: the order of two classes was seen the
        other way round, directly or over others.
        wanted: the acquisition that is complained of.
        held: what the thread held, oldest first.
        clash: the one of these that does not go with it.
        chain: for an inversion, the orders seen before that lead from the wanted class to the held one: (first, then).
    """

    kind: str
    wanted: Acquired
    held: tuple[Acquired, ...]
    clash: Acquired
    chain: tuple[tuple[Acquired, Acquired], ...] = ()


class Lockdep:
    """Held-lock stacks of threads, and the graph of orders between classes of locks.

    Attributes:
        complaints: what was found, each kind once for two nodes.
    """

    def __init__(self) -> None:
        self.complaints: list[Complaint] = []
        self._held: dict[str, list[Acquired]] = {}
        self._orders: dict[Node, dict[Node, tuple[Acquired, Acquired]]] = {}
        self._said: set[tuple[str, Node, Node]] = set()

    def held(self, thread: str) -> tuple[Acquired, ...]:
        """The stack of what a thread holds, oldest first."""
        return tuple(self._held.get(thread, ()))

    def orders(self) -> list[tuple[Node, Node, Acquired, Acquired]]:
        """(outer, inner, the acquisitions that showed it first) of every order seen, sorted by class."""
        rows = [(outer, inner, *seen) for outer, inners in self._orders.items() for inner, seen in inners.items()]
        return sorted(rows, key=lambda row: (_rank(row[0]), _rank(row[1])))

    def see(self, thread: str, op: Op) -> None:
        """Learn an operation of a thread: one that it was granted, or an acquisition that it begins to wait for.

        Do not pass a trylock that failed. One that succeeded adds no order after what is held, since it would not
        have waited, but one before what is taken later.
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
        """Learn the operations of a run: (thread, operation) in order."""
        for thread, op in ops:
            self.see(thread, op)

    def _check(self, wanted: Acquired, stack: Sequence[Acquired]) -> None:
        node = wanted.node
        for held in stack:
            if held.op.lock == wanted.op.lock:
                self._complain("recursion", wanted, stack, held)
            elif held.node == node:
                self._complain("missing annotation", wanted, stack, held)
        for held in stack:
            if held.node == node:
                continue
            chain = self._chain(node, held.node)
            if chain:
                self._complain("inversion", wanted, stack, held, chain)
            self._orders.setdefault(held.node, {}).setdefault(node, (held, wanted))

    def _chain(self, start: Node, end: Node) -> tuple[tuple[Acquired, Acquired], ...]:
        """The shortest chain of orders that leads from one node to another; empty if there is none."""
        came_from: dict[Node, Node] = {start: start}
        level = [start]
        while level and end not in came_from:
            following = []
            for node in level:
                for inner in self._orders.get(node, ()):
                    if inner not in came_from:
                        came_from[inner] = node
                        following.append(inner)
            level = following
        if end not in came_from:
            return ()
        chain = []
        while end != start:
            chain.append(self._orders[came_from[end]][end])
            end = came_from[end]
        return tuple(reversed(chain))

    def _complain(
        self,
        kind: str,
        wanted: Acquired,
        stack: Sequence[Acquired],
        clash: Acquired,
        chain: tuple[tuple[Acquired, Acquired], ...] = (),
    ) -> None:
        said = (kind, clash.node, wanted.node)
        if said not in self._said:
            self._said.add(said)
            self.complaints.append(Complaint(kind, wanted, tuple(stack), clash, chain))


def _rank(node: Node) -> tuple[int, int]:
    return tuple(LockClass).index(node.lock_class), node.subclass


@dataclass(frozen=True, slots=True)
class HierarchyLevel:
    """A level of the documented hierarchy.

    Args:
        lock_class: the class of locks.
        kernel: what it is in Linux.
        kind: ``rwsem``, ``bit lock`` or ``spinlock``.
    """

    lock_class: LockClass
    kernel: str
    kind: str


#: the documented order, outermost first: while something is held, only what stands below may be waited for
HIERARCHY = (
    HierarchyLevel(LockClass.IRW, "inode->i_rwsem", "rwsem"),
    HierarchyLevel(LockClass.MMAP, "mm->mmap_lock", "rwsem"),
    HierarchyLevel(LockClass.INVAL, "mapping->invalidate_lock", "rwsem"),
    HierarchyLevel(LockClass.FOLIO, "folio lock (PG_locked)", "bit lock"),
    HierarchyLevel(LockClass.VMA, "per-VMA lock, write mark", "rwsem"),
    HierarchyLevel(LockClass.IMMAP, "mapping->i_mmap_rwsem", "rwsem"),
    HierarchyLevel(LockClass.AVR, "anon_vma->root->rwsem", "rwsem"),
    HierarchyLevel(LockClass.MMPTL, "mm->page_table_lock", "spinlock"),
    HierarchyLevel(LockClass.PMDL, "lock of a PMD table", "spinlock"),
    HierarchyLevel(LockClass.PTL, "lock of a PTE table", "spinlock"),
    HierarchyLevel(LockClass.MCL, "large folio's mapcount (folio->_mm_ids)", "bit lock"),
    HierarchyLevel(LockClass.DSQ, "deferred-split queue", "spinlock"),
    HierarchyLevel(LockClass.SWAP, "swap cluster", "spinlock"),
    HierarchyLevel(LockClass.XA, "mapping->i_pages", "spinlock"),
    HierarchyLevel(LockClass.LRU, "lruvec->lru_lock", "spinlock"),
)


# Pictures.

_COLUMN = 27


def lockdep_report(complaint: Complaint) -> list[str]:
    """A complaint laid out as lockdep prints it: what is wanted, what is held, and how it could go wrong."""
    inverted = complaint.kind == "inversion"
    wanted, clash = complaint.wanted, complaint.clash
    lines = [
        f"WARNING: possible {'circular locking dependency' if inverted else 'recursive locking'} detected",
        f"{wanted.thread} is trying to acquire lock:",
        f"  {_line(wanted)}",
        "but task is already holding lock:",
        f"  {_line(clash)}",
    ]
    if inverted:
        lines.append("which lock already depends on the new lock.")
        lines.append("the existing dependency chain (in order) is:")
        lines += [f"  {first.node} -> {then.node}: {_line(then)}" for first, then in complaint.chain]
    lines += ["", "Possible unsafe locking scenario:", ""]
    lines += _two_processors(complaint) if inverted else _one_processor(complaint)
    lines += ["", " *** DEADLOCK ***", ""]
    if complaint.kind == "missing annotation":
        lines.append("May be due to missing lock nesting notation")
    lines.append(f"{counted(len(complaint.held), 'lock')} held by {wanted.thread}:")
    lines += [f"  #{number}: {_line(held)}" for number, held in enumerate(complaint.held)]
    return lines


def _line(acquired: Acquired) -> str:
    op = acquired.op
    mode = f" ({op.mode})" if op.mode else ""
    return f"{op.lock}{mode} [{acquired.node}], at: {op.function or 'acquire'}()"


def _one_processor(complaint: Complaint) -> list[str]:
    return ["       CPU0", "       ----", f"  lock({complaint.clash.node});", f"  lock({complaint.wanted.node});"]


def _two_processors(complaint: Complaint) -> list[str]:
    held, wanted = complaint.clash.node, complaint.wanted.node
    middle = complaint.chain[-1][0].node
    right = " " * _COLUMN
    return [
        f"{'       CPU0':<{_COLUMN}}       CPU1",
        f"{'       ----':<{_COLUMN}}       ----",
        f"  lock({held});",
        f"{right}  lock({middle});",
        f"{right}  lock({held});",
        f"  lock({wanted});",
    ]
