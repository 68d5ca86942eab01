"""What commands may do with files of the host."""

from __future__ import annotations

from typing import NamedTuple


class Access(NamedTuple):
    """Permissions of whoever types: at the prompt everything is free, a script given to ``run`` is confined.

    Args:
        folder: files that are read are named from here; empty for the working directory.
        confined: only files below ``root`` are read.
        root: the folder of the script that was given to ``run``.
        may_write: commands may write files.
        may_load: commands may load Python code.
        sources: scripts that are being read, outermost first.
    """

    folder: str = ""
    confined: bool = False
    root: str = ""
    may_write: bool = True
    may_load: bool = True
    sources: tuple[str, ...] = ()
