"""The explorer against a second one: the same races of the same protocols, written down twice.

``VERDICTS`` has one row a protocol, one column a race. Both explorers must come to it, and to the same end states
(entries of both tables, and the counter) and the same deadlocks.
"""

from __future__ import annotations

import re
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.engine.machine import Machine
from folioshell.explore.race import Race, explore
from folioshell.explore.threads import Task
from folioshell.model.folio import Folio
from folioshell.model.lock import Lock
from folioshell.model.mapping import AddressSpace
from folioshell.model.pagetable import PageTable
from folioshell.paths import Path, fault, madvise, mmap, rmap, vma_protocols
from folioshell.paths.batch import LOOK, MappedSpan, read_unlocked
from folioshell.paths.sharing import AnswerCheck
from folioshell.paths.vma_protocols import FolioBitLock, OwnTableFirst, VmaProtocol, walk_table
from tests.examples import fewer
from tests.explore import naive
from tests.explore.naive import HALF, Memory, Steps, Tables
from tests.explore.naive_protocols import PROTOCOLS
from tests.explore.programs import explored, race_of

#: first virtual page of the folio: four of its pages lie in each of two PTE tables
BASE = (1 << 18) + 508

#: ``map`` and a page, or ``unmap``, a page and the one after the last
Command = tuple[str, int] | tuple[str, int, int]

#: name -> (the tables before, the commands of each thread)
RACES: dict[str, tuple[Tables, tuple[tuple[Command, ...], ...]]] = {
    "map, map": ((".c..", "..c."), ((("map", 0),), (("map", 4),))),
    "map, map, no tables": ((None, None), ((("map", 0),), (("map", 4),))),
    "unmap, map": (("ffff", None), ((("unmap", 0, 4),), (("map", 4),))),
    "unmap, unmap": (("ffff", "ffff"), ((("unmap", 0, 4),), (("unmap", 4, 8),))),
    "unmap some": (("fcff", "ffcf"), ((("unmap", 0, 1),), (("unmap", 4, 6),))),
    "unmap beside copies": (("fc..", "..cf"), ((("unmap", 0, 1),), (("unmap", 7, 8),))),
    "one table": (("ff..", None), ((("unmap", 0, 2),), (("map", 2),))),
    "unmap all, map": (("ffff", "ff.."), ((("unmap", 0, 8),), (("map", 6),))),
    "back and forth": (("ffff", None), ((("unmap", 0, 4), ("map", 0)), (("map", 4), ("unmap", 4, 8)))),
    "three": (("ffff", "ffff"), ((("unmap", 0, 4),), (("unmap", 4, 8),), (("map", 0),))),
    "three with copies": (("fc..", "..cf"), ((("unmap", 0, 1),), (("unmap", 7, 8),), (("map", 4),))),
}


class WalkUnderBitLock(FolioBitLock):
    """One lock for all counting, inside the lock of the own table, and the other table's inside that."""

    def look(self, span: MappedSpan) -> Path[bool]:
        """Its own table, then the other under its lock."""
        if span.found_in_own():
            return True
        for table, first, last in span.others():
            if (yield from walk_table(span, table, first, last, sync=True)):
                return True
        return False


class CountFirst(VmaProtocol):
    """Counts before the entries are changed, unmapping too."""

    def before(self, span: MappedSpan) -> Path[list[Lock] | None]:
        """Count what is about to be unmapped."""
        if span.maps(span.entries()[0]):
            own = range(span.vpn % span.size, span.vpn % span.size + span.nr)
            others = [
                entry
                for table, first, last in span.tables()
                if table is span.table
                for entry in (table.entries[index] for index in range(first, last) if index not in own)
            ]
            if not any(map(span.maps, others)) and not (yield from self._look_beyond(span)):
                self.add(span.folio, -1)
        return []

    def look(self, span: MappedSpan) -> Path[bool]:
        """Its own table, then the other without its lock."""
        return span.found_in_own() or (yield from self._look_beyond(span))

    def unmapped(self, span: MappedSpan) -> Path[None]:
        """It was counted before."""
        yield from ()

    @staticmethod
    def _look_beyond(span: MappedSpan) -> Path[bool]:
        for table, first, last in span.others():
            if any(map(span.maps, (yield from read_unlocked(table, first, last)))):
                return True
        return False


