"""Tests of folioshell.commands.inspect, tables, steps, settings, history and reference."""

from __future__ import annotations

import pytest

from folioshell import Session
from folioshell.commands.grammar import registry
from folioshell.commands.reference import reference
from folioshell.commands.tables import TABLES
from folioshell.errors import Refused
from folioshell.report import Picture, Table, Text
from folioshell.session.state import snapshot
from folioshell.views.report_view import plain_lines

STRADDLE = "file lib 32 order=4 ; mmap win 16 file=lib align=512 skew=504 ; fault win[0] ; fault win[8]"


@pytest.fixture
def session() -> Session:
    """The straddling folio of the mail, mapped in full."""
    session = Session()
    session.execute(STRADDLE)
    return session


def tables(session: Session, line: str) -> list[Table]:
    (report,) = session.execute(line)
    return [section for section in report.sections if isinstance(section, Table)]


def refused(session: Session, line: str) -> Refused:
    with pytest.raises(Refused) as error:
        session.execute(line)
    return error.value


def test_prot_none_is_shown() -> None:
    """Where an access gets SIGSEGV no view says that the entry could be read."""
    session = Session()
    session.execute("mmap win 4 ; fault win ; mprotect win[3] none")
    session.execute("fails SIGSEGV read win[3]")

    (walked,) = tables(session, "walk win[3]")
    assert walked.rows[0][-1] == "f4[0] none"
    assert [row[4] for row in tables(session, "show tables")[0].rows] == ["f1..f3 [0] rw", "f4[0] none"]
    changed = {table.title: table for table in tables(session, "diff 2 3")}["entries"]
    assert changed.rows[-1][-2:] == ("f4[0] rw", "f4[0] none")
    (picture,) = session.execute("show")[0].sections
    assert isinstance(picture, Picture)
    assert [cell.maps for cell in picture.lanes[0].cells] == ["f1..f3 rw", "f4 none"]
    entries = snapshot(session.workspace)["processes"]["A"]["entries"]
    assert [(entry["folio"], entry["pages"], entry["perm"]) for entry in entries] == [
        ("f1", 3, "rw"),
        ("f4", 1, "none"),
    ]


def test_hundreds_of_children() -> None:
    """What is alike is one row: no view is longer than with nine children."""
    lines = {}
    for nr in (9, 500):
        session = Session()
        session.execute("mmap buf 4 ; fault buf ; " + " ; ".join(f"fork P{child}" for child in range(1, nr + 1)))
        tables = ("show tables", "show processes", "show vmas", "show rmap", "show smaps")
        views = ("why f1", "cost", "diff 0", *tables, "show")
        lines[nr] = {view: len(plain_lines(session.execute(view), 200)) for view in views}

    assert lines[500].pop("show") <= 80
    assert lines[500] == {view: number for view, number in lines[9].items() if view != "show"}
    assert max(lines[500].values()) < 30


def test_smaps_at_80_columns() -> None:
    """An address is never broken within."""
    (report,) = Session().execute("mmap buf 16 ; fault buf ; show smaps")[2:]
    for width in range(40, 120):
        text = "\n".join(plain_lines([report], width))
        assert "0x7f0000000000" in text
        assert "0x7f0000010000" in text


def test_rmap_visits_misses_too(session: Session) -> None:
    """Fork does not copy file entries, so that the child's VMA is visited in vain."""
    session.execute("fork B")
    (report,) = session.execute("rmap f1")
    (walk,) = report.walks

    assert walk.through == "i_mmap of lib"
    assert [(visit.process, visit.vma, visit.tables) for visit in walk.visits] == [
        ("A", "v1", (("pt1", 8), ("pt2", 8))),
        ("B", "v2", ()),
    ]


