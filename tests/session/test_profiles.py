"""Tests of folioshell.session.profiles: where a history parts under several kernels, and why."""

from __future__ import annotations

import pytest

from folioshell import Session
from folioshell.model.release import RELEASES, differences_between
from folioshell.report import Report, Table, Text
from tests.fingerprint import fingerprint

HUGE_ZERO = "set thp.pmd always ; mmap buf 2M align=512 ; read buf[0] ; write buf[0]"


def compared(line: str, versions: str = "") -> tuple[Report, list[Table]]:
    """The report of ``compare profiles`` after a line, and its tables."""
    session = Session()
    session.execute(line)
    (report,) = session.execute(f"compare profiles {versions}")
    return report, [section for section in report.sections if isinstance(section, Table)]


def groups(table: Table) -> list[str]:
    """The profiles that go together."""
    return [str(row[0]) for row in table.rows if row[0]]


def test_groups_and_rules() -> None:
    """Equal releases are one group; between neighbors stands the difference that parts them, and where it is."""
    report, tables = compared(HUGE_ZERO)

    assert report.sentence == "4 steps under 5.10, 6.1, 6.12, 6.16, 6.18, 7.0 and 7.3: they part in 2 steps."
    assert [table.title for table in tables] == ["step 3, A: read buf[0]", "step 4, A: write buf[0]"]
    assert groups(tables[1]) == ["5.10, 6.1, 6.12", "6.16, 6.18, 7.0, 7.3"]
    assert (tables[1].rows[0][1], tables[1].rows[0][2]) == ("orders", "A:buf[0] order 0\nA:buf[1..511] zero page")
    (rule,) = tables[1].note.split("\n")
    assert rule.startswith("6.12 → 6.16: mm/huge_memory.c: do_huge_zero_wp_pmd() (v6.13): a write to the huge zero")


def test_what_lasts_is_shown_once() -> None:
    """A difference of the state is not shown again by a later step that leaves it alone."""
    _, tables = compared(f"{HUGE_ZERO} ; mmap other 4 ; write other")

    assert [table.title for table in tables][-1] == "step 4, A: write buf[0]"


def test_equal_histories() -> None:
    """Nothing is shown of steps in which all end alike."""
    report, tables = compared("mmap buf 4 ; write buf ; fork B ; munmap buf[2]", "6.16,6.18")

    assert (report.sentence, tables) == ("4 steps under 6.16 and 6.18: equal in all.", [])


def test_a_step_that_one_kernel_refuses() -> None:
    """It says so, names the rule, and goes on."""
    _, tables = compared(
        "mmap buf 4M align=512 ; write buf[0] ; fails EINVAL madvise collapse buf[10..19] ; mmap more 2", "7.0,7.3"
    )

    assert [row[1:] for row in tables[0].rows[:2]] == [("result", "EINVAL"), ("result", "ok")]
    assert "madvise_collapse() (v7.1)" in tables[0].note
    assert len(tables) == 1


def test_a_command_that_means_nothing_elsewhere() -> None:
    """A setting that a release lacks is refused there; the steps after it are done all the same."""
    _, tables = compared("set page_mapcount off ; mmap buf 2 ; write buf", "6.12,6.18")

    assert str(tables[0].rows[0][2]).startswith("refused: lacks CONFIG_NO_PAGE_MAPCOUNT")
    assert tables[0].rows[1][2] == "ok"


def test_releases_that_refuse_alike_go_together() -> None:
    """The refusal does not name the release; folios with other ids are told of all releases at once."""
    line = "set thp.64K always ; mmap buf 64K ; write buf ; fork B ; write buf[1]"
    report, tables = compared(line, "5.10,6.1,6.12,6.18")

    assert groups(tables[0]) == ["5.10, 6.1", "6.12, 6.18"]
    assert tables[0].rows[0][2] == "refused: lacks mm/memory.c: alloc_anon_folio()"
    assert isinstance(report.sections[-1], Text)
    assert report.sections[-1].lines == (
        "Some folios have other ids than under 5.10: from step 5 on under 6.12 and 6.18.",
    )


