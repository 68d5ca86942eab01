"""Where output goes: one stream, written by the plain or by the rich renderer.

Rules:
- Rich is for terminals that can do it; a pipe, a file, ``TERM=dumb`` and ``--plain`` get plain text, always.
- Whoever owns a screen decides the width and the renderer once; views never look at the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING, TextIO

from folioshell.errors import Refused
from folioshell.units import parse_number
from folioshell.views import plain
from folioshell.views.blocks import Block
from folioshell.views.glyphs import has_signs, spell, spell_signs, spelled
from folioshell.views.refusal_view import bug_blocks, refusal_blocks

if TYPE_CHECKING:
    from rich.console import Console

#: columns of what is not a terminal
DEFAULT_WIDTH = 100
#: columns of a mail, which quotes will set in
MAIL_WIDTH = 72
#: below this nothing can be laid out
LEAST_WIDTH = 24


def wants_plain(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """True if this stream should get plain text: it is no terminal, or a dumb one."""
    return not stream.isatty() or environ.get("TERM", "dumb") in ("dumb", "unknown", "")


def window_of(stream: TextIO) -> os.terminal_size:
    """The window of a terminal; 0 columns and lines for a stream that is none, and a terminal that does not know."""
    try:
        return os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return os.terminal_size((0, 0))


class Screen:
    """A stream and how to write on it.

    Args:
        stream: where text goes.
        rich: whether the rich renderer may be used.
        width: columns, at least LEAST_WIDTH; None follows the terminal.
        fallback: columns where there is neither a width nor a terminal that knows its own.
        screen_reader: plain text is read aloud: a table that does not fit becomes ``label: value`` lines.

    Attributes:
        has_table: a CSV table was written, which an empty line parts from the next, whoever writes that.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        rich: bool,
        width: int | None = None,
        fallback: int = DEFAULT_WIDTH,
        screen_reader: bool = False,
    ) -> None:
        self.stream = stream
        self.rich = rich
        self.screen_reader = screen_reader
        self.has_table = False
        self.signs = has_signs(stream.encoding)
        self._width = width
        self._fallback = fallback
        self._console: Console | None = None

    @property
    def width(self) -> int:
        """Columns that may be used now; a terminal may have been resized since the last time."""
        if self._width is not None:
            return max(self._width, LEAST_WIDTH)
        return max(window_of(self.stream).columns or self._fallback, LEAST_WIDTH)

    @property
    def mode(self) -> str:
        """The mode of whoever does not choose another."""
        return "table" if self.rich else "plain"

    def write(self, blocks: Sequence[Block], mode: str = "") -> None:
        """Write the blocks; see ``rendered``."""
        self.stream.write(self.rendered(blocks, mode))

    def rendered(self, blocks: Sequence[Block], mode: str = "") -> str:
        """The blocks in a mode, by default the screen's own, with the spelling that the stream's encoding needs.

        json and csv are made of reports, not of blocks: what else there is to say in these modes is plain text.
        """
        mode = mode or self.mode
        if mode == "mail":
            width = min(self._width or MAIL_WIDTH, MAIL_WIDTH)
            return plain.render(spelled(blocks, spell_signs if self.signs else spell), width, drawn=True)
        if not self.signs:
            blocks = spelled(blocks)
        if mode == "table":
            return self._rich(blocks)
        if mode == "markdown":
            from folioshell.views import markdown

            return markdown.render(blocks)
        return plain.render(blocks, self.width, screen_reader=self.screen_reader)

    def _rich(self, blocks: Sequence[Block]) -> str:
        from folioshell.views import rich_view

        console = self._rich_console()
        console.width = self.width
        with console.capture() as capture:
            rich_view.write(blocks, console)
        text = capture.get()
        # A terminal may be wiped to its edge; what is kept has no spaces at the ends of its lines.
        return text if self.rich else "".join(f"{piece.rstrip()}\n" for piece in text.splitlines())

    def paper(self) -> Screen:
        """A screen of the same width that stands for a file of UTF-8; what is rendered for it is written elsewhere."""
        sheet = TextIOWrapper(BytesIO(), encoding="utf-8")
        return Screen(sheet, rich=False, width=self._width, fallback=self._fallback)

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

            # Where there is no terminal that could do it, rules stay and escape codes do not.
            self._console = Console(
                file=self.stream,
                force_terminal=self.rich,
                color_system="auto" if self.rich else None,
                highlight=False,
                markup=False,
                emoji=False,
                soft_wrap=False,
            )
        return self._console


def warm_up() -> None:
    """Import what the first table needs, while nobody waits for it."""
    import folioshell.views.rich_view  # noqa: F401


def listens(environ: Mapping[str, str]) -> bool:
    """True if somebody listens to what is printed: FOLIOSHELL_PLAIN is set, and not to 0."""
    return environ.get("FOLIOSHELL_PLAIN", "") not in ("", "0")


def screen_for(stream: TextIO, *, plain_wanted: bool = False, width: int | None = None) -> Screen:
    """The screen for a stream, by what it is and by the environment."""
    screen_reader = listens(os.environ)
    rich = not (plain_wanted or screen_reader or wants_plain(stream, os.environ))
    return Screen(
        stream,
        rich=rich,
        width=width,
        fallback=columns_wanted(os.environ),
        screen_reader=screen_reader or stream.isatty(),
    )


def columns_wanted(environ: Mapping[str, str]) -> int:
    """COLUMNS, for what is no terminal; DEFAULT_WIDTH if it is not set, or to no number of columns."""
    columns = parse_number(environ.get("COLUMNS", "")) or 0
    return columns if 0 < columns <= 10_000 else DEFAULT_WIDTH
