"""Making a history that breaks a law as short and plain as it can be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from folioshell.contract.histories import MMS, ORDERS, SKEWS, History, Step


def shrunk(history: History, breaks: Callable[[History], bool]) -> History:
    """A history that still breaks the law, but would not with one step fewer or with any number made plainer.

    Args:
        breaks: does a history break the law?
    """
    history = _without_steps(history, breaks)
    while True:
        plainer = next((candidate for candidate in _plainer(history) if breaks(candidate)), None)
        if plainer is None:
            return history
        history = _without_steps(plainer, breaks)


def _without_steps(history: History, breaks: Callable[[History], bool]) -> History:
    """Leave out steps, many at once as long as that works, until none can be spared."""
    length = max(len(history.steps) // 2, 1)
    while length:
        start = 0
        spared = False
        while start < len(history.steps):
            shorter = replace(history, steps=history.steps[:start] + history.steps[start + length :])
            if breaks(shorter):
                history, spared = shorter, True
            else:
                start += length
        # What was left out last may let more be left out before it.
        if not spared or length > 1:
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
        # All by as much, so that whom a fork makes stays who it was.
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