def test_walk_shows_every_level(session: Session) -> None:
    """One row a run of entries, with the index at each level."""
    (table,) = tables(session, "walk win")

    assert [row[1:] for row in table.rows] == [
        (8, "254 0 0 504", "pmd1", "pt1", "f1[0..7] r"),
        (8, "254 0 1 0", "pmd1", "pt2", "f1[8..15] r"),
    ]
    (table,) = tables(session, "walk win[3..4]")
    assert [row[1] for row in table.rows] == [2]
    (table,) = tables(session, "walk 0x1000+3")
    assert [row[1:] for row in table.rows] == [(3, "0 0 0 1", "none", "none", "none")]
    session.execute("mmap wide 900G ; fault wide[100000000]")
    (table,) = tables(session, "walk wide")
    pages = [row[1] for row in table.rows]
    assert (sum(map(int, pages)), max(pages) > 99_000_000, len(pages) < 10) == (900 << 18, True, True)
    assert [row[3:] for row in table.rows if row[1] == 1] == [("pmd2", "pt3", "f3[0] rw")]


def test_counts_of_pages_are_runs() -> None:
    """Order-0 folios with the same count are one row, a large folio is one where its pages are mapped alike."""
    session = Session()
    session.execute("mmap buf 16 ; fault buf ; fork B ; B: write buf[3]")
    session.execute("file lib 16 order=4 ; mmap win 8 file=lib ; read win")
    (table,) = tables(session, "show kpagecount")

    assert [row[1:] for row in table.rows] == [
        (3, 2, "f1..f3", "0"),
        (1, 1, "f4", "0"),
        (12, 2, "f5..f16", "0"),
        (1, 1, "f17", "0"),
        (8, 1, "f18", "0..7"),
        (8, 0, "f18", "8..15"),
    ]
    session.execute("munmap win[2]")
    (table,) = tables(session, "show kpagecount")
    assert table.rows[-3][1:] == (1, 0, "f18", "2")


@pytest.mark.parametrize("name", TABLES)
def test_every_table_can_be_shown(session: Session, name: str) -> None:
    """Each word after show gives a table; rows have a cell a column."""
    session.execute("set thp.2M always ; mmap huge 2M ; fault huge[0] ; munmap huge[0] ; fork B")
    (table,) = tables(session, f"show {name}")

    assert table.rows
    assert all(len(row) == len(table.columns) for row in table.rows)


def test_trace_is_nested_and_complete(session: Session) -> None:
    """Every operation and event of the step, in order, set in by the locks held."""
    (both,) = tables(session, "trace 4")
    (locks,) = tables(session, "trace 4 locks")
    (events,) = tables(session, "trace 4 events")

    assert len(both.rows) == len(locks.rows) + len(events.rows) == len(session.workspace.journal[3].trace)
    names = [(row[1], str(row[2]).strip()) for row in locks.rows]
    depth = next(depth for depth, name in names if name == "+pt2")
    assert (depth, "-pt2") in names
    assert any("f1 pages 8..15 mapped by A at 0x7f0000200000, v1, pt2" in str(row[2]) for row in events.rows)


def test_trace_of_what_is_not_there(session: Session) -> None:
    """Only steps that were done can be traced."""
    assert refused(session, "trace 5").hint == "steps go from 1 to 4"
    assert refused(session, "trace 0").start == 6
    assert refused(Session(), "trace").message == "there is no step yet"


def test_why_names_the_steps(session: Session) -> None:
    """Each tuple and each run of entries with the step that made it."""
    numbers, entries = tables(session, "why f1 tuples")

    assert numbers.rows == (
        ("tuples = 2", "pt1", 1, "A", "v1", "pages 0..7", "3"),
        ("", "pt2", 1, "A", "v1", "pages 8..15", "4"),
    )
    assert [(row[2], row[4], row[6]) for row in entries.rows] == [("pt1", "pages 0..7", 3), ("pt2", "pages 8..15", 4)]


