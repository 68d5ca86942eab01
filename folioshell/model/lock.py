"""Locks and the operations on them that kernel paths yield.

Rules:
- A path never changes a lock: it yields the operation, and the driver performs it.
- There is one operation object for each lock, verb, mode and function: a trace of a million is a list of pointers.
- Identical consecutive operations are one object with a count.
"""

from __future__ import annotations

from enum import Enum

from folioshell.records import dataclass
from folioshell.wording import id_run


class LockClass(Enum):
    """Lock classes, outermost first: while a path holds one it may only take later ones.

    ``HIERARCHY`` in explore/locks.py says where Linux has each place.
    Kernel: mm/rmap.c, the comment "Lock ordering in mm" (v6.18); mm/huge_memory.c: __folio_split() (v6.18)
    """

    IRW = "IRW"
    MMAP = "MMAP"
    INVAL = "INVAL"
    FOLIO = "FOLIO"
    VMA = "VMA"
    IMMAP = "IMMAP"
    AVR = "AVR"
    MMPTL = "MMPTL"
    PMDL = "PMDL"
    PTL = "PTL"
    MCL = "MCL"
    SWAP = "SWAP"
    XA = "XA"
    DSQ = "DSQ"
    LRU = "LRU"
    #: no lock: a word that a protocol under test shares between threads
    WORD = "WORD"

    def __init__(self, name: str) -> None:
        #: is it the lock of page tables of any level?
        self.is_page_table_lock = name in ("MMPTL", "PMDL", "PTL")


# A tuple: it compares by identity, where a set would hash a member in Python.
_NAMED_BY_OWNER = (LockClass.PTL, LockClass.PMDL, LockClass.WORD)

#: the function that locks a folio which no other task can find yet: it never waits, and is no switch point
SET_LOCKED = "__folio_set_locked"

#: verb -> change of the number of locks held
_CHANGES = {"+": 1, "~": 1, "-": -1}


class LockOp:
    """One operation on one lock: what a path yields, and a line of the trace.

    Attributes:
        lock: the lock.
        verb: ``+`` acquire, ``-`` release, ``~`` trylock, ``v`` downgrade from write to read, ``w`` wait until
            the lock is released without taking it, ``?`` lockless read of what the lock protects, or a
            change that such a read may see. Of a shared word ``load``, ``store``, ``fetch_add`` or ``cmpxchg``.
        mode: ``R``, ``W`` or empty for a lock that has no modes; of an access of a word its arguments.
        function: the kernel function that does it; empty for a release.
        nested: a second lock of a class is taken under SINGLE_DEPTH_NESTING.
        times: number of acquisitions that it stands for, each released before the next, as the release after it says.
        table_locks: by how much it changes the number of page-table locks held: 1, -1 or 0.
    """

    __slots__ = ("function", "lock", "mode", "nested", "table_locks", "times", "verb")

    def __init__(self, lock: Lock, verb: str, mode: str, function: str, nested: bool, times: int = 1) -> None:
        self.lock = lock
        self.verb = verb
        self.mode = mode
        self.function = function
        self.nested = nested
        self.times = times
        self.table_locks = _CHANGES.get(verb, 0) if lock.lock_class.is_page_table_lock else 0

    def is_like(self, other: LockOp) -> bool:
        """Are both the same but for the number of times?"""
        return (
            self.lock is other.lock
            and (self.verb, self.mode, self.function) == (other.verb, other.mode, other.function)
            and self.nested == other.nested
        )

    def __str__(self) -> str:
        text = op_text(self.verb, self.lock.name, self.mode, self.nested)
        return f"{text} ×{self.times}" if self.times > 1 else text

    def __repr__(self) -> str:
        return f"<{self} {self.function}>"


def op_text(verb: str, lock: str, mode: str, nested: bool) -> str:
    """An operation as in a trace: ``+pt1 nested``, ``~VMA(v1)(R)``; of a word ``fetch_add(f1.total, 1)``."""
    if len(verb) > 1:
        return f"{verb}({lock}, {mode})" if mode else f"{verb}({lock})"
    return f"{verb}{lock}{f'({mode})' if mode else ''}{' nested' if nested else ''}"


