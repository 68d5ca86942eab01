"""Tests of folioshell.commands.questions, query, expect and compare: questions and their answers."""

from __future__ import annotations

import pytest

from folioshell import Session
from folioshell.commands.grammar import registry
from folioshell.commands.question import questions
from folioshell.errors import Refused
from folioshell.report import Expect, Query, QueryRow, Report, Table
from tests.fingerprint import fingerprint

STRADDLE = "file lib 32 order=4 ; mmap win 16 file=lib align=512 skew=504 ; fault win[0] ; fault win[8]"


@pytest.fixture
def session() -> Session:
    """The straddling folio of the mail, mapped in full."""
    session = Session()
    session.execute(STRADDLE)
    return session


def ask(session: Session, line: str) -> Query:
    (report,) = session.execute(line)
    assert report.query is not None
    return report.query


def row(query: Query, scheme: str) -> QueryRow:
    return next(row for row in query.rows if row.scheme == scheme)


def expect(session: Session, line: str) -> Expect:
    (report,) = session.execute(f"expect {line}")
    assert report.expect is not None
    return report.expect


def refused(session: Session, line: str) -> Refused:
    with pytest.raises(Refused) as error:
        session.execute(line)
    return error.value


def test_the_example_of_the_mail(session: Session) -> None:
    """tuples: 2, maybe, a walk of 2 PTLs and 16 entries; vmas: 1, no; the truth: no, 1 mm."""
    query = ask(session, "query shared? win[0]")

    tuples = row(query, "tuples")
    assert (tuples.number, tuples.answer, tuples.verdict) == (2, "maybe", "undecided")
    assert tuples.cost == "a walk of 1 VMA, 2 PTLs, 16 entries"
    vmas = row(query, "vmas")
    assert (vmas.number, vmas.answer, vmas.verdict, vmas.cost) == (1, "no", "exact", "")
    per_page = row(query, "per-page")
    assert (per_page.number, per_page.answer, per_page.verdict) == (1, "yes", "false positive")
    assert query.truth is not None
    assert (query.truth.answer, query.truth.mms, query.truth.tuples, query.truth.entries) == ("no", 1, 2, 16)
    assert session.prompt == "A 4>"


def test_number_of_a_folio_and_of_a_place(session: Session) -> None:
    """For a folio the number is folio_mapcount; for a place that of the page, where the scheme counts pages."""
    assert row(ask(session, "query mapcount f1"), "per-page").number == 16
    assert row(ask(session, "query mapcount win[3]"), "per-page").number == 1
    assert row(ask(session, "query mapcount win[3]"), "tuples").number == 2


def test_asking_leaves_nothing_behind(session: Session) -> None:
    """Not even a walk that was made to learn its cost."""
    before = fingerprint(session.workspace.machine)
    for line in ("query shared? f1", "rmap f1", "walk win", "why f1", "show", "trace", "diff", "expect order f1 == 4"):
        session.execute(line)

    assert fingerprint(session.workspace.machine) == before
    assert session.execute("trace 4 events")[0].sections == session.execute("trace events")[0].sections


def test_a_range_gives_a_row_a_run() -> None:
    """Pages that map consecutive pages of one folio are one row, holes are rows, too."""
    session = Session()
    session.execute("file lib 32 order=2 ; mmap win 12 file=lib ; fault win[0] ; munmap win[8..9]")
    (report,) = session.execute("query shared? win")
    (table,) = report.sections
    assert isinstance(table, Table)

    assert [cells[:2] for cells in table.rows] == [
        ("win[0..3]", "f1"),
        ("win[4..7]", "f2"),
        ("win[8..9]", "none"),
        ("win[10..11]", "f3"),
    ]


def test_order0_folios_that_are_alike_are_one_row() -> None:
    """A page that was copied is a row of its own; what each scheme says is what it says of every page."""
    session = Session()
    session.execute("mmap buf 16 ; fault buf ; fork B ; B: write buf[3]")
    (table,) = session.execute("query shared? buf")[0].sections
    assert isinstance(table, Table)

    assert [cells[:3] for cells in table.rows] == [
        ("buf[0..2]", "f1..f3", 0),
        ("buf[3]", "f4", 0),
        ("buf[4..15]", "f5..f16", 0),
    ]
    for page in range(16):
        query = ask(session, f"query shared? buf[{page}]")
        cells = table.rows[0 if page < 3 else 1 if page == 3 else 2]
        assert query.truth is not None and cells[-2:] == (query.truth.answer, query.truth.mms)
        assert [str(cell).split(" ")[0] for cell in cells[3:-2]] == [answer.answer for answer in query.rows]


