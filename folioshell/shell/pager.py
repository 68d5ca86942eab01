"""The pager: text that does not fit on the terminal goes through another program; a pipe never gets one.

Rules:
- A pager that is missing or fails loses nothing: the text is printed instead.
- What is typed belongs to the prompt: while input is waiting there is no pager, which would take it for its own
  commands. less runs without those that write files or start programs, and its prompt names the key that ends it.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Mapping
from typing import TextIO

from folioshell.views.screen import window_of

#: default of $LESS: exit if all fits, pass colors on, leave the text on the screen
_LESS = "FRX"
#: what less shows on its last line, in its notation: short, medium and long, so that each of its modes has it
_PROMPT = "?e(end) .Space\\: next page, q\\: back to the prompt"
_PROMPTS = "".join(f"-P{size}{_PROMPT}$" for size in "smM")
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
        waiting: was more typed than has been read?
    """

    def __init__(self, environ: Mapping[str, str], stream: TextIO, waiting: Callable[[], bool] = lambda: False) -> None:
        self._environ = environ
        self._stream = stream
        self._waiting = waiting

    def show(self, text: str) -> bool:
        """Show ``text`` in the pager; False if it fits on the screen, if there is no pager, or if input is waiting."""
        if self._fits(text) or self._waiting():
            return False
        command = pager_command(self._environ)
        return bool(command) and self._run(command, text)

    def _fits(self, text: str) -> bool:
        rows = window_of(self._stream).lines
        return rows == 0 or text.count("\n") <= max(rows - _PROMPT_LINES, 1)

    def _run(self, command: list[str], text: str) -> bool:
        self._stream.flush()
        # Options of the user come later and win.
        environ = {**self._environ, "LESSSECURE": "1", "LESS": f"{_PROMPTS} {self._environ.get('LESS', _LESS)}"}
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
