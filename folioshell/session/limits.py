"""How much a session may grow: what is typed by accident, or by a stranger, must not take a machine down.

Rules:
- What would pass a limit is refused before anything of it is done; the limits of states and of time are met under way,
  and the state is then that before the command.
"""

from __future__ import annotations

from typing import NamedTuple

from folioshell.units import parse_number

#: limit -> what it bounds
LIMITS = {
    "pages": "entries of page tables of all processes together, one for a huge page",
    "files": "pages of all files together",
    "processes": "processes that live",
    "steps": "steps of a session",
    "states": "distinct states of a race",
    "seconds": "seconds that a script runs",
}


class Limits(NamedTuple):
    """The most of each that there may be; None for no limit. See LIMITS."""

    pages: int | None = None
    files: int | None = None
    processes: int | None = None
    steps: int | None = None
    states: int | None = None
    seconds: int | None = None


#: at the prompt: what a machine can bear
GENEROUS = Limits(pages=1 << 24, files=1 << 21, processes=1 << 14)

#: for scripts, which a stranger may have written
STRICT = Limits(pages=1 << 19, files=1 << 19, processes=1 << 10, steps=100_000, states=200_000, seconds=60)


def read_limits(text: str) -> dict[str, int | None]:
    """The limits that ``pages=4000000,steps=10`` names; ``none`` takes every limit away, ``pages=none`` one.

    Raises:
        ValueError: it names what is no limit, or no number.
    """
    if text == "none":
        return dict.fromkeys(LIMITS)
    chosen: dict[str, int | None] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        if name not in LIMITS:
            raise ValueError(f"no such limit: {name!r}; there are {', '.join(LIMITS)}")
        chosen[name] = parse_number(number)
        if chosen[name] is None and number != "none":
            raise ValueError(f"{name}= wants a number, or none")
    return chosen


def raised_by(name: str) -> str:
    """How a limit is raised, as a hint."""
    return f"`--limit {name}=N` permits more"
