"""Definitions that were loaded from files."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from folioshell.schemes.base import Scheme


class Definition(NamedTuple):
    """A scheme that somebody wrote.

    Args:
        scheme: its class, guarded: what it raises is told apart from an error of ours.
        path: the file that it was loaded from.
    """

    scheme: type[Scheme]
    path: str
