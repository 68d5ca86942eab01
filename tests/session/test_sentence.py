"""The sentence of a step tells each thing once."""

from __future__ import annotations

import pytest

from folioshell import Session

HUGE = "file big 512 order=9 fs=tmpfs-huge ; mmap win 512 shared file=big"


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ((HUGE, "write win"), "A wrote win: f1 mapped whole by 1 PMD entry."),
        (
            (HUGE, "write win", "munmap win[100]"),
            "A unmapped win[100]: 2 VMA splits; PMD mapping of f1 at pmd1 zapped; file pages will be refaulted.",
        ),
        ((HUGE, "write win", "munmap win"), "A unmapped win: PMD mapping of f1 gone; page tables freed: pmd1."),
    ],
)
def test_huge_mappings(lines: tuple[str, ...], sentence: str) -> None:
    """What an event tells about a PMD entry is not told of the folio as well."""
    session = Session()
    for text in lines:
        *_, report = session.execute(text)

    assert report.sentence == sentence