def test_why_says_what_counts_the_same_once() -> None:
    """Schemes with the same parts share their rows; the command that made an entry is named."""
    session = Session()
    session.execute("mmap buf 4 ; fault buf")
    (report,) = session.execute("why f1")
    numbers, entries = (section for section in report.sections if isinstance(section, Table))

    assert [row[0] for row in numbers.rows] == ["per-page, tuples, vmas, likely, mm-id, average = 1"]
    assert entries.rows[0][-2:] == (2, "A: fault buf")
    assert report.sentence.startswith("f1 (order 0) is mapped by 1 address space, 1 VMA")


def test_why_follows_moved_and_small_entries() -> None:
    """Small folios are found by table and process; of a large one the moved part names the mremap."""
    session = Session()
    session.execute("mmap buf 8 ; fault buf[0..1] ; fault buf[2] ; mremap buf[1..2] new=moved ; fork B")

    assert [row[6] for row in tables(session, "why f1")[1].rows] == [2, 5]
    assert [row[6] for row in tables(session, "why f3")[1].rows] == [3, 5]
    session.execute("reset ; set thp.16K always ; mmap buf 4 ; fault buf[0] ; mremap buf[1..2] new=moved")
    assert [(row[4], row[6]) for row in tables(session, "why f1")[1].rows] == [
        ("page 0", 3),
        ("page 3", 3),
        ("pages 1..2", 4),
    ]


def test_diff_of_steps(session: Session) -> None:
    """By default what the last step changed; with numbers, between any two states."""
    (report,) = session.execute("diff")
    assert [(row.id, row.mapcounts["tuples"].old, row.mapcounts["tuples"].new) for row in report.folios] == [
        ("f1", 1, 2)
    ]
    (report,) = session.execute("diff 0 3")
    assert [(row.id, row.note) for row in report.folios] == [("f1", "new"), ("f2", "new")]
    assert {table.title: table.rows for table in report.sections if isinstance(table, Table)} == {
        "processes": (("A", "VMAs", 0, 1), ("A", "file pages", 0, 8), ("A", "PTE tables", 0, 1)),
        "VMAs": (("A", "v1", "-", "0x7f00001f8000+16, r--p, lib+0, no anon_vma"),),
        "entries": (("A", "win[0..7]", "pt1", "-", "f1[0..7] r"),),
    }
    assert session.execute("diff 3 3")[0].sentence.endswith("no differences.")
    assert refused(session, "diff 2 9").start == 7


def test_settings_that_are_steps(session: Session) -> None:
    """Switches of the kernel are steps; undo takes them back."""
    session.execute("set thp.pmd always ; set thp.64K always ; set fault_around 4K ; set decide vmas")
    settings = dict(tables(session, "set")[0].rows)
    assert session.prompt == "A 8>"
    assert (settings["thp.2M"], settings["thp.64K"], settings["thp.32K"]) == ("always", "always", "never")
    assert (settings["fault_around"], settings["decide"]) == ("4K", "vmas")
    session.execute("undo 4")
    assert dict(tables(session, "set")[0].rows)["decide"] == "mm-id"


def test_classroom_geometry() -> None:
    """Pictures fit: 8 entries a table, and the next boundary is 8 pages on."""
    session = Session()
    session.execute("set geometry classroom ; mmap a 4 ; mmap b 4 ; fault b")
    regions = session.workspace.regions

    assert regions["b"].start - regions["a"].start == 8
    assert session.prompt == "A 4>"
    session.execute("undo 4")
    assert session.workspace.kernel.geometry.name == "x86-64"