class OneAtATime(OwnTableFirst):
    """Looks in the other table under its lock, with the own one dropped."""

    def look(self, span: MappedSpan) -> Path[bool]:
        """Its own table, then the other."""
        if span.found_in_own():
            return True
        for table, first, last in span.others():
            yield span.lock.release()
            yield table.ptl.acquire(LOOK)
            found = span.found_in(table, first, last)
            yield table.ptl.release()
            yield span.lock.acquire(LOOK)
            if found:
                return True
        return False


class FolioLock(FolioBitLock):
    """The folio lock over look and change: a fault holds it anyway, who unmaps takes it."""

    def before(self, span: MappedSpan) -> Path[list[Lock] | None]:
        """The folio lock, unless entries are about to be set."""
        if not span.maps(span.entries()[0]):
            return []
        yield span.folio.lock.acquire(LOOK)
        return [span.folio.lock]


class FolioTrylock(FolioLock):
    """The same by a trylock: if it fails, its own lock is dropped for a moment."""

    def before(self, span: MappedSpan) -> Path[list[Lock] | None]:
        """The folio lock, unless entries are about to be set."""
        entries = span.entries()
        if not span.maps(entries[0]):
            return []
        while (yield span.folio.lock.trylock(LOOK)):
            yield span.lock.release()
            yield span.lock.acquire(LOOK)
            if span.entries() != entries:
                return None
        return [span.folio.lock]


OURS: dict[str, type[VmaProtocol]] = {
    **{name: kind for name, kind in vma_protocols.PROTOCOLS.items() if issubclass(kind, VmaProtocol)},
    "walk-under-bit-lock": WalkUnderBitLock,
    "count-first": CountFirst,
    "one-at-a-time": OneAtATime,
    "folio-lock": FolioLock,
    "folio-trylock": FolioTrylock,
}

for own in OURS.values():
    # The explorer copies objects of the package alone.
    own.__module__ = vma_protocols.__name__


def prepared(tables: Tables, profile: str) -> Machine:
    """A machine whose tables are as the marks say."""
    machine = Machine()
    machine.set_profile(profile)
    kernel, mm = machine.kernel, machine.kernel.mms["A"]
    file = kernel.create_file(AddressSpace("lib", 16, "ext4"), 3, True)
    for folio in file.folios:
        machine.announce(rmap.folio_new(folio))
    machine.run(mmap.do_mmap(kernel, mm, BASE, 2 * HALF, kind="private", prot="rw", file=file))
    for half, marks in enumerate(tables):
        for page in (half * HALF + at for at, mark in enumerate(marks or "") if mark == "c"):
            machine.run(fault.touch(kernel, mm, BASE + page, 1, True))
    for half, marks in enumerate(tables):
        if marks is not None and "f" in marks:
            machine.run(fault.touch(kernel, mm, BASE + half * HALF + marks.index("f"), 1, False))
            for page in (half * HALF + at for at, mark in enumerate(marks) if mark == "."):
                machine.run(madvise.do_madvise(kernel, mm, BASE + page, 1, "dontneed"))
    assert tables_of(machine) == tables
    machine.begin()
    return machine


def tables_of(machine: Machine) -> Tables:
    """The tables as marks."""
    (folio,) = (folio for folio in machine.kernel.folios.values() if folio.order and not folio.index)
    return _half(machine, folio, 0), _half(machine, folio, 1)


def _half(machine: Machine, folio: Folio, half: int) -> str | None:
    start = BASE + half * HALF
    table = machine.kernel.mms["A"].tables.leaf(start)
    if not isinstance(table, PageTable):
        return None
    span = MappedSpan(folio, 0, 1, None, table, start, 512)  # type: ignore[arg-type]
    entries = table.entries[start % 512 : start % 512 + HALF]
    return "".join("f" if span.maps(entry) else "c" if entry else "." for entry in entries)


