"""Scripts are collected by the project's own plugin, also where folioshell is not installed."""

from __future__ import annotations

import os
from importlib import import_module

import pytest

#: the name of its entry point, and of its module
PLUGIN = "folioshell.testing.plugin"


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin unless its entry point did; forget the width that pytest-xdist sets for its workers."""
    os.environ.pop("COLUMNS", None)
    if not config.pluginmanager.hasplugin(PLUGIN):
        config.pluginmanager.register(import_module(PLUGIN), PLUGIN)