class Lock:
    """One lock of the kernel.

    Args:
        lock_class: its class.
        owner: the object that it protects, as printed: ``pt1``, ``pmd1``, ``A``, ``v3``.
    """

    __slots__ = ("_ops", "_run", "lock_class", "owner")

    def __init__(self, lock_class: LockClass, owner: str) -> None:
        self.lock_class = lock_class
        self.owner = owner
        self._run: Lock | None = None
        #: plain acquisitions by function, releases by mode (no function has such a name), others by all arguments
        self._ops: dict[str | tuple[str, str, str, bool, int], LockOp] = {}

    @property
    def name(self) -> str:
        """In a trace: ``pt1``, ``pmd1`` for table locks, ``A.mm`` for page_table_lock, ``f1.total`` for a word, else
        ``CLASS(owner)``.
        """
        if self.lock_class in _NAMED_BY_OWNER:
            return self.owner
        if self.lock_class is LockClass.MMPTL:
            return f"{self.owner}.mm"
        return f"{self.lock_class.value}({self.owner})" if self.owner else self.lock_class.value

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<Lock {self.name}>"

    def run(self, nr: int) -> Lock:
        """This lock and those of the ``nr - 1`` objects after its own, as one: each is released before the next."""
        if nr == 1:
            return self
        owner = id_run(self.owner, nr)
        if self._run is None or self._run.owner != owner:
            self._run = Lock(self.lock_class, owner)
        return self._run

    def _op(self, verb: str, mode: str, function: str, nested: bool, times: int = 1) -> LockOp:
        key = (verb, mode, function, nested, times)
        op = self._ops.get(key)
        if op is None:
            op = self._ops[key] = LockOp(self, verb, mode, function, nested, times)
        return op

    def acquire(self, function: str, mode: str = "", nested: bool = False, times: int = 1) -> LockOp:
        """Operation: take the lock, waiting for it."""
        if mode or nested or times > 1:
            return self._op("+", mode, function, nested, times)
        op = self._ops.get(function)
        if op is None:
            op = self._ops[function] = LockOp(self, "+", "", function, False)
        return op

    def trylock(self, function: str, mode: str = "", times: int = 1) -> LockOp:
        """Operation: take the lock if it is free. The path is sent True when it was *not* taken."""
        return self._ops.get(("~", mode, function, False, times)) or self._op("~", mode, function, False, times)

    def release(self, mode: str = "", times: int = 1) -> LockOp:
        """Operation: release the lock."""
        if times > 1:
            return self._op("-", mode, "", False, times)
        op = self._ops.get(mode)
        if op is None:
            op = self._ops[mode] = LockOp(self, "-", mode, "", False)
        return op

    def set_locked(self, times: int = 1) -> LockOp:
        """Operation: lock a folio that no other task can find yet.

        Kernel: include/linux/pagemap.h: __folio_set_locked() (v6.18)
        """
        return self.acquire(SET_LOCKED, times=times)

    def wait(self, function: str) -> LockOp:
        """Operation: sleep until the lock is released, without taking it, if it is held. Needs no reference.

        Kernel: mm/filemap.c: migration_entry_wait_on_locked() (v6.18)
        """
        return self._op("w", "", function, False)

    def peek(self, function: str) -> LockOp:
        """Operation: a lockless read of what the lock protects, or a change that such a read may see.

        Others may come between it and what the thread did before.
        """
        return self._op("?", "", function, False)

    def downgrade(self, function: str) -> LockOp:
        """Operation: downgrade a lock held for writing to reading."""
        return self._op("v", "R", function, False)


# Shared words.


class Words:
    """The values of all shared words of a protocol: (folio number, name) -> value, unless it is 0."""

    __slots__ = ("values",)

    def __init__(self) -> None:
        self.values: dict[tuple[int, str], int] = {}


@dataclass(frozen=True, slots=True)
class SharedWord:
    """A word of a folio that threads share; 0 until something else is stored.

    The methods make steps: ``old = yield word.fetch_add(1)``.
    """

    words: Words
    folio: int
    name: str

    def load(self) -> WordAccess:
        """Step: read it, as READ_ONCE(). Its value is sent back."""
        return WordAccess(self, "load")

    def store(self, value: int) -> WordAccess:
        """Step: write it, as WRITE_ONCE()."""
        return WordAccess(self, "store", (value,))

    def fetch_add(self, nr: int) -> WordAccess:
        """Step: add to it, as atomic_fetch_add(). The value before is sent back."""
        return WordAccess(self, "fetch_add", (nr,))

    def cmpxchg(self, old: int, new: int) -> WordAccess:
        """Step: write ``new`` if it is ``old``, as atomic_cmpxchg(). The value before is sent back."""
        return WordAccess(self, "cmpxchg", (old, new))

    @property
    def value(self) -> int:
        """Its value; reading it is no step."""
        return self.words.values.get((self.folio, self.name), 0)

    def set(self, value: int) -> None:
        """Write it while no thread runs."""
        key = (self.folio, self.name)
        if value:
            self.words.values[key] = value
        else:
            self.words.values.pop(key, None)

    def __str__(self) -> str:
        return f"f{self.folio}.{self.name}"


@dataclass(frozen=True, slots=True)
class WordAccess:
    """An access of a word: what a protocol yields.

    Args:
        word: the word.
        verb: ``load``, ``store``, ``fetch_add`` or ``cmpxchg``.
        values: its arguments.
    """

    word: SharedWord
    verb: str
    values: tuple[int, ...] = ()

    def op(self, function: str) -> LockOp:
        """The operation before which others can come."""
        values = ", ".join(map(str, self.values))
        return LockOp(Lock(LockClass.WORD, str(self.word)), self.verb, values, function, nested=False)

    def perform(self) -> int:
        """Do it. Returns: the value before."""
        before = self.word.value
        if self.verb != "load" and (self.verb != "cmpxchg" or before == self.values[0]):
            self.word.set(before + self.values[0] if self.verb == "fetch_add" else self.values[-1])
        return before

    def __str__(self) -> str:
        return str(self.op(""))
