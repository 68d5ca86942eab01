"""Schemes and protocols from files: a Python file is executed, and a session uses what it defines.

Rules:
- The file is executed once, as a module of its own; the registries are restored afterwards.
- Any error while loading is a refusal that names file and line.
- Each round of a loop of the file is noticed, so that a protocol whose loop never ends is an error, too.
- Any error while counting is a SchemeError that names the scheme, its method and the line, not an internal error. The
  guard that reports it is a subclass, so everything that asks for a kind of scheme gets the same answer as before.
  Protocols need none: ``paths.protocol.steps`` runs every call of a protocol.
- Only methods that may run the author's code are guarded: those of ``schemes.base`` and ``schemes.order0`` do not.
"""

from __future__ import annotations

import ast
import inspect
import sys
import traceback
from collections.abc import Callable, Collection, Iterator
from functools import wraps
from pathlib import Path
from types import ModuleType, new_class
from typing import Any, TypeVar

from folioshell.commands.schemes import RESERVED, is_scheme_word
from folioshell.errors import Refused, SchemeError
from folioshell.events import CALLBACKS
from folioshell.paths.protocol import PATIENCE, EndlessLoop, Protocol
from folioshell.paths.vma_protocols import PROTOCOLS
from folioshell.records import NamedTuple
from folioshell.schemes import all_schemes, base, order0
from folioshell.schemes.base import Answer, Law, Part, Scheme, Sharing, UnknownCallback
from folioshell.schemes.cost import Cost
from folioshell.script.script import read_text
from folioshell.session.session import Session
from folioshell.session.workspace import LoadedProtocol, LoadedScheme

K = TypeVar("K")


class Defined(NamedTuple):
    """What a file defines, in that order."""

    schemes: list[type[Scheme]]
    protocols: list[type[Protocol]]

    @property
    def names(self) -> list[str]:
        """All names."""
        return [*(kind.name for kind in self.schemes), *(kind.name for kind in self.protocols)]


#: what can be loaded -> its base class, and the page that shows one
_BASES = {
    "scheme": ("folioshell.schemes.base.Scheme", "docs/schemes-own.md"),
    "protocol": ("folioshell.paths.protocol.Protocol", "docs/protocols-own.md"),
}


def load_into(session: Session, path: str, word: str = "scheme") -> Defined:
    """Let a session use the schemes and protocols of a file; they replace those of an earlier load of the same file.

    Args:
        word: what the file must define at least one of: ``scheme`` or ``protocol``.
    Raises:
        Refused: the file defines nothing usable, or a name is in use; the session is unchanged.
        LoadedCodeError: some of it failed while the history was replayed; the session is unchanged.
    """
    defined = load_file(path, word)
    place = str(Path(path).absolute())
    used = {name: one.path for name, one in session.loaded_schemes.items()}
    used |= {name: one.path for name, one in session.loaded_protocols.items()}
    for name in defined.names:
        if used.get(name, place) != place:
            raise Refused(f"the name {name} is already used by {used[name]}", file=path)
    known = [*session.workspace.machine.schemes, *(kind.name for kind in defined.schemes)]
    for kind in defined.protocols:
        check_definition(kind, known)
    schemes = [LoadedScheme(guarded(kind, path), place) for kind in defined.schemes]
    session.load(schemes, [LoadedProtocol(kind, place) for kind in defined.protocols])
    return defined


def check_definition(kind: type[Protocol], schemes: Collection[str]) -> None:
    """Check that the scheme exists that defines what a protocol counts.

    Raises:
        Refused: it does not.
    """
    if kind.scheme not in schemes:
        message = f"{kind.__name__}: there is no scheme {kind.scheme}, which would define what it counts"
        raise Refused(message, file=kind.path, allowed=[*schemes], hint="`load scheme` loads one from a file")


