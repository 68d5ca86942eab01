"""Completion: what may stand at the cursor, each with a description."""

from __future__ import annotations

from typing import NamedTuple

from folioshell.session.session import Session


class Candidate(NamedTuple):
    """One way to go on.

    Attributes:
        text: what replaces the line from ``start`` to the cursor.
        start: column.
        description: what it means, in a few words.
    """

    text: str
    start: int
    description: str


def complete(session: Session, text: str, cursor: int) -> list[Candidate]:
    """Candidates at column ``cursor`` of ``text``, in the order in which they should be shown; never fails."""
    raise NotImplementedError
