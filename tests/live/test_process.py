"""What the processes of a scenario can do is what the table of operations has."""

from __future__ import annotations

import sys

import pytest

from folioshell.live.format import OPERATIONS
from folioshell.live.process import KNOWN, Channels
from folioshell.recording.scenario import _HANDLERS

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="processes of Linux"),
    # Python 3.12 warns of fork in a process with threads, as pytest-xdist has them.
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
]


def test_one_table_of_operations() -> None:
    """The recorder and the model know the operations of the table, and no others."""
    assert OPERATIONS.keys() == KNOWN == _HANDLERS.keys()


def test_a_process_without_recorder_exits() -> None:
    """A process whose recorder closes its end of the sockets exits by itself, and so does its child."""
    channels = Channels(2)
    first = channels.start("A", {"r": (512, 4)}, {})
    second = channels.fork(first, "B")

    channels.close()

    for process in (first, second):
        process._wait(5)


def test_faults_are_results() -> None:
    """An access that faults is a result, with its position; the process goes on."""
    channels = Channels(1)
    process = channels.start("A", {"r": (512, 4)}, {})
    mmap = {"op": "mmap", "proc": "A", "region": "r", "kind": "anon", "pages": 2, "prot": "r"}
    touch = {"op": "touch", "proc": "A", "region": "r", "page": 0, "count": 4, "i": 1}
    try:
        assert process.call(mmap) == {"ok": True}
        assert process.call({**touch, "access": "read"}) == {"signals": [[2, 2, "SIGSEGV"]]}
        assert process.call({**touch, "access": "write"}) == {"signals": [[0, 4, "SIGSEGV"]]}
        assert process.call(mmap) == {"errno": "EEXIST"}
    finally:
        process.exit()
        channels.close()
