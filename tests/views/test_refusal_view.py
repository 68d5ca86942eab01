"""Refusals show the line, a caret under the word, what is allowed, and that nothing changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from folioshell.errors import FolioshellError, KernelBug, Refused, SchemeError
from folioshell.views.blocks import Block, Line, Span, Tone, drawn
from folioshell.views.glyphs import spelled
from folioshell.views.layout import columns_of
from folioshell.views.plain import render
from folioshell.views.refusal_view import bug_blocks, caret_block, place_text, refusal_blocks


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


def _parts(blocks: list[Block]) -> list[list[tuple[str, Tone]]]:
    """Each line's pieces with their tones."""
    return [[(span.text, span.tone) for span in block.spans] for block in drawn(blocks, 80) if isinstance(block, Line)]


def test_what_stands_out() -> None:
    """The error and the carets are alarming, the message and `allowed` strong, help good, the note pale."""
    error = Refused("no such advice", start=8, end=12, text="madvise clod buf", allowed=("cold",), hint="cold")

    *parts, [(note, tone)] = _parts(refusal_blocks(error, 80, 7))
    assert [*parts, [(note[:6], tone)]] == [
        [("error: ", Tone.BAD), ("no such advice", Tone.STRONG)],
        [("madvise clod buf", Tone.PLAIN)],
        [(" " * 8, Tone.PLAIN), ("^^^^", Tone.BAD)],
        [("allowed: ", Tone.STRONG), ("cold", Tone.PLAIN)],
        [("help: ", Tone.GOOD), ("did you mean cold?", Tone.PLAIN)],
        [("note: ", Tone.DIM)],
    ]


def test_a_line_without_a_place_has_no_caret() -> None:
    """What concerns the whole line shows it, cut from its beginning where it is too long; a blank one is not shown."""
    assert text_of(Refused("all of it", text="fault buf")) == "error: all of it\n  fault buf\n"
    _, shown = refusal_blocks(Refused("all of it", text="abcdefghijklmnopqrstuvwxyz"), 22)
    assert shown == Line((Span("abcdefghijklmn..."),), 2, wraps=False)
    assert text_of(Refused("nothing there", start=2, end=3, text="  ")) == "error: nothing there\n"


def test_step_zero_is_a_step() -> None:
    """The note is left out only where there is no session."""
    assert text_of(Refused("no such verb"), step=0).endswith("step 0\n")


def test_a_place_is_told_as_far_as_it_is_known() -> None:
    """File, line, column, each only behind the one before it."""
    places = [
        Refused("?", line=3, start=0),
        Refused("?", file="a.fs"),
        Refused("?", file="a.fs", start=4),
        Refused("?", file="a.fs", line=3),
        Refused("?", file="a.fs", line=3, start=0),
    ]

    assert [place_text(error) for error in places] == ["", "a.fs: ", "a.fs: ", "a.fs:3: ", "a.fs:3:1: "]


@pytest.mark.parametrize(("nr", "more"), [(24, ""), (25, ", … and 1 more"), (2024, ", … and 2,000 more")])
def test_of_very_many_names_the_first_are_listed(nr: int, more: str) -> None:
    """24 of them, in the order given, and how many are left."""
    names = tuple(f"n{number}" for number in range(nr))
    lines = render(refusal_blocks(Refused("?", allowed=names), 1000), 1000).splitlines()

    assert lines == ["error: ?", f"allowed: {', '.join(names[:24])}{more}"]


