"""What is watched: questions asked again whenever the state may have changed, and how their answers changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from folioshell.report import Watched, WatchedValue

if TYPE_CHECKING:
    from folioshell.session.session import Session


class Reading(NamedTuple):
    """What a question gives at one moment.

    Args:
        values: what was read, in the order in which it should be shown: scheme -> number or answer.
        note: why nothing can be read; empty if something was.
    """

    values: dict[str, str]
    note: str = ""


class Question(Protocol):
    """Something that can be watched."""

    @property
    def text(self) -> str:
        """As it stands behind ``watch``; means the same whoever is the current process."""

    def can_be_set(self, session: Session) -> bool:
        """Would it be taken if it were typed now?"""

    def read(self, session: Session) -> Reading:
        """What it gives in the present state."""


@dataclass(slots=True)
class Watch:
    """A question with the answer that was seen last: what a person compares the next one with, after undo too."""

    question: Question
    seen: Reading


def news(session: Session) -> tuple[Watched, ...]:
    """The watches whose answers are not those seen last, with old and new; from then on the new ones were seen."""
    found = []
    for number, watch in enumerate(session.settings.watches, 1):
        reading = watch.question.read(session)
        values = _changes(watch.seen, reading)
        if values or reading.note != watch.seen.note:
            found.append(Watched(number, watch.question.text, values, reading.note))
        watch.seen = reading
    return tuple(found)


def present(number: int, watch: Watch) -> Watched:
    """A watch with the answer that was seen last."""
    values = {name: WatchedValue(value, value) for name, value in watch.seen.values.items()}
    return Watched(number, watch.question.text, values, watch.seen.note)


def _changes(old: Reading, new: Reading) -> dict[str, WatchedValue]:
    """What both readings have and what differs there; all of the new one, if nothing could be read before."""
    if old.note:
        return {name: WatchedValue("", value) for name, value in new.values.items()}
    return {
        name: WatchedValue(old.values[name], value)
        for name, value in new.values.items()
        if old.values.get(name, value) != value
    }
