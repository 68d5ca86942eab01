"""A package imports only what lies on a lower layer, and only the third-party packages that it may."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repo.tree import PACKAGE, import_name, modules, parsed

#: highest first; packages of one line may not import each other
LAYERS = (
    {"cli", "__main__"},
    {"shell", "testing"},
    {"views", "export", "scenario", "recording"},
    {"commands"},
    {"session"},
    {"engine"},
    {"schemes", "paths", "trace"},
    {"model", "report"},
    {"facts"},
    {"units", "errors"},
)
#: what a layer may not import although it lies below
FORBIDDEN = {"schemes": {"model"}}
#: third-party package -> parts that may import it; the rest of folioshell may import none
THIRD_PARTY = {
    "prompt_toolkit": {"shell"},
    "rich": {"views"},
    "pydantic": {"export", "scenario", "recording", "cli"},
}
#: modules of the standard library that make a result depend on when and where it was made
IMPURE_MODULES = {"os", "random", "time", "datetime", "uuid", "secrets", "threading", "asyncio", "subprocess", "socket"}
IMPURE_BUILTINS = {"print", "input", "open", "id", "exec", "eval", "breakpoint"}
PURE = {"units", "errors", "facts", "model", "report", "schemes", "paths", "trace", "engine", "session", "commands"}

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


@pytest.mark.parametrize("path", modules(), ids=import_name)
def test_layers(path: Path) -> None:
    """A module imports only its own package and lower layers."""
    own = part_of(import_name(path))
    for line, name in imports(path):
        if not name.startswith(f"{PACKAGE}."):
            continue
        other = part_of(name)
        if other == "__version__":
            continue

        assert own in RANK, f"{own} has no layer: add it to LAYERS"
        assert other == own or RANK[other] < RANK[own], f"{path}:{line}: {own} imports {other}"
        assert other not in FORBIDDEN.get(own, ()), f"{path}:{line}: {own} imports {other}"


@pytest.mark.parametrize("path", modules(), ids=import_name)
def test_third_party(path: Path) -> None:
    """prompt_toolkit, rich and pydantic stay in their corners, and nothing else is imported at all."""
    import sys

    own = part_of(import_name(path))
    for line, name in imports(path):
        root = name.split(".")[0]
        if root == PACKAGE or root in sys.stdlib_module_names:
            continue

        assert own in THIRD_PARTY.get(root, ()), f"{path}:{line}: {own} imports {root}"


@pytest.mark.parametrize("path", [path for path in modules() if part_of(import_name(path)) in PURE], ids=import_name)
def test_no_clock_chance_or_terminal(path: Path) -> None:
    """Below views nothing reads the clock, rolls dice, looks at the environment or talks to a terminal."""
    for line, name in imports(path):
        assert name.split(".")[0] not in IMPURE_MODULES, f"{path}:{line}: imports {name}"
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in IMPURE_BUILTINS, f"{path}:{node.lineno}: calls {node.func.id}()"


def test_the_check_sees_a_wrong_import(tmp_path: Path) -> None:
    """Imports within functions and under TYPE_CHECKING are seen, too."""
    module = tmp_path / "module.py"
    module.write_text("def f():\n    from folioshell import model\n    import rich.table\n")

    assert list(imports(module)) == [(2, "folioshell.model"), (3, "rich.table")]