def test_threads_take_as_many_steps_as_they_need() -> None:
    """A schedule fits one release alone: under others threads are not cut off, and the comparison goes on."""
    line = (
        "mmap buf 4 ; write buf ; spawn t1: madvise guard_install buf[1] ; finish ; fork B ; spawn t1: write buf[1] ; "
        "finish ; write buf[2]"
    )
    _, tables = compared(line, "6.12,6.18")

    assert tables[0].title == "step 3, A: race { A.t1: { madvise guard_install buf[1] } }"
    assert [table.title.partition(",")[0] for table in tables] == ["step 3", "step 4", "step 5"]
    assert tables[2].rows == (
        ("6.12", "locks", "2 PTLs: handle_pte_fault, wp_page_copy"),
        ("6.18", "locks", "0 PTLs"),
    )


def test_a_sharing_question() -> None:
    """Who answers is a rule like any other: it is named by the function that asks."""
    line = (
        "set thp.pmd always ; mmap buf 2M align=512 ; write buf ; fork B ; B: munmap buf[0..255] ; madvise cold buf[9]"
    )
    _, tables = compared(line, "6.1,6.12")

    assert tables[-1].note.startswith("6.1 → 6.12: madvise_cold_or_pageout_pte_range(), a PMD entry: per-page-v5")


def test_other_ids() -> None:
    """Where folios have other ids at the same places, the last section says from which step on."""
    report, _ = compared(f"{HUGE_ZERO} ; set thp.pmd never ; mmap m 1 ; write buf[9] ; write m", "6.12,6.18")

    assert report.sections[-1] == Text(("Some folios have other ids than under 6.12: from step 8 on under 6.18.",))


def test_the_session_stays_as_it_is() -> None:
    """The state is that before, also after `set profile` and `set geometry`, which the replay heeds or leaves out."""
    session = Session()
    session.execute(f"set profile 6.1 ; set geometry classroom ; {HUGE_ZERO.replace('2M align=512', '8 align=8')}")
    before = fingerprint(session.workspace.machine), session.prompt
    (report,) = session.execute("compare profiles 6.12,6.18")

    assert (fingerprint(session.workspace.machine), session.prompt) == before
    assert "A:buf[0] order 0" in str(report.sections)


@pytest.mark.parametrize("pair", list(zip(RELEASES, list(RELEASES)[1:], strict=False)), ids="-".join)
def test_all_rules_lead_from_one_release_to_the_next(pair: tuple[str, str]) -> None:
    """Flipped one after another they make the older release do all that the newer does."""
    older, newer = (RELEASES[version] for version in pair)
    made = older
    for rule in differences_between(older, newer):
        made = rule.flipped(made, newer)

    assert differences_between(older, newer) != []
    assert differences_between(made, newer) == []


def test_a_copy_and_a_write_in_place() -> None:
    """Whether a page was copied is told where all mapped it before; pages that only some had mapped say nothing."""
    line = "set thp.pmd always ; mmap buf 2M align=512 ; write buf ; mprotect buf[10] r ; mprotect buf[10] rw"
    _, tables = compared(f"{line} ; fork B ; exit B ; write buf[9]", "6.12,6.18")

    pages = [row[2] for row in tables[-1].rows if row[1] == "pages"]
    assert pages == ["A:buf[9] another page", "A:buf[9] same page"]
    assert "wp_can_reuse_anon_folio()" in tables[-1].note

    _, tables = compared(
        "file lib 600 order=9 ; mmap win 512 file=lib prot=rw align=512 ; write win[200] ; read win[201] ; read win[9]",
        "6.12,6.18",
    )
    assert [row for table in tables for row in table.rows if row[1] == "pages"] == []
