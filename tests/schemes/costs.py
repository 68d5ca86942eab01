"""Events that tests announce."""

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
    return events.Mapped(1, order, True, *run, 1, 1, 1, vpn, low, whole if high is None else high, "test", new=new)


def unmapped(order: int, vpn: int = 0, first: int = 0, nr: int | None = None) -> events.Unmapped:
    """The opposite."""
    whole = 1 << order
    return events.Unmapped(1, order, True, first, whole if nr is None else nr, 1, 1, 1, vpn, 0, whole, "test")


def pmd_mapped(anon: bool = True, new: bool = False) -> events.Mapped:
    """An order-9 folio mapped by a PMD entry."""
    return events.Mapped(1, 9, anon, 0, 512, 1, 1, 1, 0, 0, 512, "test", events.Level.PMD, new)


def small(nr: int, new: bool = False) -> events.Mapped:
    """A run of order-0 folios, mapped."""
    return small_mapped(*range(1, nr + 1), new=new)


def small_mapped(*folios: int, mm: int = 1, new: bool = False) -> events.Mapped:
    """Order-0 folios are mapped by consecutive entries of one page table."""
    return events.Mapped(folios[0], 0, True, 0, 1, mm, mm, mm, 100, 0, 1, "test", new=new, folios=folios)


def small_unmapped(*folios: int, mm: int = 1) -> events.Unmapped:
    """The opposite."""
    return events.Unmapped(folios[0], 0, True, 0, 1, mm, mm, mm, 100, 0, 1, "test", folios=folios)


def moved(order: int, first: int, nr: int, vpn: int, to_vpn: int) -> events.Moved:
    """Pages of f1 moved between two VMAs that could map all of it."""
    whole = 1 << order
    return events.Moved(1, order, True, first, nr, 1, 1, 1, vpn, 0, whole, 2, 2, to_vpn, 0, whole)
