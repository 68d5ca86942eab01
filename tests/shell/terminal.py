"""A real terminal for a child process, from the standard library alone."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|\x1b[=>()78][0-9A-B]?")
_CURSOR_REQUEST = b"\x1b[6n"
#: seconds that are waited for what should come at once: a busy machine is slow, and only a failure takes this long
PATIENCE = 120.0


class Terminal:
    """Runs a command on a pseudo terminal, answering requests for the cursor's place as a terminal does.

    Args:
        command: what runs.
        environ: its environment.
        rows, columns: the size of the window.
    """

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], rows: int = 24, columns: int = 100) -> None:
        self._master, child_end = pty.openpty()
        self.resize(rows, columns)
        # A session's first process gets the terminal that it opens as its controlling one: Ctrl-C reaches it then.
        opening = ("sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(child_end))
        # As a terminal emulator does: signals that are ignored here (nohup, a job in the background) are not passed on.
        before = {number: signal.signal(number, signal.SIG_DFL) for number in (signal.SIGHUP, signal.SIGINT)}
        try:
            self._process = subprocess.Popen((*opening, *command), env=dict(environ), start_new_session=True)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        self._child_end = child_end
        self.raw = b""

    @property
    def text(self) -> str:
        """All that was printed, without escape sequences."""
        return _ESCAPES.sub("", self.raw.decode("utf-8", "replace"))

    def resize(self, rows: int, columns: int) -> None:
        """Give the window another size."""
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, keys: str) -> None:
        """Type."""
        os.write(self._master, keys.encode())

    def kill(self, number: int) -> None:
        """Send a signal to the command."""
        self._process.send_signal(number)

    def wait_for(self, text: str, timeout: float = PATIENCE) -> str:
        """Wait until ``text`` was printed since ``forget``; returns everything printed.

        Raises:
            TimeoutError: it was not, with all that was printed.
        """
        return self.wait_until(lambda printed: text in printed, repr(text), timeout)

    def wait_until(self, seen: Callable[[str], bool], what: str, timeout: float = PATIENCE) -> str:
        """Wait until what was printed since ``forget`` is as wanted; returns everything printed.

        Raises:
            TimeoutError: it was not, with all that was printed.
        """
        deadline = time.monotonic() + timeout
        while not seen(self.text):
            if not self._read(deadline - time.monotonic()):
                raise TimeoutError(f"no {what} in {self.text!r}")
        return self.text

    def settle(self, seconds: float = 0.4) -> None:
        """Wait until nothing more was printed for so long."""
        while self._read(seconds):
            pass

    def cpu_seconds(self) -> float:
        """CPU time of the command so far (Linux)."""
        return int(Path(f"/proc/{self._process.pid}/schedstat").read_text().split()[0]) / 1e9

    def forget(self) -> None:
        """What was printed so far is not looked at any more."""
        self.raw = b""

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait until the command has ended; returns its exit status."""
        deadline = time.monotonic() + timeout
        while self._read(min(deadline - time.monotonic(), 0.5)) or self._process.poll() is None:
            if time.monotonic() > deadline:
                raise TimeoutError(f"still running: {self.text!r}")
        return self._process.wait()

    def _read(self, timeout: float) -> bool:
        """Take what the command printed; False if it printed nothing in time or will not any more."""
        if timeout <= 0 or not select.select([self._master], [], [], timeout)[0]:
            return False
        try:
            piece = os.read(self._master, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return False
        self.raw += piece
        for _ in range(piece.count(_CURSOR_REQUEST)):
            os.write(self._master, b"\x1b[1;1R")
        return bool(piece)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the command."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._master)
