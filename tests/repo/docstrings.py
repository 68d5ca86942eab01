"""Docstrings, and the references to the kernel's source in them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.repo.tree import import_name, parsed

# Kernel: mm/rmap.c: rmap_walk(), folio_referenced() (v6.18); mm/vma.c: __split_vma() (v6.18)
_SYMBOL = r'(?:struct )?\w+(?:\(\))?|the comment "[^"]+"'
_PLACE = r"[\w./-]+\.(?:[chS]|rst)"
_REFERENCE = rf"{_PLACE}(?:: |, )(?:{_SYMBOL})(?:, (?:{_SYMBOL}))* \(v\d+\.\d+(?:, [^()]+)?\)"
#: the form of a line about functions
KERNEL_LINE = re.compile(rf"Kernel: {_REFERENCE}(?:; {_REFERENCE})*\Z")
#: a module may follow a whole file: Kernel: mm/rmap.c (v6.18)
KERNEL_FILE = re.compile(r"Kernel: [\w./-]+\.[chS](?:, [\w./-]+\.[chS])* \(v\d+\.\d+\)\Z")
_PARTS = re.compile(rf"(?P<file>{_PLACE})(?:: |, )(?P<symbols>.*) \((?P<version>v\d+\.\d+[^()]*)\)\Z")

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class Symbol(NamedTuple):
    """A name in the kernel's source: a function, a struct, a comment."""

    file: str
    name: str
    version: str


def documented(path: Path) -> Iterator[tuple[str, Documented]]:
    """(name, node) of everything in a module that may have a docstring, the module itself first.

    What is in a class or function is named as it is reached: ``Folio.dirty``.
    """
    tree = parsed(path)
    yield import_name(path), tree
    yield from _within(tree, "")


def _within(tree: ast.AST, prefix: str) -> Iterator[tuple[str, Documented]]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield prefix + node.name, node
            yield from _within(node, f"{prefix}{node.name}.")
        else:
            yield from _within(node, prefix)


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


def kernel_symbols(docstring: str) -> Iterator[Symbol]:
    """The names of a docstring's Kernel: lines; lines about whole files have none."""
    for reference in kernel_references(docstring):
        for part in reference.removeprefix("Kernel: ").split("; "):
            if match := _PARTS.match(part):
                yield from (Symbol(match["file"], name, match["version"]) for name in match["symbols"].split(", "))
