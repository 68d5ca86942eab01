"""The toolbar says where the session is and which page-table locks were taken last."""

from __future__ import annotations

from folioshell.facts import Event
from folioshell.model.lock import Lock, LockClass
from folioshell.session.journal import Happening
from folioshell.shell.toolbar import last_locks


def taken(*names: str) -> list[Happening]:
    events: list[Happening] = []
    for name in names:
        lock = Lock(LockClass.PTL, name)
        events += [lock.acquire("zap_pte_range"), Event("zapped"), lock.release()]
    return events


def test_only_page_table_locks() -> None:
    """Locks of other classes, releases and facts are left out."""
    mmap_lock = Lock(LockClass.MMAP, "A")
    events = [mmap_lock.acquire("mmap_read_lock", "R"), *taken("pt1", "pt2"), mmap_lock.release("R")]

    assert last_locks(events) == ["pt1", "pt2"]


def test_the_last_ones() -> None:
    """If there are more than fit, the last ones are shown, in order."""
    assert last_locks(taken("pt1", "pt2", "pt3", "pt4"), most=2) == ["…", "pt3", "pt4"]
    assert last_locks(taken("pt1", "pt2"), most=2) == ["pt1", "pt2"]
