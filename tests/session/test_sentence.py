"""The sentence of a step tells each thing once."""

from __future__ import annotations

import pytest

from folioshell import Session

HUGE = "file big 512 order=9 fs=tmpfs-huge ; mmap win 512 shared file=big"


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ((HUGE, "write win"), "A wrote win: f1 PMD-mapped."),
        (
            (HUGE, "write win", "munmap win[100]"),
            "munmap(win[100]): 2 VMA splits; PMD mapping of f1 at pmd1 zapped; file pages will be refaulted.",
        ),
        ((HUGE, "write win", "munmap win"), "munmap(win): PMD mapping of f1 removed; page tables freed: pmd1."),
    ],
)
def test_huge_mappings(lines: tuple[str, ...], sentence: str) -> None:
    """What an event tells about a PMD entry is not told of the folio as well."""
    session = Session()
    for text in lines:
        *_, report = session.execute(text)

    assert report.sentence == sentence


PRIVATE = "mmap buf 4 ; write buf ; fork B"
LARGE = "set thp.64K always ; mmap buf 32 align=16 ; write buf ; fork B"
FILE = "file lib 8 order=2 ; mmap win 8 file=lib prot=rw ; read win"
PMD = "set geometry classroom ; set thp.pmd always ; mmap buf 8 ; write buf ; fork B"
CHILDREN = "mmap buf 1 ; write buf ; fork B ; fork C ; fork D ; fork E"


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ((PRIVATE, "write buf[0]"), "A wrote buf[0]: f5 is a copy of f1, which B still maps."),
        ((PRIVATE, "B: write buf"), "B wrote buf: f5..f8 are copies of f1..f4, which A still maps."),
        ((PRIVATE, "exit B", "write buf"), "A wrote buf: no one else maps f1..f4: made writable, no copy."),
        ((CHILDREN, "write buf"), "A wrote buf: f2 is a copy of f1, which B, C, D and others still map."),
        (
            (LARGE, "write buf[3..4]"),
            "A wrote buf[3..4]: f1 shared? yes (mm-id); f3..f4 are copies of pages 3..4 of f1, which B still maps.",
        ),
        (
            (LARGE, "exit B", "write buf[3..20]"),
            (
                "A wrote buf[3..20]: f1..f2 shared? no (mm-id); no one else maps pages 3..15 of f1: made writable, no "
                "copy; no one else maps pages 0..4 of f2: made writable, no copy."
            ),
        ),
        ((FILE, "write win[4..5]"), "A wrote win[4..5]: f3..f4 are copies of pages 0..1 of f2 (lib)."),
        ((PMD, "exit B", "write buf[0]"), "A wrote buf[0]: no one else maps f1: made writable, no copy."),
    ],
)
def test_writes_say_why_they_copy(lines: tuple[str, ...], sentence: str) -> None:
    """A copy names the page it is of and who still maps that; a write without a copy says that no one else does."""
    session = Session()
    for text in lines:
        *_, report = session.execute(text)

    assert report.sentence == sentence


def test_a_wrong_answer_is_not_repeated() -> None:
    """Where a wrong answer let a write reuse a page, the sentence does not say that no one else maps it."""
    session = Session()
    session.execute("set thp.64K always ; mmap buf 16 ; write buf ; fork B")
    session.execute("madvise dontneed buf[0..7] ; B: madvise dontneed buf[0..7] ; set decide likely")
    *_, report = session.execute("write buf[8]")

    assert report.findings
    assert report.sentence == "A wrote buf[8]: f1 shared? no (likely); page 8 of f1 made writable, no copy."


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("mmap m 8 shared populate", "mmap(m, 32K, MAP_SHARED|MAP_ANONYMOUS|MAP_POPULATE) = 0x7f0000200000: "),
        ("B: madvise cold buf[0]", "B: madvise(buf[0], MADV_COLD)."),
        ("A: munlock buf", "A: munlock(buf)."),
        ("thread t ; A.t: munlock buf", "A.t: munlock(buf)."),
        ("mprotect buf[1] none", "mprotect(buf[1], none): 2 VMA splits."),
        ("mremap buf[2] 8 new=tail", "mremap(buf[2], 32K, tail) = 0x7f0000200000: "),
        ("pin buf[0] ; unpin buf[0]", "unpin_user_pages(buf[0])"),
        ("fork C", "fork() = C, 1 VMA copied: "),
        ("B: exit", "B exited: "),
        ("mmap m 4 at=0x7f0000001000", "mmap(m, 16K, MAP_PRIVATE|MAP_ANONYMOUS)"),
        ("munmap buf[0] ; mprotect buf r", "mprotect(buf, r): failed with ENOMEM"),
    ],
)
def test_system_calls_open_their_sentence(line: str, sentence: str) -> None:
    """A system call stands as it would in a trace, after its process if that was named."""
    session = Session()
    session.execute(PRIVATE)
    *_, report = session.execute(line)

    assert report.sentence.startswith(sentence)
