"""The generated pages of docs/: ``python -m tests.docs.pages`` writes them all."""

from __future__ import annotations

from folioshell.commands.glossary import glossary_page
from folioshell.commands.reference import reference
from tests.docs.events import schemes_own_page
from tests.docs.history import history_page
from tests.docs.kernel_map import kernel_map
from tests.docs.live_results import fidelity_page
from tests.docs.matrix import definitions_page
from tests.docs.picture import NAME, picture
from tests.docs.releases import releases_page
from tests.docs.scenario_index import scenario_index
from tests.docs.schemes_page import schemes_page
from tests.docs.tutorial import teaching, tutorial
from tests.repo.tree import ROOT

#: file of docs/ -> the function that returns its text
PAGES = {
    "commands.md": reference,
    "definitions.md": definitions_page,
    "fidelity.md": fidelity_page,
    "glossary.md": glossary_page,
    "history-of-mapcounts.md": history_page,
    "kernel-map.md": kernel_map,
    "releases.md": releases_page,
    "scenarios.md": scenario_index,
    "schemes.md": schemes_page,
    "schemes-own.md": schemes_own_page,
    "teaching.md": teaching,
    "tutorial.md": tutorial,
    NAME: picture,
}


def write() -> None:
    """Write every file."""
    for name, page in PAGES.items():
        (ROOT / "docs" / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write()