def test_a_scheme_that_tells_order0_folios_apart() -> None:
    """zero-one-two-many keeps a record of its own: the row ends where it answers otherwise."""
    session = Session()
    session.execute("set schemes zero-one-two-many ; mmap buf 8 ; fault buf")
    (table,) = session.execute("query mapcount buf")[0].sections
    assert isinstance(table, Table)

    answers = [ask(session, f"query mapcount buf[{page}]").rows[0].answer for page in range(8)]
    assert [cells[3] for cells in table.rows] == list(dict.fromkeys(answers))


def test_who_asks(session: Session) -> None:
    """A place of another process can be asked about; a folio id is asked for by whoever maps it."""
    session.execute("fork B ; B: fault win[0]")

    assert row(ask(session, "query shared? B:win[0]"), "vmas").answer == "yes"
    query = ask(session, "B: query shared? f1")
    assert query.truth is not None and query.truth.answer == "yes"


def test_present(session: Session) -> None:
    """A present entry, none, and the zero page."""
    session.execute("mmap buf 4 ; read buf[1]")

    assert ask(session, "query present? win[0]").answer == "yes"
    assert ask(session, "query present? buf[0]").answer == "no"
    assert ask(session, "query present? buf[1]").answer == "yes, the zero page"
    assert session.execute("query present? buf")[0].sections


@pytest.mark.parametrize(
    ("line", "place", "message", "hint"),
    [
        ("query shared? buf[0]", (14, 20), "A has no present entry at 0x7f0000400000", "see `query present? buf[0]`"),
        ("query shared? buf[1]", (14, 20), "A maps the zero page at", "see `query present? buf[1]`"),
        ("query shared? f9", (14, 16), "no such folio", "the last one is f2"),
        ("query shared? bfu", (14, 17), "no such region", "did you mean `buf`?"),
        ("query shared? buf[4]", (17, 20), "outside buf", "buf has pages 0..3"),
        ("query shared? C:buf", (14, 15), "no such process", ""),
        ("query shared? lib", (14, 17), "lib is a file, not a region", ""),
        ("expect order win == 4", (13, 16), "one page expected, this is 16", "such as `win[0]`"),
        ("expect free win[0]", (12, 18), "a folio id is expected", ""),
        ("rmap f7", (5, 7), "no such folio", ""),
    ],
)
def test_what_cannot_be_asked(session: Session, line: str, place: tuple[int, int], message: str, hint: str) -> None:
    """Refusals point at the word and name what would help."""
    session.execute("mmap buf 4 ; read buf[1]")
    error = refused(session, line)

    assert (error.start, error.end) == place
    assert error.message.startswith(message)
    assert error.hint.startswith(hint)
    assert error.text == line


@pytest.mark.parametrize(
    "line",
    [
        "mapcount vmas f1 == 1",
        "mapcount per-page win[3] == 1",
        "mapcount per-page f1 > 15",
        "mapcount tuples f1 <= 2",
        "shared? tuples win[0] == maybe",
        "shared? truth win[0] == no",
        "shared? vmas f1 != yes",
        "truth mms f1 == 1",
        "truth vmas f1 == 1",
        "truth tuples f1 == 2",
        "truth entries f1 == 16",
        "truth pages f1 >= 16",
        "order f1 == 4",
        "mapped? f1 == yes",
        "mapped? vmas f1 == yes",
        "mapped? f2 == no",
        "partial? f1 == no",
        "present? win[3] == yes",
        "locks == pt2",
        "locks all == pmd1 pt2",
        "locks != pt1",
        "same win[0] win[0]",
        "vmas A == 1",
    ],
)
def test_expectations_that_hold(session: Session, line: str) -> None:
    """Each form of expect can pass."""
    assert expect(session, line).passed


