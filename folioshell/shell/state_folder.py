"""Where the program keeps what outlives it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def state_folder(environ: Mapping[str, str]) -> Path | None:
    """Our folder in the XDG state directory; None if there is no home to keep it in."""
    state = environ.get("XDG_STATE_HOME", "")
    if state.startswith("/"):
        return Path(state) / "folioshell"
    try:
        return Path.home() / ".local" / "state" / "folioshell"
    except RuntimeError:
        return None
