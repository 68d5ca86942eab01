"""Every fenced block of every document is run and must print what the document shows, unless its tag says otherwise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.blocks import DOCUMENTS, TAGS, Block, anchor, blocks
from tests.docs.reader import Reader
from tests.docs.retype import rewrite
from tests.repo.tree import ROOT

_LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
#: a file of this project in backticks, as `paths/fault.py` or `tests/fuzz/run.py`
_FILE = re.compile(r"`((?:[\w-]+/)+[\w.-]+\.(?:py|md|fs))`")
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


#: documents that explore all shipped races, or check schemes to the end: seconds each
LONG = ("locking.md", "schemes-own.md", "scripts.md")


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_tags(path: Path) -> None:
    """Every block says what it is."""
    for block in blocks(path):
        assert block.tag in TAGS, f"{block.place}: tag it with one of {', '.join(TAGS)}"


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=pytest.mark.full if path.name in LONG else ()) for path in DOCUMENTS],
    ids=_name,
)
def test_blocks(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Typed in a fresh folder, from top to bottom, every block prints what the document shows."""
    monkeypatch.chdir(tmp_path)
    reader = Reader(tmp_path)

    for block in blocks(path):
        complaints = list(reader.complaints(block))
        assert not complaints, f"{block.place}: " + "\n".join(complaints)


def test_the_tutorial_needs_80_columns() -> None:
    """Neither what is typed nor what is printed is wider."""
    shown = [block.text for block in blocks(ROOT / "docs" / "tutorial.md") if block.tag == "folioshell"]
    assert shown
    assert max(len(line) for text in shown for line in text.splitlines()) <= 80


@pytest.mark.parametrize(
    ("tag", "text"),
    [
        ("folioshell", "A 0> mmap buf 16\nmmap(nothing).\n"),
        ("folioshell", "mmap buf 16\n"),
        ("fs", "mmap buf 16\nexpect vmas A == 2\n"),
        ("fs", "mmapp buf 16\n"),
        ("sh", "true\nfolioshell run missing.fs\n"),
        ("console", "$ folioshell --version\nfolioshell 0\n"),
        ("console", "folioshell --version\n"),
        ("python", "import missing\n"),
    ],
)
def test_a_wrong_block_is_found(tag: str, text: str, tmp_path: Path) -> None:
    """Each kind of block can fail."""
    assert list(Reader(tmp_path).complaints(Block(ROOT / "README.md", 1, tag, text)))


def test_sessions_go_on(tmp_path: Path) -> None:
    """A session that does not start at step 0 continues the previous one."""
    reader = Reader(tmp_path)
    first = "A 0> mmap buf 16\nmmap(buf, 64K, MAP_PRIVATE|MAP_ANONYMOUS) = 0x7f0000000000.\n"
    second = "A 1> fork B\nfork() = B, 1 VMA copied.\n"

    assert not [*reader.complaints(Block(ROOT / "README.md", 1, "folioshell", first))]
    assert not [*reader.complaints(Block(ROOT / "README.md", 2, "folioshell", second))]


def test_a_file_is_kept_for_the_blocks_below(tmp_path: Path) -> None:
    """A program that names itself in its first line can be used by later blocks."""
    reader = Reader(tmp_path)
    assert not [*reader.complaints(Block(ROOT / "README.md", 1, "python", "# kept.py\nprint(1)\n"))]
    assert not [*reader.complaints(Block(ROOT / "README.md", 2, "console", "$ python kept.py\n1\n"))]


def test_a_document_is_typed_again(tmp_path: Path) -> None:
    """Retyping a document corrects the output that it shows, of any length, and changes nothing else."""
    right = "One.\n\n```folioshell\nA 0> mmap buf 4\nmmap(buf, 16K, MAP_PRIVATE|MAP_ANONYMOUS) = 0x7f0000000000.\n```\n"
    more = "\nTwo.\n\n```console\n$ echo three\nthree\n```\n\n```text\nfour\n```\n"
    document = tmp_path / "document.md"
    document.write_text((right + more).replace("\nmmap(", "\nWhat\n\nis this?\nmmap(").replace("three\nthree", "three"))

    rewrite(document)

    assert document.read_text() == right + more


def test_fences_without_a_tag_have_none(tmp_path: Path) -> None:
    """Blocks have a line and a tag; a missing tag or an unclosed block is not in TAGS."""
    document = ROOT / "docs" / "none.md"
    path = tmp_path / "none.md"
    path.write_text("```text\na\n```\n\n```\nb\n```\n````fs\n```\nc\n")

    assert [(found.line, found.tag, found.text) for found in blocks(path)] == [
        (1, "text", "a\n"),
        (5, "", "b\n"),
        (8, "unclosed", "```\nc\n"),
    ]
    assert not {"", "unclosed"} & set(TAGS)
    assert Block(document, 3, "", "").place == "docs/none.md:3"


def test_readme_shows_a_session_and_a_picture() -> None:
    """README shows at least one session as text, and one picture."""
    readme = ROOT / "README.md"

    assert "folioshell" in {block.tag for block in blocks(readme)}
    assert re.search(r"!\[[^]]{20,}\]\(docs/\w+\.svg\)", readme.read_text(encoding="utf-8"))


def _anchors(path: Path) -> set[str]:
    return {anchor(heading) for heading in _HEADING.findall(path.read_text(encoding="utf-8"))}


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_links_lead_somewhere(path: Path) -> None:
    """Relative links name existing files and headings."""
    missing = []
    for link in _LINK.findall(path.read_text(encoding="utf-8")):
        name, _, heading = link.partition("#")
        target = path.parent / name if name else path
        if not target.exists() or (heading and heading not in _anchors(target)):
            missing.append(link)

    assert not missing


@pytest.mark.parametrize("path", DOCUMENTS, ids=_name)
def test_named_files_exist(path: Path) -> None:
    """Files in backticks exist, from the top of the project, in the package, or in scenarios/."""
    places = (ROOT, ROOT / "folioshell", ROOT / "scenarios")

    names = _FILE.findall(path.read_text(encoding="utf-8"))
    assert [name for name in names if not any((place / name).exists() for place in places)] == []


def test_modules_of_the_tour_exist() -> None:
    """Modules and packages that design.md names by their name alone exist."""
    tour = (ROOT / "docs" / "design.md").read_text(encoding="utf-8").partition("## A tour of the tree")[2]
    known = {path.name for folder in ("folioshell", "tests") for path in (ROOT / folder).rglob("*.py")}
    packages = {f"{path.name}/" for path in (ROOT / "folioshell").iterdir() if path.is_dir()}

    assert set(re.findall(r"`(\w+\.py)`", tour)) - known == set()
    assert set(re.findall(r"^\| ((?:`\w+/` ?)+)", tour, re.MULTILINE))
    assert set(re.findall(r"`(\w+/)`", tour)) <= packages