@pytest.mark.parametrize(
    ("line", "actual", "expected", "why"),
    [
        ("mapcount tuples f1 == 3", "2", "3", "tuples: pt1 adds 1"),
        ("shared? vmas f1 == maybe", "no", "maybe", "A maps pages 0..7 of f1 at 0x7f00001f8000, v1, pt1"),
        ("truth mms f1 > 1", "1", "1", "A maps pages 8..15 of f1"),
        ("order f1 != 4", "4", "4", "f1 has 16 pages"),
        ("mapped? f2 == yes", "no", "yes", "no process maps f2"),
        ("present? win[3] == no", "yes", "no", "A at 0x7f00001fb000"),
        ("locks == pt1 pt2", "pt2", "pt1 pt2", "pt2 taken by filemap_map_pages"),
        ("same win[0] win[8]", "no", "yes", "they map page 0 of f1 and page 8 of f1"),
        ("vmas A == 2", "1", "2", "v1 0x7f00001f8000+16 r--p"),
        ("free f1", "no", "yes", "f1 has"),
    ],
)
def test_expectations_that_fail_say_why(session: Session, line: str, actual: str, expected: str, why: str) -> None:
    """A failed one has both values, and what they come from."""
    found = expect(session, line)

    assert not found.passed
    assert (found.actual, found.expected, found.text) == (actual, expected, line)
    assert any(text.startswith(why) for text in found.why)


def test_a_freed_folio_is_free_and_unmapped() -> None:
    """An id may outlive its folio."""
    session = Session()
    session.execute("set thp.64K always ; mmap buf 16 ; fault buf[0] ; munmap buf")

    for line in ("free f1", "mapped? f1 == no", "truth mms f1 == 0", "mapcount vmas f1 == 0", "order f1 == 4"):
        assert expect(session, line).passed
    assert refused(session, "rmap f1").message == "f1 was freed, or split into others"


@pytest.mark.parametrize(
    ("line", "passed"),
    [
        ("free f1", False),
        ("free f1 == no", True),
        ("free f1 != no", False),
        ("free f1 == yes", False),
        ("same buf[0] buf[1]", False),
        ("same buf[0] buf[1] == no", True),
        ("same buf[0] buf[0] != no", True),
    ],
)
def test_claims_may_be_compared(line: str, passed: bool) -> None:
    """`free` and `same` are claims alone, and take a comparison like any other question."""
    session = Session()
    session.execute("mmap buf 4 ; fault buf")
    found = session.execute(f"expect {line}")[0].expect

    assert found is not None
    assert found.passed == passed


def test_one_declaration_gives_all_forms() -> None:
    """Query and expect ask every question, watch those whose answer lasts, with one summary and the same operands."""
    names = list(questions.by_name)
    forms = {verb: {form.lead: form for form in registry.commands[verb].leads} for verb in ("query", "expect", "watch")}

    assert list(forms["query"]) == list(forms["expect"]) == names
    assert list(forms["watch"]) == [one.name for one in questions if one.lasting]
    for one in questions:
        assert one.summary
        for form in (found[one.name] for found in forms.values() if one.name in found):
            assert form.summary == one.summary
            assert [item for item in form.args if item.name != "SCHEME"] == list(one.args)
        assert forms["expect"][one.name].compare == one.values
        assert (forms["expect"][one.name].args[:1] != one.args[:1]) == (one.judges is not None)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("order f1", "4"),
        ("order win[0]", "4"),
        ("truth entries f1", "16"),
        ("vmas A", "1"),
        ("free f1", "no"),
        ("same win[0] win[8]", "no"),
        ("locks", "pt2"),
        ("findings", "0"),
    ],
)
def test_questions_to_the_state(session: Session, question: str, answer: str) -> None:
    """Query gives the value that expect compares, and explains it as a failed expect would."""
    report = session.execute(f"query {question}")[0]
    claim = session.execute(f"expect {question} != {answer}")[0].expect

    assert report.query is not None and claim is not None
    assert (report.query.answer, claim.actual, claim.passed) == (answer, answer, False)
    assert [line for section in report.sections for line in section.lines] == list(claim.why)  # type: ignore[union-attr]


def test_a_page_is_a_question_of_its_own(session: Session) -> None:
    """Query page_mapcount says of every scheme how often it says that the page is mapped."""
    found = session.execute("query page_mapcount win[0]")[0].query

    assert found is not None and found.truth is not None
    assert found.truth.page == 1
    assert {row.scheme: row.page for row in found.rows}["per-page"] == "1"


