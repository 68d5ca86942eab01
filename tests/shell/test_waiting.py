"""The line that stands on a terminal while a command runs."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from folioshell.commands import Session
from folioshell.session.progress import Progress
from folioshell.views import screen
from folioshell.views.rich_view import ProgressLine, numbers_text
from folioshell.views.screen import Screen


class Undertaking:
    """Something that has come half of the way, once it can be looked at."""

    def __init__(self) -> None:
        self.looks = 0

    def progress(self) -> Progress:
        self.looks += 1
        if self.looks == 1:
            raise RuntimeError("dictionary changed size during iteration")
        return Progress("fault buf", 4096, 8192, "pages")


def shown(*, rich: bool, until: str = "") -> tuple[list[str], str]:
    """What comes through, and all that was written, if the first of two things takes a while.

    Args:
        until: what is waited for at the most a minute.
    """
    session = Session()
    session.undertaking = Undertaking()
    out = io.StringIO()

    def happenings() -> Iterator[str]:
        end = time.monotonic() + (60 if until else 0.3)
        while time.monotonic() < end and not (until and until in out.getvalue()):
            time.sleep(0.01)
        yield "one"
        before = out.getvalue()
        yield "two"
        assert out.getvalue() == before

    return list(screen.waited_for(happenings(), session, Screen(out, rich=rich, width=100))), out.getvalue()


def test_a_line_while_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a while there is a line, which a look that failed does not prevent, and which is gone at the end."""
    monkeypatch.setattr(screen, "PATIENCE", 0.05)
    things, text = shown(rich=True, until="Ctrl-C stops")

    assert things == ["one", "two"]
    assert "fault buf" in text
    assert "4,096 of 8,192 pages" in text
    assert "Ctrl-C stops" in text
    assert text.endswith("\x1b[2K")


def test_room_for_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs is cut, not how far it is nor how it is stopped; and the terminal's own ^C fits behind it."""
    monkeypatch.setattr("os.get_terminal_size", lambda _: os.terminal_size((70, 24)))
    with Path(os.devnull).open() as terminal:
        out = io.StringIO()
        monkeypatch.setattr(out, "fileno", terminal.fileno)
        line = ProgressLine(out)
        line.show(Progress("race { A.t1: fault buf ; A.t2: fault buf }", 1234, None, "states"), 3)
        text = out.getvalue().replace("\r", "\n")
        line.clear()
    row = next(row for row in re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).split("\n") if "race" in row)

    assert "1,234 states, 3 s" in row
    assert row.endswith("Ctrl-C stops")
    assert len(row) <= 67


def test_nothing_if_it_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before somebody has waited long enough nothing is written."""
    monkeypatch.setattr(screen, "PATIENCE", 60)

    assert shown(rich=True) == (["one", "two"], "")


def test_nothing_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain text is never disturbed."""
    monkeypatch.setattr(screen, "PATIENCE", 0.05)

    assert shown(rich=False) == (["one", "two"], "")


@pytest.mark.parametrize(
    ("progress", "text"),
    [
        (Progress("fault buf", 4096, 8192, "pages"), "4,096 of 8,192 pages, 3 s"),
        (Progress("race", 1234, None, "states"), "1,234 states, 3 s"),
        (Progress("reclaim f1"), "3 s"),
    ],
)
def test_numbers(progress: Progress, text: str) -> None:
    """What is not known is not said."""
    assert numbers_text(progress, 3.2) == text
