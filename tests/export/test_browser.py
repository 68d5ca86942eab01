"""Pages in a real browser: Debian's chromium, driven by playwright-core, judged by axe-core; only where they are there.

docs/output.md has the command that installs and runs them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.docs.scenario_index import FOLDER
from tests.export.pages import LESSON, page_of, script, script_text

pytestmark = pytest.mark.full

SCRIPTS = ("class/03-cow.fs", "class/06-straddle.fs", "mail/pmd-split.fs", "locks/l2-abba.fs")
#: a question about a command that is no step
QUERY = "mmap buf 4\n? vmas A == 1 | How many?\nquery present? buf[0]\nexpect vmas A == 1\n"
NAMES = ("lesson", *SCRIPTS)


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Name -> what the browser found on the page."""
    chromium, node = shutil.which("chromium"), shutil.which("node")
    modules = os.environ.get("FOLIOSHELL_NODE_MODULES", "")
    if chromium is None or node is None:
        pytest.skip("chromium and node are not installed")
    if not all((Path(modules) / "node_modules" / name).is_dir() for name in ("playwright-core", "axe-core")):
        pytest.skip("playwright-core and axe-core are not in $FOLIOSHELL_NODE_MODULES")
    folder = tmp_path_factory.mktemp("pages")
    texts = {"lesson": LESSON, "held": QUERY}
    found = {
        **{name: script_text(folder, text) for name, text in texts.items()},
        **{name: script(FOLDER / name) for name in SCRIPTS},
    }
    paths = {}
    for at, (name, one) in enumerate(found.items()):
        path = paths[name] = folder / f"{at}.html"
        path.write_text(page_of(one).html, encoding="utf-8")
    command = [node, str(Path(__file__).with_name("browser.mjs")), modules, chromium, *map(str, paths.values())]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    return {name: {"path": str(path), **told[str(path)]} for name, path in paths.items()}


@pytest.mark.parametrize("name", NAMES)
def test_one_request_and_no_error(findings: dict[str, dict[str, Any]], name: str) -> None:
    """The browser asks for the file and nothing else, and has nothing to complain about."""
    page = findings[name]

    assert page["requests"] == [page["path"]]
    assert page["errors"] == []


@pytest.mark.parametrize("name", NAMES)
def test_accessible(findings: dict[str, dict[str, Any]], name: str) -> None:
    """No rule of axe is broken, light and dark, and nothing moves for those who want no motion."""
    assert findings[name]["axe"] == []
    assert findings[name]["moves"] == 0


@pytest.mark.parametrize("name", NAMES)
def test_without_script(findings: dict[str, dict[str, Any]], name: str) -> None:
    """All steps are visible, each begins a page in print, and nothing is wider than the window, from 320 pixels on."""
    page = findings[name]

    assert page["without"] == len(page["sections"])
    assert page["breaks"] == ["auto", *["page"] * (len(page["sections"]) - 1)]
    assert page["printed"] >= len(page["sections"])
    assert page["overflow"] == [0, 0, 0, 0]


@pytest.mark.parametrize("name", NAMES)
def test_keys(findings: dict[str, dict[str, Any]], name: str) -> None:
    """One step is shown; arrows, Home and End move, the heading has the focus, the address and the slider say where."""
    page = findings[name]
    first, second, third, *_ = page["sections"]
    last = page["sections"][-1]

    assert page["shown"] == [first]
    assert [shown for shown, _ in page["keys"]] == [second, third, second, last, first]
    for shown, said in page["keys"]:
        assert said.startswith(f"H2 #{shown} ") and len(said) > len(f"H2 #{shown} ")
    assert page["linked"] == [last]


def test_a_form_answers(findings: dict[str, dict[str, Any]]) -> None:
    """A wrong answer is told why, without the right one; the right one opens the explanation."""
    assert findings["lesson"]["answers"] == ["Not 9999.", "Not 4: Page 0 alone is in f1.", "Right.", True]


def test_what_follows_a_question_is_held_back(findings: dict[str, dict[str, Any]]) -> None:
    """The output of the command that it is about is seen once the question is answered."""
    assert findings["class/06-straddle.fs"]["held"] >= 0
    assert (findings["held"]["held"], findings["held"]["revealed"]) == (3, False)


def test_a_schedule_is_stepped(findings: dict[str, dict[str, Any]]) -> None:
    """At the first step of a race all later ones are dimmed."""
    steps, late, said = findings["locks/l2-abba.fs"]["race"]

    assert (steps - late, steps > 10) == (1, True)
    assert said.strip().startswith(f"step 1 of {steps}: A.t1")
