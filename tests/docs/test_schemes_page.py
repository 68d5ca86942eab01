"""Tests of the page about schemes."""

from __future__ import annotations

from folioshell.schemes import all_schemes
from folioshell.schemes.base import Law
from tests.docs.schemes_page import LAWS, schemes_page


def test_the_page_says_what_is_declared() -> None:
    """Every scheme has a row and a section, every law a line, and wrong answers are those that no law excludes."""
    page = schemes_page()

    assert set(LAWS) == set(Law)
    for name, kind in all_schemes().items():
        assert f"\n## {name}\n" in page
        assert all(line in page for line in kind.about)
    assert "| [vmas](#vmas) | 4 | 4 | 4 | 1 | 8 slots | exact | no | yes | no | cannot | cannot |" in page
    assert "| [likely](#likely) | 4 | 76 | 2060 | n + 2 | - | exact | yes | yes | no | exact | exact |" in page
    assert all(f"| `{law}` | " in page for law in Law)
