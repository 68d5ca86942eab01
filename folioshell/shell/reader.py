"""Where typed lines come from."""

from __future__ import annotations

import sys
from typing import Protocol

from folioshell.commands.lines import is_open


class Reader(Protocol):
    """Somebody who types."""

    def read(self, prompt: str) -> str:
        """The next line, or several that were pasted at once or that braces hold together.

        Raises:
            EOFError: no more will come.
            KeyboardInterrupt: the line was given up.
        """
        ...

    def keep(self, text: str) -> bool:
        """Put text where whoever types can call it back; False if there is no such place."""
        ...


class DumbReader:
    """Reads from a terminal that can do nothing but print: no colour, no menus, no repainting."""

    def read(self, prompt: str) -> str:
        """The next line, and those that follow while a brace is open; see Reader."""
        try:
            text = input(prompt)
            while is_open(text):
                text += "\n" + input("... ".rjust(len(prompt)))
        except (EOFError, KeyboardInterrupt):
            # The terminal left the cursor behind the prompt.
            sys.stdout.write("\n")
            raise
        return text

    def keep(self, text: str) -> bool:
        """There is nothing to call lines back with; see Reader."""
        return False
