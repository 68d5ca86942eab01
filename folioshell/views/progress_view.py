"""How far a command has come, as a line at the bottom of a terminal that goes away again."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Column

from folioshell.session.progress import Progress
from folioshell.views.screen import window_of

#: columns of a terminal that does not know its own
_USUAL = 80
#: columns that stay free: the terminal's own ^C must not begin another line, which nobody would take away
_FREE = 3
#: columns of the bar, and of all but the description and the numbers
_BAR = 20
_BESIDES = len("x  ") + _BAR + len("  Ctrl-C stops")
#: columns that the description has in any case
_LEAST = 8


class ProgressLine:
    """A spinner, what is done, a bar where the end is known, numbers, the time, and the key that stops it.

    Args:
        stream: the terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._description = Column(no_wrap=True, overflow="ellipsis")
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False, table_column=self._description),
            BarColumn(bar_width=_BAR),
            TextColumn("{task.fields[numbers]}", markup=False, table_column=Column(no_wrap=True)),
            TextColumn("Ctrl-C stops", style="dim", table_column=Column(no_wrap=True)),
            console=Console(file=stream, force_terminal=True),
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bars.add_task("", total=None, numbers="")

    def show(self, progress: Progress, seconds: float) -> None:
        """Write it anew; ``seconds`` is how long it has been under way."""
        numbers = numbers_text(progress, seconds)
        self._make_room(len(numbers))
        self._bars.update(
            self._task, description=progress.doing, completed=progress.done, total=progress.total, numbers=numbers
        )
        # Once it was begun this does nothing.
        self._bars.start()
        self._bars.refresh()

    def clear(self) -> None:
        """Take it away."""
        self._bars.stop()

    def _make_room(self, numbers: int) -> None:
        """The description has what the numbers leave it, in the width that the terminal has now."""
        width = max((window_of(self._stream).columns or _USUAL) - _FREE, 1)
        self._bars.console.width = width
        self._description.max_width = max(width - _BESIDES - numbers - 1, _LEAST)


def numbers_text(progress: Progress, seconds: float) -> str:
    """``4,096 of 8,192 pages, 3 s``."""
    time = f"{seconds:.0f} s"
    if not progress.unit:
        return time
    of = "" if progress.total is None else f" of {progress.total:,}"
    return f"{progress.done:,}{of} {progress.unit}, {time}"
