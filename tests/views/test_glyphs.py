"""Signs have a spelling, and text that could control a terminal is made visible."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.views.glyphs import has_signs, spell, visible


def test_has_signs() -> None:
    """UTF-8 holds the signs; ASCII, Latin-1 and an unknown encoding do not."""
    assert [has_signs(name) for name in ("utf-8", "ascii", "latin-1", "nonsense", None)] == [True] + [False] * 4


@given(st.text())
def test_spelled_text_is_ascii(text: str) -> None:
    """Whatever the text is, its spelling is ASCII."""
    assert spell(text).isascii()


@given(st.text())
def test_visible_keeps_columns(text: str) -> None:
    """Making text visible replaces characters one by one and leaves none that controls a terminal."""
    shown = visible(text)

    assert len(shown) == len(text)
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)


@pytest.mark.parametrize("sign", ["\x85", "\x9b", "\u200b", "\u202e", "\u2060", "\ufeff"])
def test_what_has_no_width_is_shown(sign: str) -> None:
    """What a terminal obeys, or shows as nothing, is shown as a question mark."""
    assert visible(f"a{sign}b") == "a?b"
