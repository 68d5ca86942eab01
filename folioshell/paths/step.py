"""What a kernel path is, as a type."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar

from folioshell.events import Event
from folioshell.model.lock import LockOp

T = TypeVar("T")

Step = LockOp | Event
Path = Generator[Step, Any, T]
