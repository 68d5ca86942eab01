"""The locks of a race: who holds and who waits for what, and which operations are switch points.

Rules:
- Locks are fair. A reader queues after a waiting writer even while readers hold the lock, as in the rwsems of Linux;
  otherwise a recursive read lock around a writer would seem harmless.
- A release hands the lock to the next in the queue. They hold it from then on, and run when they are scheduled.
- A task that only waits for a release (``w``) runs on after the next one, even if another task holds the lock then.
- A task that requests a lock that it holds waits for itself.
- The write lock of a VMA is a mark: a release does not drop it; it stays until its task holds no mmap_lock for writing.

Reduction: a switch point need not be tried if no other thread can tell the difference. A thread runs on through
- releases, whose exact time no other thread can observe unless it *tries* the lock in vain.
  Page-table locks are an exception: after they are dropped, references are put under no lock at all, and code that
  compares references with mapcounts sees whether that has happened;
- the lock of a new folio that no other thread can find yet;
- acquisitions for writing of locks that no other thread can want. An event announced under such locks alone is a stop.
Both rely on everything that a path reads being protected by a lock that it holds, private to its thread, or marked by a
look (``?``), which is a switch point, as is each access of a word. A change that a look can see is marked too, or a
look and a change would be one step. What other threads want and try is assumed, watched, and learned when an assumption
proves wrong.

Kernel: kernel/locking/rwsem.c, kernel/locking/mutex.c, kernel/locking/qspinlock.c (v6.18)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from folioshell.errors import KernelBug
from folioshell.model.lock import SET_LOCKED, LockClass, LockOp, op_text
from folioshell.records import NamedTuple, dataclass, field

_ORDERING = 'mm/rmap.c, "Lock ordering in mm"'

#: class -> (its name in what users read, as lockdep prints it; its kind; where Linux 6.18 takes it within those above),
#: outermost first: while holding a lock, a thread may wait only for those below it
HIERARCHY = {
    LockClass.IRW: ("&inode->i_rwsem", "rwsem", _ORDERING),
    LockClass.MMAP: ("&mm->mmap_lock", "rwsem", _ORDERING),
    LockClass.INVAL: ("mapping.invalidate_lock", "rwsem", _ORDERING),
    LockClass.FOLIO: ("folio lock", "bit lock", _ORDERING),
    LockClass.VMA: ("vm_lock", "rwsem, write mark", _ORDERING),
    LockClass.IMMAP: ("&mapping->i_mmap_rwsem", "rwsem", _ORDERING),
    LockClass.AVR: ("&anon_vma->rwsem", "rwsem", _ORDERING),
    LockClass.MMPTL: ("&mm->page_table_lock", "spinlock", _ORDERING),
    LockClass.PMDL: ("pmd_lockptr(mm, pmd)", "spinlock", "mm/khugepaged.c: collapse_huge_page()"),
    LockClass.PTL: ("ptlock_ptr(ptdesc)", "spinlock", "mm/khugepaged.c: retract_page_tables()"),
    LockClass.MCL: ("mapcount bit lock", "bit lock", "include/linux/rmap.h: folio_add_return_large_mapcount()"),
    LockClass.SWAP: ("&ci->lock", "spinlock", "mm/swapfile.c: __swap_duplicate()"),
    LockClass.XA: ("&xa->xa_lock", "spinlock", _ORDERING),
    LockClass.DSQ: ("split_queue_lock", "spinlock", "mm/huge_memory.c: __folio_split()"),
    LockClass.LRU: ("&lruvec->lru_lock", "spinlock", _ORDERING),
}


def kernel_text(lock: str) -> str:
    """A lock as users read it: ``IMMAP(lib)`` -> ``&mapping->i_mmap_rwsem of lib``; ``pt1`` is unchanged."""
    short, _, owner = lock.removesuffix(")").partition("(")
    return f"{HIERARCHY[LockClass(short)][0]} of {owner}" if owner else lock


def is_pte_table_lock(lock: str) -> bool:
    """Is a lock, by its name, that of a PTE table?"""
    return lock.startswith("pt") and lock[2:].isdigit()


def legend(classes: Iterable[LockClass]) -> str:
    """One line that explains the short names in a trace: ``VMA: vm_lock; MCL: mapcount bit lock``."""
    used = set(classes)
    return "; ".join(
        f"{lock_class.value}: {name}"
        for lock_class, (name, _, _) in HIERARCHY.items()
        if lock_class in used and not lock_class.is_page_table_lock
    )


class Op(NamedTuple):
    """A lock operation as a value, the same in every run.

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
        return op_text(self.verb, self.lock, self.mode, self.nested)

    @property
    def is_access(self) -> bool:
        """It reads or writes what other threads may change at any time, and takes no lock."""
        return self.verb == "?" or len(self.verb) > 1


def value_of(op: LockOp) -> Op:
    """The operation of a path as a value."""
    lock = op.lock
    return Op(op.verb, lock.name, op.mode, lock.lock_class, op.function, op.nested)


