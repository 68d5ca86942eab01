"""Which laws hold for a scheme, and the shortest history found that violates each of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from folioshell.contract.histories import MMS, ORDERS, SKEWS, History, Step, seeded_histories
from folioshell.contract.laws import CHECKS, REQUIREMENTS, Check
from folioshell.contract.player import TABLE_PAGES, Player
from folioshell.schemes.base import Scheme

#: histories that are tried for each law
TRIED = 240


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome for one law.

    Args:
        law: its name, as in ``Law`` or ``Requirement``.
        declared: the scheme claims it; requirements are claimed for every scheme.
        breach: what violated it, in words; empty if no history tried did.
        history: the shortest one found that does: a line that describes the folio, then one a step.
    """

    law: str
    declared: bool
    breach: str = ""
    history: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """No history tried violates the law."""
        return not self.breach

    @property
    def honest(self) -> bool:
        """The law holds if it is claimed, and only then."""
        return self.kept == self.declared


def check_scheme(kind: type[Scheme], tried: int = TRIED) -> list[Verdict]:
    """Try histories against every requirement and every law, in a fixed order; the result is the same at every call.

    Args:
        kind: the scheme; an exception that it raises counts as a violation.
        tried: how many histories.
    """
    histories = list(seeded_histories(tried))
    verdicts = [verdict(kind, required, True, check, histories) for required, check in REQUIREMENTS.items()]
    return verdicts + [verdict(kind, law, law in kind.laws, check, histories) for law, check in CHECKS.items()]


def verdict(kind: type[Scheme], law: str, declared: bool, check: Check, histories: Iterable[History]) -> Verdict:
    """The outcome for one law when some histories are tried."""
    found = counterexample(kind, check, histories)
    if found is None:
        return Verdict(str(law), declared)
    return Verdict(str(law), declared, breach(kind, check, found) or "", tuple(told(found)))


def counterexample(kind: type[Scheme], check: Check, histories: Iterable[History]) -> History | None:
    """The first history that violates a law, shrunk; None if none does."""
    for history in histories:
        if breach(kind, check, history) is not None:
            return shrunk(history, lambda shorter: breach(kind, check, shorter) is not None)
    return None


def breach(kind: type[Scheme], check: Check, history: History) -> str | None:
    """What violates the law in a history, in words; None if nothing does."""
    try:
        return check(kind, history)
    except Exception as error:  # noqa: BLE001 - a loaded scheme may raise anything
        return f"raises {type(error).__name__}: {error}"


def told(history: History) -> list[str]:
    """A history in words."""
    player = Player(history, [])
    for step in history.steps:
        player.play(step)
    kind = "anonymous" if history.anon else "file"
    folio = f"order-{history.order} {kind} folio, page 0 at page {player.base(0)} or {player.base(1)}"
    return [f"{folio}; page tables of {TABLE_PAGES} entries", *player.story]


def shrunk(history: History, violates: Callable[[History], bool]) -> History:
    """A history that still violates the law, but would not with one step fewer or any number made plainer.

    Args:
        violates: does a history violate the law?
    """
    history = _without_steps(history, violates)
    while True:
        plainer = next((candidate for candidate in _plainer(history) if violates(candidate)), None)
        if plainer is None:
            return history
        history = _without_steps(plainer, violates)


def _without_steps(history: History, violates: Callable[[History], bool]) -> History:
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


def _plainer(history: History) -> Iterator[History]:
    """Histories of as many steps, plainer in one number."""
    for order in ORDERS[: ORDERS.index(history.order)]:
        yield replace(history, order=order)
    for skew in SKEWS[: SKEWS.index(history.skew)]:
        yield replace(history, skew=skew)
    if not history.anon:
        yield replace(history, anon=True)
    if history.steps and (first := history.steps[0].mm) != 1:
        # All by the same amount, so that forks make the same children.
        steps = tuple(replace(step, mm=(step.mm - first) % MMS + 1) for step in history.steps)
        yield replace(history, steps=steps)
    for at, step in enumerate(history.steps):
        for plainer in _plainer_steps(step):
            yield replace(history, steps=(*history.steps[:at], plainer, *history.steps[at + 1 :]))


def _plainer_steps(step: Step) -> Iterator[Step]:
    for mm in range(1, step.mm):
        yield replace(step, mm=mm)
    if step.region:
        yield replace(step, region=0)
    for at in sorted({0, step.at // 2, step.at - 1}):
        if 0 <= at < step.at:
            yield replace(step, at=at)
    for nr in sorted({1, step.nr // 2, step.nr - 1}):
        if 0 < nr < step.nr:
            yield replace(step, nr=nr)
