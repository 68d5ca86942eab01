"""Page tables: made when needed, freed when no neighbour needs them, moved whole."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from folioshell import Session
from folioshell.model.lock import LockOp
from folioshell.model.pagetable import PmdEntry, PmdTable, TableTree
from folioshell.paths.madvise import do_madvise
from folioshell.session.host import GENEROUS, Host
from tests.paths.memory import Memory


def test_table_stays_for_a_neighbour() -> None:
    """A table is freed only when no VMA needs its span any more."""
    m = Memory()
    p = m.mmap(4)
    m.mmap(4, at=p + 100)
    m.write(p, 4)
    m.munmap(p, 4)
    assert (m.mm("A").nr_ptes, m.mm("A").tables.leaf(p) is None) == (1, False)

    m.munmap(p + 100, 4)
    assert (m.mm("A").nr_ptes, m.mm("A").tables.leaf(p)) == (0, None)


def test_neighbour_in_another_table() -> None:
    """A VMA behind the table's span does not keep it."""
    m = Memory()
    p = m.mmap(4)
    m.mmap(4, at=p + 512)
    m.write(p, 4)
    m.munmap(p, 4)

    assert m.mm("A").nr_ptes == 0


def test_unmapping_a_part_keeps_the_table() -> None:
    """What is left of the VMA needs its table, empty or not."""
    m = Memory()
    p = m.mmap(8)
    m.write(p, 4)
    m.munmap(p, 4)

    assert m.mm("A").nr_ptes == 1
    assert m.mm("A").tables.leaf(p) is not None


def test_deposited_table() -> None:
    """A THP has a spare table deposited, which a split puts to use under the same number."""
    m = Memory()
    p = m.thp()
    pmd = m.mm("A").tables.pmd_table(p)
    assert pmd is not None
    (deposited,) = pmd.deposited
    assert m.mm("A").nr_ptes == 1

    m.mprotect(p, 1, "r")
    assert (m.mm("A").tables.leaf(p), pmd.deposited, m.mm("A").nr_ptes) == (deposited, [], 1)


def test_file_pmd_deposits_nothing() -> None:
    """A file mapped by a PMD needs no spare table: its pages are refaulted."""
    m = Memory()
    p = m.mmap(512, kind="shared", prot="r", file=m.file("f", 600, 9))
    m.read(p)

    assert m.mm("A").nr_ptes == 0


def test_table_moves_with_its_lock() -> None:
    """Moving an aligned range moves its table: the same lock guards the new place."""
    m = Memory()
    p = m.mmap(512)
    m.write(p, 8)
    table = m.mm("A").tables.leaf(p)
    to = m.place()
    m.mremap(p, 512, to)

    assert (m.mm("A").tables.leaf(to), m.mm("A").tables.leaf(p)) == (table, None)
    m.write(to + 100)
    assert f"+{table}" in m.locks()


def test_entries_move_one_by_one_where_offsets_differ() -> None:
    """Between tables with different offsets entries move under both locks, the old one's first."""
    m = Memory()
    p = m.mmap(8)
    m.write(p, 8)
    old = m.mm("A").tables.leaf(p)
    to = m.place(5)
    m.mremap(p, 8, to)
    new = m.mm("A").tables.leaf(to)

    locks = m.locks()
    assert locks.index(f"+{old}") < locks.index(f"+{new} nested") < locks.index(f"-{old}")
    assert m.look(to, 8) == "A×8(1)"


def test_exit_frees_all() -> None:
    """A process that ends leaves no table, and no folio that only it had."""
    m = Memory()
    m.thp()
    m.mmap(600)
    m.fork("B")
    m.exit("A")
    assert [folio.order for folio in m.kernel.folios.values()] == [9]

    m.exit("B")
    assert not m.kernel.folios


@pytest.mark.parametrize(
    "line",
    [
        "set geometry classroom ; mmap a 1 at=0x10000 ; mmap b 1 at=0xff0000 ; exit",
        "mmap a 64T at=0x1000000 ; write a[0] ; write a[4000000000] ; munmap a",
        "mmap a 64T at=0x1000000 ; write a[0] ; madvise dontneed a ; mprotect a r",
        "mmap a 32T at=0x1000000 ; write a[4000000000] ; mremap a new=b at=0x400000000000",
    ],
)
def test_cost_is_that_of_tables(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A range costs what is mapped in it, not how long it is: 2^16 PMD tables would cover the long ones."""
    visited = []
    entries_in = TableTree._entries_in

    def visit(tree: TableTree, number: int, start: int, end: int) -> Iterator[tuple[int, PmdTable, PmdEntry]]:
        visited.append(number)
        return entries_in(tree, number, start, end)

    monkeypatch.setattr(TableTree, "_entries_in", visit)
    Session(counting=(), host=Host(limits=GENEROUS)).execute(line)

    assert len(visited) < 40


def test_an_empty_table_is_freed_although_the_pmd_lock_was_taken() -> None:
    """If the trylock under the PTL fails, MADV_DONTNEED takes both locks in their order and looks again."""
    m = Memory()
    start = m.mmap(512)
    m.write(start, 512)
    steps: list[LockOp] = []
    path = do_madvise(m.kernel, m.mm("A"), start, 512, "dontneed")
    failed: bool | None = None
    with contextlib.suppress(StopIteration):
        while True:
            step = path.send(failed)
            failed = True if isinstance(step, LockOp) and step.function == "try_get_and_clear_pmd" else None
            if isinstance(step, LockOp):
                steps.append(step)
            else:
                m.machine.announce(step)

    assert m.mm("A").tables.leaf(start) is None
    assert m.mm("A").nr_ptes == 0
    assert [str(step) for step in steps][-6:] == ["-pt1", "+pmd1", "+pt1 nested", "-pt1", "-pmd1", "-VMA(v1)(R)"]