@pytest.mark.parametrize(
    ("line", "start", "message"),
    [
        ("set geometry classroom", 4, "geometry can be set at step 0 only"),
        ("set thp.48K always", 4, "no such size of an anonymous folio"),
        ("set thp.4M always", 4, "no such size of an anonymous folio"),
        ("set thp.x always", 4, "no such size of an anonymous folio"),
        ("set fault_around 12K", 17, "not a power of two within a page table"),
        ("set fault_around 4M", 17, "not a power of two within a page table"),
        ("set read_ahead 24K", 15, "not a power of two, or out of range"),
        ("set read_ahead 4K", 15, "not a power of two, or out of range"),
    ],
)
def test_settings_that_are_refused(session: Session, line: str, start: int, message: str) -> None:
    """What does not exist, and what comes too late."""
    error = refused(session, line)

    assert (error.start, error.message) == (start, message)
    assert session.prompt == "A 4>"


def test_view_settings(session: Session) -> None:
    """What is shown can be chosen, and put back."""
    session.execute("set schemes vmas,tuples ; set after none ; set walks always ; set check on")
    (report,) = session.execute("fork B")

    assert (report.folios, report.locks, report.walks) == ((), (), ())
    assert session.shown_schemes == ["vmas", "tuples"]
    assert session.script()[:4] == ["set after none", "set walks always", "set schemes vmas,tuples", "set check on"]
    session.execute("set schemes usual ; set after all ; set walks made ; set check off")
    assert session.script()[:2] == ["set after mapcounts,walks,locks", STRADDLE.split(" ; ", maxsplit=1)[0]]


def test_history_marks_where_we_are(session: Session) -> None:
    """Undone steps are listed, too."""
    session.execute("munmap win[0] ; fails ENOMEM mprotect win r ; undo")
    (table,) = tables(session, "history")

    assert [row[4] for row in table.rows] == ["", "", "", "", "here", "undone"]
    assert table.rows[5][3] == "ENOMEM"


@pytest.mark.parametrize(
    ("line", "message"),
    [("undo 5", "only 4 steps can be undone"), ("redo", "there is nothing to redo"), ("goto 5", "there is no step 5")],
)
def test_moves_that_are_refused(session: Session, line: str, message: str) -> None:
    """The history has two ends."""
    assert refused(session, line).message == message


def test_one_is_no_plural() -> None:
    """One step, one VMA, one entry."""
    session = Session()
    session.execute("mmap buf 4")
    assert refused(session, "undo 2").message == "only 1 step can be undone"
    session.execute("undo")
    assert refused(session, "redo 2").message == "only 1 step can be redone"
    session.execute("redo ; fault buf[0] ; reclaim f1")
    (trace,) = tables(session, "trace events")
    assert "rmap walk over f1: 1 VMA, 1 table, 1 entry" in [str(row[2]).strip() for row in trace.rows]


def test_goto_back_and_forth(session: Session) -> None:
    """Goto reaches undone steps."""
    session.execute("goto 1")
    assert session.prompt == "A 1>"
    session.execute("goto 4")
    assert session.prompt == "A 4>"


def test_quit() -> None:
    """Quit ends the session."""
    session = Session()
    session.execute("quit")
    assert session.finished


def test_help() -> None:
    """Help knows every command and topic, and suggests the nearest word."""
    session = Session()
    assert any(row[0] == "mmap" for table in tables(session, "help") for row in table.rows)
    for word in [*registry.commands, "places"]:
        (report,) = session.execute(f"help {word}")
        assert isinstance(report.sections[0], Text)
    assert refused(session, "help mmpa").hint == "did you mean `mmap`? `help` lists the commands"


def test_help_in_two_columns() -> None:
    """What a form does stands beside it, or below where it would begin, near enough for 80 columns."""
    (report,) = Session().execute("help show")
    (text,) = report.sections
    assert isinstance(text, Text)
    beside = [line.partition("  ")[2].strip() for line in text.lines]
    columns = {line.rindex(what) for line, what in zip(text.lines, beside, strict=True) if what in _SHOWN}

    assert text.lines[0].startswith("show   ")
    assert columns == {24}
    assert text.lines[text.lines.index("show schemes [FOLIO|PLACE]") + 1].strip() in _SHOWN


_SHOWN = {form.summary for form in registry.commands["show"].forms}


