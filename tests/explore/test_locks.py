"""The lock table: who gets a lock when."""

from __future__ import annotations

import pytest

from folioshell.errors import KernelBug
from folioshell.explore.locks import FREE, LockTable, Op, kernel_text, legend
from folioshell.model.lock import LockClass


def spin(verb: str, name: str = "pt1") -> Op:
    return Op(verb, name, "", LockClass.PTL, "test")


def rwsem(verb: str, mode: str, name: str = "IMMAP(f)", lock_class: LockClass = LockClass.IMMAP) -> Op:
    return Op(verb, name, mode, lock_class, "test")


def test_request_and_grant_are_apart() -> None:
    """Who finds a lock taken waits; the release hands it over before the waiter goes on."""
    table = LockTable()

    assert table.request(0, spin("+"))
    assert not table.request(1, spin("+"))
    assert (table.is_waiting(1), table.is_granted(1)) == (True, False)
    table.release(0, spin("-"))
    assert (table.is_waiting(1), table.is_granted(1)) == (False, True)
    assert table.holders() == [("pt1", ((1, ""),))]
    assert not table.attempt(0, spin("~"))


def test_first_come_first_served() -> None:
    """Waiters are served in the order in which they asked."""
    table = LockTable()
    table.request(0, spin("+"))
    for task in (2, 1, 3):
        table.request(task, spin("+"))

    served = []
    holder = 0
    for _ in range(3):
        table.release(holder, spin("-"))
        ((_, ((holder, _),)),) = table.holders()
        served.append(holder)
    assert served == [2, 1, 3]


def test_readers_share() -> None:
    """Readers hold a lock together, a writer waits for the last of them."""
    table = LockTable()

    assert table.request(0, rwsem("+", "R"))
    assert table.request(1, rwsem("+", "R"))
    assert not table.request(2, rwsem("+", "W"))
    table.release(0, rwsem("-", "R"))
    assert table.is_waiting(2)
    table.release(1, rwsem("-", "R"))
    assert table.is_granted(2)


def test_a_waiting_writer_blocks_new_readers() -> None:
    """A fair rwsem lets no reader past a waiting writer, by a trylock neither."""
    table = LockTable()
    table.request(0, rwsem("+", "R"))
    table.request(1, rwsem("+", "W"))

    assert not table.attempt(2, rwsem("~", "R"))
    assert not table.request(2, rwsem("+", "R"))
    (writer, reader) = table.waits()
    assert (writer.task, writer.holders, writer.ahead) == (1, (0,), ())
    assert (reader.task, reader.holders, reader.ahead) == (2, (), (1,))


def test_readers_in_a_row_are_let_in_together() -> None:
    """After a writer, the readers up to the next writer get the lock at once."""
    table = LockTable()
    table.request(0, rwsem("+", "W"))
    for task, mode in ((1, "R"), (2, "R"), (3, "W"), (4, "R")):
        table.request(task, rwsem("+", mode))
    table.release(0, rwsem("-", "W"))

    assert [task for task in range(1, 5) if table.is_granted(task)] == [1, 2]


def test_downgrade_lets_readers_in() -> None:
    """Who goes from write to read keeps the lock and shares it from then on."""
    table = LockTable()
    table.request(0, rwsem("+", "W"))
    table.request(1, rwsem("+", "R"))
    table.downgrade(0, rwsem("v", "R"))

    assert table.holders() == [("IMMAP(f)", ((0, "R"), (1, "R")))]


def test_recursion_waits_for_itself() -> None:
    """A task that asks for what it holds waits, and is a circle of its own."""
    table = LockTable()
    table.request(0, spin("+"))

    assert not table.request(0, spin("+"))
    assert table.circle() == [0]


def test_recursion_is_the_cause_of_what_queues_behind_it() -> None:
    """A task queued before one that waits for itself is no part of the circle."""
    table = LockTable()
    table.request(1, spin("+"))
    assert not table.request(0, spin("+"))
    assert not table.request(1, spin("+"))

    assert table.circle() == [1]


