"""The toolbar: a hint about the command at the cursor, and the state of the session."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prompt_toolkit.formatted_text import StyleAndTextTuples

from folioshell.commands.complete import Hint
from folioshell.model.lock import LockOp
from folioshell.session.history import Happening
from folioshell.session.session import Session
from folioshell.views.glyphs import ELLIPSIS
from folioshell.views.layout import columns_of

#: number of locks shown
MOST_LOCKS = 6
_BETWEEN = "  |  "
#: a blank before a hint, two before its meaning
_MARGINS = 3
#: a meaning that is truncated to fewer columns is left out
_LEAST_MEANING = 16


def state_text(session: Session, width: int) -> str:
    """The state of a session: process, step, deciding scheme, protocol under test, last page-table locks.

    Args:
        width: columns; items that do not fit are left out, the last ones first.
    """
    parts = list(_state_parts(session, MOST_LOCKS))
    for most in (3, 1):
        if columns_of(_joined(parts)) > width:
            parts = list(_state_parts(session, most))
    while len(parts) > 1 and columns_of(_joined(parts)) > width:
        parts.pop()
    return _joined(parts)


def _joined(parts: Sequence[str]) -> str:
    return " " + _BETWEEN.join(parts)


def _state_parts(session: Session, most_locks: int) -> Iterable[str]:
    workspace = session.workspace
    kernel = workspace.kernel
    line = f" of {session.history.current}" if len(session.history.branches) > 1 else ""
    yield f"process {session.process or 'none'}"
    yield f"step {session.step}{line}"
    yield f"decide {kernel.decider.name}"
    if kernel.protocol is not None:
        yield f"protocol {kernel.protocol.name}"
    if session.spawned is not None:
        yield f"running {' '.join(session.spawned.names)}"
    if workspace.journal:
        locks = last_locks(workspace.journal[-1].trace, most_locks)
        yield f"last PTLs {' '.join(locks)}" if locks else "no PTLs taken"


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


def hint_pieces(hint: Hint, width: int) -> StyleAndTextTuples:
    """A hint in one line: the verb, the signature around the part at the cursor, and the meaning of that part.

    Args:
        width: columns; the signature gets those that the meaning leaves.
    """
    half = width // 2
    parts = [part if len(part) <= half else part[:half] + ELLIPSIS for part in hint.parts]
    first = max(hint.current, 1)
    last = max(hint.current + 1, first)
    room = width - _width(parts, first, last) - _MARGINS
    meaning = hint.meaning if len(hint.meaning) <= room else hint.meaning[: max(room - 1, 0)] + ELLIPSIS
    if room < min(len(hint.meaning), _LEAST_MEANING):
        meaning = ""
    room = width - len(meaning) - _MARGINS
    # The parts to the left are typed already; those to the right matter more.
    while last < len(parts) and _width(parts, first, last + 1) <= room:
        last += 1
    while first > 1 and _width(parts, first - 1, last) <= room:
        first -= 1
    pieces: StyleAndTextTuples = []
    for at in _shown(parts, first, last):
        marked = at is not None and at == hint.current
        pieces += [("", " "), (f"class:bottom-toolbar.{'current' if marked else 'hint'}", _text(parts, at))]
    return [*pieces, ("class:bottom-toolbar.meaning", f"  {meaning}" if meaning else "")]


def _shown(parts: Sequence[str], first: int, last: int) -> list[int | None]:
    """Indexes of the verb and of parts ``[first, last)``; None where some are left out."""
    left = [None] if first > 1 else []
    right = [None] if last < len(parts) else []
    return [0, *left, *range(first, last), *right]


def _text(parts: Sequence[str], at: int | None) -> str:
    return ELLIPSIS if at is None else parts[at]


def _width(parts: Sequence[str], first: int, last: int) -> int:
    return len(" ".join(_text(parts, at) for at in _shown(parts, first, last)))
