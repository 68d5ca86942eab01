"""The progress line of a long command, on a rich terminal only.

A thread polls and draws, so that the command itself does not have to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from folioshell.session.session import Session
    from folioshell.views.rich_view import ProgressLine
    from folioshell.views.screen import Screen

T = TypeVar("T")

#: seconds before the line is shown, and between two polls
PATIENCE = 0.5
_TICK = 0.1


def waited_for(happenings: Iterable[T], session: Session, screen: Screen) -> Iterator[T]:
    """The same items, with a progress line on ``screen`` while the next one takes long; no line unless it is rich."""
    iterator = iter(happenings)
    return _Waiting(session, screen).each(iterator) if screen.rich else iterator


class _Waiting:
    """An iteration, and the thread that watches it."""

    def __init__(self, session: Session, screen: Screen) -> None:
        from threading import Event, Lock, Thread

        self._session = session
        self._screen = screen
        self._since = 0.0
        self._line: ProgressLine | None = None
        self._waits = Event()
        self._drawing = Lock()
        self._over = False
        Thread(target=self._watch, daemon=True).start()

    def each(self, iterator: Iterator[T]) -> Iterator[T]:
        """The items of the iterator."""
        from time import monotonic

        try:
            while True:
                self._since = monotonic()
                self._waits.set()
                try:
                    happening = next(iterator)
                except StopIteration:
                    return
                finally:
                    self._arrived()
                yield happening
        finally:
            self._over = True
            self._waits.set()

    def _arrived(self) -> None:
        """The item has arrived: clear the line before anything else is printed."""
        self._waits.clear()
        with self._drawing:
            if self._line is not None:
                self._line.clear()
                self._line = None

    def _watch(self) -> None:
        from time import monotonic, sleep

        while self._waits.wait() and not self._over:
            with self._drawing:
                seconds = monotonic() - self._since
                if seconds >= PATIENCE and self._waits.is_set():
                    self._draw(seconds)
            sleep(_TICK)

    def _draw(self, seconds: float) -> None:
        from folioshell.views.rich_view import ProgressLine

        undertaking = self._session.undertaking
        if undertaking is None:
            return
        try:
            progress = undertaking.progress()
        except Exception:  # noqa: BLE001 - the command changes this state concurrently; poll again later
            return
        if self._line is None:
            self._line = ProgressLine(self._screen.stream)
        self._line.show(progress, seconds)