#: verb -> what is said of the lock
_VERBS = {
    "+": "takes",
    "-": "releases",
    "~": "does a trylock of",
    "v": "downgrades to reading",
    "w": "waits for the release of",
    "?": "accesses what is under",
}
_MODES = {"R": " for reading", "W": " for writing"}


def op_words(op: Op, times: int = 1) -> str:
    """An operation in words: ``takes pt1, nested``, ``does a trylock of vm_lock of v1 for reading``."""
    if len(op.verb) > 1:
        return str(op)
    nested = ", nested" if op.nested else ""
    again = f", {times:,} times" if times > 1 else ""
    return f"{_VERBS[op.verb]} {kernel_text(op.lock)}{_MODES.get(op.mode, '')}{nested}{again}"


@dataclass(frozen=True, slots=True)
class Wait:
    """A task that waits.

    Args:
        task: its number.
        lock, mode: what it waits for.
        holders: tasks that hold the lock in a conflicting mode, possibly itself, ascending.
        ahead: tasks queued before it for the same lock, in order.
    """

    task: int
    lock: str
    mode: str
    holders: tuple[int, ...]
    ahead: tuple[int, ...]


#: the state of a lock table as a value: holders, queue, granted tasks, VMA marks
LockState = tuple[
    tuple[tuple[str, tuple[tuple[int, str], ...]], ...],
    tuple[tuple[str, int, str], ...],
    tuple[int, ...],
    tuple[tuple[str, int], ...],
]

#: mode of a task that waits for a release, and will not hold the lock
_UNTIL_RELEASED = "until released"

FREE: LockState = ((), (), (), ())


