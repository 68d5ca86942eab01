"""Scenarios as scripts, and scripts as scenarios."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from folioshell.commands.parse import ParsedStatement
from folioshell.errors import Refused
from folioshell.live.format import SLOT, BadScenario, check_scenario, load, placement
from folioshell.model.kernel import Kernel
from folioshell.recording.answers import Branches
from folioshell.recording.observe import emit
from folioshell.recording.scenario import ARENA, ScenarioRun
from folioshell.recording.to_scenario import ScenarioWriter
from folioshell.recording.to_script import script_of
from folioshell.script import Session
from folioshell.script.runner import PASSED, run_text
from folioshell.session.language import Statement
from tests.recording.samples import BEYOND_SWEEP, SWEEP, scenario

#: what the way through a script does not keep: names that it cannot have, and how a place is said
_NAMES = ("region", "after", "new_region", "file", "align_pages", "skew_pages")


def scenario_of(statements: Iterable[Statement], name: str) -> dict[str, Any]:
    """The scenario of a script's statements, if one can express them all."""
    writer = ScenarioWriter()
    for statement in statements:
        writer.add(statement)
        if writer.cut is not None:
            raise writer.cut
    return {"name": name, "doc": "", "setup": writer.setup(), "ops": writer.ops}


def converted(script: str) -> dict[str, Any]:
    """The scenario of a script."""
    language = Session().language
    statements = [statement for line in script.splitlines() for statement in language.parse(line)]
    return check_scenario(scenario_of(statements, "made"))