def test_circle_of_three() -> None:
    """A circle is found whatever else waits, and begins with its smallest task."""
    table = LockTable()
    for task, name in ((2, "a"), (0, "b"), (1, "c")):
        table.request(task, spin("+", name))
    table.request(3, spin("+", "a"))
    table.request(2, spin("+", "b"))
    table.request(0, spin("+", "c"))
    assert table.circle() == []
    table.request(1, spin("+", "a"))

    assert table.circle() == [0, 1, 2]


def test_a_vma_stays_marked() -> None:
    """The write lock of a VMA goes with the mmap_lock, by release or downgrade, and may be asked for again."""
    for verb, mode in (("-", "W"), ("v", "R")):
        table = LockTable()
        mmap = rwsem("+", "W", "MMAP(A)", LockClass.MMAP)
        mark = rwsem("+", "W", "VMA(v1)", LockClass.VMA)
        table.request(0, mmap)
        assert table.request(0, mark)
        table.release(0, rwsem("-", "W", "VMA(v1)", LockClass.VMA))
        assert table.request(0, mark)
        assert not table.attempt(1, rwsem("~", "R", "VMA(v1)", LockClass.VMA))
        end = table.release if verb == "-" else table.downgrade
        end(0, rwsem(verb, mode, "MMAP(A)", LockClass.MMAP))
        assert table.attempt(1, rwsem("~", "R", "VMA(v1)", LockClass.VMA))


def test_a_mark_waits_for_readers() -> None:
    """Marking a VMA waits until the faults under its lock are over."""
    table = LockTable()
    table.request(0, rwsem("+", "R", "VMA(v1)", LockClass.VMA))
    table.request(1, rwsem("+", "W", "MMAP(A)", LockClass.MMAP))

    assert not table.request(1, rwsem("+", "W", "VMA(v1)", LockClass.VMA))
    table.release(0, rwsem("-", "R", "VMA(v1)", LockClass.VMA))
    assert table.is_granted(1)


def test_wrong_release() -> None:
    """Nobody lets go of what he does not hold, or downgrades what he holds for reading."""
    table = LockTable()
    table.request(0, rwsem("+", "R"))

    with pytest.raises(KernelBug, match="released but not held"):
        table.release(1, rwsem("-", "R"))
    with pytest.raises(KernelBug, match="not held for writing"):
        table.downgrade(0, rwsem("v", "R"))


def test_a_table_is_its_state() -> None:
    """A table made from another one's state goes on like that one; the state does not depend on names' order of use."""
    table = LockTable()
    table.request(0, spin("+", "b"))
    table.request(0, spin("+", "a"))
    table.request(1, spin("+", "b"))
    other = LockTable()
    other.request(0, spin("+", "a"))
    other.request(0, spin("+", "b"))
    other.request(1, spin("+", "b"))
    assert table.state() == other.state()

    copy = LockTable(table.state())
    copy.release(0, spin("-", "b"))
    assert copy.is_granted(1)
    assert table.is_waiting(1)
    copy.go_on(1)
    copy.release(1, spin("-", "b"))
    copy.release(0, spin("-", "a"))
    assert copy.state() == FREE


def test_finish_tells_what_was_kept() -> None:
    """The end of a task drops its marks and names the locks that it should have let go."""
    table = LockTable()
    table.request(0, spin("+", "a"))

    assert table.finish(0) == ("a",)


def test_names_that_users_read() -> None:
    """Locks have the names that lockdep prints; a legend explains the short ones, outermost first, without tables."""
    assert kernel_text("IMMAP(lib)") == "&mapping->i_mmap_rwsem of lib"
    assert kernel_text("pt1") == "pt1"
    assert legend([LockClass.PTL, LockClass.DSQ, LockClass.MCL, LockClass.AVR, LockClass.MCL]) == (
        "AVR: &anon_vma->rwsem; MCL: mapcount bit lock; DSQ: split_queue_lock"
    )
