"""fork count=N: several children in one step."""

from __future__ import annotations

import pytest

from folioshell import Session
from folioshell.errors import Refused
from folioshell.session.host import STRICT, Host
from tests.fingerprint import fingerprint


def test_children() -> None:
    """They are as if forked one after the other, in one step that undo takes back."""
    one, other = Session(), Session()
    (*_, report) = one.execute("mmap buf 16 ; fault buf[0..1] ; fork B count=3")
    other.execute("mmap buf 16 ; fault buf[0..1] ; fork B1 ; fork B2 ; fork B3")

    assert (one.step, other.step) == (3, 5)
    assert fingerprint(one.workspace.machine) == fingerprint(other.workspace.machine)
    assert report.sentence.startswith("fork() ×3 = B1..B3, 1 VMA copied to each")
    one.execute("undo")
    assert list(one.workspace.kernel.mms) == ["A"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fork B2 ; fork B count=3", "there is already a process B2"),
        ("fork f count=2", "f1 is an id, not a name"),
        ("fork B count=0", "0 is out of range"),
        ("fork B count=9", "9 more processes would exceed the limit of 8 processes"),
        ("mmap b 4 ; fault b ; fork B count=4", "16 more than the 4 mapped would exceed the limit of 19 pages mapped"),
    ],
)
def test_what_is_refused(line: str, message: str) -> None:
    """All names must be free and all limits kept, before the first child is forked."""
    session = Session(host=Host(limits=STRICT._replace(processes=8, pages=19)))
    with pytest.raises(Refused) as caught:
        session.execute(line)

    assert caught.value.message == message
    assert not {"B1", "B3"} & set(session.workspace.kernel.mms)
