"""``help`` answers every term of the glossary and every scheme, and unknown words that are terms lead there."""

from __future__ import annotations

import pytest

from folioshell import Session
from folioshell.commands.glossary import lookup, named_in, terms
from folioshell.errors import Refused
from folioshell.report import Text


def helped(words: str) -> str:
    """What ``help`` says."""
    (report,) = Session().execute(f"help {words}")
    return "\n".join(line for text in report.sections if isinstance(text, Text) for line in (text.title, *text.lines))


def hint(line: str) -> str:
    """The hint of a refused line."""
    with pytest.raises(Refused) as error:
        list(Session().execute(line))
    return error.value.hint


@pytest.mark.parametrize("name", [name for term in terms() for name in term.names])
def test_every_term_is_explained(name: str) -> None:
    """Under each of its names, typed as several words or with hyphens."""
    (found, *_) = lookup(name)
    assert found.text in helped(name)
    assert found.text in helped(name.replace(" ", "-"))
    assert "](" not in helped(name)


def test_every_scheme_is_explained() -> None:
    """With what it counts, as ``show schemes`` says it."""
    for name, scheme in Session().workspace.machine.schemes.items():
        assert scheme.about[0] in helped(name)


def test_a_word_with_several_meanings() -> None:
    """A command is explained first, then the scheme, then the terms."""
    text = helped("split")
    assert text.index("split FOLIO") < text.index("split, of a folio (split_folio())")
    assert "one VMA becomes two" in text
    assert helped("average").startswith("scheme\naverage: ")
    assert "entries divided by pages" in helped("average")


def test_case_and_plural() -> None:
    """A term is found in any case and in the plural."""
    assert lookup("ptl") == lookup("PTLs") != []
    assert lookup("entries") != []
    assert lookup("Page Tables") == lookup("page table") != []
    assert lookup("nothing") == []


def test_the_longest_name_in_a_question() -> None:
    """Of several names the longest one is meant."""
    assert named_in(["what", "is", "a", "page", "table?"]) == "page table"
    assert named_in(["what", "is", "this?"]) == ""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("what is a page table?", "`help page table` explains the term;"),
        ("folio", "`help folio` explains the term;"),
        ("page tables", "`help page tables` explains the term;"),
        ("help table", "see `help page table`, `help PTE table`, `help page_table_lock`;"),
        ("help perpage", "did you mean `per-page`?"),
    ],
)
def test_hints(line: str, expected: str) -> None:
    """A term or a question in place of a command leads to ``help``; so does a word of a term."""
    assert hint(line) == f"{expected} `help` lists the commands"


@pytest.mark.parametrize("line", ["next", "continue", "list"])
def test_no_wild_guesses(line: str) -> None:
    """A word of another tool is not taken for a command that ends something."""
    assert "exit" not in hint(line)
    assert "quit" not in hint(line)
