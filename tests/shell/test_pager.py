"""The pager is what the environment asks for, and is not needed."""

from __future__ import annotations

import os
from io import StringIO

import pytest

from folioshell.shell.presenter import Pager, pager_command

PATH = "/usr/local/bin:/usr/bin:/bin"


@pytest.mark.parametrize(
    ("environ", "command"),
    [
        ({"PAGER": "sh -c 'cat -n'"}, ["sh", "-c", "cat -n"]),
        ({"PAGER": "nothing-like-it", "FOLIOSHELL_PAGER": "env -u X"}, ["env", "-u", "X"]),
        ({"PAGER": "sh", "FOLIOSHELL_PAGER": ""}, []),
        ({"PAGER": ""}, []),
        ({"PAGER": "cat"}, []),
        ({"PAGER": "nothing-like-it -R"}, []),
        ({"PAGER": "sh 'unclosed"}, []),
        ({"PATH": "/nowhere"}, []),
    ],
)
def test_command(environ: dict[str, str], command: list[str]) -> None:
    """$FOLIOSHELL_PAGER wins over $PAGER, arguments are taken as a shell does, and there may be none."""
    assert pager_command({"PATH": PATH, **environ}) == command


def test_waiting_input(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed ahead belongs to the prompt, not to the pager."""
    ahead = ["fork B"]
    monkeypatch.setattr("folioshell.shell.presenter.window_of", lambda _: os.terminal_size((80, 24)))
    monkeypatch.setattr(Pager, "_run", lambda *_: True)
    pager = Pager({"PATH": PATH, "PAGER": "sh"}, StringIO(), lambda: bool(ahead))

    assert not pager.show("x\n" * 100)
    ahead.clear()
    assert pager.show("x\n" * 100)


def test_no_terminal() -> None:
    """What is no terminal has no screen that could be too small."""
    assert not Pager({"PATH": PATH, "PAGER": "sh"}, StringIO()).show("x\n" * 1000)
