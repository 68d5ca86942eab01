"""Races: interleavings listed by hand, deadlocks, and the same findings with the reduction on and off."""

from __future__ import annotations

from functools import partial
from itertools import combinations_with_replacement

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.engine.machine import Machine
from folioshell.explore.race import Race, explore
from folioshell.explore.search import search
from folioshell.explore.threads import Task
from folioshell.model.lock import Lock, LockClass
from folioshell.model.mapping import AddressSpace
from folioshell.model.pte import DIRTY, PRESENT, YOUNG
from folioshell.paths import Path, fault, fork, madvise, mmap, mremap, rmap, vma_flags
from folioshell.paths.sharing import AnswerCheck
from folioshell.paths.vma_protocols import ExcludeOwn, FolioBitLock, LocklessLook, VmaProtocol
from tests.examples import fewer
from tests.explore.programs import WIN, deadlocks, explored, fault_race, faults, orders, race_of, straddling
from tests.fingerprint import fingerprint

BOTH = pytest.mark.parametrize("reduction", [True, False])


@BOTH
def test_one_lock_keeps_two_sections_apart(reduction: bool) -> None:
    """What two threads do under one lock is not mixed."""
    assert orders("+x a b -x", "+x c d -x", reduction=reduction) == ["abcd", "cdab"]


@BOTH
def test_what_comes_after_the_lock_is_mixed(reduction: bool) -> None:
    """A letter that is written when the lock was let go comes anywhere after; before the lock, anywhere before."""
    assert orders("+x a -x b", "+x c -x d", reduction=reduction) == ["abcd", "acbd", "acdb", "cabd", "cadb", "cdab"]
    assert orders("a +x b -x", "+x c -x", reduction=reduction) == ["abc", "acb", "cab"]


@BOTH
def test_looks_without_a_lock_are_switch_points(reduction: bool) -> None:
    """Two threads that only look are mixed in all six ways."""
    expected = ["abcd", "acbd", "acdb", "cabd", "cadb", "cdab"]

    assert orders("?x a ?x b", "?x c ?x d", reduction=reduction) == expected


@BOTH
def test_nested_locks(reduction: bool) -> None:
    """Under an outer lock of its own each thread may be interrupted before the inner one."""
    expected = ["abcd", "acbd", "acdb", "cabd", "cadb", "cdab"]
    assert orders("+x a +z b -z -x", "+y c +z d -z -y", reduction=reduction) == expected


@BOTH
def test_readers_are_mixed_and_writers_are_not(reduction: bool) -> None:
    """Two readers see each other between two looks, a reader and a writer do not."""
    mixed = ["abcd", "acbd", "acdb", "cabd", "cadb", "cdab"]
    assert orders("r+i a ?p b r-i", "r+i c ?p d r-i", reduction=reduction) == mixed
    assert orders("r+i a ?p b r-i", "w+i c ?p d w-i", reduction=reduction) == ["abcd", "cdab"]


@BOTH
def test_a_trylock_fails_only_while_the_lock_is_held(reduction: bool) -> None:
    """The section behind a trylock is done or left out; left out only by who comes while the other is inside."""
    both = ["abcd", "acbd", "acdb", "cabd", "cadb", "cdab"]
    left_out = ["adb", "cbd"]

    assert orders("~f a -f ; b", "~f c -f ; d", reduction=reduction) == sorted([*both, *left_out])


@BOTH
def test_a_wait_for_a_release_takes_nothing(reduction: bool) -> None:
    """It lasts while the lock is held, keeps no one from taking it, and ends with the first release."""
    assert orders("+f a b -f", "=f x", reduction=reduction) == ["abx", "xab"]
    assert orders("+f a -f +f b -f", "=f x", reduction=reduction) == ["abx", "axb", "xab"]
    assert deadlocks("+f =f", reduction=reduction) == {"t1 waits for folio lock of f (held by t1)": 1}


@BOTH
def test_abba(reduction: bool) -> None:
    """Two threads that take two locks in opposite orders deadlock in exactly one state."""
    expected = {"t1 waits for &xa->xa_lock of y (held by t2); t2 waits for &xa->xa_lock of x (held by t1)": 1}

    assert deadlocks("+x +y -y -x", "+y +x -x -y", reduction=reduction) == expected
    assert deadlocks("+x +y -y -x", "+x +y -y -x", reduction=reduction) == {}


