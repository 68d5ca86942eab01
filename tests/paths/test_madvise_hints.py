"""MADV_COLD, MADV_PAGEOUT and MADV_FREE where a folio cannot be split, or was changed while its lock was dropped."""

from __future__ import annotations

import pytest

from folioshell.events import Tracepoint
from folioshell.model.lock import LockClass, LockOp
from folioshell.paths.madvise import do_madvise
from tests.paths.memory import Memory


@pytest.mark.parametrize("advice", ["cold", "pageout", "free"])
def test_a_busy_folio_is_skipped_under_the_page_table_lock(advice: str) -> None:
    """If the folio lock is taken, the folio is neither split nor waited for, and the PTL is not dropped for it."""
    m = Memory()
    p = m.pte_thp()
    path = do_madvise(m.kernel, m.mm("A"), p, 4, advice)
    ops: list[str] = []
    busy: bool | None = None
    try:
        while True:
            step = path.send(busy)
            busy = None
            if isinstance(step, LockOp) and step.lock.lock_class in (LockClass.PTL, LockClass.FOLIO):
                ops.append(str(step))
                busy = True if step.verb == "~" else None
    except StopIteration as stop:
        assert stop.value is None

    table = m.mm("A").tables.leaf(p)
    assert ops == [f"+{table}", "~FOLIO(f1)", f"-{table}"]
    assert m.folio(p).order == 9


@pytest.mark.parametrize("advice", ["cold", "free"])
def test_a_shared_folio_is_skipped(advice: str) -> None:
    """A folio that another process maps is skipped, and the step says by whose answer."""
    m = Memory()
    p = m.pte_thp()
    m.fork("B")
    m.madvise(advice, p, 4)

    assert "f1 skipped: mapped shared (mm-id)" in _tracepoints(m)
    assert m.folio(p).order == 9


def _tracepoints(m: Memory) -> list[str]:
    return [event.text for event in m.machine.trace if isinstance(event, Tracepoint)]
