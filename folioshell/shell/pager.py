"""The pager: text that does not fit on the terminal goes through another program; a pipe never gets one.

A pager that is missing or fails loses nothing: the text is printed instead.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Mapping
from typing import TextIO

from folioshell.views.screen import window_of

#: default of $LESS: exit if all fits, pass colors on, leave the text on the screen
_LESS = "FRX"
#: exit statuses by which a shell says that it cannot run a program
_NOT_FOUND = (126, 127)
#: rows of the prompt and the toolbar
_PROMPT_LINES = 2


def pager_command(environ: Mapping[str, str]) -> list[str]:
    """The pager and its arguments: $FOLIOSHELL_PAGER, else $PAGER, else less; empty for none.

    A variable that is empty, ``cat``, or not valid shell syntax means no pager.
    """
    import shlex
    import shutil

    wanted = environ.get("FOLIOSHELL_PAGER", environ.get("PAGER", "less"))
    try:
        words = shlex.split(wanted)
    except ValueError:
        return []
    if not words or words == ["cat"] or shutil.which(words[0], path=environ.get("PATH")) is None:
        return []
    return [*words, "-R"] if words == ["less"] else words


class Pager:
    """Shows long text on a terminal.

    Args:
        environ: names the pager.
        stream: the terminal.
    """

    def __init__(self, environ: Mapping[str, str], stream: TextIO) -> None:
        self._environ = environ
        self._stream = stream

    def show(self, text: str) -> bool:
        """Show ``text`` in the pager; False if it fits on the screen, or if there is no pager."""
        if self._fits(text):
            return False
        command = pager_command(self._environ)
        return bool(command) and self._run(command, text)

    def _fits(self, text: str) -> bool:
        rows = window_of(self._stream).lines
        return rows == 0 or text.count("\n") <= max(rows - _PROMPT_LINES, 1)

    def _run(self, command: list[str], text: str) -> bool:
        self._stream.flush()
        environ = {"LESS": _LESS, **self._environ}
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environ)
        except OSError:
            return False
        assert process.stdin is not None
        # Ctrl-C belongs to the pager, which was started before we ignore it here.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            process.communicate(text.encode(self._stream.encoding or "utf-8", "backslashreplace"))
        finally:
            signal.signal(signal.SIGINT, before)
        return process.returncode not in _NOT_FOUND
