"""What every definition owes to those who use it, whatever it counts."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from folioshell import events
from folioshell.contract.histories import History
from folioshell.contract.laws import Check, states
from folioshell.contract.player import Player
from folioshell.schemes.base import Answer, Scheme, Sharing

R = TypeVar("R", events.Mapped, events.Unmapped)

_LARGEST_ORDER = 11
_LONGEST_LINE = 120


class Duty(StrEnum):
    """The duties, in the order in which they are looked at."""

    #: name, version, state, two lines about it, and bytes that do not fall from order to order
    DESCRIBES_ITSELF = "describes-itself"
    #: every answer is of its type, in every state
    ANSWERS = "answers"
    #: why() takes every number apart without a rest
    PARTS_ADD_UP = "parts-add-up"
    #: a run of order-0 folios counts as each of them would
    RUNS_ARE_FOLIOS = "runs-are-folios"
    #: nothing is kept of folios that were freed
    FORGETS_FREED = "forgets-freed"


def describes_itself(kind: type[Scheme], history: History) -> str | None:
    """What tables and ``show schemes`` print is there."""
    for attribute in ("name", "version", "state"):
        if not getattr(kind, attribute, ""):
            return f"{attribute} is missing"
    about = getattr(kind, "about", ())
    if len(about) != 2 or not all(line.endswith(".") and len(line) <= _LONGEST_LINE for line in about):
        return f"about is not two lines of at most {_LONGEST_LINE} characters that end in a full stop"
    scheme = kind()
    sizes = [scheme.bytes_of_state(order) for order in range(_LARGEST_ORDER + 1)]
    if sizes != sorted(sizes) or sizes[0] < 0:
        return f"bytes of orders 0 to {_LARGEST_ORDER}: {sizes}"
    return None


def answers(kind: type[Scheme], history: History) -> str | None:
    """Numbers are numbers, and answers are answers, also of a folio that nothing was said about."""
    scheme = kind()
    for player, _ in states(scheme, history):
        for folio in (player.large, player.small, player.small + 1):
            mms = player.world.mms_of(folio) if folio in player.world.orders else [1]
            wrong = [
                question
                for question, answer, allowed in (
                    ("mapcount", scheme.mapcount(folio), int),
                    ("mapcount of a page", scheme.mapcount(folio, 0), int),
                    ("mapped", scheme.mapped(folio), bool | None),
                    ("partially_mapped", scheme.partially_mapped(folio), Answer),
                    ("page_mapcount", scheme.page_mapcount(folio, 0), int | None),
                    *(("shared", scheme.shared(folio, mm), Sharing) for mm in mms),
                    *(("page_shared", scheme.page_shared(folio, 0, mm), Sharing) for mm in mms),
                )
                if not isinstance(answer, allowed)
            ]
            if wrong:
                return f"{', '.join(wrong)} of the wrong type"
    return None


def parts_add_up(kind: type[Scheme], history: History) -> str | None:
    """The amounts of the parts are the number."""
    scheme = kind()
    for player, _ in states(scheme, history):
        for folio in (player.large, player.small):
            total = sum(part.amount for part in scheme.why(folio))
            if total != scheme.mapcount(folio):
                return f"parts add up to {total}, the number is {scheme.mapcount(folio)}"
    return None


def runs_are_folios(kind: type[Scheme], history: History) -> str | None:
    """One event of many order-0 folios counts as one event of each."""
    together, apart = kind(), kind()
    for mm, folios, mapped in (
        (1, (1, 2, 3, 4, 5, 6, 7, 8), True),
        (2, (2, 5), True),
        (1, (2, 3), False),
        (3, (8,), True),
    ):
        for scheme, runs in ((together, [folios]), (apart, [(folio,) for folio in folios])):
            for run in runs:
                if mapped:
                    scheme.on_mapped(_small(events.Mapped, mm, run))
                else:
                    scheme.on_unmapped(_small(events.Unmapped, mm, run))
    numbers = [[scheme.mapcount(folio) for folio in range(1, 9)] for scheme in (together, apart)]
    pieces = [number for _, nr, number in together.mapcount_pieces(1, 8) for _ in range(nr)]
    if pieces != numbers[0]:
        return f"mapcount_pieces() says {pieces}, mapcount() {numbers[0]}"
    return None if numbers[0] == numbers[1] else f"together {numbers[0]}, one by one {numbers[1]}"


def _small(kind: type[R], mm: int, folios: tuple[int, ...]) -> R:
    return kind(folios[0], 0, True, 0, 1, mm, mm, mm, 100, 0, 1, "test", folios=folios)


def forgets_freed(kind: type[Scheme], history: History) -> str | None:
    """After FolioFreed no attribute holds anything, even of folios that were mapped."""
    scheme = kind()
    player = Player(history, [scheme])
    for step in history.steps:
        player.play(step)
    for folio in (player.large, player.small):
        player.world.free(folio)
    kept = sorted(attribute for attribute, value in vars(scheme).items() if value)
    return f"{', '.join(kept)} not empty" if kept else None


DUTIES: Mapping[Duty, Check] = {
    Duty.DESCRIBES_ITSELF: describes_itself,
    Duty.ANSWERS: answers,
    Duty.PARTS_ADD_UP: parts_add_up,
    Duty.RUNS_ARE_FOLIOS: runs_are_folios,
    Duty.FORGETS_FREED: forgets_freed,
}
