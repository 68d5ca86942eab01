"""What each scheme, or field of the kernel, decided, from which release to which: the table of policies by answer.

``show schemes`` and docs/history-of-mapcounts.md print it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from folioshell.model.policy import SharingQuestion
from folioshell.model.release import RELEASES
from folioshell.records import NamedTuple

#: what the scheme is for that a release keeps as its books
OWN_COUNTS = "the kernel's own counts"


class Decision(NamedTuple):
    """What was decided in some releases in a row.

    Args:
        first, last: the releases, both included.
        topics: what user space calls the places that asked, in the order of the table.
    """

    first: str
    last: str
    topics: tuple[str, ...]

    def __str__(self) -> str:
        return f"{span_text(self.first, self.last)}: {', '.join(self.topics)}"


def span_text(first: str, last: str) -> str:
    """``5.10 to 6.1``, or one release."""
    return first if first == last else f"{first} to {last}"


def decisions_of(word: str) -> list[Decision]:
    """What a scheme or a field of the kernel decided: oldest first, of equal age what lasted longest first."""
    used: dict[str, list[bool]] = {OWN_COUNTS: [row.policy.books == word for row in RELEASES.values()]}
    for question in SharingQuestion:
        before = used.get(question.topic, [False] * len(RELEASES))
        looks = [word in row.policy.answers[question] for row in RELEASES.values()]
        used[question.topic] = [one or other for one, other in zip(before, looks, strict=True)]
    topics: dict[tuple[int, int], list[str]] = {}
    for topic, flags in used.items():
        for first, last in _runs(flags):
            topics.setdefault((first, -last), []).append(topic)
    versions = [*RELEASES]
    return [Decision(versions[first], versions[-last], tuple(found)) for (first, last), found in sorted(topics.items())]


def _runs(flags: Iterable[bool]) -> Iterator[tuple[int, int]]:
    """(first, last) of the runs of true flags."""
    first: int | None = None
    for at, flag in enumerate((*flags, False)):
        if flag and first is None:
            first = at
        elif not flag and first is not None:
            yield first, at - 1
            first = None
