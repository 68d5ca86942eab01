"""Documents, scenarios and the package use the words of the field, not those that were retired."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import DOCUMENTS
from tests.docs.words import RETIRED, Use, in_code, in_document, retired
from tests.repo.tree import ROOT, modules

#: names old and new words
_CHANGELOG = ROOT / "CHANGELOG.md"


def _named(path: Path, uses: list[Use]) -> list[str]:
    return [f"{path.relative_to(ROOT)}:{use.line}: {use.word}: write {use.instead}" for use in uses]


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path != _CHANGELOG], ids=str)
def test_documents(path: Path) -> None:
    """No document uses a retired word outside of recorded output."""
    assert _named(path, list(in_document(path))) == []


def test_scenarios() -> None:
    """No script uses a retired word, in prose, comments or its file name."""
    scripts = sorted((ROOT / "scenarios").rglob("*.fs"))

    assert [use for path in scripts for use in _named(path, list(in_document(path)))] == []
    assert [path.name for path in scripts if list(retired(path.stem.replace("-", " ")))] == []


def test_code() -> None:
    """No string, docstring or comment of the package uses one: all help, messages and sentences come from there."""
    assert [use for path in modules() for use in _named(path, list(in_code(path)))] == []


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("two threads embrace", "ABBA deadlock"),
        ("Drifts where calls", "miscount"),
        ("a leaf table", "PTE table"),
        ("let the lock go", "drop, release"),
        ("is told\nof it", "is notified, gets"),
        ("nobody else", "no one, no process"),
    ],
)
def test_a_retired_word_is_found(text: str, instead: str) -> None:
    """The patterns find what they should, in any case."""
    assert [use.instead for use in retired(text)] == [instead]


@pytest.mark.parametrize(
    "text", ["can be told apart", 'definitely mapped by "somebody else"', "a reader queues behind a writer", "execute"]
)
def test_other_words_are_not(text: str) -> None:
    """Words that only look like retired ones are left alone."""
    assert list(retired(text)) == []


def test_every_word_has_a_replacement() -> None:
    """The table says what to write instead of each word."""
    assert all(RETIRED.values())
