"""The output stream, and the renderer that writes on it.

Rules:
- Rich is for capable terminals; a pipe, a file, ``TERM=dumb`` and ``--plain`` always get plain text.
- Width and renderer are decided once, when the screen is made; views never read the environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from io import BytesIO, TextIOWrapper
from typing import TYPE_CHECKING, TextIO, TypeVar

from folioshell.errors import Refused
from folioshell.units import parse_number
from folioshell.views import plain
from folioshell.views.blocks import Block, Tone, line
from folioshell.views.glyphs import has_signs, spell, spell_signs, spelled
from folioshell.views.refusal_view import bug_blocks, refusal_blocks

if TYPE_CHECKING:
    from rich.console import Console

    from folioshell.session.session import Session
    from folioshell.views.rich_view import ProgressLine

T = TypeVar("T")

#: columns of a stream that is no terminal
DEFAULT_WIDTH = 100
#: columns of a mail, which leaves room for quoting
MAIL_WIDTH = 72
#: minimum columns
LEAST_WIDTH = 24
#: what makes text dim on a rich terminal, and normal again
DIM, RESET = "\x1b[2m", "\x1b[0m"
#: seconds before the line is shown, and between two polls
PATIENCE = 0.5
_TICK = 0.1


def plain_wanted(environ: Mapping[str, str]) -> bool:
    """True if FOLIOSHELL_PLAIN is set, and not to 0."""
    return environ.get("FOLIOSHELL_PLAIN", "") not in ("", "0")


def wants_plain(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """True if this stream is no terminal, or a dumb one."""
    return not stream.isatty() or environ.get("TERM", "dumb") in ("dumb", "unknown", "")


def window_of(stream: TextIO) -> os.terminal_size:
    """The size of a terminal; 0 columns and lines if the stream is none, or its size is unknown."""
    try:
        return os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        return os.terminal_size((0, 0))


class Screen:
    """A stream and how to write on it.

    Args:
        stream: where text goes.
        rich: use the rich renderer.
        width: columns, at least LEAST_WIDTH; None follows the terminal.
        fallback: columns if neither ``width`` nor the terminal gives them.
        spoken: say everything in words, whatever the terminal can show.

    Attributes:
        has_table: a CSV table was written; an empty line separates it from the next.
    """

    def __init__(
        self,
        stream: TextIO,
        *,
        rich: bool,
        width: int | None = None,
        fallback: int = DEFAULT_WIDTH,
        spoken: bool = False,
    ) -> None:
        self.stream = stream
        self.rich = rich and not spoken
        self.spoken = spoken
        self.has_table = False
        self.signs = has_signs(stream.encoding)
        self._width = width
        self._fallback = fallback
        self._console: Console | None = None

    @property
    def width(self) -> int:
        """The current number of columns; a terminal may be resized at any time."""
        if self._width is not None:
            return max(self._width, LEAST_WIDTH)
        return max(window_of(self.stream).columns or self._fallback, LEAST_WIDTH)

    @property
    def mode(self) -> str:
        """The default mode."""
        return "spoken" if self.spoken else "table" if self.rich else "plain"

    def write(self, blocks: Sequence[Block], mode: str = "") -> None:
        """Write the blocks; see ``rendered``."""
        self.stream.write(self.rendered(blocks, mode))

    def write_dim(self, text: str) -> None:
        """Write a dim line; not by rich, whose import would take a fifth of the time up to the first prompt."""
        if not self.rich:
            self.write([line(text, Tone.DIM)])
            return
        for row in self.rendered([line(text)], "plain").splitlines():
            self.stream.write(f"{DIM}{row}{RESET}\n")

    def rendered(self, blocks: Sequence[Block], mode: str = "") -> str:
        """The blocks in a mode (default: the screen's own), spelled for the stream's encoding.

        json and csv are made from reports, not from blocks: remarks in these modes are plain text.
        """
        mode = mode or self.mode
        if mode == "mail":
            width = min(self._width or MAIL_WIDTH, MAIL_WIDTH)
            return plain.render(spelled(blocks, spell_signs if self.signs else spell), width)
        if not self.signs:
            blocks = spelled(blocks)
        if mode == "table":
            return self._rich(blocks)
        if mode == "markdown":
            from folioshell.views import markdown

            return markdown.render(blocks)
        if mode == "spoken":
            from folioshell.views import spoken

            return spoken.render(blocks, self.width)
        return plain.render(blocks, self.width)

    def _rich(self, blocks: Sequence[Block]) -> str:
        from folioshell.views import rich_view

        console = self._rich_console()
        console.width = self.width
        with console.capture() as capture:
            rich_view.write(blocks, console)
        text = capture.get()
        # Trailing spaces are stripped from everything that may be stored.
        return text if self.rich else "".join(f"{piece.rstrip()}\n" for piece in text.splitlines())

    def paper(self) -> Screen:
        """A screen of the same width that renders for a UTF-8 file."""
        sheet = TextIOWrapper(BytesIO(), encoding="utf-8")
        return Screen(sheet, rich=False, width=self._width, fallback=self._fallback)

    def refusal(self, error: Refused, step: int | None = None, mode: str = "") -> None:
        """Write a refusal; ``step`` as in ``refusal_blocks``, ``mode`` as in ``rendered``."""
        self.write(refusal_blocks(error, self.width, step), mode)

    def bug(self, error: Exception, step: int | None = None, typed: str = "", mode: str = "") -> None:
        """Write an internal error and the input that led to it; ``step`` and ``mode`` as in ``refusal``."""
        self.write(bug_blocks(error, step, typed), mode)

    def flush(self) -> None:
        """Flush the stream."""
        self.stream.flush()

    def _rich_console(self) -> Console:
        if self._console is None:
            from rich.console import Console

            # Without a capable terminal there are rules, but no escape codes.
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
    """Import what the first table needs; called in the background."""
    import folioshell.views.rich_view  # noqa: F401


def screen_for(stream: TextIO, *, mode: str = "", width: int | None = None) -> Screen:
    """The screen for a stream, according to its kind and the environment.

    Args:
        mode: the mode chosen on the command line; empty for the one that FOLIOSHELL_MODE names.
        width: as in ``Screen``.
    """
    mode = mode or os.environ.get("FOLIOSHELL_MODE", "")
    rich = not (mode == "plain" or plain_wanted(os.environ) or wants_plain(stream, os.environ))
    return Screen(stream, rich=rich, width=width, fallback=columns_wanted(os.environ), spoken=mode == "spoken")


def columns_wanted(environ: Mapping[str, str]) -> int:
    """The value of COLUMNS; DEFAULT_WIDTH if it is not set or not a valid width."""
    columns = parse_number(environ.get("COLUMNS", "")) or 0
    return columns if 0 < columns <= 10_000 else DEFAULT_WIDTH


# The progress line of a long command, on a rich terminal only: a thread polls and draws, so that the command does not.


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
