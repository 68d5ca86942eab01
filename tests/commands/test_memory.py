"""Tests of folioshell.commands.memory, access and process: the commands that are steps."""

from __future__ import annotations

import pytest

from folioshell import Session
from folioshell.errors import Refused
from folioshell.report import Report, Table
from folioshell.units import format_address
from tests.fingerprint import fingerprint


def session_after(line: str) -> Session:
    session = Session()
    session.execute(line)
    return session


def run(session: Session, line: str) -> Report:
    (report,) = session.execute(line)
    return report


def perms(session: Session, process: str = "A") -> list[tuple[int, str]]:
    return [(vma.nr_pages, vma.perm) for vma in session.workspace.kernel.mms[process].vmas]


def addresses(session: Session) -> dict[str, str]:
    return {region.name: format_address(region.start) for region in session.workspace.regions.values()}


def test_placement() -> None:
    """Without a place the next PMD boundary; align and skew, after and at as said."""
    session = session_after(
        "mmap a 16 ; mmap b 512 ; mmap c 16 ; mmap d 16 align=512 skew=504 ; mmap e 4 after=a ; mmap f 4 at=0x1000000"
    )

    assert addresses(session) == {
        "a": "0x7f0000000000",
        "b": "0x7f0000200000",
        "c": "0x7f0000600000",
        "d": "0x7f00009f8000",
        "e": "0x7f0000010000",
        "f": "0x1000000",
    }


def test_kinds_and_protections() -> None:
    """Anon is the default, a file is private and readable unless said, shared without a file is shmem."""
    session = session_after(
        "file lib 32 ; mmap a 4 ; mmap b 4 shared ; mmap c 4 file=lib ; mmap d 4 file=lib shared ; "
        "mmap e 4 file=lib private prot=rw offset=4 ; mmap f 4 prot=none ; mmap g 4 private"
    )

    assert perms(session) == [
        (4, "rw-p"), (4, "rw-s"), (4, "r--p"), (4, "rw-s"), (4, "rw-p"), (4, "---p"), (4, "rw-p"),
    ]  # fmt: skip
    assert [vma.pgoff for vma in session.workspace.kernel.mms["A"].vmas][4] == 4


def test_a_failed_mmap_makes_no_region() -> None:
    """An address that is taken is EEXIST; the name stays free."""
    session = session_after("mmap a 16")
    assert run(session, "mmap b 4 after=a").result == {"ok": True}
    assert run(session, "mmap c 4 after=a").result == {"errno": "EEXIST"}
    assert "c" not in session.workspace.regions
    assert run(session, "mmap c 4 after=a fixed").result == {"ok": True}


def test_default_access() -> None:
    """A write for anonymous memory, private or shared; a read for files."""
    session = session_after("file lib 4 ; mmap a 2 ; mmap s 2 shared ; mmap f 2 file=lib prot=rw")

    assert run(session, "fault a").sentence.startswith("A wrote a: ")
    assert run(session, "fault s").sentence.startswith("A wrote s: ")
    assert run(session, "fault f").sentence.startswith("A read f: ")
    assert session.workspace.kernel.mms["A"].rss.as_tuple() == (2, 2, 2, 0)


def test_default_access_over_several_mappings() -> None:
    """Each page is touched as its own mapping wants it, and a hole is a signal in its place."""
    session = session_after("file lib 4 ; mmap a 2 ; mmap f 2 file=lib after=a ; mmap b 2 after=f ; munmap f[1]")
    start = session.workspace.regions["a"].start
    report = run(session, f"fault {format_address(start)}+6")

    assert report.result == {"signals": [[3, 1, "SIGSEGV"]]}
    assert report.sentence.startswith("A touched")
    assert session.workspace.kernel.mms["A"].rss.as_tuple() == (1, 4, 0, 0)


def test_signals_in_order() -> None:
    """Beyond the end of a file is SIGBUS, without permission SIGSEGV."""
    session = session_after("file lib 4 ; mmap f 8 file=lib")

    assert run(session, "read f").result == {"signals": [[4, 4, "SIGBUS"]]}
    assert run(session, "write f[0..1]").result == {"signals": [[0, 2, "SIGSEGV"]]}


def test_partial_effects_are_kept() -> None:
    """Mprotect over a hole fails, and the part before the hole is changed."""
    session = session_after("mmap a 8 ; munmap a[4]")
    report = run(session, "mprotect a r")

    assert report.result == {"errno": "ENOMEM"}
    assert report.sentence.startswith("mprotect(a, r): failed with ENOMEM")
    assert perms(session) == [(4, "r--p"), (3, "rw-p")]


def test_mremap_names_the_new_place() -> None:
    """The old label stays, the new one leads to the same pages."""
    session = session_after("mmap a 16 ; fault a ; mremap a[8..15] new=tail")

    assert session.workspace.regions["a"].nr == 16
    assert session.execute("expect present? a[8] == no ; expect present? tail[0] == yes")[1].expect
    assert all(report.expect and report.expect.passed for report in session.execute(
        "expect present? a[8] == no ; expect present? tail[0] == yes ; expect order tail[7] == 0"))  # fmt: skip
    assert run(session, "mremap tail[0..3] 8 new=wide").result == {"ok": True}
    assert session.workspace.regions["wide"].nr == 8


def test_process_prefix_runs_elsewhere() -> None:
    """B: runs a command in B, and the current process stays."""
    session = session_after("mmap a 4 ; fault a ; fork B")
    report = run(session, "B: munmap a[0..1]")

    assert (report.process, session.process) == ("B", "A")
    assert perms(session, "A") == [(4, "rw-p")]
    assert perms(session, "B") == [(2, "rw-p")]
    assert run(session, "fork C").sentence.startswith("fork() = C, 1 VMA copied: 4 entries")


