"""A screen chooses renderer, width and spelling by what its stream is."""

from __future__ import annotations

from io import BytesIO, StringIO, TextIOWrapper

import pytest

from folioshell.errors import Refused
from folioshell.shell.repl import GREETING
from folioshell.views.blocks import Tone, line
from folioshell.views.report_view import report_blocks
from folioshell.views.screen import DEFAULT_WIDTH, DIM, LEAST_WIDTH, RESET, Screen, screen_for, wants_plain
from tests.views import samples


class Terminal(StringIO):
    """A text stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_pipes_and_dumb_terminals_get_plain_text() -> None:
    """Only a terminal of a known kind gets rich tables."""
    assert wants_plain(StringIO(), {"TERM": "xterm"})
    assert wants_plain(Terminal(), {"TERM": "dumb"})
    assert wants_plain(Terminal(), {})
    assert not wants_plain(Terminal(), {"TERM": "xterm-256color"})


def test_plain_can_be_wished_for() -> None:
    """``--plain`` holds on a terminal, too."""
    assert not screen_for(Terminal(), mode="plain").rich


def test_width() -> None:
    """A given width holds; a pipe has a fixed one, so that output does not depend on the terminal behind it."""
    assert Screen(StringIO(), rich=False, width=72).width == 72
    assert Screen(StringIO(), rich=False, width=1).width == LEAST_WIDTH
    assert Screen(StringIO(), rich=False).width == DEFAULT_WIDTH


def test_no_escape_codes_in_plain_text() -> None:
    """Plain text holds no escape character."""
    out = Terminal()
    for report in samples.ALL:
        Screen(out, rich=False).write(report_blocks(report))

    assert "\x1b" not in out.getvalue()


def test_ascii_stream() -> None:
    """A stream that cannot hold the signs gets their spelling, rich or plain."""
    for rich in (False, True):
        raw = BytesIO()
        stream = TextIOWrapper(raw, encoding="ascii")
        screen = Screen(stream, rich=rich, width=90)
        for report in samples.ALL:
            screen.write(report_blocks(report))
        screen.flush()
        text = raw.getvalue().decode("ascii")

        assert "8 -> 16" in text
        assert "x512" in text


def test_colour_obeys_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR set a terminal gets tables without any colour code."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    colours = {}
    for no_color in (False, True):
        if no_color:
            monkeypatch.setenv("NO_COLOR", "1")
        out = Terminal()
        Screen(out, rich=True, width=100).write(report_blocks(samples.QUERY))
        colours[no_color] = "31m" in out.getvalue()

        assert "! false positive" in out.getvalue()

    assert colours == {False: True, True: False}


@pytest.mark.parametrize("width", [30, 100])
@pytest.mark.parametrize("rich", [False, True])
def test_a_dim_line_is_as_any_other_one(rich: bool, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The greeting, which is written without rich, is folded as rich would fold it, and every row of it is dim."""
    monkeypatch.setenv("TERM", "xterm-256color")
    out, expected = Terminal(), Terminal()
    Screen(out, rich=rich, width=width).write_dim(GREETING)
    Screen(expected, rich=rich, width=width).write([line(GREETING, Tone.DIM)])
    rows, as_usual = (text.getvalue().splitlines() for text in (out, expected))

    assert list(map(_unstyled, rows)) == list(map(_unstyled, as_usual))
    assert [DIM in row for row in rows] == [DIM in row for row in as_usual] == [rich] * len(rows)


def _unstyled(text: str) -> str:
    return text.replace(DIM, "").replace(RESET, "")


def test_refusal() -> None:
    """A refusal goes to the same stream."""
    out = StringIO()
    Screen(out, rich=False).refusal(Refused("no"), 3)

    assert out.getvalue() == "error: no\nnote: state unchanged; still at step 3\n"


def test_mail() -> None:
    """A mail is 72 columns wide on any terminal; signs are spelled, what has no spelling is left as it is."""
    screen = Screen(Terminal(), rich=True, width=200)
    text = screen.rendered([*report_blocks(samples.FORK), line("é … ×")], "mail")

    assert max(map(len, text.splitlines())) <= 72
    assert "8 -> 16" in text
    assert text.endswith("é ... x\n")
    assert "\x1b" not in text


def test_rules_without_a_terminal() -> None:
    """Mode table without a terminal has rules, and neither escape codes nor spaces at the ends of lines."""
    text = Screen(StringIO(), rich=False, width=100).paper().rendered(report_blocks(samples.QUERY), "table")

    assert "─────" in text
    assert "\x1b" not in text
    assert all(piece == piece.rstrip() for piece in text.splitlines())


@pytest.mark.parametrize(("value", "width"), [("72", 72), ("0", 100), ("wide", 100), ("", 100), ("9" * 30, 100)])
def test_columns_of_what_is_no_terminal(value: str, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """COLUMNS counts where there is no terminal, if it is a number of columns; a width that is given counts more."""
    monkeypatch.setenv("COLUMNS", value)

    assert screen_for(StringIO()).width == width
    assert screen_for(StringIO(), width=60).width == 60


@pytest.mark.parametrize(("value", "rich"), [("1", False), ("0", True), ("", True)])
def test_plain_in_the_environment(value: str, rich: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """FOLIOSHELL_PLAIN=1 asks for plain text on any terminal."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FOLIOSHELL_PLAIN", value)

    assert screen_for(Terminal()).rich == rich


def test_spoken_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """FOLIOSHELL_MODE=spoken says everything in words, on any terminal; a mode on the command line counts more."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FOLIOSHELL_MODE", "spoken")

    assert (screen_for(Terminal()).rich, screen_for(Terminal()).mode) == (False, "spoken")
    assert screen_for(Terminal(), mode="plain").mode == "plain"
    assert screen_for(Terminal(), mode="table").mode == "table"