@BOTH
def test_recursion(reduction: bool) -> None:
    """A thread that takes a lock twice waits for itself; whoever wants it too waits behind."""
    assert deadlocks("+x +x", reduction=reduction) == {"t1 waits for &xa->xa_lock of x (held by t1)": 1}
    # t2 is over before t1 begins or asks after it; or it asks between t1's first time and its second.
    own = "t1 waits for &xa->xa_lock of x (held by t1"
    expected = {f"{own})": 2, f"{own}, t2 queued first)": 1}
    assert deadlocks("+x +x", "+x -x", reduction=reduction) == expected


@BOTH
def test_trylocks_never_deadlock(reduction: bool) -> None:
    """There is no ABBA deadlock if one side uses a trylock."""
    assert deadlocks("+x ~y -y ; -x", "+y +x -x -y", reduction=reduction) == {}


@BOTH
def test_a_fair_rwsem_deadlocks_where_a_naive_one_would_not(reduction: bool) -> None:
    """Folio lock and i_mmap for reading in opposite orders: harmless, until somebody waits to write in between."""
    readers = ("+f r+i r-i -f", "r+i +f -f r-i")
    assert deadlocks(*readers, reduction=reduction) == {}
    assert deadlocks("r+i +f -f r-i", "r+i +f -f r-i", "w+i w-i", reduction=reduction) == {}

    expected = (
        "t1 waits for &mapping->i_mmap_rwsem of i (t3 queued first); t2 waits for folio lock of f (held by t1); "
        "t3 waits for &mapping->i_mmap_rwsem of i (held by t2)"
    )
    assert list(deadlocks(*readers, "w+i w-i", reduction=reduction)) == [expected]


def test_the_shortest_deadlock() -> None:
    """A finding comes with the fewest steps that lead to it."""
    result = explored(race_of("a +x b +y c -y -x", "+y +x -x -y"))
    (finding,) = result.of_kind("deadlock")

    assert str(finding.schedule) == "1,1,2,2,1,2"


LOCKS = ["x", "y", "p", "f", "i"]


@st.composite
def programs(draw: st.DrawFn) -> str:
    """A program that lets go of what it takes, in any order."""
    words: list[str] = []
    held: list[str] = []
    for _ in range(draw(st.integers(1, 5))):
        free = [lock for lock in LOCKS if lock not in {name[-1] for name in held}]
        if held and (not free or draw(st.booleans())):
            words.append(held.pop(draw(st.integers(0, len(held) - 1))))
        else:
            lock = draw(st.sampled_from(free))
            mode = draw(st.sampled_from(["r", "w"])) if lock == "i" else ""
            words.append(f"{mode}+{lock}")
            held.append(f"{mode}-{lock}")
    return " ".join([*words, *held])


@fewer(2)
@given(st.lists(programs(), min_size=2, max_size=3), st.booleans())
def test_the_reduction_loses_no_deadlock(texts: list[str], tries: bool) -> None:
    """The deadlock states are the same in number and kind with the reduction on and off, with trylocks and without."""
    if tries:
        texts[0] = f"~f -f ; {texts[0]}"

    assert deadlocks(*texts) == deadlocks(*texts, reduction=False)


LETTERS = st.lists(
    st.sampled_from(["+x {} -x", "+p {} -p", "{}", "+f {} -f", "~f {} -f ;", "r+i {} r-i", "?y {}"]), max_size=3
)


@fewer(2)
@given(LETTERS, LETTERS)
def test_the_reduction_loses_no_order(left: list[str], right: list[str]) -> None:
    """What two threads can write down is the same with the reduction on and off."""
    texts = [
        " ".join(form.format(letter) for form, letter in zip(forms, letters, strict=False))
        for forms, letters in ((left, "abc"), (right, "xyz"))
    ]

    assert orders(*texts) == orders(*texts, reduction=False)