def found(race: str, name: str, profile: str = "6.18", reduction: bool = True) -> naive.Verdict:
    """What our explorer finds, in the words of the other."""
    tables, threads = RACES[race]
    machine = prepared(tables, profile)
    kernel, mm = machine.kernel, machine.kernel.mms["A"]
    kernel.protocol = under_test = OURS[name]()
    under_test.definition, under_test.answers = machine.schemes["vmas"], AnswerCheck()
    under_test.counts = {1: naive.mapped(tables)}

    def path(what: str, page: int, end: int = 0) -> Path[object]:
        if what == "map":
            return fault.touch(kernel, mm, BASE + page, 1, False)
        return madvise.do_madvise(kernel, mm, BASE + page, end - page, "dontneed")

    ends: set[Memory] = set()

    def at_end(machine: Machine) -> list[str]:
        ends.add(Memory(tables_of(machine), under_test.counts[1]))
        return []

    tasks = [
        Task(str(number), "A", tuple(partial(path, *command) for command in commands))
        for number, commands in enumerate(threads)
    ]
    result = explore(Race(machine, tasks, at_end, reduction))
    assert result.exhausted
    assert {finding.flaw.kind for finding in result.findings} <= {"deadlock"}
    deadlocks = frozenset(waits(finding.flaw.text) for finding in result.of_kind("deadlock"))
    cycle = min(("fair" if lasso.is_fair else "unfair" for lasso in result.lassos), default="")
    return naive.Verdict(frozenset(ends), deadlocks, cycle, result.states)


LOCKS = {"pmd1": "pmd", "folio lock of f1": "folio", "mapcount bit lock of f1.vmas": "bit", "pt1": "pt", "pt2": "pt"}


def waits(text: str, locks: dict[str, str] = LOCKS) -> tuple[tuple[int, str], ...]:
    """(thread, lock that it waits for), as the sentence about a deadlock says; locks of PTE tables are alike."""
    found = [re.fullmatch(r"t?(\d) waits for (.+) \(.*\)", part) for part in text.split("; ")]
    return tuple((int(one[1]), locks.get(one[2], one[2])) for one in found if one)


def expected(race: str, name: str, fair: bool = True) -> naive.Verdict:
    """What the other explorer finds, with locks that are fair or not."""
    tables, threads = RACES[race]
    programs = {"map": naive.access, "unmap": naive.unmap}
    verdict = naive.explore(
        tables,
        [tuple((programs[what], PROTOCOLS[name], *pages) for what, *pages in commands) for commands in threads],
        fair,
    )
    alike = (tuple((thread, lock.rstrip("01")) for thread, lock in circle) for circle in verdict.deadlocks)
    return verdict._replace(deadlocks=frozenset(alike))


#: protocol -> for each race: D deadlocks, M miscounts, L livelocks, - none of them; U: it can be delayed without end by
#: a scheduler that never runs some thread that could run
VERDICTS = {
    "as-mailed":            "D   -   M   M   D   D   D   D   M   M   D",
    "as-mailed-sync":       "D   D   D   D   D   D   D   D   D   D   D",
    "exclude-own":          "M   -   M   M   D   D   -   DM  M   M   DM",
    "own-table-first":      "-   -   M   M   -   D   -   -   M   M   DM",
    "lockless-look":        "-   -   M   M   -   M   -   -   M   M   M",
    "address-order":        "-   -   -   -   -   -   -   -   -   -   -",
    "trylock-retry":        "U   U   L   L   L   L   -   L   L   L   L",
    "pmd-lock":             "-   -   -   -   -   -   -   -   -   -   -",
    "folio-bit-lock":       "-   -   -   -   -   -   -   -   -   -   -",
    "walk-under-bit-lock":  "-   -   D   D   -   D   -   D   D   D   D",
    "count-first":          "-   -   M   M   -   M   -   -   M   M   M",
    "one-at-a-time":        "-   -   M   M   -   M   -   -   M   M   M",
    "folio-lock":           "-   -   -   -   -   -   D   D   -   -   D",
    "folio-trylock":        "-   -   U   U   U   U   U   U   U   U   U",
}  # fmt: skip


def letters(verdict: naive.Verdict) -> str:
    """A verdict as in the table."""
    cycle = {"fair": "L", "unfair": "U"}.get(verdict.cycle, "")
    found = (("D", verdict.deadlocks), ("M", verdict.miscounts), (cycle, cycle))
    return "".join(letter for letter, is_found in found if is_found) or "-"


#: the others take longer, and are part of the full run
QUICK = ("unmap beside copies",)


