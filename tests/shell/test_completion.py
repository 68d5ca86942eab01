"""Completion scripts: what the shells themselves offer with them."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from folioshell.command_line import parser
from folioshell.shell.completion import SHELLS, Offer, offers, script_for
from tests.command_line import folioshell

#: prints what bash offers for the words that it is given
ASK_BASH = """
COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _folioshell; printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("folioshell", "ver"), ["verify"]),
        (("folioshell", "--pl"), ["--plain"]),
        (("folioshell", "--plain", "run", "--un"), ["--until"]),
        (("folioshell", "run", "mail/stradd"), ["mail/straddle-split", "mail/straddle"]),
        (("folioshell", "completion", ""), ["-h", "--help", *SHELLS, "a script.fs"]),
    ],
)
def test_bash(words: tuple[str, ...], offered: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """Actions, the options of the action that was typed, scenarios, and files."""
    folder = tmp_path_factory.mktemp("here")
    (folder / "a script.fs").touch()
    script = folioshell("completion", "bash").stdout + ASK_BASH
    asked = subprocess.run(
        ["bash", "-c", script, "bash", *words], capture_output=True, text=True, cwd=folder, timeout=60, check=True
    )

    assert (asked.stdout.split("\n")[:-1], asked.stderr) == (offered, "")


@pytest.mark.parametrize("shell", [shell for shell in SHELLS if shutil.which(shell)])
def test_syntax(shell: str) -> None:
    """The shell itself finds nothing wrong."""
    script = folioshell("completion", shell).stdout
    asked = subprocess.run([shell, "-n"], input=script, capture_output=True, text=True, timeout=60, check=False)

    assert (asked.returncode, asked.stderr) == (0, "")


@pytest.mark.parametrize("shell", SHELLS)
def test_all_words(shell: str) -> None:
    """Each has all actions and options, and no quote in a meaning ends a word."""
    script = folioshell("completion", shell).stdout
    for action, choices in offers(parser()).items():
        assert action in script
        assert all(choice.word.lstrip("-") in script for choice in choices)
    assert script_for(shell, {"": [Offer("run", "it's")]}).count("'") % 2 == 0


def test_what_options_take() -> None:
    """Fish is told which options take a word."""
    lines = folioshell("completion", "fish").stdout.splitlines()

    assert [line.endswith(" -r") for line in lines if "-l 'until'" in line] == [True]
    assert {line.endswith(" -r") for line in lines if "-l 'quiet'" in line} == {False}
