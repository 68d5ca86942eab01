"""Switch points that need not be tried, because no other thread can tell the difference.

With the reduction on, a thread runs on through
- releases, since nobody can see whether a lock was let go a little sooner, unless somebody might *try* it in vain.
  Locks of page tables are not among these: when they are let go, references are dropped under no lock at all, and
  whoever compares references with mapcounts sees whether that was done yet;
- acquisitions for writing of locks that no other thread can want. An event announced under such locks alone is a stop.

Both rest on what a path reads being protected by a lock that it holds, private to its thread, or marked by a look
(``?``). What other threads want and try is not known beforehand: it is assumed, watched, and taken back when it proves
wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from folioshell.explore.locks import Op
from folioshell.model.lock import LockClass


class AssumptionError(Exception):
    """What the reduction took for granted is not so; the search must begin again without it.

    Args:
        lock: a lock that was thought to be one thread's own, or empty.
        tried: (class, mode) of a trylock that nobody reckoned with, or None.
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
        tried: (class, mode) of locks that some path tries: to let go of one in another's way is a stop.
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
            AssumptionError: a thread wants or tries what nobody reckoned with.
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
            # The mark of a VMA stays; that it is let go means nothing. Two readers are not in each other's way.
            return (op.lock_class, op.mode) != (LockClass.VMA, "W") and any(
                op.lock_class is lock_class and not op.mode == mode == "R" for lock_class, mode in self.tried
            )
        return op.verb != "v" or (op.lock_class, op.mode) in self.tried
