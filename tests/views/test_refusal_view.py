"""Refusals show the line, a caret under the word, what is allowed, and that nothing changed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from folioshell.errors import Refused
from folioshell.views.glyphs import spelled
from folioshell.views.layout import columns_of
from folioshell.views.plain import render
from folioshell.views.refusal_view import refusal_blocks


def text_of(error: Refused, width: int = 80, step: int | None = None) -> str:
    return render(refusal_blocks(error, width, step), width)


def test_at_the_prompt() -> None:
    """At the prompt it also says which step the session is still at."""
    error = Refused(
        "no such advice", start=8, end=12, text="madvise clod buf", allowed=("cold", "dontneed"), hint="cold"
    )

    assert text_of(error, step=7) == (
        "error: no such advice\n"
        "  madvise clod buf\n"
        "          ^^^^\n"
        "allowed: cold, dontneed\n"
        "help: did you mean cold?\n"
        "note: state unchanged; still at step 7\n"
    )


def test_in_a_script() -> None:
    """In a script the place is file:line:column as compilers write it; a hint of several words is printed as it is."""
    error = Refused(
        "no entry", start=6, end=12, text="query win[3]", hint="try query present? win[3]", file="a.fs", line=3
    )

    assert text_of(error) == (
        "a.fs:3:7: error: no entry\n  query win[3]\n        ^^^^^^\nhelp: try query present? win[3]\n"
    )


def test_a_file_that_cannot_be_read() -> None:
    """Without a line there is nothing to point at."""
    assert text_of(Refused("no such file", file="x.fs")) == "x.fs: error: no such file\n"


def test_caret_behind_the_end() -> None:
    """A word that is missing is pointed at where it should begin."""
    assert text_of(Refused("a size is missing", start=8, end=8, text="mmap win")).splitlines()[2] == " " * 10 + "^"


def test_escape_sequences_are_not_sent() -> None:
    """What was typed cannot control the terminal."""
    text = text_of(
        Refused("no \x1b[2J", start=0, end=4, text="\x1b[2J\tx", allowed=("\x07",), hint="\x9b1m", file="\x1b]0;")
    )

    assert text.replace("\n", "").isprintable()


def test_long_line_is_shown_around_the_caret() -> None:
    """The word and its caret are on the screen however long the line is."""
    error = Refused("?", start=500, end=503, text="a" * 499 + " bad " + "c" * 500)
    _, shown, caret, *_ = text_of(error, 60).splitlines()

    assert shown[caret.index("^") : caret.rindex("^") + 1] == "bad"
    assert len(shown) <= 60


@given(st.text(max_size=200), st.integers(0, 220), st.integers(0, 220), st.integers(24, 80))
def test_caret_is_under_the_word(text: str, start: int, length: int, width: int) -> None:
    """Whatever was typed, the caret begins at the word's column and no line is too wide."""
    lines = text_of(Refused("bad", start=start, end=start + length, text=text), width).splitlines()

    assert all(columns_of(line) <= width + 1 for line in lines)
    assert not text.strip() or "^" in lines[2]


def test_caret_in_ascii() -> None:
    """Spelling characters in ASCII does not move the caret off its word."""
    error = Refused("bad", start=3, end=6, text="漢字 bad")
    _, shown, caret, *_ = render(spelled(refusal_blocks(error, 80)), 80).splitlines()

    assert shown[caret.index("^") :] == "bad"


def test_a_script_that_was_read_up_to_there() -> None:
    """What it did before the place stays done, so that it is not said that nothing was changed."""
    error = Refused("no such verb", file="a.fs", line=3)

    assert render(refusal_blocks(error, 80, 4), 80).endswith(
        "note: the refused command changed nothing; now at step 4\n"
    )
