"""Tests of folioshell.commands.cursor."""

from __future__ import annotations

import pytest

from folioshell.commands.cursor import COMMANDS, LINE, THREADS, typing_at


@pytest.mark.parametrize(
    ("line", "scope", "process", "words", "partial"),
    [
        ("", LINE, "A", [], ""),
        ("mma", LINE, "A", [], "mma"),
        ("mmap buf", LINE, "A", ["mmap"], "buf"),
        ("fork B ; B: munmap ", LINE, "B", ["munmap"], ""),
        ("B.t2: fails ENOMEM mun", LINE, "B", [], "mun"),
        ("B:mun", LINE, "B", [], "mun"),
        ("race { ", THREADS, "A", [], ""),
        ("race { B.t1: fau", THREADS, "B", [], "fau"),
        ("race { B.t1: { fault buf ; mun", COMMANDS, "B", [], "mun"),
        ("race { B.t1: { fault buf } ; A.t2: read ", THREADS, "A", ["read"], ""),
        ("race { B.t1: fault buf } ", LINE, "A", ["race", "B.t1: fault buf"], ""),
        ("spawn B.t1: fault b", COMMANDS, "B", ["fault"], "b"),
    ],
)
def test_what_is_typed(line: str, scope: str, process: str, words: list[str], partial: str) -> None:
    """Who will run which command, and how far it is there."""
    here = typing_at(line, len(line), "A")

    assert here is not None
    assert (here.scope, here.process, here.partial.text) == (scope, process, partial)
    assert [word.text.strip() for word in here.words] == words


def test_threads_that_were_named() -> None:
    """The labels of a race are those before the cursor."""
    here = typing_at("race { A.t1: fault buf ; B.t1: { read buf ; read buf } ; ", 60, "A")

    assert here is not None
    assert here.labels == ("A.t1", "B.t1")


@pytest.mark.parametrize(
    "line", ["# mm", "| mm", "> mm", "save 'mm", "mmap { mm", "race { A.t1: fault { mm", "race } mm"]
)
def test_where_nothing_is_typed(line: str) -> None:
    """Prose, comments, and quotes and braces that mean nothing hold no command."""
    assert typing_at(line, len(line), "A") is None
