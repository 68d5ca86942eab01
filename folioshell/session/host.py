"""The host of a session: what it may do with files, how much it may grow, the clock, and where output goes.

Rules:
- Nothing here is part of the state: no step, undo or reset touches it.
- What would pass a limit is refused before anything of it is done; the limits of states and of time are met under way,
  and the state is then that before the command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from folioshell.errors import Refused
from folioshell.records import NamedTuple, dataclass, field
from folioshell.report import Target
from folioshell.units import parse_number


class Access(NamedTuple):
    """What commands may do with files: at the prompt everything, in a script given to ``run`` little.

    Args:
        folder: files that are read are named from here; empty for the working directory.
        confined: only files below ``root`` are read.
        root: the folder of the script that was given to ``run``.
        may_write: commands may write files.
        may_load: commands may load Python code.
        sources: scripts that are being read, outermost first.
    """

    folder: str = ""
    confined: bool = False
    root: str = ""
    may_write: bool = True
    may_load: bool = True
    sources: tuple[str, ...] = ()


#: limit -> what it bounds
LIMITS = {
    "pages": "page-table entries of all processes; a PMD entry counts as one",
    "files": "pages of all files",
    "processes": "living processes",
    "steps": "steps of a session",
    "states": "distinct states of a race",
    "seconds": "CPU seconds of a script, the time to show its output included",
    "memory": "megabytes of memory that a script takes",
}


class Limits(NamedTuple):
    """The most of each that there may be; None for no limit. See LIMITS."""

    pages: int | None = None
    files: int | None = None
    processes: int | None = None
    steps: int | None = None
    states: int | None = None
    seconds: int | None = None
    memory: int | None = None


#: at the prompt: what a machine can hold
GENEROUS = Limits(pages=1 << 24, files=1 << 21, processes=1 << 14)

#: for scripts, which may not be trusted
STRICT = Limits(pages=1 << 19, files=1 << 19, processes=1 << 10, steps=100_000, states=200_000, seconds=60, memory=2048)


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
            raise ValueError(f"no such limit: {name!r}; allowed: {', '.join(LIMITS)}")
        chosen[name] = parse_number(number)
        if chosen[name] is None and number != "none":
            raise ValueError(f"{name}= takes a number or `none`")
    return chosen


def stricter(one: Limits, other: Limits) -> Limits:
    """The lower of two limits for each resource."""
    pairs = zip(one, other, strict=True)
    return Limits(*(min((most for most in pair if most is not None), default=None) for pair in pairs))


def raised_by(name: str) -> str:
    """How a limit is raised, as a hint."""
    return f"`--limit {name}=N` raises it"


#: mode -> what it is
MODES = {
    "table": "tables with rules, in color on a terminal",
    "plain": "aligned text without rules or color",
    "json": "one JSON document per line, as with `--json`",
    "csv": "comma-separated values: tables only",
    "markdown": "GitHub tables",
    "mail": "72 columns of ASCII, followed by the script that reproduces it",
    "spoken": "one fact a line, in words, for screen readers and Braille displays",
}


def mode_wanted(environ: Mapping[str, str]) -> str:
    """The mode that FOLIOSHELL_MODE names; empty if it is not set.

    Raises:
        Refused: there is no such mode.
    """
    mode = environ.get("FOLIOSHELL_MODE", "")
    if mode and mode not in MODES:
        raise Refused(f"FOLIOSHELL_MODE={mode}: no such mode", allowed=tuple(MODES))
    return mode


@dataclass(slots=True)
class Output:
    """The form of what is shown.

    Attributes:
        mode: one of MODES.
        fixed: the mode was chosen on the command line; a script does not change it.
        pager: what does not fit on a terminal's screen is shown by a pager.
        once: the file that the output of the next command goes to; None for the screen.
        offered: a line that stands in the next input line, to be changed or entered; empty for none.
    """

    mode: str = "plain"
    fixed: bool = False
    pager: bool = True
    once: Target | None = None
    offered: str = ""


@dataclass(slots=True)
class Host:
    """What a session gets from the program that runs it.

    Attributes:
        access: what commands may do with files.
        limits: how much the state may grow.
        clock: seconds, for limits of time; None where there are none.
        output: where reports go, and in which form.
        profile: the release that sessions begin with, and keep: `set profile` is refused; empty for the default one.
        state: the folder for what is kept from one shell to the next; empty to keep nothing.
    """

    access: Access = field(default_factory=Access)
    limits: Limits = GENEROUS
    clock: Callable[[], float] | None = None
    output: Output = field(default_factory=Output)
    profile: str = ""
    state: str = ""
