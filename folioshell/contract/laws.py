"""How each law, and what is required of every scheme, is checked against one history."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import TypeVar

from folioshell import events
from folioshell.contract.histories import RandomHistory
from folioshell.contract.player import Player
from folioshell.contract.world import World, single, whole
from folioshell.schemes.base import Answer, Law, Scheme, Sharing

#: what violates the law, in words, or None if it holds in the history
Check = Callable[[type[Scheme], RandomHistory], str | None]


def threes(first: int, nr: int) -> list[tuple[int, int]]:
    """Calls of at most three pages."""
    return [(page, min(3, first + nr - page)) for page in range(first, first + nr, 3)]


def states(scheme: Scheme, history: RandomHistory) -> Iterator[tuple[Player, str]]:
    """The world after each step, and what the step did."""
    player = Player(history, [scheme])
    for step in history.steps:
        yield player, player.play(step)


def folio_states(kind: type[Scheme], history: RandomHistory) -> Iterator[tuple[Scheme, Player, int]]:
    """The scheme, the world and the number of a folio: both folios after each step."""
    scheme = kind()
    for player, _ in states(scheme, history):
        for folio in (player.large, player.small):
            yield scheme, player, folio


def answers(kind: type[Scheme], history: RandomHistory) -> Iterator[tuple[Sharing, int]]:
    """Every answer that an mm that maps a folio would get, and the number of these mms."""
    for scheme, player, folio in folio_states(kind, history):
        mms = player.world.mms_of(folio)
        for mm in mms:
            yield scheme.shared(folio, mm), len(mms)


def never_false_negative(kind: type[Scheme], history: RandomHistory) -> str | None:
    """No answer "no" while two mms map it."""
    wrong = (mms for answer, mms in answers(kind, history) if answer is Sharing.NO and mms > 1)
    return next((f"no, but {mms} mms" for mms in wrong), None)


def never_false_positive(kind: type[Scheme], history: RandomHistory) -> str | None:
    """No answer "yes" while one mm maps it."""
    return "yes, but 1 mm" if (Sharing.YES, 1) in answers(kind, history) else None


def one_is_exclusive(kind: type[Scheme], history: RandomHistory) -> str | None:
    """No number of 1 while two mms map it."""
    for scheme, player, folio in folio_states(kind, history):
        if scheme.mapcount(folio) == 1 and (mms := len(player.world.mms_of(folio))) > 1:
            return f"1, but {mms} mms"
    return None


def exact_within_pages(kind: type[Scheme], history: RandomHistory) -> str | None:
    """The right answer while there are no more entries than pages."""
    for scheme, player, folio in folio_states(kind, history):
        entries, mms = player.world.entries(folio), player.world.mms_of(folio)
        right = Sharing.YES if len(mms) > 1 else Sharing.NO
        for mm in mms if entries <= 1 << player.world.orders[folio] else ():
            if (answer := scheme.shared(folio, mm)) is not right:
                return f"{answer}, but {len(mms)} mms have {entries} entries"
    return None


def tells_partial(kind: type[Scheme], history: RandomHistory) -> str | None:
    """The right answer to whether the large folio is partially mapped."""
    scheme = kind()
    for player, _ in states(scheme, history):
        pages = sum(map(bool, player.world.page_entries(player.large)))
        if (answer := scheme.partially_mapped(player.large)) is not Answer.of(0 < pages < player.nr_pages):
            return f"{answer}, but {pages} of {player.nr_pages} pages are mapped"
    return None


def counts_pages(kind: type[Scheme], history: RandomHistory) -> str | None:
    """The right number for every page."""
    for scheme, player, folio in folio_states(kind, history):
        for page, entries in enumerate(player.world.page_entries(folio)):
            if (number := scheme.page_mapcount(folio, page)) != entries:
                return f"page {page}: {'cannot' if number is None else number}, but {entries} entries"
    return None


def decides(kind: type[Scheme], history: RandomHistory) -> str | None:
    """No answer "maybe"."""
    return "maybe" if any(answer is Sharing.MAYBE for answer, _ in answers(kind, history)) else None


def mapped_iff_positive(kind: type[Scheme], history: RandomHistory) -> str | None:
    """The number is positive, and the scheme says mapped, exactly while an entry is there."""
    for scheme, player, folio in folio_states(kind, history):
        number, entries = scheme.mapcount(folio), player.world.entries(folio)
        if (number > 0) != (entries > 0) or scheme.mapped(folio) != (entries > 0):
            return f"{number} with {entries} entries"
    return None


def zero_when_unmapped(kind: type[Scheme], history: RandomHistory) -> str | None:
    """The number is 0 once every mm has exited."""
    for scheme, player, folio in folio_states(kind, history):
        if not player.world.mms_of(folio) and scheme.mapcount(folio):
            return f"{scheme.mapcount(folio)} with no entry"
    return None


def unmap_undoes_map(kind: type[Scheme], history: RandomHistory) -> str | None:
    """Mapping pages and unmapping them again restores the number, in the same and in other pieces."""
    for there, back in ((whole, whole), (whole, single), (threes, whole)):
        scheme = kind()
        player = Player(history, [scheme])
        for step in history.steps:
            player.play(step)
            run = player.free_run(step) if step.mm in player.world.vmas else None
            if run is None:
                continue
            before = scheme.mapcount(player.large)
            player.world.chunks = there
            player.world.map(step.mm, player.large, player.base(step.region), *run)
            player.world.chunks = back
            player.world.unmap(step.mm, player.large, player.base(step.region), *run)
            player.world.chunks = whole
            if scheme.mapcount(player.large) != before:
                return f"{before} became {scheme.mapcount(player.large)}"
    return None


def batching_is_irrelevant(kind: type[Scheme], history: RandomHistory) -> str | None:
    """The same history in larger and in smaller calls gives the same numbers."""
    schemes = [kind(), kind(), kind()]
    players = [
        Player(history, [scheme], chunks) for scheme, chunks in zip(schemes, (whole, single, threes), strict=True)
    ]
    for step in history.steps:
        for player in players:
            player.play(step)
        numbers = [scheme.mapcount(player.large) for scheme, player in zip(schemes, players, strict=True)]
        if len(set(numbers)) > 1:
            return f"whole, by one and by three: {numbers}"
    return None


def unchanged_by(*labels: str) -> Check:
    """Steps with one of these labels leave the number unchanged."""

    def check(kind: type[Scheme], history: RandomHistory) -> str | None:
        scheme = kind()
        player = Player(history, [scheme])
        before = scheme.mapcount(player.large)
        for step in history.steps:
            label = player.play(step)
            number = scheme.mapcount(player.large)
            if label in labels and number != before:
                return f"{label}: {before} became {number}"
            before = number
        return None

    return check


def without_history(world: World, kind: type[Scheme]) -> Scheme:
    """A scheme that is given only the present entries, in the order of their addresses."""
    scheme = kind()
    fresh = World([scheme], world.table_pages, tables=world.tables, pmd_tables=world.pmd_tables)
    for folio, order in world.orders.items():
        fresh.folio(order, folio not in world.files)
    for mm in sorted(world.vmas):
        for vma in world.vmas[mm]:
            fresh.vma(mm, vma.start, vma.end)
        for folio, base, first, nr in world.mappings(mm):
            fresh.map(mm, folio, base, first, nr)
        for (owner, base), folio in sorted(world.pmds.items()):
            if owner == mm:
                fresh.map_pmd(mm, folio, base)
    return scheme


def forgets_history(kind: type[Scheme], history: RandomHistory) -> str | None:
    """Number and answers are those of a scheme that is given only the present entries."""
    scheme = kind()
    for player, label in states(scheme, history):
        fresh = without_history(player.world, kind) if label else scheme
        for folio in (player.large, player.small):
            if scheme.mapcount(folio) != fresh.mapcount(folio):
                return f"{scheme.mapcount(folio)}, without history {fresh.mapcount(folio)}"
            for mm in player.world.mms_of(folio):
                if scheme.shared(folio, mm) != fresh.shared(folio, mm):
                    return f"{scheme.shared(folio, mm)}, without history {fresh.shared(folio, mm)}"
    return None


CHECKS: dict[Law, Check] = {
    Law.NEVER_FALSE_NEGATIVE: never_false_negative,
    Law.NEVER_FALSE_POSITIVE: never_false_positive,
    Law.DECIDES: decides,
    Law.MAPPED_IFF_POSITIVE: mapped_iff_positive,
    Law.ZERO_WHEN_UNMAPPED: zero_when_unmapped,
    Law.UNMAP_UNDOES_MAP: unmap_undoes_map,
    Law.BATCHING_IS_IRRELEVANT: batching_is_irrelevant,
    Law.IGNORES_VMA_SPLIT: unchanged_by("split", "merge", "shift"),
    Law.IGNORES_PMD_SPLIT: unchanged_by("split-pmd"),
    Law.IGNORES_MOVE: unchanged_by("move"),
    Law.ONE_IS_EXCLUSIVE: one_is_exclusive,
    Law.EXACT_WITHIN_PAGES: exact_within_pages,
    Law.TELLS_PARTIAL: tells_partial,
    Law.COUNTS_PAGES: counts_pages,
    Law.FORGETS_HISTORY: forgets_history,
}


# Requirements.

R = TypeVar("R", events.Mapped, events.Unmapped)

_LARGEST_ORDER = 11
_LONGEST_LINE = 120


class Requirement(StrEnum):
    """What is required of every scheme, in the order of the checks."""

    #: name, version, state, two lines about it, and bytes of state that do not decrease with the order
    DESCRIBES_ITSELF = "describes-itself"
    #: every answer is of its type, in every state
    ANSWERS = "answers"
    #: the amounts of why() add up to the number
    PARTS_ADD_UP = "parts-add-up"
    #: an event about a run of order-0 folios counts as one event for each
    RUNS_ARE_FOLIOS = "runs-are-folios"
    #: nothing is kept of freed folios, whether they are freed one by one or in runs
    FORGETS_FREED = "forgets-freed"


def describes_itself(kind: type[Scheme], history: RandomHistory) -> str | None:
    """What tables and ``show schemes`` print is declared."""
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


def answers_fit(kind: type[Scheme], history: RandomHistory) -> str | None:
    """Numbers are numbers, and answers are answers, also for an unknown folio."""
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


def parts_add_up(kind: type[Scheme], history: RandomHistory) -> str | None:
    """The amounts of the parts are the number."""
    for scheme, _, folio in folio_states(kind, history):
        total = sum(part.amount for part in scheme.why(folio))
        if total != scheme.mapcount(folio):
            return f"parts add up to {total}, the number is {scheme.mapcount(folio)}"
    return None


def runs_are_folios(kind: type[Scheme], history: RandomHistory) -> str | None:
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


def forgets_freed(kind: type[Scheme], history: RandomHistory) -> str | None:
    """After FolioFreed every attribute is empty, also for folios that were mapped and for runs of order-0 folios."""
    scheme = kind()
    player = Player(history, [scheme])
    for step in history.steps:
        player.play(step)
    for folio in (player.large, player.small):
        player.world.free(folio)
    run = (1000, 1001, 1002)
    scheme.on_folio_new(events.FolioNew(1000, 0, True, nr=3))
    scheme.on_mapped(_small(events.Mapped, 1, run))
    scheme.on_unmapped(_small(events.Unmapped, 1, run))
    scheme.on_folio_freed(events.FolioFreed(1000, 0, 3))
    kept = sorted(attribute for attribute, value in vars(scheme).items() if value)
    return f"{', '.join(kept)} not empty" if kept else None


REQUIREMENTS: Mapping[Requirement, Check] = {
    Requirement.DESCRIBES_ITSELF: describes_itself,
    Requirement.ANSWERS: answers_fit,
    Requirement.PARTS_ADD_UP: parts_add_up,
    Requirement.RUNS_ARE_FOLIOS: runs_are_folios,
    Requirement.FORGETS_FREED: forgets_freed,
}
