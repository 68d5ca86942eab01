"""Public names say what they are, and references to the kernel have one form that a program can read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repo.docstrings import (
    KERNEL_FILE,
    KERNEL_LINE,
    Documented,
    Symbol,
    documented,
    kernel_references,
    kernel_symbols,
)
from tests.repo.tree import ROOT, import_name, modules, parsed


def public(path: Path) -> Iterator[tuple[str, Documented]]:
    """The module, and its public classes, functions and methods; the members of a Protocol need no docstring."""
    tree = parsed(path)
    yield import_name(path), tree
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _methods(node)


def _methods(node: ast.ClassDef) -> Iterator[tuple[str, Documented]]:
    if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
        return
    for member in node.body:
        if not isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) or member.name.startswith("_"):
            continue
        if "overload" not in {ast.unparse(decorator) for decorator in member.decorator_list}:
            yield f"{node.name}.{member.name}", member


def test_public_names_have_docstrings() -> None:
    """Every public module, class, function and method has a docstring."""
    without = [f"{path}: {name}" for path in modules() for name, node in public(path) if not ast.get_docstring(node)]

    assert without == []


def test_form_of_kernel_lines() -> None:
    """A reference to the kernel names file, function and version: Kernel: mm/rmap.c: rmap_walk() (v6.18)."""
    wrong = [
        f"{path}: {name}: {reference}"
        for path in modules()
        for name, node in documented(path)
        for reference in kernel_references(ast.get_docstring(node) or "")
        if not KERNEL_LINE.match(reference) and not (isinstance(node, ast.Module) and KERNEL_FILE.match(reference))
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("reference", "right"),
    [
        ("Kernel: mm/rmap.c: rmap_walk() (v6.18)", True),
        ("Kernel: mm/rmap.c: rmap_walk(), folio_referenced() (v6.18); mm/vma.c: __split_vma() (v6.12)", True),
        ("Kernel: include/linux/mm_types.h: struct folio (v6.18)", True),
        ("Kernel: mm/rmap.c: rmap_walk()", False),
        ("Kernel: rmap_walk() (v6.18)", False),
        ("Kernel: mm/rmap.c: rmap_walk() (6.18)", False),
        ("Kernel: see mm/rmap.c (v6.18)", False),
    ],
)
def test_the_form_tells_right_from_wrong(reference: str, right: bool) -> None:
    """The form that the test above asks for accepts what it should and nothing else."""
    assert bool(KERNEL_LINE.match(reference)) == right


def test_names_in_kernel_lines() -> None:
    """Each name of a line comes with its file and version, also where the line is continued."""
    docstring = """What it does.

    Kernel: mm/rmap.c: rmap_walk(), folio_referenced() (v6.18);
        mm/rmap.c, the comment "Lock ordering in mm" (v6.12, and later)
    """
    assert list(kernel_symbols(docstring)) == [
        Symbol("mm/rmap.c", "rmap_walk()", "v6.18"),
        Symbol("mm/rmap.c", "folio_referenced()", "v6.18"),
        Symbol("mm/rmap.c", 'the comment "Lock ordering in mm"', "v6.12, and later"),
    ]


def test_tests_state_their_facts() -> None:
    """Every test has a docstring."""
    without = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert without == []