def test_remembering_and_repeating_give_the_same() -> None:
    """A search that repeats every schedule instead of loading saved states sees the same states."""

    class Repeating:
        def __init__(self, race: Race) -> None:
            self.race, self.way = race, []  # type: tuple[Race, list[int]]
            self.enabled, self.key, self.verdict = race.enabled, race.key, race.verdict

        def reset(self) -> None:
            self.way = []
            self.race.reset()

        def do(self, action: int) -> None:
            self.way.append(action)
            self.race.do(action)

        def save(self) -> object:
            return tuple(self.way)

        def load(self, state: object) -> None:
            assert isinstance(state, tuple)
            self.reset()
            for action in state:
                self.do(action)

    texts = ("+x +y -y -x", "+y +x -x -y", "~f a -f ; b")

    assert search(Repeating(race_of(*texts))) == explored(race_of(*texts))


# Faults.


@BOTH
@pytest.mark.parametrize("profile", ["6.18", "6.12"])
def test_two_threads_fault_both_halves(profile: str, reduction: bool) -> None:
    """Two threads that fault the halves of a straddling folio: no deadlock, and every end state is sound."""
    result = explored(fault_race((0,), (8,), profile=profile, reduction=reduction))

    assert result.findings == []
    assert result.ends > 1
    assert result.schedules is not None
    assert result.schedules > 1000


def test_end_states_are_the_same_with_and_without_reduction() -> None:
    """The machine's end states, told apart by fingerprint, do not depend on the reduction."""
    ends = []
    for reduction in (True, False):
        machine, kernel, mm = straddling()
        tasks = [Task("t1", "A", faults(kernel, mm, 0)), Task("t2", "A", faults(kernel, mm, 8))]
        race = Race(machine, tasks, lambda machine: [fingerprint(machine)], reduction)
        ends.append({finding.flaw.text for finding in explored(race).of_kind("miscount")})

    assert ends[0] == ends[1]
    assert len(ends[0]) > 1


@pytest.mark.full
def test_three_threads_of_two_faults() -> None:
    """Three threads of two faults each are exhausted, without a deadlock."""
    race = fault_race((0, 8), (8, 0), (4, 12))
    result = explored(race)

    assert result.findings == []
    assert result.states > 10_000
    assert race.segments < result.states / 10


def test_the_machine_is_given_back() -> None:
    """After the search the machine is in the state in which the race began."""
    race = fault_race((0,), (8,))
    before = fingerprint(race.machine)
    explored(race)

    assert fingerprint(race.machine) == before


def test_interrupted_searches_are_honest() -> None:
    """A search that was given up says so, and leaves the machine as it was."""
    race = fault_race((0,), (8,))
    before = fingerprint(race.machine)
    result = explore(race, max_states=20)

    assert (result.exhausted, result.stopped, result.states) == (False, "max-states", 20)
    assert fingerprint(race.machine) == before


def zap_race(protocol: VmaProtocol, nr: int, copies: bool, reduction: bool) -> Race:
    """Two threads that zap pages of both halves of the folio, under a protocol; its numbers are checked at the end."""
    machine, kernel, mm = straddling()
    protocol.definition, protocol.answers = machine.schemes["vmas"], AnswerCheck()
    kernel.protocol = protocol
    machine.run(fault.touch(kernel, mm, WIN, 1, False))
    machine.run(fault.touch(kernel, mm, WIN + 8, 1, False))
    if copies:
        machine.run(fault.touch(kernel, mm, WIN + 7, 1, True))
        machine.run(fault.touch(kernel, mm, WIN + 15, 1, True))
    machine.begin()

    def zap(page: int) -> Path[str | None]:
        return madvise.do_madvise(kernel, mm, WIN + page, nr, "dontneed")

    def miscount(machine: Machine) -> list[str]:
        folio = machine.kernel.folios[1]
        counted, true = protocol.counts.get(1, 0), machine.truth(folio).vmas
        return [] if counted == true else [f"counted {counted}, there are {true}"]

    tasks = [Task("t1", "A", (lambda: zap(0),)), Task("t2", "A", (lambda: zap(8),))]
    return Race(machine, tasks, miscount, reduction)


