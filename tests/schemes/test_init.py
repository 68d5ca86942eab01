"""Discovery of schemes, and what their modules may know."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import folioshell.schemes
from folioshell.events import CALLBACKS
from folioshell.schemes import all_schemes
from folioshell.schemes.base import Scheme

PACKAGE = Path(folioshell.schemes.__file__).parent


def imports_of(module: Path) -> set[str]:
    """Modules of folioshell that a file imports, however it does."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module.name} imports relatively"
            names.add(node.module or "")
            if node.module == "folioshell":
                names.remove("folioshell")
                names.update(f"folioshell.{alias.name}" for alias in node.names)
    return {name for name in names if name.split(".")[0] == "folioshell"}


def test_schemes_stand_in_their_reading_order() -> None:
    """Tables show the schemes by place; the names that they are found by are their own."""
    schemes = all_schemes()
    assert list(schemes) == sorted(schemes, key=lambda name: schemes[name].place)
    assert all(kind.name == name for name, kind in schemes.items())
    # Each mail's scheme is followed by its variants; what a release merged comes in the order of releases.
    order = [name for name in schemes if name in ("per-page-v5", "tuples", "vmas", "likely", "mm-id", "average")]
    assert order == ["per-page-v5", "tuples", "vmas", "likely", "mm-id", "average"]


def test_no_two_schemes_share_a_place() -> None:
    """The order is that of the places alone, not of the alphabet."""
    places = [kind.place for kind in all_schemes().values()]
    assert len(set(places)) == len(places)


def test_every_scheme_of_the_package_is_found() -> None:
    """Every class that counts is registered: one for each module that defines a name."""
    modules = {kind.__module__ for kind in all_schemes().values()}
    named = {
        f"folioshell.schemes.{path.stem}"
        for path in PACKAGE.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Assign)
        and any(isinstance(name, ast.Name) and name.id == "name" for name in node.targets)
    }
    assert modules == named


def test_a_scheme_counts_small_folios() -> None:
    """Each has the callbacks that a scheme that counts needs, and every event has a callback."""
    assert {name for name in vars(Scheme) if name.startswith("on_")} == set(CALLBACKS.values())
    for kind in all_schemes().values():
        assert kind.on_mapped is not Scheme.on_mapped
        assert kind.on_unmapped is not Scheme.on_unmapped
        assert kind.on_folio_freed is not Scheme.on_folio_freed


def test_schemes_know_facts_and_nothing_of_the_model() -> None:
    """Every module imports events, errors, intervals, records and modules of this package."""
    allowed = {f"folioshell.schemes.{path.stem}" for path in PACKAGE.glob("*.py")}
    allowed |= {"folioshell.events", "folioshell.errors", "folioshell.intervals", "folioshell.records"}
    for path in sorted(PACKAGE.glob("*.py")):
        assert imports_of(path) <= allowed, path.name


def test_no_scheme_imports_another() -> None:
    """Each can be read, and deleted, alone."""
    defining = {kind.__module__ for kind in all_schemes().values()}
    for module in defining:
        path = PACKAGE / f"{module.rpartition('.')[2]}.py"
        assert not imports_of(path) & defining, path.name


def test_importing_schemes_loads_no_terminal_and_no_model() -> None:
    """Discovery in a fresh interpreter loads none of the packages that belong to higher layers."""
    code = "import sys, folioshell.schemes; print(*sorted(sys.modules))"
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=PACKAGE.parents[1], env=os.environ
    )
    loaded = run.stdout.split()
    assert "folioshell.schemes.mm_id" in loaded
    assert not [name for name in loaded if name.startswith(("rich", "pydantic", "prompt_toolkit", "folioshell.model"))]
