"""Who holds what and who waits for what: locks for more than one thread, request and grant apart.

Rules:
- First come, first served. A reader queues behind a waiting writer even while readers hold the lock, as rwsems
  of Linux are fair; without that, taking a read lock twice around a writer would look harmless.
- A release hands the lock to the next in the queue. They hold it from then on, and continue when scheduled.
- A task that requests a lock that it holds waits for itself.
- The write lock of a VMA is a mark: it stays, whatever its release says, until its task holds no mmap_lock for writing.

Kernel: kernel/locking/rwsem.c, kernel/locking/mutex.c, kernel/locking/qspinlock.c (v6.18)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from folioshell.errors import KernelBug
from folioshell.model.lock import LockClass, LockOp


class Op(NamedTuple):
    """A lock operation as a value: the same for the same lock of another run.

    Args:
        verb, mode, function, nested: as in LockOp.
        lock: name of the lock.
        lock_class: its class.
    """

    verb: str
    lock: str
    mode: str
    lock_class: LockClass
    function: str = ""
    nested: bool = False

    def __str__(self) -> str:
        return f"{self.verb}{self.lock}{f'({self.mode})' if self.mode else ''}{' nested' if self.nested else ''}"


def value_of(op: LockOp) -> Op:
    """The operation of a path as a value."""
    lock = op.lock
    return Op(op.verb, lock.name, op.mode, lock.lock_class, op.function, op.nested)


@dataclass(frozen=True, slots=True)
class Wait:
    """A task that waits.

    Args:
        task: who.
        lock, mode: for what.
        holders: tasks that hold it in a mode that shuts it out, itself perhaps, ascending.
        ahead: tasks queued before it for the same lock, in their order.
    """

    task: int
    lock: str
    mode: str
    holders: tuple[int, ...]
    ahead: tuple[int, ...]


#: the state of a lock table as a value
LockState = tuple[
    tuple[tuple[str, tuple[tuple[int, str], ...]], ...],
    tuple[tuple[str, int, str], ...],
    tuple[int, ...],
    tuple[tuple[str, int], ...],
]

FREE: LockState = ((), (), (), ())


class LockTable:
    """The locks that are held or wanted.

    Args:
        state: what ``state()`` of a table gave.
    """

    def __init__(self, state: LockState = FREE) -> None:
        holders, queue, granted, marks = state
        self._holders = {lock: dict(tasks) for lock, tasks in holders}
        self._queue = list(queue)
        self._granted = set(granted)
        self._marks = dict(marks)

    def state(self) -> LockState:
        """The table as a value; equal for tables that nothing can tell apart."""
        return (
            tuple(sorted((lock, tuple(sorted(tasks.items()))) for lock, tasks in self._holders.items())),
            tuple(sorted(self._queue, key=lambda waiter: waiter[0])),
            tuple(sorted(self._granted)),
            tuple(sorted(self._marks.items())),
        )

    def request(self, task: int, op: Op) -> bool:
        """Ask for a lock. False: the task is in the queue now, and holds the lock once ``is_granted``."""
        holders = self._holders.get(op.lock)
        if holders is not None and task in holders and self._marks.get(op.lock) == task:
            return True
        if self._may_have(task, op):
            self._holders.setdefault(op.lock, {})[task] = op.mode
            return True
        self._queue.append((op.lock, task, op.mode))
        return False

    def attempt(self, task: int, op: Op) -> bool:
        """Take a lock if that needs no waiting."""
        if not self._may_have(task, op):
            return False
        self._holders.setdefault(op.lock, {})[task] = op.mode
        return True

    def release(self, task: int, op: Op) -> None:
        """Release a lock, and hand it to the next in the queue.

        Raises:
            KernelBug: the task does not hold it.
        """
        holders = self._holders.get(op.lock, {})
        if task not in holders:
            raise KernelBug(f"{op.lock} is released but not held")
        if op.lock_class is LockClass.VMA and holders[task] == "W":
            self._marks[op.lock] = task
            return
        self._drop(task, op.lock)
        if op.lock_class is LockClass.MMAP:
            self._drop_marks(task)

    def downgrade(self, task: int, op: Op) -> None:
        """Hold for reading what is held for writing, and let waiting readers in.

        Raises:
            KernelBug: the task does not hold it for writing.
        """
        holders = self._holders.get(op.lock, {})
        if holders.get(task) != "W":
            raise KernelBug(f"{op.lock} is downgraded but not held for writing")
        holders[task] = "R"
        if op.lock_class is LockClass.MMAP:
            self._drop_marks(task)
        self._hand_on(op.lock)

    def finish(self, task: int) -> tuple[str, ...]:
        """The task is over. Returns: the locks that it should have released."""
        for lock in [lock for lock, owner in self._marks.items() if owner == task]:
            del self._marks[lock]
            self._drop(task, lock)
        return tuple(lock for lock, _ in self.held_by(task))

    def go_on(self, task: int) -> None:
        """The task, which was granted the lock that it waited for, continues."""
        self._granted.discard(task)

    # Questions.

    def is_waiting(self, task: int) -> bool:
        """Is the task in a queue?"""
        return any(waiter == task for _, waiter, _ in self._queue)

    def is_granted(self, task: int) -> bool:
        """Did a wait of the task end, and it has not gone on yet?"""
        return task in self._granted

    def held_by(self, task: int) -> list[tuple[str, str]]:
        """(lock, mode) of what a task holds, the marks of VMAs included."""
        return [(lock, tasks[task]) for lock, tasks in self._holders.items() if task in tasks]

    def holders(self) -> list[tuple[str, tuple[tuple[int, str], ...]]]:
        """(lock, (task, mode) of its holders) of every lock that is held."""
        return [(lock, tuple(sorted(tasks.items()))) for lock, tasks in self._holders.items()]

    def waits(self) -> list[Wait]:
        """Everybody who waits, in the order in which they began to."""
        rows = []
        for position, (lock, task, mode) in enumerate(self._queue):
            before = tuple(other for wanted, other, _ in self._queue[:position] if wanted == lock)
            holders = self._holders.get(lock, {})
            against = sorted(other for other in holders if other == task or mode != "R" or holders[other] != "R")
            rows.append(Wait(task, lock, mode, tuple(against), before))
        return rows

    def circle(self) -> list[int]:
        """Tasks each of which waits for the next, the last for the first; the smallest first. May be empty."""
        blockers = {wait.task: (*wait.holders, *wait.ahead) for wait in self.waits()}
        for start in sorted(blockers):
            path = _path_back(start, blockers)
            if path:
                return path
        return []

    # Changes.

    def _may_have(self, task: int, op: Op) -> bool:
        """Is the lock free for this mode, with no other task queued before this one?"""
        holders = self._holders.get(op.lock)
        if holders and (op.mode != "R" or task in holders or any(mode != "R" for mode in holders.values())):
            return False
        return not any(lock == op.lock for lock, _, _ in self._queue)

    def _drop(self, task: int, lock: str) -> None:
        holders = self._holders[lock]
        del holders[task]
        if not holders:
            del self._holders[lock]
        self._hand_on(lock)

    def _drop_marks(self, task: int) -> None:
        """Unmark the VMAs of a task that holds no mmap_lock for writing any more."""
        if any(mode == "W" and lock.startswith("MMAP(") for lock, mode in self.held_by(task)):
            return
        for lock in [lock for lock, owner in self._marks.items() if owner == task]:
            del self._marks[lock]
            self._drop(task, lock)

    def _hand_on(self, lock: str) -> None:
        """Grant a lock to the first waiter if it is free for it, and to the readers that follow a reader."""
        for waiter in [waiter for waiter in self._queue if waiter[0] == lock]:
            _, task, mode = waiter
            holders = self._holders.get(lock, {})
            if holders and (mode != "R" or any(held != "R" for held in holders.values())):
                return
            self._holders.setdefault(lock, {})[task] = mode
            self._queue.remove(waiter)
            self._granted.add(task)


def _path_back(start: int, blockers: dict[int, tuple[int, ...]]) -> list[int]:
    """The shortest way from a task along those that block it back to itself; empty if there is none."""
    came_from: dict[int, int] = {}
    level = [start]
    while level:
        following = []
        for task in level:
            for other in blockers.get(task, ()):
                if other == start:
                    way = [task]
                    while way[-1] != start:
                        way.append(came_from[way[-1]])
                    return way[::-1]
                if other not in came_from:
                    came_from[other] = task
                    following.append(other)
        level = following
    return []


class AssumptionError(Exception):
    """What the reduction took for granted is not so; the search must begin again without it.

    Args:
        lock: a lock that was thought to be one thread's own, or empty.
        tried: (class, mode) of a trylock that was not expected, or None.
    """

    def __init__(self, lock: str = "", tried: tuple[LockClass, str] | None = None) -> None:
        super().__init__(lock or str(tried))
        self.lock = lock
        self.tried = tried


@dataclass(slots=True)
class Reduction:
    """Where threads need not stop.

    Args:
        on: whether there is any such place.
        tried: (class, mode) of locks that some path tries: releasing one that may make a trylock fail is a stop.
        wanted: locks that more than one thread wants, although only one process has them.
    """

    on: bool = True
    tried: set[tuple[LockClass, str]] = field(
        default_factory=lambda: {
            (LockClass.FOLIO, ""),
            (LockClass.PMDL, ""),
            (LockClass.MMAP, "R"),
            (LockClass.VMA, "R"),
        }
    )
    wanted: set[str] = field(default_factory=set)
    _own: list[frozenset[str]] = field(default_factory=list)

    def learn(self, error: AssumptionError) -> None:
        """Take less for granted."""
        if error.lock:
            self.wanted.add(error.lock)
        if error.tried is not None:
            self.tried.add(error.tried)

    def share_out(self, mms: Sequence[str]) -> None:
        """Note whose locks are whose.

        Args:
            mms: the process of each thread.
        """
        self._own = [frozenset((f"MMAP({mm})", f"{mm}.mm")) if mms.count(mm) == 1 else frozenset() for mm in mms]

    def check(self, task: int, op: Op) -> None:
        """Watch what threads want.

        Raises:
            AssumptionError: a thread wants or tries a lock that was not expected.
        """
        if not self.on:
            return
        if op.verb == "~" and (op.lock_class, op.mode) not in self.tried:
            raise AssumptionError(tried=(op.lock_class, op.mode))
        others = (*self._own[:task], *self._own[task + 1 :])
        if op.lock not in self.wanted and any(op.lock in own for own in others):
            raise AssumptionError(lock=op.lock)

    def must_stop(self, task: int, op: Op) -> bool:
        """Does a thread stop before an operation?"""
        if not self.on:
            return True
        if op.verb == "+":
            return op.mode == "R" or op.lock not in self._own[task] or op.lock in self.wanted
        if op.verb == "-":
            if op.lock_class.is_page_table_lock:
                return True
            # The mark of a VMA stays: its release means nothing. Two readers do not exclude each other.
            return (op.lock_class, op.mode) != (LockClass.VMA, "W") and any(
                op.lock_class is lock_class and not op.mode == mode == "R" for lock_class, mode in self.tried
            )
        return op.verb != "v" or (op.lock_class, op.mode) in self.tried
