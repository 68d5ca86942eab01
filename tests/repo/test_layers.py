"""A package imports only what lies on a lower layer, and only the third-party packages that it may."""

from __future__ import annotations

import ast
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from tests.repo.tree import PACKAGE, import_name, modules, parsed

#: highest first; packages of one line may not import each other
LAYERS = (
    {"__main__"},
    {"cli"},
    {"command_line", "testing"},
    {"shell"},
    {"views", "export", "script", "recording"},
    {"commands"},
    {"session"},
    {"explore"},
    {"engine", "contract"},
    {"schemes", "paths", "trace"},
    {"model", "report"},
    {"events"},
    {"units", "errors", "intervals", "wording"},
    {"records"},
    # The recorder, which a virtual machine runs without the rest.
    {"live"},
)
#: what a layer may not import although it lies below
FORBIDDEN = {"schemes": {"model"}}
#: third-party package -> parts that may import it; the rest of folioshell may import none
THIRD_PARTY = {
    "prompt_toolkit": {"shell"},
    "rich": {"views"},
    "pytest": {"testing"},
    "pydantic": {"export"},
}
#: modules of the standard library that make a result depend on when and where it was made
IMPURE_MODULES = {"os", "random", "time", "datetime", "uuid", "secrets", "threading", "asyncio", "subprocess", "socket"}
IMPURE_BUILTINS = {"print", "input", "open", "id", "exec", "eval", "breakpoint"}
PURE = {
    *("units", "errors", "intervals", "wording", "events", "model", "report", "schemes", "paths", "trace"),
    *("engine", "contract", "explore", "session", "commands"),
}
#: part -> impure builtins that it may use: an identity finds an object again, and never reaches a key or a reader
EXEMPT = {"explore": {"id"}}

#: parts whose modules still form larger cycles
CYCLIC: set[str] = set()

RANK = {part: len(LAYERS) - at for at, parts in enumerate(LAYERS) for part in parts}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every module that a file imports anywhere, imports for types only too."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            if node.module == PACKAGE:
                yield from ((node.lineno, f"{PACKAGE}.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, str(node.module)


def part_of(name: str) -> str:
    """The layer's word in a dotted name: folioshell.model.folio -> model."""
    return name.split(".")[1] if name.count(".") else ""


def own_imports() -> Iterator[tuple[str, str, str]]:
    """(place, own layer, imported layer) of every import of one part of folioshell by another."""
    for path in modules():
        own = part_of(import_name(path))
        for line, name in imports(path):
            other = part_of(name)
            if name.startswith(f"{PACKAGE}.") and other not in (own, "__version__"):
                yield f"{path}:{line}", own, other


def test_every_part_has_a_layer() -> None:
    """A new package is given its place in the table above."""
    assert {part_of(import_name(path)) for path in modules()} - {""} <= RANK.keys()


def test_layers() -> None:
    """A module imports only its own package and lower layers."""
    wrong = [
        f"{place}: {own} imports {other}"
        for place, own, other in own_imports()
        if RANK[other] >= RANK[own] or other in FORBIDDEN.get(own, ())
    ]
    assert wrong == []


def test_third_party() -> None:
    """prompt_toolkit, rich and pydantic stay in their corners, and nothing else is imported at all."""
    wrong = [
        f"{path}:{line}: imports {name}"
        for path in modules()
        for line, name in imports(path)
        if (root := name.split(".")[0]) != PACKAGE
        and root not in sys.stdlib_module_names
        and part_of(import_name(path)) not in THIRD_PARTY.get(root, ())
    ]
    assert wrong == []


def test_no_clock_chance_or_terminal() -> None:
    """Below views nothing reads the clock, rolls dice, looks at the environment or talks to a terminal."""
    pure = [path for path in modules() if part_of(import_name(path)) in PURE]
    imported = [
        f"{path}:{line}: imports {name}"
        for path in pure
        for line, name in imports(path)
        if name.split(".")[0] in IMPURE_MODULES
    ]
    called = [
        f"{path}:{node.lineno}: calls {node.func.id}()"
        for path in pure
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in IMPURE_BUILTINS - EXEMPT.get(part_of(import_name(path)), set())
    ]
    assert imported + called == []


def reachable(graph: dict[str, set[str]], start: str) -> set[str]:
    """The modules that a module imports, directly or not."""
    found: set[str] = set()
    pending = [start]
    while pending:
        new = graph[pending.pop()] - found
        found |= new
        pending += new
    return found


def test_no_cycle_of_more_than_three_modules() -> None:
    """Few modules know each other, imports for types only included: what they say is read together."""
    names = {import_name(path): path for path in modules()}
    graph = {name: {target for target in imported(path, names) if target != name} for name, path in names.items()}
    ways = {name: reachable(graph, name) for name in graph}
    cycles = {tuple(sorted(other for other in ways[name] if name in ways[other])) for name in graph}

    assert [cycle for cycle in cycles if len(cycle) > 3 and part_of(cycle[0]) not in CYCLIC] == []


def imported(path: Path, names: Collection[str]) -> Iterator[str]:
    """The modules of folioshell that a module imports."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield from (name for name in (full if full in names else node.module,) if name in names)


def test_the_check_sees_a_wrong_import(tmp_path: Path) -> None:
    """Imports within functions and under TYPE_CHECKING are seen, too."""
    module = tmp_path / "module.py"
    module.write_text("def f():\n    from folioshell import model\n    import rich.table\n")

    assert list(imports(module)) == [(2, "folioshell.model"), (3, "rich.table")]
