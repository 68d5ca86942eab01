"""Where the lines that were typed are kept from one session to the next."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from folioshell.shell.state_folder import state_folder

#: bytes of the file that are read, from its end: some ten thousand lines, which take a few hundredths of a second
MOST_READ = 1 << 19


def history_path(environ: Mapping[str, str]) -> Path | None:
    """The history file; None if there is no home to keep it in."""
    folder = state_folder(environ)
    return folder / "history" if folder is not None else None


class LineHistory(FileHistory):
    """Lines in a file, which several shells may append to; each sees those that were there when it began.

    A line typed twice in a row is kept once. If the file cannot be written any more, the shell goes on without it.
    """

    def load_history_strings(self) -> Iterable[str]:
        """The lines at the end of the file, the last one first."""
        with suppress(OSError), Path(os.fsdecode(self.filename)).open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(size - MOST_READ, 0))
            text = stream.read(MOST_READ).decode("utf-8", "replace")
            # An entry is what begins with a sign, line by line; what was cut off at the front is none.
            entries = text.split("\n# ")[1:]
            found = ["\n".join(row[1:] for row in entry.split("\n") if row.startswith("+")) for entry in entries]
            return [entry for entry in reversed(found) if entry]
        return []

    def append_string(self, string: str) -> None:
        """Add a line, unless it is the one that was added last."""
        if self.get_strings()[-1:] != [string]:
            super().append_string(string)

    def store_string(self, string: str) -> None:
        """Append a line to the file."""
        with suppress(OSError):
            super().store_string(string)


def open_history(path: Path | None) -> History:
    """The history in a file, readable by its owner only; one in memory if the file cannot be written."""
    if path is None:
        return InMemoryHistory()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        with path.open("ab"):
            pass
    except OSError:
        return InMemoryHistory()
    return LineHistory(path)
