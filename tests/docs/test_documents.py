"""What documents show is what the program does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import folioshell
from folioshell.views.plain import render
from folioshell.views.report_view import report_blocks

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
WIDTH = 96

_BLOCK = re.compile(r"^```folioshell\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPT = re.compile(r"^(\S+ \d+>) (.*)$", re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")


def sessions() -> list[tuple[str, str]]:
    """(document, text) of every session that a document shows."""
    return [(path.name, block) for path in DOCUMENTS for block in _BLOCK.findall(path.read_text())]


@pytest.mark.parametrize(("name", "shown"), sessions())
def test_sessions_are_what_the_shell_prints(name: str, shown: str) -> None:
    """A session in a document, typed again, gives the same screen."""
    session = folioshell.Session()
    screen = []
    for _, line in _PROMPT.findall(shown):
        screen.append(f"{session.prompt} {line}")
        screen += [render(report_blocks(report), WIDTH).rstrip("\n") for report in session.execute(line)]
        screen.append("")

    printed = "\n".join(screen).rstrip()
    assert printed == shown.rstrip(), name


def test_a_document_shows_a_session() -> None:
    """README shows at least one."""
    assert any(name == "README.md" for name, _ in sessions())


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    """Relative links name files that exist."""
    missing = [target for target in _LINK.findall(path.read_text()) if not (path.parent / target).exists()]

    assert not missing
