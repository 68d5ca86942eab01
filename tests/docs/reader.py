"""Runs the sessions, scripts and programs of a document."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir
from pathlib import Path

from folioshell.commands import Session
from folioshell.errors import Refused
from folioshell.script.runner import PASSED, run_text
from folioshell.script.script import ScriptEvent
from folioshell.views.blocks import Block as Shown
from folioshell.views.plain import render
from folioshell.views.refusal_view import refusal_blocks
from folioshell.views.report_view import report_blocks
from tests.command_line import Done, folioshell
from tests.docs.blocks import Block, blocks
from tests.repo.tree import ROOT

#: columns of a document, and of those that are to be typed along on any terminal
WIDTH = 96
TUTORIAL_WIDTH = 80
WIDTHS = {"tutorial.md": TUTORIAL_WIDTH}

#: start of a command that is not run -> why
NOT_RUN = {
    "python3 -m venv": "it installs from the network; .ci/run does it",
    "folioshell verify tests/recordings/*.json.gz": "tests/recording/test_public_recordings.py verifies them",
    "folioshell verify tests/recordings/releases/": "the same",
    "folioshell verify --books tests/recordings/releases/": "the same",
    "sudo folioshell live": "it changes settings of this machine; `pytest -m live` does that",
    "folioshell live": "the same; with --kernel it boots a kernel that is not here",
    "apt-get download": "it needs the network",
    "for package in": "it needs what was downloaded",
    "make defconfig": "it builds a kernel",
    "python -m tests.docs.live_results": "it needs root and kernels",
    "python tests/benchmarks/": "it measures for minutes",
    "?": "a line for class belongs to others; tests/commands/test_grammar.py runs it",
    "protocols": "docs/locking.md shows its output",
    "folioshell race-sweep --sample": "it explores for minutes",
    "folioshell race-sweep --jobs": "it explores for an hour",
}
#: program -> the module to run instead, as if this project were installed
PROGRAMS = {"folioshell": "folioshell", "pytest": "pytest -p folioshell.testing.plugin"}
#: a reference page whose scripts are examples of one line each
LINE_BY_LINE = {"commands.md"}
#: a document with a scheme of one's own
OWN_SCHEME = ROOT / "docs" / "schemes-own.md"
OWN_PROTOCOL = ROOT / "docs" / "protocols-own.md"

_PROMPT = re.compile(r"^(\S+ (\d+)>) (.*)$", re.MULTILINE)
_COMMAND = re.compile(r"^\$ (.*)$", re.MULTILINE)
_SHELL_SYNTAX = re.compile(r"[|&;<>$*?()`~]")
_KEPT = re.compile(r"(?:#!.*\n)?# (\w+\.(?:py|fs))\n")


class Reader:
    """Types what a document shows, from top to bottom, in a folder of its own.

    A session continues the previous one unless its first prompt is that of a fresh shell.

    Args:
        folder: the working folder. It gets links to the project folders that documents refer to, a script ``setup.fs``
            a scheme ``mine.py`` and a protocol ``seqcount.py``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("scenarios", "tests"):
            (folder / name).symlink_to(ROOT / name)
        programs = folder / "bin"
        programs.mkdir()
        for name, module in PROGRAMS.items():
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
            program.chmod(0o755)
        self._environment = {
            **{name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"},
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "80",
            "PY_COLORS": "0",
        }
        self._session = Session()
        (folder / "setup.fs").write_text("mmap buf 16\n")
        for name, document in (("mine.py", OWN_SCHEME), ("seqcount.py", OWN_PROTOCOL)):
            (folder / name).write_text(next(block.text for block in blocks(document) if block.tag == "python"))

    def complaints(self, block: Block) -> Iterator[str]:
        """Run a block; yields each difference from what the document shows."""
        run: dict[str, Callable[[Block], Iterator[str]]] = {
            "folioshell": self._type,
            "fs": self._run_script,
            "sh": self._run_commands,
            "console": self._run_commands_with_output,
            "python": self._run_program,
        }
        if block.tag in run:
            yield from run[block.tag](block)

    def again(self, block: Block) -> str:
        """The block with its current output, if it is one that shows output."""
        show = {"folioshell": self.screen, "console": self.terminal}.get(block.tag)
        if show is not None:
            return show(block).rstrip("\n") + "\n"
        list(self.complaints(block))
        return block.text

    def _type(self, block: Block) -> Iterator[str]:
        if _PROMPT.search(block.text):
            yield from _differences(block.text, self.screen(block))
        else:
            yield "no prompt"

    def screen(self, block: Block) -> str:
        """The screen after the lines of a session were typed."""
        prompts = _PROMPT.findall(block.text)
        if prompts[0][1] == "0":
            self._session = Session()
        session = self._session
        width = WIDTHS.get(block.document.name, WIDTH)
        screen = []
        for _, _, line in prompts:
            screen.append(f"{session.prompt} {line}")
            try:
                screen += [_shown(report_blocks(report), width) for report in session.execute(line)]
            except Refused as error:
                screen.append(_shown(refusal_blocks(error, width, session.step), width))
            screen.append("")
        return "\n".join(screen)

    def _run_script(self, block: Block) -> Iterator[str]:
        scripts = block.text.splitlines() if block.document.name in LINE_BY_LINE else [block.text]
        self._keep(block)
        for text in scripts:
            if text.startswith(tuple(NOT_RUN)):
                continue
            runner = run_text(text, name=block.place, allow_files=True, allow_code=True)
            wrong = [f"line {played.line}: {played.text}" for played in runner if _is_wrong(played)]
            if runner.status != PASSED:
                yield "\n".join([text, *wrong])

    def _keep(self, block: Block, otherwise: str = "") -> str:
        """Save a block as the file that it names, else as ``otherwise``; returns the name."""
        match = _KEPT.match(block.text)
        name = match[1] if match else otherwise
        if name:
            (self.folder / name).write_text(block.text, encoding="utf-8")
        return name

    def _run_commands(self, block: Block) -> Iterator[str]:
        for command in block.text.splitlines():
            if not command.startswith(tuple(NOT_RUN)) and (done := self._shell(command)).returncode:
                yield f"{command}: status {done.returncode}\n{done.stdout}"

    def _run_commands_with_output(self, block: Block) -> Iterator[str]:
        if _COMMAND.search(block.text):
            yield from _differences(block.text, self.terminal(block))
        else:
            yield "no command after `$ `"

    def terminal(self, block: Block) -> str:
        """The commands of a block, each with its output."""
        return "".join(f"$ {command}\n{self._shell(command).stdout}" for command in _COMMAND.findall(block.text))

    def _run_program(self, block: Block) -> Iterator[str]:
        name = self._keep(block, otherwise="program.py")
        done = self._shell(f'"{sys.executable}" {name}')
        if done.returncode:
            yield done.stdout

    def _shell(self, command: str) -> Done:
        """Run a command in the working folder, its error stream following its output; bash reads what needs a shell."""
        if command.startswith("folioshell ") and not _SHELL_SYNTAX.search(command):
            with chdir(self.folder):
                done = folioshell(*shlex.split(command, comments=True)[1:], environ={"COLUMNS": "80"})
            return done._replace(stdout=done.stdout + done.stderr)
        process = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return Done(process.returncode, process.stdout, "")


def _is_wrong(played: ScriptEvent) -> bool:
    failed = (played.report and played.report.expect), played.golden
    return bool(played.failure or played.refused) or any(found and not found.passed for found in failed)


def _shown(blocks: Sequence[Shown], width: int) -> str:
    return render(blocks, width).rstrip("\n")


def _differences(shown: str, printed: str) -> Iterator[str]:
    if shown.rstrip() != printed.rstrip():
        yield f"it prints\n{printed.rstrip()}\n\nbut the document shows\n{shown.rstrip()}"
