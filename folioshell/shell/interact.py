"""The shell at a terminal, from the first prompt to the end."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from folioshell import __version__
from folioshell.session.session import Session
from folioshell.shell.crash_log import NotedReader, Notes
from folioshell.shell.pager import Pager
from folioshell.shell.reader import DumbReader, Reader
from folioshell.shell.repl import Repl
from folioshell.shell.resume import FOLDER, begin
from folioshell.shell.state_folder import state_folder
from folioshell.shell.waiting import waited_for
from folioshell.views.blocks import Tone, line
from folioshell.views.glyphs import visible
from folioshell.views.screen import Screen, warm_up

#: begins notes of a session in a folder; returns them, and what to tell whoever sits there: see ``resume``
Start = Callable[[Session, Path | None], tuple[Notes, list[str]]]

#: what stands above the first prompt on a terminal
GREETING = f"folioshell {__version__}: `help` lists the commands, Tab completes them, `quit` ends."


def interact(session: Session, screen: Screen, errors: Screen, start: Start = begin) -> int:
    """Talk to whoever sits at the terminal until they leave; returns the exit status.

    Args:
        start: what is done first: ``begin``, or ``resume``.
    Raises:
        Refused: there is nothing to resume.
    """
    reader: Reader = DumbReader()
    if screen.rich:
        from folioshell.shell.prompt import PromptReader

        reader = PromptReader(session, when_idle=_warm_up)
    session.output.pager, session.output.fixed = screen.rich, False
    pager = Pager(os.environ, screen.stream) if screen.stream.isatty() else None
    state = state_folder(os.environ)
    folder = state / FOLDER if state else None
    [(notes, told)] = waited_for((first(session, folder) for first in (start,)), session, screen)
    if screen.stream.isatty() and start is begin and not session.step:
        screen.write([line(GREETING, Tone.DIM)])
    screen.write([line(visible(text)) for text in told])
    status = Repl(session, screen, NotedReader(reader, notes), errors=errors, pager=pager).run()
    notes.remove()
    return status


def _warm_up() -> None:
    from threading import Thread

    Thread(target=warm_up).start()
