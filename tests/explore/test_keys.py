"""Keys: equal for equal states however they came about, and for nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given

from folioshell.engine.machine import Machine
from folioshell.explore.keys import CountKeys, Keys
from folioshell.explore.snapshot import Snapshot
from folioshell.model.lock import Lock, LockClass
from folioshell.paths import fault
from tests.examples import fewer
from tests.explore.programs import WIN, straddling
from tests.explore.test_snapshot import STEPS, disturb
from tests.fingerprint import fingerprint


def keys_of(machine: Machine) -> Keys:
    roots = {("scheme", name): scheme for name, scheme in machine.schemes.items()}
    return Keys({**roots, ("kernel",): machine.kernel})


@fewer(2)
@given(before=STEPS, after=STEPS)
def test_keys_stand_for_states(before: list[tuple[str, int, int]], after: list[tuple[str, int, int]]) -> None:
    """Equal keys have equal fingerprints, and a history that is made again has equal keys, its objects being others."""
    machine, _, mm = straddling()
    keys = keys_of(machine)
    snapshot = Snapshot([machine.kernel, *machine.schemes.values()])
    by_key: dict[int, str] = {}
    trails: list[list[int]] = []
    for steps in (before, after, before):
        trail = []
        for step in steps:
            disturb(machine, mm, *step)
            key = keys.state()
            trail.append(key)
            assert by_key.setdefault(key, fingerprint(machine)) == fingerprint(machine)
        trails.append(trail)
        snapshot.restore()
    assert trails[0] == trails[2]


def test_every_attribute_counts() -> None:
    """A change of any folio, table or counter makes another key, and taking it back the old one."""
    machine, kernel, mm = straddling()
    machine.run(fault.touch(kernel, mm, WIN, 16, True))
    keys = keys_of(machine)
    first = keys.state()
    folio, table = kernel.folios[1], mm.tables.leaf(WIN)
    assert table is not None

    def change_all() -> Iterator[None]:
        folio.ref += 1
        yield
        folio.ref -= 1
        table.entries[7] ^= 1
        yield
        table.entries[7] ^= 1
        mm.rss.anon += 1
        yield
        mm.rss.anon -= 1
        machine.schemes["vmas"].mapcount(1)

    different = [keys.state() for _ in change_all()]
    assert first not in different
    assert len(set(different)) == 3
    assert keys.state() == first


def test_locks_that_were_made_meanwhile_mean_nothing() -> None:
    """A folio's lock is made when it is first asked for; that is no change of state."""
    machine, kernel, _ = straddling()
    keys = keys_of(machine)
    first = keys.state()
    lock = kernel.folios[1].lock

    assert lock.name == "FOLIO(f1)"
    assert keys.state() == first


def private(path: Callable[[], object], keys: Keys) -> object:
    return keys.path(path())[0]


def test_a_path_is_its_place_and_its_values() -> None:
    """Two runs of a path have equal keys where they stopped at one place with equal values, and only there."""
    machine, kernel, mm = straddling()
    keys = keys_of(machine)
    keys.state()
    left, right = (fault.touch(kernel, mm, WIN, 1, False) for _ in range(2))
    other = fault.touch(kernel, mm, WIN + 1, 1, False)
    assert keys.path(left)[0] == keys.path(right)[0] != keys.path(other)[0]

    next(left)
    assert keys.path(left)[0] != keys.path(right)[0]
    next(right)
    assert keys.path(left)[0] == keys.path(right)[0]


def test_iterators_count() -> None:
    """How far a loop has come is part of a path's state, and what it goes over too."""

    def loop(items: object) -> Iterator[object]:
        for _, _ in enumerate(items):  # type: ignore[arg-type,var-annotated]
            yield Lock(LockClass.PTL, "x").acquire("loop")

    machine, _, _ = straddling()
    keys = keys_of(machine)
    keys.state()
    for make in (lambda: [0, 0, 0], lambda: range(3), lambda: dict.fromkeys("abc"), lambda: reversed([1, 1, 1])):
        one, two = loop(make()), loop(make())
        next(one), next(two)
        assert keys.path(one)[0] == keys.path(two)[0]
        next(two)
        assert keys.path(one)[0] != keys.path(two)[0]
    short, long = loop([0, 0]), loop([0, 0, 0])
    next(short), next(long)
    assert keys.path(short)[0] != keys.path(long)[0]


def test_closures_count() -> None:
    """A visitor that a path holds is told apart by what it has closed over."""

    def path(visit: Callable[[], object]) -> Iterator[object]:
        yield visit()

    def visitor(value: int) -> Callable[[], object]:
        return lambda: value

    machine, _, _ = straddling()
    keys = keys_of(machine)
    keys.state()

    assert keys.path(path(visitor(1)))[0] == keys.path(path(visitor(1)))[0]
    assert keys.path(path(visitor(1)))[0] != keys.path(path(visitor(2)))[0]
    assert keys.path(path([1].copy))[0] == keys.path(path([1].copy))[0]
    assert keys.path(path([1].copy))[0] != keys.path(path([2].copy))[0]


def test_unknown_values_are_refused() -> None:
    """A value cannot snapshot builtins.bytearray is an error: two states might be taken for one."""

    def path(value: object) -> Iterator[object]:
        yield value

    machine, _, _ = straddling()
    keys = keys_of(machine)
    keys.state()
    with pytest.raises(TypeError, match=r"cannot snapshot builtins\.bytearray"):
        keys.path(path(bytearray(b"x")))[0]


def test_schemes_are_looked_at_once_a_fact() -> None:
    """What an event does to the schemes is remembered; the same events from the same state give the same number."""
    machine, kernel, mm = straddling()
    snapshot = Snapshot([kernel, *machine.schemes.values()])
    counts = CountKeys(Keys({("scheme", name): scheme for name, scheme in machine.schemes.items()}))
    states = []
    for _ in range(2):
        counts.reset()
        machine.begin()
        machine.run(fault.touch(kernel, mm, WIN, 1, False))
        for event in machine.trace:
            if machine.is_counted(event):  # type: ignore[arg-type]
                counts.announced(event)  # type: ignore[arg-type]
        states.append(counts.state)
        snapshot.restore()

    assert states[0] == states[1]
