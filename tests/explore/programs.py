"""Small lock programs written as words, and the races of the tests.

Words: ``+x`` acquire, ``-x`` release, ``~x`` trylock (its words up to ``;`` are skipped if it fails), ``?x`` a look
without the lock, ``=x`` wait until it is released; ``r+x`` and ``w+x`` for reading and writing. A single letter is
written down at once. Locks ``f...`` are folio locks, ``i...`` read-write semaphores, ``p...`` locks of page tables, all
others spinlocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from folioshell.engine.machine import Machine
from folioshell.explore.race import Race, explore
from folioshell.explore.search import SearchResult
from folioshell.explore.threads import Task
from folioshell.model.kernel import Kernel
from folioshell.model.lock import Lock, LockClass
from folioshell.model.mapping import AddressSpace
from folioshell.model.vm import Mm
from folioshell.paths import Path, fault, mmap, rmap

_CLASSES = {"f": LockClass.FOLIO, "i": LockClass.IMMAP, "p": LockClass.PTL}
#: first virtual page of the mapping that straddles two PTE tables: eight pages in each
WIN = (1 << 18) + 504


def lock_of(name: str) -> Lock:
    """The lock that a word speaks of."""
    return Lock(_CLASSES.get(name[0], LockClass.XA), name)


def written(machine: Machine) -> str:
    """The letters that were written down, in order."""
    return "".join(vars(machine.kernel)["letters"])


def program(letters: list[str], text: str) -> Path[None]:
    """The path that a text describes."""
    words = iter(text.split())
    for word in words:
        mode, _, name = word.replace("-", "+").rpartition("+") if word[0] in "rw" and len(word) > 1 else ("", "", "")
        if name:
            lock = lock_of(name)
            yield lock.release(mode.upper()) if "-" in word else lock.acquire("program", mode.upper())
        elif word[0] == "+":
            yield lock_of(word[1:]).acquire("program")
        elif word[0] == "-":
            yield lock_of(word[1:]).release()
        elif word[0] == "=":
            yield lock_of(word[1:]).wait("program")
        elif word[0] == "?":
            yield lock_of(word[1:]).peek("program")
        elif word[0] == "~":
            if (yield lock_of(word[1:]).trylock("program")):
                _skip(words)
        elif word != ";":
            letters.append(word)


def _skip(words: Iterator[str]) -> None:
    for word in words:
        if word == ";":
            return


def race_of(*texts: str, reduction: bool = True, end_check: Callable[[Machine], list[str]] | None = None) -> Race:
    """A race of lock programs; without a check, what was written down is reported at the end."""
    machine = Machine()
    letters: list[str] = []
    vars(machine.kernel)["letters"] = letters

    def path(text: str) -> Callable[[], Path[Any]]:
        return lambda: program(letters, text)

    tasks = [Task(f"t{number}", "A", (path(text),)) for number, text in enumerate(texts, 1)]
    return Race(machine, tasks, end_check or (lambda machine: [written(machine)]), reduction)


def orders(*texts: str, reduction: bool = True) -> list[str]:
    """The letter strings that lock programs can write, sorted."""
    result = explore(race_of(*texts, reduction=reduction))
    assert result.exhausted
    return sorted(finding.flaw.text for finding in result.of_kind("miscount"))


def deadlocks(*texts: str, reduction: bool = True) -> dict[str, int]:
    """Deadlock -> number of states, of a race of lock programs."""
    result = explore(race_of(*texts, reduction=reduction))
    assert result.exhausted
    return {finding.flaw.text: finding.states for finding in result.of_kind("deadlock")}


# Faults.


def straddling(profile: str = "6.18") -> tuple[Machine, Kernel, Mm]:
    """A private writable mapping of an order-4 folio, eight of its pages in each of two PTE tables."""
    machine = Machine()
    machine.set_profile(profile)
    kernel = machine.kernel
    file = kernel.create_file(AddressSpace("lib", 32, "ext4"), 4, True)
    for folio in file.folios:
        machine.announce(rmap.folio_new(folio))
    mm = kernel.mms["A"]
    machine.run(mmap.do_mmap(kernel, mm, WIN, 16, kind="private", prot="rw", file=file))
    machine.begin()
    return machine, kernel, mm


def faults(kernel: Kernel, mm: Mm, *pages: int, write: bool = False) -> tuple[Callable[[], Path[Any]], ...]:
    """One access to each of some pages of the mapping."""

    def path(page: int) -> Callable[[], Path[Any]]:
        return lambda: fault.touch(kernel, mm, WIN + page, 1, write)

    return tuple(path(page) for page in pages)


def fault_race(*pages: tuple[int, ...], profile: str = "6.18", reduction: bool = True) -> Race:
    """Threads of one process that read the pages of the straddling mapping, each its own."""
    machine, kernel, mm = straddling(profile)
    tasks = [Task(f"A.t{number}", "A", faults(kernel, mm, *own)) for number, own in enumerate(pages, 1)]
    return Race(machine, tasks, reduction=reduction)


def explored(race: Race) -> SearchResult:
    """The result of a race that was explored whole."""
    result = explore(race)
    assert result.exhausted
    return result
