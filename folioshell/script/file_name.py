"""Names of files of the host, as operands: the folders and files at hand are offered."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice

from folioshell.commands.operands import Asking, Pair, Path
from folioshell.script.script import below
from folioshell.session.session import Session

#: entries of a folder that are looked at, at most
MOST = 1000


class FileName(Path):
    """A file of one kind.

    Args:
        ending: of the files that are offered: ``.fs``; empty for any.
        description: what such a file is.
    """

    def __init__(self, ending: str, description: str) -> None:
        self.ending = ending
        self.description = description

    def offered(self, session: Session, asking: Asking) -> Iterable[Pair]:
        """The files of the folder that the word names so far, then its folders; hidden ones if a dot is typed."""
        folder, slash, begun = asking.typed.rpartition("/")
        try:
            with os.scandir(below(session.access.folder, folder + slash) or ".") as found:
                entries = sorted((entry.name, _is_folder(entry)) for entry in islice(found, MOST))
        except (OSError, ValueError):
            return
        names = [(name, inner) for name, inner in entries if name.startswith(begun) and (begun or name[0] != ".")]
        before = f"{folder}{slash}"
        yield from (
            (_quoted(before + name), self.description)
            for name, inner in names
            if not inner and name.endswith(self.ending)
        )
        yield from ((_quoted(f"{before}{name}/"), "a folder") for name, inner in names if inner)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _quoted(name: str) -> str:
    """A name as it must be typed: with quotes if it holds what ends a word."""
    if not any(sign in name for sign in " \t;\"'{}<>#=!"):
        return name
    return f"'{name}'" if '"' in name else f'"{name}"'
