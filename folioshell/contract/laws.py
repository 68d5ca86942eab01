"""How each law of a scheme is checked against one history."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from folioshell.contract.histories import History
from folioshell.contract.player import Player
from folioshell.contract.world import World, single, whole
from folioshell.schemes.base import Answer, Law, Scheme, Sharing

#: what breaks the law, in words, or None if the history keeps it
Check = Callable[[type[Scheme], History], str | None]


def threes(first: int, nr: int) -> list[tuple[int, int]]:
    """Calls of at most three pages."""
    return [(page, min(3, first + nr - page)) for page in range(first, first + nr, 3)]


def states(scheme: Scheme, history: History) -> Iterator[tuple[Player, str]]:
    """The world after each step, and what the step did."""
    player = Player(history, [scheme])
    for step in history.steps:
        yield player, player.play(step)


def answers(kind: type[Scheme], history: History) -> Iterator[tuple[Sharing, int]]:
    """Every answer that an mm that maps a folio would get, and how many mms do."""
    scheme = kind()
    for player, _ in states(scheme, history):
        for folio in (player.large, player.small):
            mms = player.world.mms_of(folio)
            for mm in mms:
                yield scheme.shared(folio, mm), len(mms)


def never_false_no(kind: type[Scheme], history: History) -> str | None:
    """No answer "no" while two mms map it."""
    wrong = (mms for answer, mms in answers(kind, history) if answer is Sharing.NO and mms > 1)
    return next((f"no, but {mms} mms" for mms in wrong), None)


def never_false_yes(kind: type[Scheme], history: History) -> str | None:
    """No answer "yes" while one mm maps it."""
    return "yes, but 1 mm" if (Sharing.YES, 1) in answers(kind, history) else None


def one_is_exclusive(kind: type[Scheme], history: History) -> str | None:
    """No number of 1 while two mms map it."""
    scheme = kind()
    for player, _ in states(scheme, history):
        for folio in (player.large, player.small):
            if scheme.mapcount(folio) == 1 and (mms := len(player.world.mms_of(folio))) > 1:
                return f"1, but {mms} mms"
    return None


def exact_within_pages(kind: type[Scheme], history: History) -> str | None:
    """The right answer while there are no more entries than pages."""
    scheme = kind()
    for player, _ in states(scheme, history):
        for folio in (player.large, player.small):
            entries, mms = player.world.entries(folio), player.world.mms_of(folio)
            right = Sharing.YES if len(mms) > 1 else Sharing.NO
            for mm in mms if entries <= 1 << player.world.orders[folio] else ():
                if (answer := scheme.shared(folio, mm)) is not right:
                    return f"{answer}, but {len(mms)} mms have {entries} entries"
    return None


def tells_partial(kind: type[Scheme], history: History) -> str | None:
    """The right answer to whether the large folio is partially mapped."""
    scheme = kind()
    for player, _ in states(scheme, history):
        pages = sum(map(bool, player.world.page_entries(player.large)))
        if (answer := scheme.partially_mapped(player.large)) is not Answer.of(0 < pages < player.nr_pages):
            return f"{answer}, but {pages} of {player.nr_pages} pages are mapped"
    return None


def counts_pages(kind: type[Scheme], history: History) -> str | None:
    """The right number for every page."""
    scheme = kind()
    for player, _ in states(scheme, history):
        for folio in (player.large, player.small):
            for page, entries in enumerate(player.world.page_entries(folio)):
                if (number := scheme.page_mapcount(folio, page)) != entries:
                    return f"page {page}: {'cannot' if number is None else number}, but {entries} entries"
    return None


def decides(kind: type[Scheme], history: History) -> str | None:
    """No answer "maybe"."""
    return "maybe" if any(answer is Sharing.MAYBE for answer, _ in answers(kind, history)) else None


def mapped_iff_positive(kind: type[Scheme], history: History) -> str | None:
    """The number is positive, and the scheme says mapped, exactly while an entry is there."""
    scheme = kind()
    for player, _ in states(scheme, history):
        for folio in (player.large, player.small):
            number, entries = scheme.mapcount(folio), player.world.entries(folio)
            if (number > 0) != (entries > 0) or scheme.mapped(folio) != (entries > 0):
                return f"{number} with {entries} entries"
    return None


def zero_when_unmapped(kind: type[Scheme], history: History) -> str | None:
    """The number is 0 once everybody exited."""
    scheme = kind()
    for player, _ in states(scheme, history):
        for folio in (player.large, player.small):
            if not player.world.mms_of(folio) and scheme.mapcount(folio):
                return f"{scheme.mapcount(folio)} with no entry"
    return None


def unmap_undoes_map(kind: type[Scheme], history: History) -> str | None:
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


def batching_is_irrelevant(kind: type[Scheme], history: History) -> str | None:
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
    """The steps that did one of ``labels`` leave the number alone."""

    def check(kind: type[Scheme], history: History) -> str | None:
        scheme = kind()
        before = 0
        for player, label in states(scheme, history):
            number = scheme.mapcount(player.large)
            if label in labels and number != before:
                return f"{label}: {before} became {number}"
            before = number
        return None

    return check


def afresh(world: World, kind: type[Scheme]) -> Scheme:
    """A scheme that learns only the entries that there are, in the order of their addresses."""
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


def forgets_history(kind: type[Scheme], history: History) -> str | None:
    """Number and answers are those of a scheme that learns the present entries only."""
    scheme = kind()
    for player, label in states(scheme, history):
        fresh = afresh(player.world, kind) if label else scheme
        for folio in (player.large, player.small):
            if scheme.mapcount(folio) != fresh.mapcount(folio):
                return f"{scheme.mapcount(folio)}, afresh {fresh.mapcount(folio)}"
            for mm in player.world.mms_of(folio):
                if scheme.shared(folio, mm) != fresh.shared(folio, mm):
                    return f"{scheme.shared(folio, mm)}, afresh {fresh.shared(folio, mm)}"
    return None


CHECKS: dict[Law, Check] = {
    Law.NEVER_FALSE_NO: never_false_no,
    Law.NEVER_FALSE_YES: never_false_yes,
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
