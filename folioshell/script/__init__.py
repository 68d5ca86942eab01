"""Scripts: reading, running and writing `.fs` files.

Importing this package declares the last commands, those that read and write files: the command language is complete.
"""

from __future__ import annotations

from folioshell.commands import Session
from folioshell.script import learning as _declare_lesson_commands
from folioshell.script import verbs as _declare_file_commands

__all__ = ["Session"]

del _declare_file_commands, _declare_lesson_commands
