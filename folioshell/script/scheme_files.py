"""Schemes from files: a Python file is executed, and a session counts with the schemes that it defines.

Rules:
- The file is executed once, as a module of its own; the registry of schemes is restored afterwards.
- Any error while loading is a refusal that names file and line.
- Any error while counting is a SchemeError that names the scheme, its method and the line, not an internal error. The
  guard that reports it is a subclass, so everything that asks for a kind of scheme gets the same answer as before.
- Only methods that may run the author's code are guarded: those of ``schemes.base`` and ``schemes.order0`` do not.
"""

from __future__ import annotations

import ast
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from types import ModuleType, new_class
from typing import Any

from folioshell.commands.schemes import RESERVED, is_scheme_word
from folioshell.errors import Refused, SchemeError
from folioshell.events import CALLBACKS
from folioshell.schemes import all_schemes, base, order0
from folioshell.schemes.base import Answer, Law, Part, Scheme, Sharing, UnknownCallback
from folioshell.schemes.cost import Cost
from folioshell.script.script import read_text
from folioshell.session.session import Session
from folioshell.session.workspace import LoadedScheme


def guarded_schemes(path: str) -> list[LoadedScheme]:
    """The schemes of a file, guarded.

    Raises:
        Refused: the file cannot be read, raises, or defines no usable scheme.
    """
    return [LoadedScheme(guarded(kind, path), str(Path(path).absolute())) for kind in load_schemes(path)]


def load_into(session: Session, path: str) -> list[LoadedScheme]:
    """Let a session count with the schemes of a file; they replace those of an earlier load of the same file.

    Raises:
        Refused: the file defines no usable scheme, or a name is in use; the session is unchanged.
        SchemeError: one of them raised while the history was replayed; the session is unchanged.
    """
    loaded = guarded_schemes(path)
    for name, other in session.loaded_schemes.items():
        if any(name == one.scheme.name and one.path != other.path for one in loaded):
            raise Refused(f"the name {name} is already used by {other.path}", file=path)
    session.load(loaded)
    return loaded


def load_schemes(path: str) -> list[type[Scheme]]:
    """The schemes that a file registers, in that order.

    Raises:
        Refused: as in ``guarded_schemes``.
    """
    text = read_text(path)
    kinds = _executed(path, text)
    lines = _class_lines(text)
    for kind in kinds:
        problem = next(_problems(kind), "")
        if problem:
            line = lines.get(kind.__name__, 0)
            raise Refused(f"{kind.__name__}: {problem}", file=path, line=line, text=_line(text, line))
    if not kinds:
        hint = "subclass folioshell.schemes.base.Scheme; docs/schemes-own.md shows one"
        raise Refused("this file defines no scheme", file=path, hint=hint)
    return kinds


def _executed(path: str, text: str) -> list[type[Scheme]]:
    """The schemes that executing the text registers; the registry is restored."""
    before = dict(Scheme.registry)
    try:
        code = compile(text, path, "exec")
    except SyntaxError as error:
        start = (error.offset or 1) - 1
        line = (error.text or "").rstrip("\n")
        raise Refused(error.msg, start=start, end=start + 1, text=line, file=path, line=error.lineno or 0) from None
    except ValueError as error:
        raise Refused(str(error), file=path) from None
    module = ModuleType(f"folioshell definition {path}")
    module.__file__ = path
    # dataclasses looks up the module of the class.
    sys.modules[module.__name__] = module
    try:
        exec(code, module.__dict__)
    except UnknownCallback as error:
        hint = f"did you mean `{error.nearest}`?" if error.nearest else ""
        raise Refused(
            error.message, file=path, line=error.line, text=_line(text, error.line), allowed=error.allowed, hint=hint
        ) from None
    except (Exception, SystemExit) as error:
        line_number = line_of(error, path)
        message = f"{type(error).__name__}: {error}"
        raise Refused(message, file=path, line=line_number, text=_line(text, line_number)) from error
    finally:
        made = [kind for name, kind in Scheme.registry.items() if before.get(name) is not kind]
        Scheme.registry.clear()
        Scheme.registry.update(before)
    return made


def _class_lines(text: str) -> dict[str, int]:
    return {node.name: node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)}


def _line(text: str, number: int) -> str:
    lines = text.splitlines()
    return lines[number - 1] if 0 < number <= len(lines) else ""


def _problems(kind: type[Scheme]) -> Iterator[str]:
    """Why a class cannot be used as a scheme."""
    # The author's declarations are unchecked.
    name: Any = kind.name
    place: Any = kind.place
    if not isinstance(name, str) or not is_scheme_word(name):
        also = ", ".join(RESERVED)
        yield f"invalid name {name!r}: a letter, then letters, digits, . _ or -; no id, and none of {also}"
    if name in all_schemes():
        yield f"the name {name} is already used by a built-in scheme"
    if inspect.isabstract(kind):
        yield f"abstract methods not implemented: {', '.join(sorted(kind.__abstractmethods__))}"
    for attribute in ("version", "state"):
        if not isinstance(getattr(kind, attribute, None), str):
            yield f"{attribute} is missing or not a string"
    about = getattr(kind, "about", None)
    if not isinstance(about, tuple) or len(about) != 2 or not all(isinstance(line, str) for line in about):
        yield "about is missing or not a tuple of two strings"
    if not all(isinstance(law, Law) for law in kind.laws):
        yield "laws must contain only Law members"
    if not isinstance(place, int):
        yield "place is not a number"
    try:
        kind()
    except Exception as error:  # noqa: BLE001 - arbitrary code of the author
        yield f"cannot be instantiated: {type(error).__name__}: {error}"


_OURS = (base.__name__, order0.__name__)
#: methods that get an event as their only argument
_CALLBACKS = (*CALLBACKS.values(), "count_large", "count_small")


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


#: question -> (check of its answer, what it must be)
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
    """A subclass whose errors are SchemeErrors that name the place in its file ``path``."""
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
            raise SchemeError(scheme, name, f"returned {answer!r}, which is not {wanted}")
        return answer

    return call


def _guarded_cost(kind: type[Scheme], path: str) -> Callable[..., Cost]:
    def cost_of(_: type[Scheme], *args: Any) -> Cost:
        try:
            cost = kind.cost_of(*args)
        except Exception as error:
            raise SchemeError(kind.name, "cost_of", error_text(error, path), args[0]) from error
        if not isinstance(cost, Cost):
            raise SchemeError(kind.name, "cost_of", f"returned {cost!r}, which is not a Cost")
        return cost

    return cost_of


def error_text(error: BaseException, path: str) -> str:
    """``ZeroDivisionError: division by zero, at mine.py:12``: an error and its innermost line in a file."""
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    line = line_of(error, path)
    return f"{text}, at {path}:{line}" if line else text


def line_of(error: BaseException, path: str) -> int:
    """The innermost line of a file in an error's traceback; 0 if it is not there."""
    lines = [frame.lineno or 0 for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    return lines[-1] if lines else 0