def load_file(path: str, word: str = "scheme") -> Defined:
    """The schemes and protocols that a file registers.

    Raises:
        Refused: the file cannot be read, raises, or defines no usable scheme, or protocol, as ``word`` says.
    """
    text = read_text(path)
    defined = _executed(path, text)
    problems: list[tuple[type, str]] = [(kind, problem) for kind in defined.schemes for problem in _problems(kind)]
    problems += [(kind, problem) for kind in defined.protocols for problem in _protocol_problems(kind)]
    for kind, problem in problems:
        line = _class_lines(text).get(kind.__name__, 0)
        raise Refused(f"{kind.__name__}: {problem}", file=path, line=line, text=_line(text, line))
    if not (defined.schemes if word == "scheme" else defined.protocols):
        base, page = _BASES[word]
        raise Refused(f"this file defines no {word}", file=path, hint=f"subclass {base}; {page} shows one")
    return defined


class _Rounds(ast.NodeTransformer):
    """Lets every loop notice its rounds: see ``paths.protocol.Patience``."""

    def visit_While(self, node: ast.While) -> ast.AST:
        """A while loop."""
        return self._noticing(node)

    def visit_For(self, node: ast.For) -> ast.AST:
        """A for loop."""
        return self._noticing(node)

    def _noticing(self, node: ast.While | ast.For) -> ast.AST:
        self.generic_visit(node)
        call = ast.Expr(ast.Call(ast.Name(_NOTICE, ast.Load()), [], []))
        node.body.insert(0, ast.copy_location(call, node))
        return node


#: what the loops of a file call
_NOTICE = "__folioshell_round__"


def _executed(path: str, text: str) -> Defined:
    """What executing the text registers; the registries are restored."""
    schemes, protocols = dict(Scheme.registry), dict(Protocol.registry)
    try:
        tree = ast.fix_missing_locations(_Rounds().visit(ast.parse(text, path)))
        code = compile(tree, path, "exec")
    except SyntaxError as error:
        start = (error.offset or 1) - 1
        line = (error.text or "").rstrip("\n")
        raise Refused(error.msg, start=start, end=start + 1, text=line, file=path, line=error.lineno or 0) from None
    except ValueError as error:
        raise Refused(str(error), file=path) from None
    # As a module of the package: the explorer copies objects of its classes.
    module = ModuleType(f"folioshell.loaded {path}")
    module.__file__ = path
    module.__dict__[_NOTICE] = PATIENCE.notice
    # dataclasses looks up the module of the class.
    sys.modules[module.__name__] = module
    try:
        PATIENCE.begin()
        exec(code, module.__dict__)
    except UnknownCallback as error:
        hint = f"did you mean `{error.nearest}`?" if error.nearest else ""
        raise Refused(
            error.message, file=path, line=error.line, text=_line(text, error.line), allowed=error.allowed, hint=hint
        ) from None
    except (Exception, SystemExit, EndlessLoop) as error:
        line_number = line_of(error, path)
        message = f"{type(error).__name__}: {error}"
        raise Refused(message, file=path, line=line_number, text=_line(text, line_number)) from error
    finally:
        PATIENCE.end()
        made = Defined(_registered(Scheme.registry, schemes), _registered(Protocol.registry, protocols))
    for kind in made.protocols:
        kind.path = path
    return made


def _registered(registry: dict[str, K], before: dict[str, K]) -> list[K]:
    """What a registry has besides what it had before, which it is given back."""
    made = [kind for name, kind in registry.items() if before.get(name) is not kind]
    registry.clear()
    registry.update(before)
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


def _protocol_problems(kind: type[Protocol]) -> Iterator[str]:
    """Why a class cannot be used as a protocol."""
    name: Any = kind.name
    if not isinstance(name, str) or not is_scheme_word(name):
        yield f"invalid name {name!r}: a letter, then letters, digits, . _ or -; no id, and not none"
    if name in PROTOCOLS:
        yield f"the name {name} is already used by a built-in protocol"
    if inspect.isabstract(kind):
        yield f"abstract methods not implemented: {', '.join(sorted(kind.__abstractmethods__))}"
    for attribute in ("about", "scheme"):
        if not isinstance(getattr(kind, attribute, None), str):
            yield f"{attribute} is missing or not a string"
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
    members["__doc__"], members["__module__"] = kind.__doc__, kind.__module__
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
