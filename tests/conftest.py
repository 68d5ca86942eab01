"""How tests run: the project's own plugin, profiles of hypothesis, and no limit of time for scripts.

``pytest`` runs what a change needs; ``pytest -m full`` whole sweeps, and every property with many more examples.
FOLIOSHELL_EXAMPLES=5000 in the environment tries so many of each property that is run, other ones each time.
"""

from __future__ import annotations

import os
from importlib import import_module

import pytest
from hypothesis import settings

#: the name of its entry point, and of its module
PLUGIN = "folioshell.testing.plugin"

_EXAMPLES = int(os.environ.get("FOLIOSHELL_EXAMPLES", "0"))
# No deadline: how long an example takes says more of what else runs than of the property. The same examples each time.
_ALWAYS = settings(deadline=None, derandomize=True, database=None, print_blob=True)
settings.register_profile("default", _ALWAYS, max_examples=60, stateful_step_count=20)
settings.register_profile("full", _ALWAYS, max_examples=600, stateful_step_count=40)
settings.register_profile("new", _ALWAYS, max_examples=_EXAMPLES or 1, stateful_step_count=40, derandomize=False)


def pytest_configure(config: pytest.Config) -> None:
    """Register the plugin unless its entry point did, and choose the profile that goes with ``-m``."""
    # pytest-xdist sets a width for its workers.
    os.environ.pop("COLUMNS", None)
    if not config.pluginmanager.hasplugin(PLUGIN):
        config.pluginmanager.register(import_module(PLUGIN), PLUGIN)
    settings.load_profile("new" if _EXAMPLES else "full" if config.option.markexpr == "full" else "default")
    # A busy machine must not fail a script: the limit that scripts have unless told otherwise counts no seconds.
    runner = import_module("folioshell.script.runner")
    budget = runner.Budget
    default = runner.STRICT.seconds
    runner.Budget = lambda limits: budget(limits._replace(seconds=None) if limits.seconds == default else limits)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Properties belong to both runs."""
    if config.option.markexpr == "full":
        for item in items:
            if getattr(getattr(item, "obj", None), "is_hypothesis_test", False):
                item.add_marker("full")
