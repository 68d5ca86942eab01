"""The line under the prompt: process, step, deciding scheme and the page-table locks of the last step."""

from __future__ import annotations

from collections.abc import Sequence

from folioshell.model.lock import LockOp
from folioshell.session.journal import Happening
from folioshell.session.session import Session
from folioshell.views.signs import ELLIPSIS

#: how many locks are shown
MOST_LOCKS = 6


def toolbar_text(session: Session) -> str:
    """The toolbar of a session as it is now."""
    workspace = session.workspace
    line = f" of {session.history.current}" if len(session.history.lines) > 1 else ""
    parts = [
        f"process {session.process or 'none'}",
        f"step {session.step}{line}",
        f"decide {workspace.kernel.decider.name}",
    ]
    if workspace.journal:
        locks = last_locks(workspace.journal[-1].events)
        parts.append(f"last PTLs {' '.join(locks)}" if locks else "no PTL taken")
    return " " + "  |  ".join(parts)


def last_locks(events: Sequence[Happening], most: int = MOST_LOCKS) -> list[str]:
    """Names of the last page-table locks taken, in order; an ellipsis first if there were more."""
    names: list[str] = []
    for event in reversed(events):
        if isinstance(event, LockOp) and event.verb == "+" and event.lock.lock_class.is_page_table_lock:
            if len(names) == most:
                names.append(ELLIPSIS)
                break
            names.append(event.lock.name)
    return names[::-1]
