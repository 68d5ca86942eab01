"""Saving and restoring a machine in place."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.engine.machine import Machine
from folioshell.explore.snapshot import Snapshot, shape_of
from folioshell.model.pagetable import PageTable
from folioshell.model.vm import Mm
from folioshell.paths import fault, fork, madvise, mmap, mremap, vma_flags
from folioshell.session.workspace import Region, Regions
from tests.explore.programs import WIN, straddling
from tests.fingerprint import fingerprint


def roots(machine: Machine) -> list[object]:
    return [machine.kernel, *machine.schemes.values()]


def disturb(machine: Machine, mm: Mm, action: str, page: int, nr: int) -> None:
    """Run one path; what it returns is of no interest."""
    kernel = machine.kernel
    start = WIN + page
    match action:
        case "read" | "write":
            machine.run(fault.touch(kernel, mm, start, nr, action == "write"))
        case "fork":
            if len(kernel.mms) < 4:
                machine.run(fork.do_fork(kernel, mm, f"B{len(kernel.mms)}"))
        case "exit":
            others = [other for other in kernel.mms.values() if other is not mm]
            if others:
                machine.run(mmap.do_exit(kernel, others[-1]))
        case "munmap":
            machine.run(mmap.do_munmap(kernel, mm, start, nr))
        case "mprotect":
            machine.run(vma_flags.do_mprotect(kernel, mm, start, nr, "r"))
        case "mremap":
            machine.run(mremap.do_mremap(kernel, mm, start, nr, WIN + (1 << 19) + page, nr))
        case _:
            machine.run(madvise.do_madvise(kernel, mm, start, nr, action))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["read", "write", "fork", "exit", "munmap", "mprotect", "mremap", "dontneed", "cold", "pageout"]
        ),
        st.integers(0, 11),
        st.integers(1, 8),
    ),
    max_size=6,
)


@given(before=STEPS, after=STEPS, profile=st.sampled_from(["6.18", "6.12"]))
def test_restore_undoes_any_paths(
    before: list[tuple[str, int, int]], after: list[tuple[str, int, int]], profile: str
) -> None:
    """Whatever is done after a snapshot, restoring it gives the same fingerprint, and the same future."""
    machine, _, mm = straddling(profile)
    for step in before:
        disturb(machine, mm, *step)
    state = fingerprint(machine)
    snapshot = Snapshot(roots(machine))
    for step in after:
        disturb(machine, mm, *step)
    later = fingerprint(machine)
    snapshot.restore()
    assert fingerprint(machine) == state
    assert machine.check() == []

    for step in after:
        disturb(machine, mm, *step)
    assert fingerprint(machine) == later


def test_objects_stay_who_they_are() -> None:
    """After restoring, a reference from outside still points to the object that is in use."""
    machine, kernel, mm = straddling()
    machine.run(fault.touch(kernel, mm, WIN, 1, False))
    table, vma = mm.tables.leaf(WIN), mm.vmas.find(WIN)
    assert table is not None
    entries = table.entries
    snapshot = Snapshot(roots(machine))
    machine.run(mmap.do_munmap(kernel, mm, WIN, 16))
    assert mm.tables.leaf(WIN) is None
    snapshot.restore()

    assert mm.tables.leaf(WIN) is table
    assert table.entries is entries
    assert mm.vmas.find(WIN) is vma


@dataclass(slots=True)
class Pair:
    left: object = None
    right: object = None


@dataclass
class Loose:
    parts: list[object] = field(default_factory=list)


# Shapes are kept for classes of the package only.
Pair.__module__ = Loose.__module__ = "folioshell.test"


def test_all_kinds_of_objects() -> None:
    """Lists, dicts, sets, objects with slots and with attributes are restored, in tuples and in circles too."""
    inner, numbers, names = Pair(1, 2), [1, 2], {"a"}
    outer = Loose([inner, (numbers, {"k": names})])
    inner.left = outer
    snapshot = Snapshot([outer])
    inner.left, inner.right = None, 3
    numbers.append(3)
    names.clear()
    outer.parts = []
    vars(outer)["late"] = 1
    snapshot.restore()

    assert (inner.left, inner.right, numbers, names) == (outer, 2, [1, 2], {"a"})
    assert outer.parts == [inner, (numbers, {"k": names})]
    assert "late" not in vars(outer)


def test_what_was_saved_is_opened_beside() -> None:
    """Other objects hold what was saved, alike in who refers to whom; what is done to either leaves the other alone."""
    inner, numbers = Pair(Region("a", 0, 4), array("q", [1, 2])), [1, 2]
    regions, table = Regions([Region("a", 0, 4)]), PageTable(1, 8)
    outer = Loose([inner, (numbers, frozenset({table}), {table: {1, 2}}), regions, [None, inner], [(inner,)]])
    inner.left = outer
    snapshot = Snapshot([outer])
    outer.parts = []
    numbers.append(3)
    opened, others = snapshot.opened(outer, numbers)

    pair, found, labels, mixed, tuples = opened.parts
    assert (pair.left, pair.right, pair is inner) == (opened, array("q", [1, 2]), False)
    (other,) = found[1]
    assert (found, other.id, other is table) == ((others, frozenset({other}), {other: {1, 2}}), 1, False)
    assert (others, mixed, tuples) == ([1, 2], [None, pair], [(pair,)])
    assert (type(labels), labels, labels.beyond, labels is regions) == (Regions, regions, 5, False)
    labels.add(Region("b", 512, 4))
    pair.right.append(3)
    snapshot.restore()
    assert (list(regions), regions.beyond, inner.right) == (["a"], 5, array("q", [1, 2]))


def test_an_equal_object_is_no_substitute() -> None:
    """An empty list that was put in another one's place is taken out again, although they are equal."""
    pair = Pair([])
    kept = pair.left
    snapshot = Snapshot([pair])
    pair.left = []
    snapshot.restore()

    assert pair.left is kept


def test_unknown_objects_are_refused() -> None:
    """What nobody knows how to copy is an error when the snapshot is made, not a state that silently stays."""
    with pytest.raises(TypeError, match=r"cannot snapshot builtins\.list_iterator"):
        Snapshot([[iter([])]])
    assert shape_of(int) is None


def test_containers_with_attributes() -> None:
    """What a class of ours that is a dict keeps besides its items comes back, too."""
    regions = Regions([Region("a", 0, 4)])
    snapshot = Snapshot([regions])
    regions.add(Region("b", 512, 4))
    snapshot.restore()

    assert (list(regions), regions.beyond) == (["a"], 5)
