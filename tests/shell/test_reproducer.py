"""The lines under a mail are those that lead there, and nothing about how it is shown."""

from __future__ import annotations

import pytest

import folioshell
from folioshell.shell.reproducer import answers, lines_to, reproducer, statements


@pytest.mark.parametrize(
    ("line", "pieces"),
    [
        ("fork B", ["fork B"]),
        ("mode mail; B: fault x ;once 'a;b' ; query shared? x[0]", ["B: fault x", "query shared? x[0]"]),
        ("race { A.t1: fault x ; A.t2: fault x } ; mode", ["race { A.t1: fault x ; A.t2: fault x }"]),
        ("fork B # ; not this", ["fork B # ; not this"]),
        (" ; ", []),
    ],
)
def test_statements(line: str, pieces: list[str]) -> None:
    """A line is taken apart where its commands end, and what only says where output goes is left out."""
    assert statements(line) == pieces


def test_answers() -> None:
    """A query, a view and an expect answer a question about the kernel; steps, settings and help do not."""
    session = folioshell.Session()
    line = "mmap buf 4 ; fault buf[0] ; query present? buf[0] ; show vmas ; set ; help ; history ; expect vmas A == 1"

    assert [answers(report) for report in session.execute(line)] == [
        False,
        False,
        True,
        True,
        False,
        False,
        False,
        True,
    ]


def test_lines_to() -> None:
    """What is set, the steps in force, and the question with the process that was asked for it."""
    session = folioshell.Session()
    session.execute("set schemes vmas ; mmap buf 4 ; fork C ; undo ; fork B ; mode mail")
    reports = session.execute("B: show vmas")

    assert lines_to(session, reports) == ["set schemes vmas", "mmap buf 4", "fork B", "B: show vmas"]
    assert reproducer(["a\nb"]) == "Reproducer (folioshell 1):\n  a\n  b\n"
