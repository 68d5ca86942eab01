"""Facts whose costs are looked at."""

from __future__ import annotations

from folioshell import events


def mapped(
    order: int,
    vpn: int = 0,
    first: int = 0,
    nr: int | None = None,
    low: int = 0,
    high: int | None = None,
    new: bool = False,
) -> events.Mapped:
    """Pages of f1, all of them unless said otherwise, mapped at ``vpn`` in a VMA that could map ``[low, high)``."""
    whole = 1 << order
    run = (first, whole if nr is None else nr)
    return events.Mapped(1, order, True, *run, 1, 1, 1, vpn, low, whole if high is None else high, "test", new)


def unmapped(order: int, vpn: int = 0, first: int = 0, nr: int | None = None) -> events.Unmapped:
    """The opposite."""
    whole = 1 << order
    return events.Unmapped(1, order, True, first, whole if nr is None else nr, 1, 1, 1, vpn, 0, whole, "test")


def pmd_mapped(anon: bool = True, new: bool = False) -> events.PmdMapped:
    """An order-9 folio mapped by a PMD entry."""
    return events.PmdMapped(1, 9, anon, 1, 1, 1, 0, "test", new)


def small(nr: int, new: bool = False) -> events.MappedSmall:
    """A run of order-0 folios."""
    return events.MappedSmall(range(1, nr + 1), True, 1, 1, 1, 0, "test", new)


def moved(order: int, first: int, nr: int, vpn: int, to_vpn: int) -> events.Moved:
    """Pages of f1 moved between two VMAs that could map all of it."""
    whole = 1 << order
    return events.Moved(1, order, True, first, nr, 1, 1, 1, vpn, 0, whole, 2, 2, to_vpn, 0, whole)