@BOTH
def test_abba_of_two_zaps(reduction: bool) -> None:
    """Looking into the other's table under its lock, two zaps wait for each other."""
    result = explored(zap_race(ExcludeOwn(), 3, copies=True, reduction=reduction))
    (finding,) = result.of_kind("deadlock")

    assert finding.flaw.text == "t1 waits for pt2 (held by t2); t2 waits for pt1 (held by t1)"
    assert result.count("deadlock") == 3


@BOTH
def test_two_zaps_overlook_each_other(reduction: bool) -> None:
    """Looking without the lock, two zaps of all pages both find nothing left, or both find something."""
    result = explored(zap_race(LocklessLook(), 8, copies=False, reduction=reduction))

    assert {finding.flaw.text for finding in result.of_kind("miscount")} == {"counted -1, there are 0"}
    assert result.count("deadlock") == 0


@BOTH
def test_the_bit_lock_is_right(reduction: bool) -> None:
    """With one lock a folio over look and change, the number is right in every end state."""
    assert explored(zap_race(FolioBitLock(), 8, copies=False, reduction=reduction)).findings == []


def test_fault_and_munmap() -> None:
    """A fault and the unmapping of its VMA: the fault is served before it or gets SIGSEGV, nothing is left behind."""
    machine, kernel, mm = straddling()
    tasks = [
        Task("t1", "A", faults(kernel, mm, 0)),
        Task("t2", "A", (lambda: mmap.do_munmap(kernel, mm, WIN, 16),)),
    ]
    seen = set()

    def results(_: Machine) -> list[str]:
        seen.add(str(race.results(0)))
        return []

    race = Race(machine, tasks, results)
    result = explored(race)

    assert result.findings == []
    assert seen == {"([],)", "([[0, 1, 'SIGSEGV']],)"}


def named_path(machine: Machine, name: str) -> Path[object]:
    """A path over the straddling mapping, by a word."""
    kernel = machine.kernel
    mm = kernel.mms["A"]
    match name:
        case "write":
            return fault.touch(kernel, mm, WIN + 8, 1, True)
        case "munmap":
            return mmap.do_munmap(kernel, mm, WIN + 4, 8)
        case "mprotect":
            return vma_flags.do_mprotect(kernel, mm, WIN + 4, 8, "r")
        case "mremap":
            return mremap.do_mremap(kernel, mm, WIN, 16, WIN + (1 << 19), 16)
        case "fork":
            return fork.do_fork(kernel, mm, f"B{len(kernel.mms)}")
    return madvise.do_madvise(kernel, mm, WIN, 16, name)


PATHS = ["write", "munmap", "mprotect", "mremap", "fork", "dontneed", "pageout"]


#: pairs that take a second or more without the reduction
LONG = {(name, "pageout") for name in ("write", "munmap", "mprotect", "fork", "pageout")}


@pytest.mark.parametrize(
    "pair",
    [
        pytest.param(pair, marks=pytest.mark.full if pair in LONG else ())
        for pair in combinations_with_replacement(PATHS, 2)
    ],
    ids="-".join,
)
def test_kernel_paths_end_alike_with_and_without_reduction(pair: tuple[str, str]) -> None:
    """Any two kernel paths that race reach the same end states and findings with the reduction on and off."""
    outcomes = []
    for reduction in (True, False):
        machine, kernel, mm = straddling()
        machine.run(fault.touch(kernel, mm, WIN + 3, 1, False))
        tasks = [Task(f"t{number}", "A", (partial(named_path, machine, name),)) for number, name in enumerate(pair, 1)]
        result = explored(Race(machine, tasks, lambda machine: [fingerprint(machine)], reduction))
        outcomes.append({finding.flaw for finding in result.findings})

    assert outcomes[0] == outcomes[1]


