"""A guard around a definition that somebody wrote: what it does wrong is reported as its doing, not as a bug of ours.

Rules:
- The guard is a subclass, so that everything that asks for a kind of scheme gets the same answer as before.
- Only methods that could run the author's code are guarded: those of ``schemes.base`` and ``schemes.order0`` cannot.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from functools import wraps
from types import new_class
from typing import Any

from folioshell.errors import SchemeError
from folioshell.events import CALLBACKS
from folioshell.schemes import base, order0
from folioshell.schemes.base import Answer, Part, Scheme, Sharing
from folioshell.schemes.cost import Cost

_OURS = (base.__name__, order0.__name__)

#: what gets an event as its only argument
_CALLBACKS = (*CALLBACKS.values(), "count_large", "count_small")


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


#: question -> (may this be its answer, what is)
_QUESTIONS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "mapcount": (_is_number, "a number"),
    "mapcount_pieces": (lambda value: isinstance(value, list), "a list of (first, nr, number)"),
    "shared": (lambda value: isinstance(value, Sharing), "a Sharing"),
    "page_shared": (lambda value: isinstance(value, Sharing), "a Sharing"),
    "mapped": (lambda value: value is None or isinstance(value, bool), "True, False or None"),
    "partially_mapped": (lambda value: isinstance(value, Answer), "an Answer"),
    "page_mapcount": (lambda value: value is None or _is_number(value), "a number or None"),
    "why": (lambda value: isinstance(value, list) and all(isinstance(one, Part) for one in value), "a list of Parts"),
    "bytes_of_state": (_is_number, "a number"),
}


def guarded(kind: type[Scheme], path: str) -> type[Scheme]:
    """The same definition; what goes wrong in it is a SchemeError that names the place in its file ``path``."""
    members: dict[str, Any] = {}
    for name in (*_CALLBACKS, *_QUESTIONS):
        method = getattr(kind, name, None)
        if method is not None and method.__module__ not in _OURS:
            members[name] = _guarded(kind.name, path, name, method)
    if kind.cost_of.__func__.__module__ not in _OURS:  # type: ignore[attr-defined]
        members["cost_of"] = classmethod(_guarded_cost(kind, path))
    members["__doc__"] = kind.__doc__
    made: type[Scheme] = new_class(kind.__name__, (kind,), {"register": False}, lambda space: space.update(members))
    return made


def _guarded(scheme: str, path: str, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    fits, wanted = _QUESTIONS.get(name, (lambda value: True, ""))
    handles = name in _CALLBACKS

    @wraps(method)
    def call(self: Scheme, *args: Any, **kwargs: Any) -> Any:
        try:
            answer = method(self, *args, **kwargs)
        except SchemeError:
            raise
        except Exception as error:
            event = args[0] if handles and args else None
            raise SchemeError(scheme, name, error_text(error, path), event) from error
        if not fits(answer):
            raise SchemeError(scheme, name, f"answered {answer!r}, which is not {wanted}")
        return answer

    return call


def _guarded_cost(kind: type[Scheme], path: str) -> Callable[..., Cost]:
    def cost_of(_: type[Scheme], *args: Any) -> Cost:
        try:
            cost = kind.cost_of(*args)
        except Exception as error:
            raise SchemeError(kind.name, "cost_of", error_text(error, path), args[0]) from error
        if not isinstance(cost, Cost):
            raise SchemeError(kind.name, "cost_of", f"answered {cost!r}, which is not a Cost")
        return cost

    return cost_of


def error_text(error: BaseException, path: str) -> str:
    """``ZeroDivisionError: division by zero, at mine.py:12``: an error and the place in a file that it came through."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    line = line_of(error, path)
    return f"{text}, at {path}:{line}" if line else text


def line_of(error: BaseException, path: str) -> int:
    """The innermost line of a file that an error came through; 0 if it did not."""
    lines = [frame.lineno or 0 for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return lines[-1] if lines else 0