@pytest.mark.parametrize(
    ("line", "start", "message"),
    [
        ("mmap a 4", 5, "there is already a region a"),
        ("mmap lib 4", 5, "there is already a file lib"),
        ("file B 4", 5, "there is already a process B"),
        ("fork A", 5, "there is already a process A"),
        ("mmap x 4 file=lbi", 14, "no such file"),
        ("mmap x 4 file=a", 14, "a is a region, not a file"),
        ("mmap x 4 anon file=lib", 9, "anonymous memory has no file"),
        ("mmap x 4 offset=2", 16, "offset= goes with file="),
        ("mmap x 4 after=nothing", 15, "no such region"),
        ("mmap x 4 at=0x1000 skew=1", 24, "skew= goes with align=, not with an address"),
        ("mmap x 4 fixed", 9, "fixed needs a place"),
        ("mmap x 4 at=0x7ffffffff000", 7, "the range ends beyond user space"),
        ("file x 100G", 7, "100G is out of range"),
        ("file x 4 order=14", 15, "14 is out of range"),
        ("munmap B:a", 7, "A cannot do this to memory of B"),
        ("munmap a[4]", 8, "outside a"),
        ("munmap a[2+3]", 8, "outside a"),
        ("fault 0x7ffffffff000+2", 6, "the range ends beyond user space"),
        ("mremap a new=lib", 13, "there is already a file lib"),
        ("exit C", 5, "no such process"),
        ("as C", 3, "no such process"),
        ("C: fault a", 0, "no such process"),
    ],
)
def test_refusals(line: str, start: int, message: str) -> None:
    """Wrong names, places and combinations are refused where they stand, and nothing is changed."""
    session = session_after("file lib 4 ; mmap a 4 ; fork B")
    before = fingerprint(session.workspace.machine)
    with pytest.raises(Refused) as error:
        session.execute(line)

    assert (error.value.start, error.value.message) == (start, message)
    assert fingerprint(session.workspace.machine) == before
    assert session.step == 3


def test_mremap_grows_and_shrinks_in_place() -> None:
    """The label goes with the size of a whole region, and grows with pages at its end."""
    session = session_after("mmap buf 16 ; write buf")

    assert "grown in place" in run(session, "mremap buf 64").sentence
    assert session.workspace.regions["buf"].nr == 64
    run(session, "mremap buf 8")
    run(session, "mremap buf[4..7] 12")
    assert (session.workspace.regions["buf"].nr, perms(session)) == (16, [(16, "rw-p")])


def test_mremap_moves_and_takes_the_name_along() -> None:
    """As realloc(): a region that has no room moves to the next free place, under its name."""
    session = session_after("mmap buf 16 ; write buf ; mmap next 8 after=buf prot=r")
    before = session.workspace.regions["buf"]
    report = run(session, "mremap buf 32")
    moved = session.workspace.regions["buf"]

    assert (moved.nr, moved.start > before.start) == (32, True)
    assert f"= {format_address(moved.start)}" in report.sentence
    assert "moved" in report.sentence
    session.execute("expect present? buf[15] == yes ; undo")
    assert session.workspace.regions["buf"] == before


def test_mremap_leaves_the_name_to_others() -> None:
    """A name is one address in every process: it stays where another one maps it."""
    session = session_after("mmap buf 16 ; mmap next 8 after=buf prot=r ; fork B")

    with pytest.raises(Refused, match="must move to grow, and cannot take the name along: B maps it, too"):
        session.execute("mremap buf 32")
    session.execute("mremap buf 4 ; B: write buf[12]")
    assert session.workspace.regions["buf"].nr == 16


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("mremap buf", "the new size, or new=NAME, is missing"),
        ("mremap buf 32 dontunmap", "dontunmap goes with new=NAME"),
        ("mremap buf 32 align=512", "align goes with new=NAME"),
        ("mremap buf[0..3] 8", "it is not a whole region"),
        ("mremap buf 64T", "beyond user space"),
    ],
)
def test_mremap_refuses(line: str, message: str) -> None:
    """Words that need a new name, and a move that would leave pages without one."""
    session = session_after("mmap buf 16")

    with pytest.raises(Refused, match=message):
        session.execute(line)


def test_mremap_fails_in_the_kernel() -> None:
    """A range that leaves its VMA cannot grow: EFAULT, and the label stays."""
    session = session_after("mmap buf 16 ; munmap buf[8..15]")

    assert "failed with EFAULT" in run(session, "mremap buf 32").sentence
    assert session.workspace.regions["buf"].nr == 16


def test_every_index_in_class_is_below_8() -> None:
    """Addresses of the classroom geometry fill its four levels of 8 entries, and no mapping lies beyond them."""
    session = Session()
    session.execute("set geometry classroom ; mmap buf 16 ; fault buf ; mmap all 3000 ; fault all[2999]")
    for place in ("buf[9]", "all[2999]"):
        (report,) = session.execute(f"walk {place}")
        (table,) = report.sections
        assert isinstance(table, Table)
        assert all(int(index) < 8 for index in str(table.rows[0][2]).split())
    for line in ("mmap big 4096", "mmap big 2000", "mmap big 8 at=0xfff000", "query present? 0x1000000"):
        with pytest.raises(Refused) as error:
            session.execute(line)
        assert error.value.message == "the range ends beyond user space"
        assert error.value.hint == "user addresses end at 0xffffff"
