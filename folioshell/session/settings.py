"""What is shown after a step. Nothing here changes the simulated kernel, so nothing here is a step or is undone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: part of a report -> what it is
AFTER = {
    "mapcounts": "old and new mapcounts of touched folios",
    "walks": "rmap walks",
    "locks": "page-table locks in acquisition order",
}

#: the schemes shown unless others are chosen
SHOWN_SCHEMES = ("per-page", "tuples", "vmas", "likely", "mm-id", "average")


@dataclass(slots=True)
class Settings:
    """What to show.

    Attributes:
        after: parts of a report that are shown after each step.
        walks: walk the reverse map of touched folios even where the kernel would not.
        schemes: the schemes shown, in order; None for the default ones.
        check: verify every invariant of the model after each step.
        full: reports carry the whole state (``--json=full``).
        explain: look for the step that made the value of a failed expect, which replays the history.
    """

    after: tuple[str, ...] = tuple(AFTER)
    walks: bool = False
    schemes: tuple[str, ...] | None = None
    check: bool = False
    full: bool = False
    explain: bool = True

    def shown(self, registered: list[str], loaded: Sequence[str] = ()) -> list[str]:
        """Names of the schemes shown, of those that exist; by default with those that were loaded."""
        chosen = (*SHOWN_SCHEMES, *loaded) if self.schemes is None else self.schemes
        return [name for name in chosen if name in registered]

    def add_schemes(self, names: Sequence[str]) -> None:
        """Show schemes that were loaded just now, whatever else is shown."""
        if self.schemes is not None:
            self.schemes += tuple(name for name in names if name not in self.schemes)

    def script(self, registered: list[str]) -> list[str]:
        """The lines that set what differs from the defaults."""
        lines = []
        if self.after != tuple(AFTER):
            lines.append(f"set after {','.join(self.after) or 'none'}")
        if self.walks:
            lines.append("set walks always")
        if self.schemes is not None:
            lines.append(f"set schemes {','.join(self.schemes) if list(self.schemes) != registered else 'all'}")
        if self.check:
            lines.append("set check on")
        return lines
