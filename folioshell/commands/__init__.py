"""The command language: one declaration a command; grammar, completion, help and reference come from it.

Importing this package declares the commands and makes the grammar the one that sessions read with.
"""

from __future__ import annotations

import importlib

from folioshell.commands.parse import Grammar
from folioshell.session.session import Session

#: modules that declare commands, in the order in which help lists them
DECLARING = (
    "memory",
    "access",
    "process",
    "reclaim",
    "questions",
    "query",
    "inspect",
    "steps",
    "watch",
    "race",
    "manual_stepping",
    "locks",
    "expect",
    "teaching",
    "loop",
    "settings",
    "history",
    "reference",
)

for _name in DECLARING:
    importlib.import_module(f"{__name__}.{_name}")

Session.default_language = Grammar()

__all__ = ["Session"]
