"""Where output goes: one stream, written by the plain or by the rich renderer.

Rules:
- Rich is for terminals that can do it; a pipe, a file, ``TERM=dumb`` and ``--plain`` get plain text, always.
- Whoever owns a screen decides the width and the renderer once; views never look at the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TextIO

from folioshell.errors import Refused
from folioshell.report import Report
from folioshell.views import plain
from folioshell.views.answer_view import Place
from folioshell.views.blocks import Block
from folioshell.views.refusal_view import bug_blocks, refusal_blocks
from folioshell.views.report_view import report_blocks
from folioshell.views.signs import has_signs, spelled

if TYPE_CHECKING:
    from rich.console import Console

#: columns of what is not a terminal
DEFAULT_WIDTH = 100
#: below this nothing can be laid out
LEAST_WIDTH = 24


def wants_plain(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """True if this stream should get plain text: it is no terminal, or a dumb one."""
    return not stream.isatty() or environ.get("TERM", "dumb") in ("dumb", "unknown", "")


class Screen:
    """A stream and how to write on it.

    Args:
        stream: where text goes.
        rich: whether the rich renderer may be used.
        width: columns, at least LEAST_WIDTH; None follows the terminal, or is DEFAULT_WIDTH where there is none.
    """

    def __init__(self, stream: TextIO, *, rich: bool, width: int | None = None) -> None:
        self.stream = stream
        self.rich = rich
        self._width = width
        self._signs = has_signs(stream.encoding)
        self._console: Console | None = None

    @property
    def width(self) -> int:
        """Columns that may be used now; a terminal may have been resized since the last time."""
        if self._width is not None:
            return max(self._width, LEAST_WIDTH)
        try:
            columns = os.get_terminal_size(self.stream.fileno()).columns
        except (OSError, ValueError):
            columns = 0
        # A terminal that does not know its size says 0.
        return max(columns, LEAST_WIDTH) if columns else DEFAULT_WIDTH

    def write(self, blocks: Sequence[Block]) -> None:
        """Write the blocks, with the spelling that the stream's encoding needs."""
        if not self._signs:
            blocks = spelled(blocks)
        if not self.rich:
            self.stream.write(plain.render(blocks, self.width))
            return
        from folioshell.views import rich_view

        console = self._rich_console()
        console.width = self.width
        rich_view.write(blocks, console)

    def report(self, report: Report, place: Place | None = None) -> None:
        """Write a report; ``place`` is where it stands in a script."""
        self.write(report_blocks(report, place))

    def refusal(self, error: Refused, step: int | None = None) -> None:
        """Write a refusal; ``step`` is the step that the session is still at."""
        self.write(refusal_blocks(error, self.width, step))

    def bug(self, error: Exception, step: int | None = None, typed: str = "") -> None:
        """Write what should never happen, and what was typed for it; ``step`` as in ``refusal``."""
        self.write(bug_blocks(error, step, typed))

    def flush(self) -> None:
        """Hand everything written to the system."""
        self.stream.flush()

    def _rich_console(self) -> Console:
        if self._console is None:
            from rich.console import Console

            self._console = Console(
                file=self.stream, force_terminal=True, highlight=False, markup=False, emoji=False, soft_wrap=False
            )
        return self._console


def warm_up() -> None:
    """Import what the first table needs, while nobody waits for it."""
    import folioshell.views.rich_view  # noqa: F401


def screen_for(stream: TextIO, *, plain_wanted: bool = False, width: int | None = None) -> Screen:
    """The screen for a stream, by what it is and by the environment."""
    return Screen(stream, rich=not plain_wanted and not wants_plain(stream, os.environ), width=width)
