"""The contract of a definition: which laws it keeps, and the shortest history found that breaks each of the others."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from folioshell.contract.histories import History, seeded_histories
from folioshell.contract.laws import CHECKS, Check
from folioshell.contract.player import TABLE_PAGES, Player
from folioshell.contract.requirements import DUTIES
from folioshell.contract.shrink import shrunk
from folioshell.schemes.base import Scheme

#: histories that are tried for each law
TRIED = 240


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out for one law.

    Args:
        law: its word, as in ``Law`` or ``Duty``.
        declared: the definition declares it; a duty is everybody's.
        breach: what broke it, in words; empty if no history that was tried did.
        history: the shortest one found that does, one line a step, after a line that describes the folio.
    """

    law: str
    declared: bool
    breach: str = ""
    history: tuple[str, ...] = ()

    @property
    def kept(self) -> bool:
        """No history that was tried breaks the law."""
        return not self.breach

    @property
    def honest(self) -> bool:
        """The law is kept if it is declared, and only then."""
        return self.kept == self.declared


def check_scheme(kind: type[Scheme], tried: int = TRIED) -> list[Verdict]:
    """Try histories against every duty and every law, in a fixed order; equal at every call.

    Args:
        kind: the definition; an exception that it raises counts as a breach.
        tried: how many histories.
    """
    histories = list(seeded_histories(tried))
    verdicts = [verdict(kind, duty, True, check, histories) for duty, check in DUTIES.items()]
    return verdicts + [verdict(kind, law, law in kind.laws, check, histories) for law, check in CHECKS.items()]


def verdict(kind: type[Scheme], law: str, declared: bool, check: Check, histories: Iterable[History]) -> Verdict:
    """What comes out for one law when some histories are tried."""
    found = counterexample(kind, check, histories)
    if found is None:
        return Verdict(str(law), declared)
    return Verdict(str(law), declared, breach(kind, check, found) or "", tuple(told(found)))


def counterexample(kind: type[Scheme], check: Check, histories: Iterable[History]) -> History | None:
    """The first history that breaks a law, made as short as it can be; None if none does."""
    for history in histories:
        if breach(kind, check, history) is not None:
            return shrunk(history, lambda shorter: breach(kind, check, shorter) is not None)
    return None


def breach(kind: type[Scheme], check: Check, history: History) -> str | None:
    """What breaks the law in a history, in words; None if nothing does."""
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
