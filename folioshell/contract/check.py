"""Which laws hold for a scheme, and the shortest history found that violates each of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count

from folioshell.contract.histories import (
    MMS,
    SKEWS,
    WIDE_ORDERS,
    HistoryStep,
    RandomHistory,
    SearchBounds,
    seeded_histories,
    wide_histories,
)
from folioshell.contract.laws import CHECKS, REQUIREMENTS, Check
from folioshell.contract.player import Player
from folioshell.contract.script import script_of
from folioshell.records import dataclass, replace
from folioshell.schemes.base import Law, Scheme

#: laws that are checked with many address spaces, too: those on which what the scheme counts and hashes can run out
WIDE_LAWS = frozenset(
    {
        Law.NEVER_FALSE_NEGATIVE,
        Law.NEVER_FALSE_POSITIVE,
        Law.MAPPED_IFF_POSITIVE,
        Law.ZERO_WHEN_UNMAPPED,
        Law.ONE_IS_EXCLUSIVE,
    }
)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The outcome for one law.

    Args:
        law: its name, as in ``Law`` or ``Requirement``.
        declared: the scheme claims it; requirements are claimed for every scheme.
        breach: what violated it, in words; empty if no history tried did.
        history: the shortest one found that does: a line that describes the folio, then one a step.
        script: the same as commands of the shell; empty if they cannot say it.
    """

    law: str
    declared: bool
    breach: str = ""
    history: tuple[str, ...] = ()
    script: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """No history tried violates the law."""
        return not self.breach

    @property
    def honest(self) -> bool:
        """The law holds if it is claimed, and only then."""
        return self.kept == self.declared


def check_scheme(kind: type[Scheme], bounds: SearchBounds | None = None) -> list[CheckResult]:
    """Try histories against every requirement and every law, in a fixed order; the result is the same at every call.

    Args:
        kind: the scheme; an exception that it raises counts as a violation.
        bounds: how far to search.
    """
    bounds = bounds or SearchBounds()
    histories = list(seeded_histories(bounds.histories, longest=bounds.steps, seed=bounds.seed))
    wide = [*histories, *wide_histories(bounds)]
    verdicts = [verdict(kind, required, True, check, histories) for required, check in REQUIREMENTS.items()]
    return verdicts + [
        verdict(kind, law, law in kind.laws, check, wide if law in WIDE_LAWS else histories)
        for law, check in CHECKS.items()
    ]


def verdict(
    kind: type[Scheme], law: str, declared: bool, check: Check, histories: Iterable[RandomHistory]
) -> CheckResult:
    """The outcome for one law when some histories are tried."""
    found = counterexample(kind, check, histories)
    if found is None:
        return CheckResult(str(law), declared)
    # Another process maps pages of a file without a fork: that makes the simplest script.
    file = replace(found, anon=False)
    script = script_of(file if breach(kind, check, file) is not None else found, kind.name)
    return CheckResult(str(law), declared, breach(kind, check, found) or "", tuple(told(found)), script)


def counterexample(kind: type[Scheme], check: Check, histories: Iterable[RandomHistory]) -> RandomHistory | None:
    """The first history that violates a law, shrunk; None if none does."""
    for history in histories:
        if breach(kind, check, history) is not None:
            return shrunk(history, lambda shorter: breach(kind, check, shorter) is not None)
    return None


def breach(kind: type[Scheme], check: Check, history: RandomHistory) -> str | None:
    """What violates the law in a history, in words; None if nothing does."""
    try:
        return check(kind, history)
    except Exception as error:  # noqa: BLE001 - a loaded scheme may raise anything
        return f"raises {type(error).__name__}: {error}"


#: shorter and plainer histories that are tried: large ones take long
_ATTEMPTS = 800
#: MM-IDs up to this are tried as a pair: most hashes into a word let two of them meet
_SMALL_IDS = 258


