"""Definitions from files: the schemes of a Python file become such that a session can count by.

Rules:
- The file is executed once, as a module of its own; registering in it changes nothing for anybody else.
- Whatever is wrong with it is a refusal that names file and line.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from folioshell.commands.schemes import RESERVED, is_scheme_word
from folioshell.errors import Refused
from folioshell.schemes import all_schemes
from folioshell.schemes.base import Law, Scheme
from folioshell.script.guard import guarded, line_of
from folioshell.script.script import read_text
from folioshell.session.definition import Definition
from folioshell.session.session import Session


def load_definitions(path: str) -> list[Definition]:
    """The schemes of a file, ready to be counted by.

    Raises:
        Refused: the file cannot be read, raises, or holds no scheme that can be used.
    """
    return [Definition(guarded(kind, path), str(Path(path).absolute())) for kind in load_schemes(path)]


def define(session: Session, path: str) -> list[Definition]:
    """Let a session count by the schemes of a file, in the place of what the file held when it was loaded before.

    Raises:
        Refused: the file holds none that can be used, or a name is in use; nothing was changed.
        SchemeError: one of them raised while the history was replayed for it; nothing was changed.
    """
    loaded = load_definitions(path)
    for name, other in session.definitions.items():
        if any(name == one.scheme.name and one.path != other.path for one in loaded):
            raise Refused(f"the name {name} is in use: {other.path} was loaded with it", file=path)
    session.define(loaded)
    return loaded


def load_schemes(path: str) -> list[type[Scheme]]:
    """The schemes that a file registers, in the order in which it does.

    Raises:
        Refused: as in ``load_definitions``.
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
        raise Refused("there is no scheme in this file", file=path, hint=hint)
    return kinds


def _executed(path: str, text: str) -> list[type[Scheme]]:
    """What executing the text registers; the registry is as before afterwards."""
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
    # Dataclasses look for the module of the class that they are made of.
    sys.modules[module.__name__] = module
    try:
        exec(code, module.__dict__)
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
    """What keeps a class from being used as a scheme."""
    # Nobody has checked the types of what somebody else declares.
    name: Any = kind.name
    place: Any = kind.place
    if not isinstance(name, str) or not is_scheme_word(name):
        also = ", ".join(RESERVED)
        yield f"{name!r} cannot be a name: a letter, then letters, digits, . _ or -; no id, and none of {also}"
    if name in all_schemes():
        yield f"the name {name} is in use: it is a scheme of folioshell"
    if inspect.isabstract(kind):
        yield f"it does not say how it answers: {', '.join(sorted(kind.__abstractmethods__))} missing"
    for attribute in ("version", "state"):
        if not isinstance(getattr(kind, attribute, None), str):
            yield f"{attribute} is missing, or no text"
    about = getattr(kind, "about", None)
    if not isinstance(about, tuple) or len(about) != 2 or not all(isinstance(line, str) for line in about):
        yield "about is missing, or not two lines of text"
    if not all(isinstance(law, Law) for law in kind.laws):
        yield "laws holds what is not a Law"
    if not isinstance(place, int):
        yield "place is not a number"
    try:
        kind()
    except Exception as error:  # noqa: BLE001 - whatever somebody wrote may raise
        yield f"it cannot be made: {type(error).__name__}: {error}"
