"""What is tracked: nothing about whoever wrote it or the machine that it was written on, nothing at the top unasked."""

from __future__ import annotations

import re
import subprocess

from tests.repo.tree import ROOT, tracked_files

TOP_LEVEL = {"CHANGELOG.md", "LICENSE", "README.md", "docs", "folioshell", "pyproject.toml", "scenarios", "tests"}
# Put together here, so that this file does not hold what it looks for.
_WRITERS = "|".join(("Chat" + "GPT", "Clau" + "de", "Copi" + "lot", "Anthro" + "pic", "Open" + "AI", "L" + "LM"))
_FORBIDDEN = re.compile(
    rf"\b(?:{_WRITERS})\b|\bA" + r"I[ -](?:generated|assisted|agent|model)\b|\bas an a" + r"i\b"
    r"|(?<![\w.~$}])/(?:ho" + r"me|wo" + r"rk|Use" + r"rs|ro" + r"ot)/\w",
    re.IGNORECASE,
)
_TEXT = {".py", ".md", ".toml", ".fs", ".txt", ".json", ".sh", ""}


def test_top_level() -> None:
    """The top level holds the project's fixed entries and dot files, no more."""
    top = {path.relative_to(ROOT).parts[0] for path in tracked_files()}

    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL


def test_no_forbidden_words() -> None:
    """No tracked text names a tool that writes code, or a path of somebody's machine."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {match[0]}"
        for path in tracked_files()
        if path.suffix in _TEXT
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if (match := _FORBIDDEN.search(line))
    ]
    assert found == []


def test_forbidden_words_are_found() -> None:
    """The pattern of the test above finds what it should."""
    assert _FORBIDDEN.search("see /ho" + "me/me/file")
    assert _FORBIDDEN.search("written by Clau" + "de")
    assert not _FORBIDDEN.search("docs/work/plan and ~/home/x")


def test_ci_runs_the_readme() -> None:
    """The second command of the README installs the test extra and runs the tests, and CI takes it as it stands."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    install, tests = re.findall(r"^```sh\n(.*?)\n```$", readme, re.MULTILINE | re.DOTALL)[:2]

    assert "folioshell run mail/straddle" in install
    assert tests.endswith(".venv/bin/python -m pytest -q")
    assert "'.[test]'" in tests

    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    extraction = re.search(r"^test_command=\$\((awk .*)\)$", script, re.MULTILINE)
    assert extraction is not None
    extracted = subprocess.run(["bash", "-c", extraction[1]], cwd=ROOT, capture_output=True, text=True, check=True)
    assert extracted.stdout.strip() == tests