@pytest.mark.parametrize(
    "race", [race if race in QUICK else pytest.param(race, marks=pytest.mark.full) for race in RACES]
)
def test_both_explorers_agree(race: str) -> None:
    """Under every protocol: the same end states, deadlocks and cycles, and those of the table."""
    both = {name: (found(race, name), expected(race, name)) for name in OURS}

    assert {name: pair for name, pair in both.items() if pair[0][:3] != pair[1][:3]} == {}
    column = list(RACES).index(race)
    assert {name: letters(pair[1]) for name, pair in both.items()} == {
        name: row.split()[column] for name, row in VERDICTS.items()
    }


@pytest.mark.full
@pytest.mark.parametrize("race", RACES)
@pytest.mark.parametrize(("profile", "reduction"), [("6.12", True), ("6.18", False)])
def test_they_agree_on_other_kernels_and_without_reduction(race: str, profile: str, reduction: bool) -> None:
    """6.12 takes no bit lock for the mapcount, at which a thread might be preempted; and nothing relies on reducing."""
    both = {name: (found(race, name, profile, reduction), expected(race, name)) for name in OURS}

    assert {name: pair for name, pair in both.items() if pair[0][:3] != pair[1][:3]} == {}


@pytest.mark.full
def test_fair_locks_avert_livelocks() -> None:
    """Without a queue, a thread that drops a lock may take it again at once, while another waits for it forever."""
    worse = {
        (race, name)
        for race in RACES
        for name in ("trylock-retry", "folio-trylock")
        if expected(race, name, fair=False)[:3] != expected(race, name)[:3]
    }

    assert worse == {(race, "folio-trylock") for race in ("one table", "unmap all, map", "three with copies")}
    assert all(expected(race, name, fair=False).cycle == "fair" for race, name in worse)


def test_a_look_and_a_change_are_two_steps() -> None:
    """Another thread may come between a read without a lock and the change of entries that it led to."""
    assert {end.count for end in found("unmap, map", "lockless-look", "6.12").ends} == {0, 1, 2}
    assert {end.count for end in found("unmap, unmap", "count-first").ends} == {0, 1}


# Programs of locks alone: the words of ``programs.py``.


def words(text: str) -> Steps:
    """A program: ``+x`` acquire, ``-x`` release, ``~x`` trylock (up to ``;`` is skipped if it fails), else a letter."""
    rest = iter(text.split())
    for word in rest:
        if word[0] in "+-":
            yield ({"+": "lock", "-": "unlock"}[word[0]], word[1:])
        elif word[0] == "~":
            if not (yield ("trylock", word[1:])):
                while next(rest) != ";":
                    pass
        elif word[0] not in "?;":
            yield ("note", word)


@st.composite
def programs(draw: st.DrawFn, most: int) -> str:
    """A program that takes and drops locks in any order, and notes something after each that it took.

    No lock protects the notes, so each is a step of its own, as ``?`` says.
    """
    text, held = "", []
    for _ in range(draw(st.integers(1, most))):
        free = [lock for lock in "xypf" if lock not in held]
        if held and (not free or draw(st.booleans())):
            text += f"-{held.pop(draw(st.integers(0, len(held) - 1)))} "
        elif draw(st.integers(0, 3)):
            held.append(draw(st.sampled_from(free)))
            text += f"+{held[-1]} ?n {{}} "
        else:
            text += "~{0} ?n {{}} -{0} ; ".format(draw(st.sampled_from(free)))
    return text + " ".join(f"-{lock}" for lock in held)


# Each example is a race of two or three threads.
@fewer(5)
@given(st.lists(programs(most=3), min_size=2, max_size=2) | st.lists(programs(most=2), min_size=3, max_size=3))
def test_both_explorers_agree_on_locks(forms: list[str]) -> None:
    """Of any lock programs: the same orders in which they note things down, and the same circles of waiting threads."""
    texts = []
    for form, own in zip(forms, ("abcd", "efgh", "ijkl"), strict=False):
        texts.append(form.format(*own))
    verdict = naive.explore((None, None), [((words, text),) for text in texts])
    result = explored(race_of(*texts))

    assert {finding.flaw.text for finding in result.of_kind("miscount")} == {end.notes for end in verdict.ends} - {""}
    names = {"folio lock of f": "f", "&xa->xa_lock of x": "x", "&xa->xa_lock of y": "y"}
    assert {waits(finding.flaw.text, names) for finding in result.of_kind("deadlock")} == {
        tuple((number + 1, lock) for number, lock in circle) for circle in verdict.deadlocks
    }
