"""Public names say what they are, and references to the kernel have one form that a program can read."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repo.tree import ROOT, import_name, modules, parsed

# Kernel: mm/rmap.c: rmap_walk(), folio_referenced() (v6.18); mm/vma.c: __split_vma() (v6.18)
_SYMBOL = r'(?:struct )?\w+(?:\(\))?|the comment "[^"]+"'
_REFERENCE = rf"[\w./-]+\.(?:[chS]|rst)(?:: |, )(?:{_SYMBOL})(?:, (?:{_SYMBOL}))* \(v\d+\.\d+(?:, [^()]+)?\)"
_KERNEL_LINE = re.compile(rf"Kernel: {_REFERENCE}(?:; {_REFERENCE})*\Z")
# A module may follow a whole file: Kernel: mm/rmap.c (v6.18)
_KERNEL_FILE = re.compile(r"Kernel: [\w./-]+\.[chS](?:, [\w./-]+\.[chS])* \(v\d+\.\d+\)\Z")

_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def documented(path: Path) -> Iterator[tuple[str, _Documented]]:
    """(name, node) of everything in a module that may have a docstring, the module itself first."""
    tree = parsed(path)
    yield import_name(path), tree
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node


def public(path: Path) -> Iterator[tuple[str, _Documented]]:
    """The module, and its public classes, functions and methods; the members of a Protocol need no docstring."""
    tree = parsed(path)
    yield import_name(path), tree
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _methods(node)


def _methods(node: ast.ClassDef) -> Iterator[tuple[str, _Documented]]:
    if any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
        return
    for member in node.body:
        if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and not member.name.startswith("_"):
            yield f"{node.name}.{member.name}", member


def test_public_names_have_docstrings() -> None:
    """Every public module, class, function and method has a docstring."""
    without = [f"{path}: {name}" for path in modules() for name, node in public(path) if not ast.get_docstring(node)]

    assert without == []


def kernel_references(docstring: str) -> Iterator[str]:
    """The Kernel: lines of a docstring; lines that are set in further continue the one before."""
    lines = docstring.splitlines()
    for at, line in enumerate(lines):
        if not line.strip().startswith("Kernel:"):
            continue
        indent = len(line) - len(line.lstrip())
        reference = line.strip()
        for later in lines[at + 1 :]:
            if not later.strip() or len(later) - len(later.lstrip()) <= indent:
                break
            reference += " " + later.strip()
        yield reference


def test_form_of_kernel_lines() -> None:
    """A reference to the kernel names file, function and version: Kernel: mm/rmap.c: rmap_walk() (v6.18)."""
    wrong = [
        f"{path}: {name}: {reference}"
        for path in modules()
        for name, node in documented(path)
        for reference in kernel_references(ast.get_docstring(node) or "")
        if not _KERNEL_LINE.match(reference) and not (isinstance(node, ast.Module) and _KERNEL_FILE.match(reference))
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
    assert bool(_KERNEL_LINE.match(reference)) == right


def test_tests_state_their_facts() -> None:
    """Every test has a docstring."""
    without = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]
    assert without == []