def operations(ops: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Operations without names and places, with their defaults, and with one word for files that are shared."""
    found = []
    for op in ops:
        row = {"thp": "default", **op} if op["op"] == "mmap" else {"dontunmap": False, **op}
        if row.get("kind") == "shmem_file":
            row["kind"] = "file_shared"
        if not row.get("file_offset_pages", 1):
            del row["file_offset_pages"]
        found.append({key: value for key, value in row.items() if key not in _NAMES})
    return found


def replayed(scenario: dict[str, Any]) -> Kernel:
    """The kernel after all operations of a scenario."""
    replay = ScenarioRun(scenario)
    for op in scenario["ops"]:
        replay.run(op)
    return replay.machine.kernel


def cached(kernel: Kernel) -> list[list[tuple[int, int, bool]]]:
    """The folios of all files and shared memory: page offset, order, and whether a fault for it reads ahead."""
    files = (*kernel.files.values(), *kernel.shared_memory)
    return [[(folio.index, folio.order, folio.readahead) for folio in file.folios] for file in files]


@pytest.mark.parametrize("path", SWEEP)
def test_round_trip(path: Path) -> None:
    """A recording's scenario runs as a script, and comes back with equal operations in equal places."""
    original = load(str(path)).scenario
    script = script_of(original)

    runner = run_text(script)
    stops = [(played.line, played.failure, played.refused) for played in runner if played.failure or played.refused]
    back = converted(script)

    assert (runner.status, stops) == (PASSED, [])
    assert cached(runner.session.workspace.kernel) == cached(replayed(original))
    assert operations(back["ops"]) == operations(original["ops"])
    assert list(placement(back["ops"]).regions.values()) == list(placement(original["ops"]).regions.values())


@pytest.mark.parametrize("path", BEYOND_SWEEP)
def test_random_operations_as_a_script(path: Path) -> None:
    """Holes, truncation, pins, MAP_FIXED and other sizes run as a script, and do what the scenario does."""
    original = load(str(path)).scenario

    runner = run_text(script_of(original))
    assert not [played for played in runner if played.failure or played.refused]
    kernel, wanted = runner.session.workspace.kernel, replayed(original)

    assert runner.status == PASSED
    assert cached(kernel) == cached(wanted)
    for name, mm in wanted.mms.items():
        assert [(vma.start, vma.end, vma.flags) for vma in kernel.mms[name].vmas] == [
            (vma.start, vma.end, vma.flags) for vma in mm.vmas
        ]


def test_sizes_and_fixed_mappings() -> None:
    """Other sizes of mremap and MAP_FIXED become mresize and mmap_over; a region that grows gets room."""
    lines = ["mmap a 16", "mremap a 32", "mmap b 4 fixed at=0x7f0000002000", "mremap a[0..1] 1 new=c", "file f 8"]
    ops = converted("\n".join([*lines, "truncate f 2", "pin a[8] longterm"]))["ops"]

    assert (ops[0]["pages"], ops[0]["room_pages"]) == (16, 32)
    assert [(op["op"], op.get("page"), op.get("count"), op.get("new_count")) for op in ops[1:]] == [
        ("mresize", 0, 16, 32),
        ("mmap_over", 2, 4, None),
        ("mresize", 0, 2, 1),
        ("truncate", None, None, None),
        ("pin", 8, 1, None),
    ]


def test_round_trip_behaves_alike() -> None:
    """The scenario that came back gives the same steps on the model."""
    original = scenario()

    assert emit(converted(script_of(original)))["steps"] == emit(original)["steps"]


def test_script() -> None:
    """A scenario with mTHP, a file, a child and a failure as a script."""
    original = scenario()
    original["ops"] += [
        {"op": "touch", "proc": "A", "region": "r", "page": 2, "count": 3, "access": "read"},
        {"op": "mprotect", "proc": "A", "region": "r", "page": 30, "count": 5, "prot": "none"},
        {"op": "exit", "proc": "A"},
        {"op": "madvise", "proc": "B", "region": "r", "page": 0, "count": 32, "advice": "cold"},
        {"op": "touch", "proc": "A", "region": "r", "page": 0, "count": 1, "access": "read"},
    ]
    assert script_of(original).splitlines() == [
        "#!folioshell 1",
        "| A child and a file.",
        "set thp.64K always",
        "set read_ahead 8M",
        "file f 20 order=2",
        "mmap r 32 at=0x7f0000200000",
        "write r[0+16]",
        "fork B",
        "B: mmap m 8 file=f at=0x7f0040200000",
        "B: read m[2]",
        "munmap r[4+4]",
        "fails SIGSEGV read r[2+3]",
        "fails ENOMEM mprotect 0x7f000021e000+5 none",
        "exit",
        "B: madvise cold r",
        "# operation 10, touch by A, left out: no such process",
    ]


def test_names_that_the_language_cannot_have() -> None:
    """Names of ids, names that are taken and names of other alphabets get others, each its own."""
    ops = [
        {"op": "fork", "proc": "A", "child": "r"},
        {"op": "mmap", "proc": "A", "region": "f1", "kind": "anon", "pages": 4, "prot": "rw"},
        {"op": "mmap", "proc": "A", "region": "r", "kind": "anon", "pages": 4, "prot": "rw"},
        {"op": "mmap", "proc": "A", "region": "ä b", "kind": "anon", "pages": 4, "prot": "rw"},
        {"op": "mmap", "proc": "A", "region": "7", "kind": "anon", "pages": 4, "prot": "rw"},
    ]
    lines = script_of({"ops": ops}).splitlines()[1:]

    assert [line.split()[1] for line in lines] == ["r", "f1_", "r_", "__b", "_7"]


def test_advice_on_the_line_of_its_mmap() -> None:
    """A THP advice behind an mmap is a part of it on the same line, and an operation of its own on the next."""
    one = converted("mmap t 512 ; madvise hugepage t")["ops"]
    two = converted("mmap t 512\nmadvise hugepage t")["ops"]

    assert [op.get("thp") for op in one] == ["hugepage"]
    assert [op["op"] for op in two] == ["mmap", "madvise"]


def test_fault_is_a_read_or_a_write() -> None:
    """`fault` without a word becomes what it does: writes of anonymous memory, reads of files."""
    ops = converted("mmap a 4\nfile lib 8\nmmap w 8 file=lib\nfault a\nfault w[2]\nfault w[3] write")["ops"]

    assert [op["access"] for op in ops[2:]] == ["write", "read", "write"]


def test_places() -> None:
    """A script's own places become slots, neighbours stay neighbours, and addresses become pages of regions."""
    found = converted(
        "mmap a 16 align=512 skew=504\nmmap b 8 after=a\nmmap c 8\nmunmap 0x7f00001fb000+20\nread 0x7f00001f8000"
    )
    regions = placement(found["ops"]).regions

    assert regions["a"] == (504, 16)
    assert regions["b"] == (504 + 16, 8)
    assert regions["c"] == (2 * SLOT + 512, 8)
    assert [(op["region"], op["page"], op["count"]) for op in found["ops"][3:]] == [("a", 3, 20), ("a", 0, 1)]


def test_a_region_in_its_slot_stays_there() -> None:
    """An address that a scenario can say is kept to the page."""
    address = ARENA + SLOT + 512 + 77 << 12

    assert placement(converted(f"mmap a 4\nmmap b 4 at={address:#x}")["ops"]).regions["b"] == (SLOT + 589, 4)


def test_the_current_process() -> None:
    """`as` and a process that ends decide who does what follows."""
    ops = converted("fork B\nas B\nmmap b 4\nfork C\nexit\nmmap a 4\nC: exit")["ops"]

    assert [op["proc"] for op in ops] == ["A", "B", "B", "B", "A", "C"]


@pytest.mark.parametrize(
    ("script", "message", "word"),
    [
        ("mmap a 4 populate", "cannot express `populate`", "populate"),
        ("mmap a 4 at=0x7f0000000000 fixed", "no region at this address", "a"),
        ("mmap a 4\nmmap b 4 after=a prot=r\nmremap a 8", "a move without new=NAME", "8"),
        ("mmap a 4\nmremap a 4 new=b\nmremap b 8", "that b outgrows its place", "8"),
        ("file f 4\nmmap a 4 file=f shared\npin a", "pins long-term", ""),
        ("mmap a 4\nmadvise willneed a", "cannot express willneed", "willneed"),
        ("set geometry classroom", "no kernel has page tables of another geometry", "geometry"),
        ("mmap a 4\nset thp.64K always", "before the first operation", "thp.64K"),
        ("file f 2048 order=10", "no page-cache folios of order 10", "10"),
        ("file f 16 order=2 fs=tmpfs", "no page-cache folios of order 2", "2"),
        ("mmap a 16\nmmap b 8 align=4 skew=1", "so close to a", "b"),
        ("mmap a 16\nmmap b 8 at=0x7f0000004000", "overlaps a", "b"),
        ("mmap a 16\nread 0x7f8000000000", "no region at this address", "0x7f8000000000"),
        ("mmap a 16\nmmap b 8\nmunmap 0x7f0000000000+1024", "includes b", "0x7f0000000000+1024"),
        ("mmap a 4\nundo", "cannot express `undo`", ""),
    ],
)
def test_what_a_scenario_has_no_word_for(script: str, message: str, word: str) -> None:
    """What a scenario cannot say is refused, at the word."""
    with pytest.raises(Refused, match=message) as caught:
        converted(script)
    error = caught.value

    assert error.text == script.splitlines()[-1]
    if word:
        assert error.start is not None
        assert error.text[error.start : error.end] == word


def test_no_state_no_operation() -> None:
    """Queries, expects and views are left out."""
    script = "mmap a 4\nfault a\nquery shared? a[0]\nexpect truth mms a[0] == 1\nshow\nset schemes all"

    assert [op["op"] for op in converted(script)["ops"]] == ["mmap", "touch"]


def test_chunks_without_an_order() -> None:
    """A file written in chunks whose folios no order gives has no script; one that a power of two gives has."""
    setup = {"files": {"f": {"pages": 50, "fs": "ext4", "chunk_pages": 12}}}
    with pytest.raises(BadScenario, match="file f"):
        script_of({"setup": setup, "ops": []})
    setup["files"]["f"].update(pages=600, chunk_pages=600)

    assert "file f 600 order=9" in script_of({"setup": setup, "ops": []})


def _statements(script: str) -> list[ParsedStatement]:
    language = Session().language
    found = [statement for line in script.splitlines() for statement in language.parse(line)]
    return [statement for statement in found if isinstance(statement, ParsedStatement)]


def _branches(script: str) -> list[list[str]]:
    """The branches of a script, as the texts of their statements."""
    branches = Branches()
    for statement in _statements(script):
        branches.add(statement)
    return [[one.text for one in branch] for branch in branches.all()]


def test_a_script_that_goes_back_has_branches() -> None:
    """Each end that undo leaves is a branch; what it shares with an earlier one it repeats without the expects."""
    script = "mmap a 4\nwrite a[0]\nexpect present? a[0] == yes\nfork B\nundo\nas A\nwrite a[1]\nundo 2\nread a"

    assert _branches(script) == [
        ["mmap a 4", "write a[0]", "expect present? a[0] == yes", "fork B"],
        ["mmap a 4", "write a[0]", "as A", "write a[1]"],
        ["mmap a 4", "read a"],
    ]


@pytest.mark.parametrize(
    ("script", "branches"),
    [
        ("mmap a 4\nread a", [["mmap a 4", "read a"]]),
        ("mmap a 4\nundo", [["mmap a 4"]]),
        ("mmap a 4\nundo\nredo\nread a", [["mmap a 4"], ["mmap a 4", "read a"]]),
        ("mmap a 4\nmark m\nread a\ngoto m\nwrite a", [["mmap a 4", "mark m", "read a"], ["mmap a 4", "write a"]]),
        ("mmap a 4\nreset\nmmap b 4", [["mmap a 4"], ["mmap b 4"]]),
    ],
)
def test_branches(script: str, branches: list[list[str]]) -> None:
    """Every way of going back in the history ends a branch; the next begins with what led to where it goes on."""
    found = _branches(script)

    assert [[text for text in branch if text != "mark m"] for branch in found] == [
        [text for text in branch if text != "mark m"] for branch in branches
    ]


def test_a_branch_is_what_the_session_would_be() -> None:
    """The last branch of a script, run from the beginning, ends in the state that the script ends in."""
    script = "mmap a 16\nwrite a\nfork B\nundo 2\nfork C\nC: write a[3]\nundo\nC: munmap a[0..3]\nmadvise cold a"
    whole, alone = Session(), Session()
    branches = Branches()
    for statement in _statements(script):
        whole.run(statement)
        branches.add(statement)

    for statement in branches.all()[-1]:
        alone.run(statement)

    assert [one.line for one in alone.history.in_force] == [one.line for one in whole.history.in_force]


@pytest.mark.parametrize("setting", ["set decide vmas", "set page_mapcount off", "set fault_around 4K", "set swap on"])
def test_what_no_kernel_can_be_told_cuts(setting: str) -> None:
    """After it nothing is added any more, and the writer says why; what comes before stays."""
    writer = ScenarioWriter()
    for statement in _statements(f"mmap a 4\n{setting}\nwrite a\nas A\nfork B"):
        writer.add(statement)

    assert [op["op"] for op in writer.ops] == ["mmap"]
    assert writer.cut is not None


def test_what_fails_cuts_nothing() -> None:
    """A command that is no system call changes nothing if it fails: the script goes on."""
    writer = ScenarioWriter()
    for statement in _statements("mmap a 4\nwrite a\npin a[0]\nfails EAGAIN migrate f1\nread a"):
        writer.add(statement)

    assert [op["op"] for op in writer.ops] == ["mmap", "touch", "pin", "touch"]
    assert writer.cut is None


def test_swap_and_fault_around_are_set_before_the_first_operation() -> None:
    """They are part of the setup, as a script and as a scenario."""
    script = "set swap sync\nset fault_around 32K\nmmap a 4\nwrite a"

    converted = scenario_of(_statements(script), "s")

    assert converted["setup"] == {"swap": True, "fault_around": 8}
    assert scenario_of(_statements(script_of(check_scenario(converted))), "s") == converted
