"""The toolbar says where the session is and which page-table locks were taken last."""

from __future__ import annotations

import pytest

from folioshell.commands.complete import Hint
from folioshell.events import Tracepoint
from folioshell.model.lock import Lock, LockClass
from folioshell.script import Session
from folioshell.session.history import Happening
from folioshell.shell.prompt import hint_pieces, last_locks, state_text


def taken(*names: str) -> list[Happening]:
    events: list[Happening] = []
    for name in names:
        lock = Lock(LockClass.PTL, name)
        events += [lock.acquire("zap_pte_range"), Tracepoint("zapped"), lock.release()]
    return events


def test_only_page_table_locks() -> None:
    """Locks of other classes, releases and events are left out."""
    mmap_lock = Lock(LockClass.MMAP, "A")
    events = [mmap_lock.acquire("mmap_read_lock", "R"), *taken("pt1", "pt2"), mmap_lock.release("R")]

    assert last_locks(events) == ["pt1", "pt2"]


def test_the_last_ones() -> None:
    """If there are more than fit, the last ones are shown, in order."""
    assert last_locks(taken("pt1", "pt2", "pt3", "pt4"), most=2) == ["…", "pt3", "pt4"]
    assert last_locks(taken("pt1", "pt2"), most=2) == ["pt1", "pt2"]


def test_what_does_not_fit_is_left_out() -> None:
    """A narrow terminal shows the first words: fewer locks, then fewer parts."""
    session = Session()
    session.execute("mmap buf 4 ; set decide vmas ; set protocol lockless-look ; fault buf")
    wide = state_text(session, 120)

    assert wide.startswith(" process A  |  step 4  |  decide vmas  |  protocol lockless-look  |  last PTLs ")
    assert state_text(session, 40) == " process A  |  step 4  |  decide vmas"
    assert state_text(session, 5) == " process A"


@pytest.mark.parametrize("current", range(4))
@pytest.mark.parametrize("width", [100, 60, 40])
def test_a_hint_shows_what_is_typed(current: int, width: int) -> None:
    """The verb and the part that is being typed are always there, that part alone is marked, and the line fits."""
    parts = ("mmap", "NAME", "SIZE", "[anon|shared|private]", "[populate]", "[file=F]", "[prot=r|rw|none]", "[at=ADDR]")
    pieces = hint_pieces(Hint(parts, current, "what is meant by it, in so many words"), width)
    text = "".join(piece[1] for piece in pieces)

    assert text.startswith(" mmap ")
    assert [piece[1].rstrip("…") for piece in pieces if "current" in piece[0]] == [parts[current][: width // 2]]
    assert len(text) <= width