class LockTable:
    """The locks that are held or waited for.

    Args:
        state: from ``state()`` of another table.
    """

    def __init__(self, state: LockState = FREE) -> None:
        holders, queue, granted, marks = state
        self._holders = {lock: dict(tasks) for lock, tasks in holders}
        self._queue = list(queue)
        self._granted = set(granted)
        self._marks = dict(marks)

    def state(self) -> LockState:
        """The table as a value; equal for equivalent tables."""
        return (
            tuple(sorted((lock, tuple(sorted(tasks.items()))) for lock, tasks in self._holders.items())),
            tuple(sorted(self._queue, key=lambda waiter: waiter[0])),
            tuple(sorted(self._granted)),
            tuple(sorted(self._marks.items())),
        )

    def request(self, task: int, op: Op) -> bool:
        """Request a lock. False: the task is queued, and holds the lock once ``is_granted``."""
        holders = self._holders.get(op.lock)
        if holders is not None and task in holders and self._marks.get(op.lock) == task:
            return True
        if op.verb == "w":
            if not holders:
                return True
            self._queue.append((op.lock, task, _UNTIL_RELEASED))
            return False
        if self._may_have(task, op):
            self._holders.setdefault(op.lock, {})[task] = op.mode
            return True
        self._queue.append((op.lock, task, op.mode))
        return False

    def attempt(self, task: int, op: Op) -> bool:
        """Try to take a lock without waiting."""
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
        """Downgrade a write lock to a read lock, and admit waiting readers.

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
        """The task has ended. Returns: the locks that it failed to release."""
        for lock in [lock for lock, owner in self._marks.items() if owner == task]:
            del self._marks[lock]
            self._drop(task, lock)
        return tuple(lock for lock, _ in self.held_by(task))

    def go_on(self, task: int) -> None:
        """The task, which was granted its lock, runs again."""
        self._granted.discard(task)

    # Questions.

    def is_waiting(self, task: int) -> bool:
        """Is the task in a queue?"""
        return any(waiter == task for _, waiter, _ in self._queue)

    def is_granted(self, task: int) -> bool:
        """Was the task granted its lock, and has it not run yet?"""
        return task in self._granted

    def held_by(self, task: int) -> list[tuple[str, str]]:
        """(lock, mode) of the locks that a task holds, VMA marks included."""
        return [(lock, tasks[task]) for lock, tasks in self._holders.items() if task in tasks]

    def holders(self) -> list[tuple[str, tuple[tuple[int, str], ...]]]:
        """(lock, (task, mode) of its holders) of every lock that is held."""
        return [(lock, tuple(sorted(tasks.items()))) for lock, tasks in self._holders.items()]

    def waits(self) -> list[Wait]:
        """All waits, in the order in which they began."""
        rows = []
        for position, (lock, task, mode) in enumerate(self._queue):
            before = tuple(other for wanted, other, _ in self._queue[:position] if wanted == lock)
            holders = self._holders.get(lock, {})
            against = sorted(other for other in holders if other == task or mode != "R" or holders[other] != "R")
            rows.append(Wait(task, lock, mode, tuple(against), before))
        return rows

    def circle(self) -> list[int]:
        """The shortest cycle of tasks each of which waits for the next, the smallest first; empty if there is none.

        Of a task that waits for itself and the others in its queue, only the former is the cause.
        """
        blockers = {wait.task: (*wait.holders, *wait.ahead) for wait in self.waits()}
        paths = [path for start in sorted(blockers) if (path := _path_back(start, blockers))]
        return min(paths, key=len, default=[])

    # Changes.

    def _may_have(self, task: int, op: Op) -> bool:
        """Is the lock available in this mode, and its queue empty?"""
        holders = self._holders.get(op.lock)
        if holders and (op.mode != "R" or task in holders or any(mode != "R" for mode in holders.values())):
            return False
        return not any(lock == op.lock and mode != _UNTIL_RELEASED for lock, _, mode in self._queue)

    def _drop(self, task: int, lock: str) -> None:
        holders = self._holders[lock]
        del holders[task]
        if not holders:
            del self._holders[lock]
        self._hand_on(lock)

    def _drop_marks(self, task: int) -> None:
        """Unmark the VMAs of a task that no longer holds an mmap_lock for writing."""
        if any(mode == "W" and lock.startswith("MMAP(") for lock, mode in self.held_by(task)):
            return
        for lock in [lock for lock, owner in self._marks.items() if owner == task]:
            del self._marks[lock]
            self._drop(task, lock)

    def _hand_on(self, lock: str) -> None:
        """Grant a lock to the first waiter if it is available, and to readers queued directly after a reader."""
        for waiter in [waiter for waiter in self._queue if waiter[0] == lock]:
            _, task, mode = waiter
            if mode == _UNTIL_RELEASED:
                self._queue.remove(waiter)
                self._granted.add(task)
        for waiter in [waiter for waiter in self._queue if waiter[0] == lock]:
            _, task, mode = waiter
            holders = self._holders.get(lock, {})
            if holders and (mode != "R" or any(held != "R" for held in holders.values())):
                return
            self._holders.setdefault(lock, {})[task] = mode
            self._queue.remove(waiter)
            self._granted.add(task)


def _path_back(start: int, blockers: dict[int, tuple[int, ...]]) -> list[int]:
    """The shortest cycle of blocking tasks through a task; empty if there is none."""
    paths, seen = deque([[start]]), set[int]()
    while paths:
        path = paths.popleft()
        for other in blockers.get(path[-1], ()):
            if other == start:
                return path
            if other not in seen:
                seen.add(other)
                paths.append([*path, other])
    return []


class AssumptionError(Exception):
    """An assumption of the reduction is wrong; the search must restart without it.

    Args:
        lock: a lock that was assumed to be private to a thread, or empty.
        tried: (class, mode) of an unexpected trylock, or None.
    """

    def __init__(self, lock: str = "", tried: tuple[LockClass, str] | None = None) -> None:
        super().__init__(lock or str(tried))
        self.lock = lock
        self.tried = tried


@dataclass(slots=True)
class Reduction:
    """Where threads need not stop.

    Args:
        on: False: threads stop before every operation.
        tried: (class, mode) of locks that some path tries: the release of a conflicting one is a stop.
        wanted: locks of one process that more than one thread wants.
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
        """Drop an assumption."""
        if error.lock:
            self.wanted.add(error.lock)
        if error.tried is not None:
            self.tried.add(error.tried)

    def share_out(self, mms: Sequence[str]) -> None:
        """Determine which locks are private to each thread.

        Args:
            mms: the process of each thread.
        """
        self._own = [frozenset((f"MMAP({mm})", f"{mm}.mm")) if mms.count(mm) == 1 else frozenset() for mm in mms]

    def check(self, task: int, op: Op) -> None:
        """Check the assumptions.

        Raises:
            AssumptionError: a thread acquires or tries a lock contrary to them.
        """
        if not self.on:
            return
        if op.verb == "~" and (op.lock_class, op.mode) not in self.tried:
            raise AssumptionError(tried=(op.lock_class, op.mode))
        others = (*self._own[:task], *self._own[task + 1 :])
        if op.lock not in self.wanted and any(op.lock in own for own in others):
            raise AssumptionError(lock=op.lock)

    def must_stop(self, task: int, op: Op) -> bool:
        """Must a thread stop before an operation?"""
        if not self.on:
            return True
        if op.verb == "w":
            return True
        if op.function == SET_LOCKED:
            return op.lock in self.wanted
        if op.verb == "+":
            return op.mode == "R" or op.lock not in self._own[task] or op.lock in self.wanted
        if op.verb == "-":
            if op.lock_class.is_page_table_lock:
                return True
            # The release of a VMA write lock has no effect, its mark stays. Two readers do not conflict.
            return (op.lock_class, op.mode) != (LockClass.VMA, "W") and any(
                op.lock_class is lock_class and not op.mode == mode == "R" for lock_class, mode in self.tried
            )
        return op.verb != "v" or (op.lock_class, op.mode) in self.tried
