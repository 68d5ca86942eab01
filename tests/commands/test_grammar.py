"""Tests of folioshell.commands.grammar: of every declaration."""

from __future__ import annotations

from pathlib import Path

import pytest

from folioshell import Session
from folioshell.commands.grammar import Command, Explanation, explanation, register, registry
from folioshell.commands.parse import Grammar
from tests.docs.blocks import blocks
from tests.repo.tree import ROOT

COMMANDS = list(registry)

DEFINITION = """
from folioshell.schemes.entries import EntryScheme
from folioshell.schemes.base import Sharing

class Mine(EntryScheme):
    name, version, state = "mine", "none", "what entries need"
    about = ("Counts entries.", "Never shared.")
    folio_atomics = 1

    def shared(self, folio, mm):
        return Sharing.NO

    def bytes_of_state(self, order):
        return 4
"""


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.verb)
def test_declaration_is_complete(command: Command) -> None:
    """The docstring of every command has a summary, a text and examples; every word of it says what it means."""
    found = command.explanation
    assert found.summary and not found.summary.endswith(".") and found.summary[0].islower()
    assert found.text and all(paragraph.endswith(".") for paragraph in found.text)
    assert found.examples
    assert found.kernel or not command.host
    for form in command.forms:
        assert all(arg.help for arg in form.args)
        assert all(flag.help for flag in form.flags)
        assert all(option.help for option in form.options)
        assert form.summary or len(command.forms) == 1


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.verb)
def test_examples_run(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every example runs in a fresh session, uses its command, and no assertion in it fails."""
    monkeypatch.chdir(tmp_path)
    for name in ("setup.fs", "session.fs"):
        (tmp_path / name).write_text("mmap buf 16\n")
    (tmp_path / "mine.py").write_text(DEFINITION)
    protocol = next(block.text for block in blocks(ROOT / "docs" / "protocols-own.md") if block.tag == "python")
    (tmp_path / "seqcount.py").write_text(protocol)
    for example in command.explanation.examples:
        verbs = [statement.command.verb for statement in Grammar().parse(example)]  # type: ignore[attr-defined]
        reports = Session().execute(example)

        assert command.verb in verbs
        assert not any(report.failed for report in reports)
        assert all(report.expect.passed for report in reports if report.expect)


def test_model_commands_have_a_subject_for_their_sentence() -> None:
    """Every command that can be a step says who did what."""
    steps = [
        command
        for command in COMMANDS
        if command.kind == "model" or any(form.kind == "model" for form in command.forms)
    ]
    assert steps
    assert all(command.subject for command in steps)


def test_verbs_of_this_version() -> None:
    """The language has these words and no others."""
    verbs = """
        file mmap munmap mprotect mremap fault read write madvise fork exit as
        mlock munlock reclaim split migrate khugepaged truncate pin unpin query rmap walk show trace why diff watch
        unwatch cost compare expect for set undo redo goto mark branch history save load source reset help quit
        race thread spawn step finish locks protocols mode once dump
        ? ?hint ?wrong ?after ?task ?goal ?solution learn lessons present next hint answer skip again back
    """
    assert set(registry.commands) == set(verbs.split())


def test_parts_of_a_docstring() -> None:
    """The first line, the paragraphs, the lines of Example: and the reference of Kernel: are told apart."""
    docstring = """Do this.

        One
        paragraph.

        Another.

        Example:
            mmap buf 4
            mmap buf 8 ; read buf

        Kernel: mm/mmap.c: do_mmap(),
            do_munmap() (v6.18)
        """
    assert explanation(docstring) == Explanation(
        "do this",
        ("One paragraph.", "Another."),
        ("mmap buf 4", "mmap buf 8 ; read buf"),
        "mm/mmap.c: do_mmap(), do_munmap() (v6.18)",
    )


def test_without_docstrings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under Python -OO nothing fails, and help says why it is short."""
    monkeypatch.setattr(registry.commands["mmap"].handler, "__doc__", None)
    report = Session().execute("help mmap")[0]

    assert registry.commands["mmap"].explanation == Explanation("", (), (), "")
    assert "this Python runs without them" in str(report.sections)


def test_a_verb_is_declared_once() -> None:
    """Two commands cannot have the same verb."""
    with pytest.raises(ValueError, match="the verb mmap is taken"):
        register(registry.commands["mmap"])


def test_usage_lines() -> None:
    """Usage lines are made from the declaration: what is required first, what may be left out in brackets."""
    assert registry.commands["fault"].usages() == ["fault PLACE [read|write]"]
    assert registry.commands["trace"].usages() == ["trace [N] [locks|events|all]"]
    assert "expect mapped? [SCHEME] FOLIO|PLACE ==|!= no|yes|cannot" in registry.commands["expect"].usages()
    assert registry.commands["mremap"].usages()[0].startswith("mremap PLACE [SIZE] [dontunmap] [new=NAME]")