def test_what_was_taken_out_of_the_machine_counts_while_a_thread_has_it() -> None:
    """A thread that still refers to an object acts on it as it is then, though nothing else leads there any more."""
    machine, kernel, mm = straddling()
    machine.run(fault.touch(kernel, mm, WIN, 1, False))
    look = Lock(LockClass.XA, "x")

    numbers = vars(kernel)["letters"] = []

    def reader() -> Path[None]:
        table = mm.tables.leaf(WIN)
        if table is None:
            return
        for _ in range(3):
            yield look.peek("reader")
        numbers.append(table.entries[0])

    def remover(value: int) -> Path[None]:
        yield look.peek("remover")
        pmd = mm.tables.pmd_table(WIN)
        table = mm.tables.leaf(WIN)
        assert pmd is not None
        assert table is not None
        table.entries[0] = value
        del pmd.entries[mm.tables.pmd_index(WIN)]

    def either() -> Path[None]:
        if (yield look.trylock("either")):
            return (yield from remover(1))
        yield look.release()
        return (yield from remover(2))

    def holder() -> Path[None]:
        yield look.acquire("holder")
        yield look.release()

    paths = (reader, either, holder)
    tasks = [Task(f"t{number}", "A", (path,)) for number, path in enumerate(paths, 1)]
    race = Race(machine, tasks, lambda _: [str(number) for number in numbers], invariant_check=lambda _: [])

    assert {"1", "2"} <= {finding.flaw.text for finding in explored(race).findings}


def test_lost_exclusion_is_found() -> None:
    """An entry that is written without the lock of its table is reported, with the thread and the table."""
    machine, kernel, mm = straddling()
    machine.run(fault.touch(kernel, mm, WIN, 1, False))
    table = mm.tables.leaf(WIN)
    assert table is not None

    def careless(flags: int) -> Path[None]:
        yield Lock(LockClass.XA, "other").acquire("careless")
        table.entries[WIN & 511] ^= flags
        yield Lock(LockClass.XA, "other").release()

    def race(flags: int) -> Race:
        return Race(machine, [Task("t1", "A", (lambda: careless(flags),)), Task("t2", "A", faults(kernel, mm, 8))])

    (finding,) = explored(race(PRESENT)).findings
    assert (finding.flaw.kind, finding.flaw.text) == ("unlocked update", "t1 changed pt1 without its lock")
    assert explored(race(YOUNG | DIRTY)).findings == []


def test_a_lock_that_is_kept_is_found() -> None:
    """A thread that ends with a lock breaks an invariant, and so does one that lets go of what it does not hold."""
    kept = explored(race_of("+x"))
    assert [finding.flaw.text for finding in kept.of_kind("invariant")] == ["exits holding &xa->xa_lock of x"]
    wrong = explored(race_of("-x"))
    assert [finding.flaw.text for finding in wrong.of_kind("invariant")] == ["XA(x) is released but not held"]


@pytest.mark.parametrize(
    ("drops", "flaws"),
    [
        (1, []),
        (0, ["A.t1 exits holding a reference to f1"]),
        (2, ["A.t1 dropped a reference to f1 that it does not hold"]),
    ],
)
def test_references_belong_to_entries_cache_pins_or_threads(drops: int, flaws: list[str]) -> None:
    """A path that takes one reference must drop one."""
    machine, kernel, _ = straddling()
    lock = Lock(LockClass.XA, "test")

    def path() -> Path[None]:
        kernel.folios[1].ref += 1
        yield lock.acquire("test")
        kernel.folios[1].ref -= drops
        yield lock.release()

    result = explored(Race(machine, [Task("A.t1", "A", (path,))]))

    assert [finding.flaw.text for finding in result.findings] == flaws


def test_the_lock_of_a_freed_folio_is_found() -> None:
    """A path that waits without a reference locks a folio that is no more."""
    machine, kernel, _ = straddling()
    folio = kernel.folios[1]

    def locks() -> Path[None]:
        yield folio.map_lock.acquire("test")
        yield folio.map_lock.release()
        yield folio.lock.acquire("test")
        yield folio.lock.release()

    def frees() -> Path[None]:
        file = folio.mapping
        assert isinstance(file, AddressSpace)
        yield folio.map_lock.acquire("test")
        file.remove(folio)
        folio.cached = False
        folio.release_buffers()
        yield folio.map_lock.release()
        yield from rmap.put(kernel, folio, folio.nr_pages)

    result = explored(Race(machine, [Task("A.t1", "A", (locks,)), Task("A.t2", "A", (frees,))]))

    assert [finding.flaw.text for finding in result.findings] == ["test() locks f1, which was freed"]
