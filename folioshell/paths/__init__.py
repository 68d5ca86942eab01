"""Verbs: one kernel code path a generator. A path yields lock operations and events, and changes the model in between.

Rules:
- A path never knows who drives it. A trylock is answered: the path is sent True when the lock was not had.
- State is read again after every lock that was waited for; in a sequential run nothing ever changed.
- An errno is returned as its name, a success as None.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from folioshell.events import Event
from folioshell.model.lock import LockOp

T = TypeVar("T")

Step = LockOp | Event
#: what a kernel path is, as a type
Path = Generator[Step, Any, T]
