"""Clearing entries: the order of the rmap calls of one table."""

from __future__ import annotations

from folioshell.events import Unmapped
from folioshell.model.lock import LockOp
from folioshell.paths.truncate import do_truncate
from tests.paths.memory import Memory


def unmapped(m: Memory, start: int) -> list[tuple[int, int]]:
    """(page from ``start`` on, entries) of the rmap calls of the last step, in order."""
    found = [event for event in m.machine.trace if isinstance(event, Unmapped)]
    return [(event.vpn - start, event.nr * len(event.folios)) for event in found]


def test_dirty_file_entries_leave_the_rmap_last() -> None:
    """Their rmap calls wait for the TLB flush, which follows the last entry of the table."""
    m = Memory()
    p = m.mmap(8, kind="shared", file=m.file("lib", 8))
    m.read(p, 8)
    m.write(p + 1, 2)
    m.write(p + 5)
    m.munmap(p, 8)

    assert unmapped(m, p) == [(0, 1), (3, 2), (6, 2), (1, 2), (5, 1)]
    last = [event for event in m.machine.trace if isinstance(event, LockOp | Unmapped)]
    position = max(number for number, event in enumerate(last) if isinstance(event, Unmapped))
    assert str(last[position + 1]).startswith("-pt")


def test_each_table_has_its_own_flush() -> None:
    """The lock of a table is released after the flush: its dirty entries do not wait for the next table."""
    m = Memory()
    p = m.mmap(4, kind="shared", file=m.file("lib", 4), skew=510)
    m.read(p, 4)
    m.write(p)
    m.munmap(p, 4)

    assert unmapped(m, p) == [(1, 1), (0, 1), (2, 2)]


def test_large_folio_with_a_dirty_entry() -> None:
    """One dirty entry delays the batch that it is in."""
    m = Memory()
    p = m.mmap(32, kind="shared", file=m.file("lib", 32, 4))
    m.write(p + 3)
    m.read(p + 16, 16)
    m.munmap(p, 32)

    assert unmapped(m, p) == [(16, 16), (0, 16)]


def test_anonymous_entries_are_not_delayed() -> None:
    """Nothing writes an anonymous page back: its rmap call is made in the order of the entries, dirty or not."""
    m = Memory()
    p = m.mmap(4, kind="private", prot="rw", file=m.file("lib", 4))
    m.read(p, 4)
    m.write(p + 1)
    m.munmap(p, 4)

    assert unmapped(m, p) == [(0, 1), (1, 1), (2, 2)]


def test_truncation_flushes_before_the_folio_is_removed() -> None:
    """All entries have left the rmap when the page cache drops the folio."""
    m = Memory()
    file = m.file("lib", 4)
    p = m.mmap(4, kind="shared", file=file)
    m.write(p, 4)
    m.do(do_truncate(m.kernel, file, 0))

    assert unmapped(m, p) == [(0, 4)]
    assert len(m.kernel.folios) == 0
