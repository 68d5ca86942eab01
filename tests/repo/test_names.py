"""A class name has one meaning in the whole package."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.repo.tree import modules, parsed


def test_no_class_name_is_defined_twice() -> None:
    """Two classes of one name are two ideas under one word; a private name counts as its public form."""
    places = defaultdict(list)
    for path in modules():
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ClassDef):
                places[node.name.lstrip("_")].append(f"{path}:{node.lineno}")

    assert {name: found for name, found in places.items() if len(found) > 1} == {}
