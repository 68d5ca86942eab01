"""Where the lines that were typed are kept from one session to the next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from folioshell.shell.state_folder import state_folder


def history_path(environ: Mapping[str, str]) -> Path | None:
    """The history file; None if there is no home to keep it in."""
    folder = state_folder(environ)
    return folder / "history" if folder is not None else None


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
    return FileHistory(path)