def test_reference_covers_every_command() -> None:
    """docs/commands.md has a section a command with usage and example."""
    text = reference()

    for command in registry:
        assert f"\n### {command.verb}\n" in text
        assert all(usage in text for usage in command.usages())
        assert all(example in text for example in command.explanation.examples)


def test_help_explains_every_setting() -> None:
    """`help set` names every setting, and every word that may stand behind one unless that is on or off."""
    (report,) = Session().execute("help set")
    (text,) = report.sections
    assert isinstance(text, Text)
    words = {line.split()[0] for line in text.lines if line.strip()}
    forms = registry.commands["set"].forms

    assert all(any(f"set {form.lead} " in line for line in text.lines) for form in forms if form.lead)
    for form in forms:
        for item in form.args:
            assert set(getattr(item.operand, "table", {})) - {"on", "off"} <= words


def dumped(line: str, folio: str) -> list[str]:
    """The lines of ``dump`` after some commands."""
    *_, report = Session().execute(f"{line} ; dump {folio}")
    (text,) = report.sections
    assert isinstance(text, Text)
    return list(text.lines)


@pytest.mark.parametrize(
    ("line", "folio", "lines"),
    [
        (
            "set thp.64K always ; mmap buf 16 ; write buf ; fork B ; munmap buf[3]",
            "buf[4]",
            [
                "page: refcount:31 mapcount:2 mapping:av1 index:0x7f0000004 pfn:0x204",
                "head: order:4 mapcount:31 entire_mapcount:0 nr_pages_mapped:16 pincount:0",
                "anon flags: uptodate|lru|head|swapbacked",
                "expected references: 31 (31 entries)",
                "MM-ID slots: A (mm 1) 15, B (mm 2) 16; SHARED bit set",
                "mlock count: 0",
            ],
        ),
        (
            "file lib 32 order=4 ; mmap win 16 file=lib ; fault win[0]",
            "f1",
            [
                "page: refcount:33 mapcount:1 mapping:lib index:0x0 pfn:0x200",
                "head: order:4 mapcount:16 entire_mapcount:0 nr_pages_mapped:16 pincount:0",
                "flags: uptodate|lru|private|head",
                "expected references: 33 (16 entries + 16 cached pages + buffers)",
                "MM-ID slots: A (mm 1) 16, free; SHARED bit clear",
                "mlock count: 0",
            ],
        ),
        (
            "mmap buf 4 ; fault buf ; pin buf[1] ; mlock buf[1]",
            "buf[1]",
            [
                "page: refcount:1025 mapcount:1 mapping:av1 index:0x7f0000001 pfn:0x201",
                "anon flags: uptodate|lru|swapbacked|unevictable|mlocked",
                "expected references: 1 (1 entry), 1 pin",
                "mlock count: 1",
            ],
        ),
    ],
)
def test_dump(line: str, folio: str, lines: list[str]) -> None:
    """The lines of dump_page(), then what the model knows besides; a pin of an order-0 folio is 1024 references."""
    assert dumped(line, folio) == lines


def test_dump_of_a_huge_page() -> None:
    """A PMD entry is in the entire mapcount, not in those of pages; a folio that lost pages is flagged."""
    huge = "set thp.pmd always ; mmap h 2M ; write h ; fork C ; C: munmap h[0]"
    page, head, *_, last = dumped(huge, "h[0]")

    assert page.startswith("page: refcount:512 mapcount:0 ")
    assert head == "head: order:9 mapcount:512 entire_mapcount:1 nr_pages_mapped:511 pincount:0"
    assert last == "on the deferred-split queue"
    assert dumped(f"{huge} ; exit C ; munmap h[5..8]", "h[0]")[-1] == "partially mapped, on the deferred-split queue"
    assert not any(line.startswith("MM-ID") for line in dumped(f"set profile 6.12 ; {huge}", "h[0]"))
