"""The history: what was typed, which of it is in force, and which was undone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Entry:
    """A command that was a step.

    Args:
        process: the process that was current when it was typed.
        named: the process, or thread of a process, that was named before it, or empty.
        text: the command in its normal form.
        result: how the kernel ended it; a replay must end the same way.
        left: the process that is current right after it.
        current: the same, after an ``as`` that followed it.
    """

    process: str
    named: str
    text: str
    result: dict[str, Any]
    left: str
    current: str

    @property
    def line(self) -> str:
        """The line that does the same in a script: a failure is announced there."""
        text = self.text.split(" ", 2)[2] if self.text.startswith("fails ") else self.text
        if failure := self.result.get("errno") or next((row[2] for row in self.result.get("signals", ())), ""):
            text = f"fails {failure} {text}"
        return f"{self.named}: {text}" if self.named else text


class History:
    """Steps in the order in which they were typed.

    Attributes:
        entries: all of them; those from ``position`` on were undone.
        position: number of steps in force.
    """

    __slots__ = ("entries", "position")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.position = 0

    @property
    def in_force(self) -> list[Entry]:
        """The steps that led to the present state."""
        return self.entries[: self.position]

    def append(self, entry: Entry) -> None:
        """A step was done here; what was undone can be redone no more."""
        del self.entries[self.position :]
        self.entries.append(entry)
        self.position += 1

    def note_current(self, process: str) -> None:
        """The current process was switched after the last step."""
        if self.position:
            self.entries[self.position - 1].current = process

    def script(self) -> list[str]:
        """The lines that lead to the present state from a fresh session."""
        lines = []
        current = "A"
        for entry in self.in_force:
            if entry.process != current:
                lines.append(f"as {entry.process}")
            lines.append(entry.line)
            current = entry.left
        if self.position and self.entries[self.position - 1].current not in ("", current):
            lines.append(f"as {self.entries[self.position - 1].current}")
        return lines
