"""Shows how far a command has come once somebody has waited for it long enough; at a terminal only.

A thread looks and draws, so that nothing that runs has to stop for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from folioshell.session.session import Session
    from folioshell.views.progress_view import ProgressLine
    from folioshell.views.screen import Screen

T = TypeVar("T")

#: seconds before anything is shown, and between two looks
PATIENCE = 0.5
_TICK = 0.1


def waited_for(happenings: Iterable[T], session: Session, screen: Screen) -> Iterator[T]:
    """What happens in a session, one after the other, with a line on the screen while one takes long.

    Args:
        screen: where the line stands; there is none unless it is a terminal that takes more than plain text.
    """
    iterator = iter(happenings)
    return _Waiting(session, screen).each(iterator) if screen.rich else iterator


class _Waiting:
    """Somebody who waits, and a thread that watches for them."""

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
        """What the iterator gives, each waited for."""
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
                    self._had()
                yield happening
        finally:
            self._over = True
            self._waits.set()

    def _had(self) -> None:
        """It came: the screen belongs to somebody else from here on."""
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
        from folioshell.views.progress_view import ProgressLine

        undertaking = self._session.undertaking
        if undertaking is None:
            return
        try:
            progress = undertaking.progress()
        except Exception:  # noqa: BLE001 - the state changes under our eyes; the next look will do
            return
        if self._line is None:
            self._line = ProgressLine(self._screen.stream)
        self._line.show(progress, seconds)