def test_same_compares_folio_and_page_across_processes() -> None:
    """Fork shares pages until one side writes."""
    session = Session()
    session.execute("mmap buf 2 ; fault buf ; fork B")
    assert expect(session, "same buf[0] B:buf[0]").passed
    session.execute("B: write buf[0]")
    assert not expect(session, "same buf[0] B:buf[0]").passed


def test_a_step_without_locks() -> None:
    """An empty list of locks can be expected."""
    session = Session()
    session.execute("mmap buf 2")
    (report,) = session.execute("expect locks ==")
    assert isinstance(report, Report)
    assert report.expect is not None and report.expect.passed


def test_how_often_a_page_is_mapped() -> None:
    """For a place each scheme says how often that page is mapped, or that it cannot; the truth judges."""
    session = Session()
    session.execute("set thp.64K always ; mmap buf 16 ; write buf[0] ; fork B ; munmap buf[0..9] ; B: munmap buf[0..9]")
    session.execute("set schemes all")
    query = ask(session, "query mapcount buf[12]")
    found = {row.scheme: (row.page, row.verdict) for row in query.rows}

    assert query.truth is not None and query.truth.page == 2
    assert found["per-page"] == found["mm-id"] == ("2", "exact")
    assert found["average"] == ("1", "too few")
    assert found["tuples"] == found["vmas"] == found["rmap-id"] == ("cannot", "")
    assert all(row.page == "" for row in ask(session, "query mapcount f1").rows)
    for line in ("truth buf[12] == 2", "buf[12] == 2", "average buf[12] < 2", "vmas buf[12] == cannot"):
        assert expect(session, f"page_mapcount {line}").passed, line
    failed = expect(session, "page_mapcount vmas buf[12] < 3")
    assert (failed.passed, failed.actual) == (False, "cannot")


def test_partial_and_mapped_are_judged() -> None:
    """Schemes that miss a partial mapping say no, others cannot tell; what never forgets calls a folio mapped."""
    session = Session()
    session.execute("set thp.64K always ; mmap buf 16 ; write buf[0] ; fork B")
    session.execute("munmap buf[8..15] ; B: munmap buf[8..15] ; set schemes all")
    partial = {row.scheme: (row.answer, row.verdict) for row in ask(session, "query partial? f1").rows}
    assert partial["per-page"] == partial["mm-id"] == ("yes", "exact")
    assert partial["average"] == partial["total-pages"] == ("no", "false negative")
    assert partial["vmas"] == partial["owner"] == ("cannot", "")
    assert expect(session, "partial? vmas f1 == cannot").passed
    assert expect(session, "partial? truth f1 == yes").passed

    session.execute("reset ; file lib 32 order=4 ; mmap win 16 file=lib ; fork B ; fork C")
    session.execute("fault win[0] ; B: fault win[0] ; C: fault win[0] ; munmap win ; B: munmap win ; C: munmap win")
    session.execute("set schemes all")
    mapped = {row.scheme: (row.answer, row.verdict) for row in ask(session, "query mapped? f1").rows}
    assert mapped["zero-one-two-many"] == ("yes", "false positive")
    assert mapped["vmas"] == mapped["mm-id"] == ("no", "exact")


def test_a_page_is_asked_about_as_the_scheme_asks() -> None:
    """per-page-v5 looks at the mapcount of the page asked about; of a folio it takes page 0."""
    session = Session()
    session.execute("set thp.64K always ; mmap buf 16 ; write buf[0] ; fork B ; B: munmap buf[0]")

    assert expect(session, "shared? per-page-v5 buf[3] == yes").passed
    assert expect(session, "shared? per-page-v5 buf[0] == no").passed
    assert expect(session, "shared? per-page-v5 f1 == no").passed


def test_an_expect_of_other_profiles_is_skipped() -> None:
    """It says so, is no assertion, and does not even look at what it is about; under its own profile it counts."""
    session = Session()
    session.execute("set profile 6.1 ; mmap buf 1 ; write buf")
    (skipped,) = session.execute("expect[6.12,6.18] order f9 == 1")
    (held,) = session.execute("expect[5.10,6.1] order f1 == 1")

    assert skipped.expect is None
    assert skipped.sentence == "Skipped: expect[6.12,6.18] order f9 == 1 (this is profile 6.1)."
    assert held.expect is not None
    assert (held.expect.text, held.expect.passed) == ("order f1 == 1", False)
