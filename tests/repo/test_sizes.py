"""Modules and functions stay small enough to be read at once."""

from __future__ import annotations

import ast

from tests.repo.tree import import_name, modules, parsed

MODULE_LINES = 450
#: nine of ten modules have no more lines
MOST_MODULE_LINES = 390
#: in the whole package: 200, and those of new schemes, live runs, lessons and pages
MODULES = 233
FUNCTION_LINES = 60


def test_module_size() -> None:
    """No module has more than 450 lines."""
    sizes = {import_name(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}

    assert {name: size for name, size in sizes.items() if size > MODULE_LINES} == {}


def test_modules_are_few_and_of_a_size() -> None:
    """There are no more modules than agreed, and nine of ten have at most 390 lines."""
    sizes = sorted(len(path.read_text(encoding="utf-8").splitlines()) for path in modules())

    assert len(sizes) <= MODULES
    assert sizes[len(sizes) * 9 // 10] <= MOST_MODULE_LINES


def test_function_size() -> None:
    """No function has more than 60 lines."""
    sizes = {
        f"{path}:{node.lineno}: {node.name}()": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in modules()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: size for name, size in sizes.items() if size > FUNCTION_LINES} == {}


def test_module_name() -> None:
    """No module is named after everything and nothing."""
    vague = {"utils", "util", "helpers", "helper", "common", "manager", "handler", "misc", "core"}

    assert [path for path in modules() if path.stem in vague] == []
