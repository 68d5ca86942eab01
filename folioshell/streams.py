"""Standard streams that are closed, full or read by nobody: a message and a status, never a traceback."""

from __future__ import annotations

import os
import sys

# typing.TYPE_CHECKING without importing typing, as in cli.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO


def open_closed() -> bool:
    """Replace streams that the process was started without; False if that is standard output, after a message."""
    if sys.stdin is None:
        sys.stdin = _null("r")
    if sys.stderr is None:
        sys.stderr = _null("w")
    if sys.stdout is None:
        complain("standard output is closed")
        return False
    return True


def complain(text: str) -> None:
    """Say something on standard error, if that can still be written."""
    try:
        sys.stderr.write(f"folioshell: {text}\n")
        sys.stderr.flush()
    except OSError:
        abandon(sys.stderr)


def abandon(stream: TextIO) -> None:
    """Nobody can read this stream: nothing that is still buffered may be written when the interpreter ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _null(mode: str) -> TextIO:
    # pathlib is not worth its import for what hardly ever happens.
    stream: TextIO = open(os.devnull, mode, encoding="utf-8")  # type: ignore[assignment]  # noqa: PTH123, SIM115
    return stream
