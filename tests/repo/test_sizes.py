"""Modules and functions stay small enough to be read at once."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.repo.tree import import_name, modules, parsed

MODULE_LINES = 400
FUNCTION_LINES = 60


@pytest.mark.parametrize("path", modules(), ids=import_name)
def test_module_size(path: Path) -> None:
    """No module has more than 400 lines."""
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MODULE_LINES


@pytest.mark.parametrize("path", modules(), ids=import_name)
def test_function_size(path: Path) -> None:
    """No function has more than 60 lines."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= FUNCTION_LINES, f"{path}:{node.lineno}: {node.name}() has {lines} lines"


@pytest.mark.parametrize("path", modules(), ids=import_name)
def test_module_name(path: Path) -> None:
    """No module is named after everything and nothing."""
    assert path.stem not in {"utils", "util", "helpers", "helper", "common", "manager", "handler", "misc", "core"}
