"""A screen chooses renderer, width and spelling by what its stream is."""

from __future__ import annotations

from io import BytesIO, StringIO, TextIOWrapper

import pytest

from folioshell.errors import Refused
from folioshell.views.screen import DEFAULT_WIDTH, LEAST_WIDTH, Screen, screen_for, wants_plain
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
    assert not screen_for(Terminal(), plain_wanted=True).rich


def test_width() -> None:
    """A given width holds; a pipe has a fixed one, so that output does not depend on the terminal behind it."""
    assert Screen(StringIO(), rich=False, width=72).width == 72
    assert Screen(StringIO(), rich=False, width=1).width == LEAST_WIDTH
    assert Screen(StringIO(), rich=False).width == DEFAULT_WIDTH


def test_no_escape_codes_in_plain_text() -> None:
    """Plain text holds no escape character."""
    out = Terminal()
    for report in samples.ALL:
        Screen(out, rich=False).report(report)

    assert "\x1b" not in out.getvalue()


def test_ascii_stream() -> None:
    """A stream that cannot hold the signs gets their spelling, rich or plain."""
    for rich in (False, True):
        raw = BytesIO()
        stream = TextIOWrapper(raw, encoding="ascii")
        screen = Screen(stream, rich=rich, width=90)
        for report in samples.ALL:
            screen.report(report)
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
        Screen(out, rich=True, width=100).report(samples.QUERY)
        colours[no_color] = "31m" in out.getvalue()

        assert "! false yes" in out.getvalue()

    assert colours == {False: True, True: False}


def test_refusal() -> None:
    """A refusal goes to the same stream."""
    out = StringIO()
    Screen(out, rich=False).refusal(Refused("no"), 3)

    assert out.getvalue() == "error: no\nnote: nothing was changed; still at step 3\n"
