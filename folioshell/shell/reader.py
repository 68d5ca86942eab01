"""Where typed lines come from."""

from __future__ import annotations

import sys
from typing import Protocol


class Reader(Protocol):
    """Somebody who types."""

    def read(self, prompt: str) -> str:
        """The next line, or several that were pasted at once.

        Raises:
            EOFError: no more will come.
            KeyboardInterrupt: the line was given up.
        """
        ...


class DumbReader:
    """Reads from a terminal that can do nothing but print: no colour, no menus, no repainting."""

    def read(self, prompt: str) -> str:
        """The next line; see Reader."""
        try:
            return input(prompt)
        except (EOFError, KeyboardInterrupt):
            # The terminal left the cursor behind the prompt.
            sys.stdout.write("\n")
            raise
