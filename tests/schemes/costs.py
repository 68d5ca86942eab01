"""Facts whose costs are looked at."""

from __future__ import annotations

from folioshell import facts


def mapped(
    order: int,
    vpn: int = 0,
    first: int = 0,
    nr: int | None = None,
    low: int = 0,
    high: int | None = None,
    new: bool = False,
) -> facts.Mapped:
    """Pages of f1, all of them unless said otherwise, mapped at ``vpn`` in a VMA that could map ``[low, high)``."""
    whole = 1 << order
    run = (first, whole if nr is None else nr)
    return facts.Mapped(1, order, True, *run, 1, 1, 1, vpn, low, whole if high is None else high, "test", new)


def unmapped(order: int, vpn: int = 0, first: int = 0, nr: int | None = None) -> facts.Unmapped:
    """The opposite."""
    whole = 1 << order
    return facts.Unmapped(1, order, True, first, whole if nr is None else nr, 1, 1, 1, vpn, 0, whole, "test")


def pmd_mapped(anon: bool = True, new: bool = False) -> facts.PmdMapped:
    """An order-9 folio mapped by a PMD entry."""
    return facts.PmdMapped(1, 9, anon, 1, 1, 1, 0, "test", new)


def small(nr: int, new: bool = False) -> facts.MappedSmall:
    """A run of order-0 folios."""
    return facts.MappedSmall(range(1, nr + 1), True, 1, 1, 1, 0, "test", new)


def moved(order: int, first: int, nr: int, vpn: int, to_vpn: int) -> facts.Moved:
    """Pages of f1 moved between two VMAs that could map all of it."""
    whole = 1 << order
    return facts.Moved(1, order, True, first, nr, 1, 1, 1, vpn, 0, whole, 2, 2, to_vpn, 0, whole)
