"""Threads that are stepped by hand: what each is to do, and which has gone on so far.

They change nothing until all have ended: each step is shown by repeating the schedule from the present state.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Spawned:
    """Threads under way.

    Attributes:
        commands: thread, as it is printed, -> its commands in their normal form.
        schedule: numbers of the threads that went on, from 1, in order.
    """

    commands: dict[str, list[str]] = field(default_factory=dict)
    schedule: list[int] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The threads, in the order in which they were spawned."""
        return list(self.commands)

    @property
    def block(self) -> str:
        """The threads as a race writes them."""
        parts = (f"{name}: {{ {' ; '.join(commands)} }}" for name, commands in self.commands.items())
        return f"{{ {' ; '.join(parts)} }}"
