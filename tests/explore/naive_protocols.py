"""The protocols once more, for the explorer of ``naive.py``: how to change entries of a table and count the VMA.

Each is called with the lock of the span's table held, and holds it when it returns.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.explore.naive import Protocol, Span, Steps, pt


def _around(look: Callable[[Span], Steps]) -> Protocol:
    """Look before entries are set, and after they were cleared; count if the VMA maps nothing else."""

    def protocol(span: Span) -> Steps:
        if span.delta < 0:
            yield span.change()
        if not (yield from look(span)):
            yield ("add", span.delta)
        if span.delta > 0:
            yield span.change()
        return True

    return protocol


def _walk(halves: tuple[int, ...], sync: bool = False) -> Steps:
    """Look for the folio in some tables, under the lock of each, without ``sync`` only from the first entry on."""
    for half in halves:
        marks = yield ("read", half)
        if marks is None or (not sync and not marks.strip(".")):
            continue
        start = 0 if sync else len(marks) - len(marks.lstrip("."))
        yield ("lock", pt(half))
        marks = yield ("read", half)
        yield ("unlock", pt(half))
        if "f" in marks[start:]:
            return True
    return False


def _read(halves: tuple[int, ...]) -> Steps:
    """Look for the folio in some tables, without their locks."""
    for half in halves:
        if "f" in ((yield ("read", half)) or ""):
            return True
    return False


def _own_then(other: Callable[[int], Steps]) -> Callable[[Span], Steps]:
    """Look in the span's own table, then in the other."""

    def look(span: Span) -> Steps:
        return (yield from _read((span.half,))) or (yield from other(1 - span.half))

    return look


def _locked(before: Callable[[Span], Steps]) -> Protocol:
    """Take more locks first (None: the entries are others now), read both tables, change and count, and drop them."""

    def protocol(span: Span) -> Steps:
        held = yield from before(span)
        if held is None:
            return False
        yield from _around(lambda _: _read((0, 1)))(span)
        for lock in reversed(held):
            yield ("unlock", lock)
        return True

    return protocol


def _retaken(span: Span, *between: str) -> Steps:
    """Drop the lock of the span's own table and take others before it again. Are its entries still the same?"""
    before = span.part((yield ("read", span.half)))
    yield ("unlock", pt(span.half))
    for lock in between:
        yield ("lock", lock)
    yield ("lock", pt(span.half))
    return span.part((yield ("read", span.half))) == before


def _in_order(span: Span) -> Steps:
    other = 1 - span.half
    if (yield ("read", other)) is None:
        return ()
    if other > span.half:
        yield ("lock", pt(other))
    elif not (yield from _retaken(span, pt(other))):
        yield ("unlock", pt(other))
        return None
    return (pt(other),)


def _tried(wanted: Callable[[Span], str]) -> Callable[[Span], Steps]:
    """Try one more lock; if it is taken, drop the own one for a moment and begin again."""

    def before(span: Span) -> Steps:
        lock = wanted(span)
        if lock in (pt(0), pt(1)) and (yield ("read", 1 - span.half)) is None:
            return ()
        if (yield ("trylock", lock)):
            return (lock,)
        if (yield from _retaken(span)):
            yield ("goto", *span.again)
        return None

    return before


def _level_above(span: Span) -> Steps:
    if (yield from _retaken(span, "pmd")):
        return ("pmd",)
    yield ("unlock", "pmd")
    return None


def _bit_lock(span: Span) -> Steps:
    yield ("lock", "bit")
    return ("bit",)


# Protocols of the tests alone.


def _walk_under_bit_lock(span: Span) -> Steps:
    """One lock for all counting, inside the lock of the own table, and the other table's inside that."""
    yield ("lock", "bit")
    yield from _around(_own_then(lambda other: _walk((other,), sync=True)))(span)
    yield ("unlock", "bit")
    return True


def _count_first(span: Span) -> Steps:
    """Count before the entries are changed, unmapping too."""
    marks = yield ("read", span.half)
    others = marks[: span.first] + marks[span.first + span.nr :]
    if "f" not in others and not (yield from _read((1 - span.half,))):
        yield ("add", span.delta)
    yield span.change()
    return True


def _one_at_a_time(other: int) -> Steps:
    """Look in the other table under its lock, with the own one dropped."""
    if (yield ("read", other)) is None:
        return False
    yield ("unlock", pt(1 - other))
    yield ("lock", pt(other))
    marks = yield ("read", other)
    yield ("unlock", pt(other))
    yield ("lock", pt(1 - other))
    return "f" in marks


def _folio_lock(take: Callable[[Span], Steps]) -> Protocol:
    """The folio lock over look and change: a fault holds it anyway, who unmaps takes it."""

    def before(span: Span) -> Steps:
        return () if span.delta > 0 else (yield from take(span))

    return _locked(before)


def _inside(span: Span) -> Steps:
    yield ("lock", "folio")
    return ("folio",)


PROTOCOLS: dict[str, Protocol] = {
    "as-mailed": _around(lambda _: _walk((0, 1))),
    "as-mailed-sync": _around(lambda _: _walk((0, 1), sync=True)),
    "exclude-own": _around(lambda span: _walk((1 - span.half,))),
    "own-table-first": _around(_own_then(lambda other: _walk((other,)))),
    "lockless-look": _around(_own_then(lambda other: _read((other,)))),
    "address-order": _locked(_in_order),
    "trylock-retry": _locked(_tried(lambda span: pt(1 - span.half))),
    "pmd-lock": _locked(_level_above),
    "folio-bit-lock": _locked(_bit_lock),
    "walk-under-bit-lock": _walk_under_bit_lock,
    "count-first": _count_first,
    "one-at-a-time": _around(_own_then(_one_at_a_time)),
    "folio-lock": _folio_lock(_inside),
    "folio-trylock": _folio_lock(_tried(lambda _: "folio")),
}