@pytest.mark.parametrize(
    ("text", "start", "end", "shown", "carets"),
    [
        ("fault x", 6, 7, "fault x", "      ^"),
        ("fault x", 6, None, "fault x", "      ^"),
        ("fault x", 0, 7, "fault x", "^^^^^^^"),
        ("fault x", 6, 40, "fault x", "      ^"),
        ("fault x", 30, 40, "fault x", "       ^"),
        ("漢字 x", 0, 2, "漢字 x", "^^^^"),
        ("漢字 x", 3, 4, "漢字 x", "     ^"),
        ("", 0, 1, "", "^"),
        ("fault x", 6, 6, "fault x", "      ^"),
        ("fault buf[0]", 6, None, "fault buf[0]", "      ^"),
        # As wide as the room is not too wide; a wide character counts twice.
        ("abcdefghijklmnopqr", 16, 18, "abcdefghijklmnopqr", " " * 16 + "^^"),
        ("漢" * 10, 0, 1, "漢" * 6 + "...", "^^"),
        # Cut at the end, at both ends, at the beginning: a third of what is shown stands before the place.
        ("abcdefghijklmnopqrstuvwxyz", 0, 2, "abcdefghijkl...", "^^"),
        ("abcdefghijklmnopqrstuvwxyz", 10, 12, "...ghijklmnopqr...", "       ^^"),
        ("abcdefghijklmnopqrstuvwxyz", 25, 26, "...opqrstuvwxyz", "              ^"),
        # Carets do not run out of the room.
        ("abcdefghijklmnopqrstuvwxyz", 10, 26, "...ghijklmnopqr...", "       ^^^^^^^^^^^"),
    ],
)
def test_carets(text: str, start: int, end: int | None, shown: str, carets: str) -> None:
    """The line in a room of 18 columns, and what stands under it."""
    line, below = caret_block(text, start, end, 18, indent=4).draw(80)

    assert isinstance(line, Line) and isinstance(below, Line)
    assert (line.spans[0].text, "".join(span.text for span in below.spans)) == (shown, carets)
    assert [(one.indent, one.wraps) for one in (line, below)] == [(4, False), (4, False)]


def test_a_broken_invariant_comes_with_the_last_events() -> None:
    """The message is alarming, the last 12 events stand below it, then what was typed and where the session is."""
    bug = KernelBug("a count fell below 0", [f"event {number}" for number in range(20)])
    (loud, message), *events, _, typed, note = _parts(bug_blocks(bug, 3, "munmap\x1b buf"))

    assert (loud[1], message) == (Tone.LOUD, ("a count fell below 0", Tone.BAD))
    assert events == [[(f"event {number}", Tone.PLAIN)] for number in range(8, 20)]
    assert typed[1] == ("munmap? buf", Tone.PLAIN)
    assert (note[0][0][-6:], note[0][1]) == ("step 3", Tone.DIM)
    assert len(_parts(bug_blocks(bug))) == len(events) + 2


def test_an_error_of_the_program_comes_with_the_end_of_its_traceback() -> None:
    """Its class, and the last 5 calls, the innermost last; one of ours without a traceback has none."""

    def deep(left: int) -> None:
        if not left:
            raise ZeroDivisionError("no")
        deep(left - 1)

    with pytest.raises(ZeroDivisionError) as caught:
        deep(8)
    (loud, message), *frames, _ = _parts(bug_blocks(caught.value))

    assert (loud[1], message) == (Tone.LOUD, ("ZeroDivisionError: no", Tone.BAD))
    assert [(frame[0][0].rpartition(" ")[2], frame[0][0].count(__file__)) for frame in frames] == [("deep()", 1)] * 5
    with pytest.raises(FolioshellError) as ours:
        raise FolioshellError("broken")
    first, *rest = _parts(bug_blocks(ours.value))
    assert (first[1], len(rest)) == (("broken", Tone.BAD), 1)
    assert first[0] == loud
    assert "KERNEL" not in loud[0]
    assert "KERNEL" in _parts(bug_blocks(KernelBug("broken")))[0][0][0]


def test_a_scheme_that_fails_is_no_bug_of_folioshell() -> None:
    """Which one, where, and the event that it was given, if any."""
    error = SchemeError("mine", "shared", "AttributeError: no slots")
    (line,) = _parts(bug_blocks(error))
    assert line[0][1] is Tone.LOUD and line[1][1] is Tone.BAD
    assert all(word in line[1][0] for word in ("mine", "shared()", "no slots"))

    error.told = "f1 pages 0..15 mapped by A"
    assert [piece[0][0].partition(": ")[2] for piece in _parts(bug_blocks(error))[1:]] == [error.told]


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
