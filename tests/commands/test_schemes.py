"""Tests of folioshell.commands.schemes: schemes as words and as text."""

from __future__ import annotations

import pytest

from folioshell import Session
from folioshell.commands.schemes import is_scheme_word
from folioshell.errors import Refused
from folioshell.model.decisions import decisions_of
from folioshell.report import Table, Text
from folioshell.schemes import all_schemes


def refused(session: Session, line: str) -> Refused:
    with pytest.raises(Refused) as error:
        session.execute(line)
    return error.value


@pytest.mark.parametrize(
    ("line", "place"),
    [
        ("set decide vma", (11, 14)),
        ("set schemes tuples,vma", (19, 22)),
        ("why f1 vma", (7, 10)),
        ("expect mapcount vma f1 == 1", (16, 19)),
        ("expect shared? vma f1 == no", (15, 18)),
        ("expect partial? vma f1 == no", (16, 19)),
        ("expect page_mapcount vma win[0] == 1", (21, 24)),
    ],
)
def test_an_unknown_scheme_is_refused(line: str, place: tuple[int, int]) -> None:
    """Wherever a scheme may stand, a wrong one is pointed at, and the nearest right one named."""
    session = Session()
    session.execute("file lib 32 order=4 ; mmap win 16 file=lib ; fault win[0]")
    error = refused(session, line)

    assert (error.start, error.end) == place
    assert error.message == "no such scheme"
    assert error.hint == "did you mean `vmas` or `vmas-hookless`?"
    assert list(error.allowed) == list(all_schemes())


def test_choosing_schemes() -> None:
    """`all` shows every one, a list those named, `usual` the ones shown unless others are chosen."""
    session = Session()
    usual = session.shown_schemes
    session.execute("set schemes all")
    assert session.shown_schemes == list(all_schemes())
    session.execute("set schemes owner,tuples")
    assert session.shown_schemes == ["owner", "tuples"]
    session.execute("set schemes none ; mmap buf 2 ; write buf")
    assert session.shown_schemes == []
    assert session.script()[0] == "set schemes none"
    (report,) = session.execute("why f1")
    assert [section.title for section in report.sections if isinstance(section, Table)] == ["entries that map f1"]
    session.execute("set schemes usual")
    assert session.shown_schemes == usual == ["per-page", "tuples", "vmas", "likely", "mm-id", "average"]


def test_names_of_schemes() -> None:
    """Every registered name can be typed; ids and words that mean something else cannot be names."""
    assert all(is_scheme_word(name) for name in all_schemes())
    assert not any(
        is_scheme_word(word) for word in ("f1", "pt3", "truth", "all", "usual", "none", "", "a,b", "9x", "a b")
    )


def test_show_schemes() -> None:
    """Each scheme has its name with version, two lines and its state; bytes are those of orders 0, 4 and 9."""
    session = Session()
    text, sizes = session.execute("show schemes")[0].sections
    assert isinstance(text, Text)
    assert isinstance(sizes, Table)
    lines = list(text.lines)
    for name, kind in all_schemes().items():
        at = next(place for place, line in enumerate(lines) if line.startswith((f"{name}:", f"{name} (")))
        assert lines[at].endswith(kind.version)
        assert lines[at + 1 : at + 3] == [f"  {line}" for line in kind.about]
        assert lines[at + 3] == f"  State: {kind.state}."
        assert (len(lines) > at + 4 and lines[at + 4].startswith("  Decided in ")) == bool(decisions_of(name))
    assert "mm-id (decides, shown): " in "\n".join(lines)
    assert sizes.columns == ("scheme", "role", "order 0", "order 4", "order 9")
    assert ("vmas", "shown", 4, 4, 4) in sizes.rows


def test_show_schemes_for_a_folio() -> None:
    """With a folio the bytes are those of its order."""
    session = Session()
    session.execute("set thp.64K always ; mmap buf 16 ; fault buf")
    for what in ("f1", "buf[7]"):
        sizes = session.execute(f"show schemes {what}")[0].sections[1]
        assert isinstance(sizes, Table)
        assert sizes.columns == ("scheme", "role", "order 4")
        assert ("per-page", "shown", 72) in sizes.rows