def told(history: RandomHistory) -> list[str]:
    """A history in words."""
    player = Player(history, [])
    for step in history.steps:
        player.play(step)
    kind = "anonymous" if history.anon else "file"
    folio = f"order-{history.order} {kind} folio, page 0 at page {player.base(0)} or {player.base(1)}"
    return [f"{folio}; page tables of {player.table_pages} entries", *player.story]


def shrunk(history: RandomHistory, violates: Callable[[RandomHistory], bool]) -> RandomHistory:
    """A history that still violates the law, but would not with one step fewer or any number made plainer.

    A large one may be left with some that could be spared: see _ATTEMPTS.

    Args:
        violates: does a history violate the law?
    """
    attempts = count()

    def tried(shorter: RandomHistory) -> bool:
        return next(attempts) < _ATTEMPTS and violates(shorter)

    history = _without_steps(history, tried)
    while True:
        plainer = next((candidate for candidate in _plainer(history) if tried(candidate)), None)
        if plainer is None:
            return history
        history = _without_steps(plainer, tried)


def _without_steps(history: RandomHistory, violates: Callable[[RandomHistory], bool]) -> RandomHistory:
    """Leave out steps, many at once as long as that works, until none can be left out."""
    length = max(len(history.steps) // 2, 1)
    while length:
        start = 0
        shortened = False
        while start < len(history.steps):
            shorter = replace(history, steps=history.steps[:start] + history.steps[start + length :])
            if violates(shorter):
                history, shortened = shorter, True
            else:
                start += length
        # Steps before the last one left out may have become superfluous.
        if not shortened or length > 1:
            length //= 2
    return history


def _plainer(history: RandomHistory) -> Iterator[RandomHistory]:
    """Histories of as many steps, plainer in one number."""
    for order in WIDE_ORDERS[2 : history.order]:
        yield replace(history, order=order)
    for skew in SKEWS[: SKEWS.index(history.skew)]:
        yield replace(history, skew=skew)
    if not history.anon:
        yield replace(history, anon=True)
    yield from _plainer_ids(history)
    for at, step in enumerate(history.steps):
        for plainer in _plainer_steps(step):
            yield replace(history, steps=(*history.steps[:at], plainer, *history.steps[at + 1 :]))


def _plainer_ids(history: RandomHistory) -> Iterator[RandomHistory]:
    """Address spaces with smaller numbers and MM-IDs, and without those that do nothing."""
    ids = history.ids
    if history.steps and (first := history.steps[0].mm - 1) > 0:
        # All by the same amount, so that forks make the same children.
        steps = tuple(replace(step, mm=(step.mm - 1 - first) % len(ids) + 1) for step in history.steps)
        yield replace(history, steps=steps)
        yield replace(history, steps=steps, ids=ids[first:] + ids[:first])
    plain = tuple(range(1, len(ids) + 1))
    if ids != plain:
        yield replace(history, ids=plain)
    used = sorted({step.mm for step in history.steps})
    if len(used) < len(ids) and len(ids) > MMS:
        numbers = {mm: number for number, mm in enumerate(used, 1)}
        steps = tuple(replace(step, mm=numbers[step.mm]) for step in history.steps)
        yield replace(history, steps=steps, ids=tuple(ids[mm - 1] for mm in used))
        if used[-1:] <= [len(ids) // 2]:
            yield replace(history, ids=ids[: len(ids) // 2])
    if len(ids) == 2 and ids[0] != 1:
        # What two MM-IDs have in common, small ones may have, too.
        yield from (replace(history, ids=(1, other)) for other in range(2, _SMALL_IDS))


def _plainer_steps(step: HistoryStep) -> Iterator[HistoryStep]:
    for mm in range(1, step.mm):
        yield replace(step, mm=mm)
    if step.region:
        yield replace(step, region=0)
    for at in sorted({0, step.at // 2, step.at - step.at // 8, step.at - 1}):
        if 0 <= at < step.at:
            yield replace(step, at=at)
    for nr in sorted({1, step.nr // 2, step.nr - step.nr // 8, step.nr - 1}):
        if 0 < nr < step.nr:
            yield replace(step, nr=nr)
