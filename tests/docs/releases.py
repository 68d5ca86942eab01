"""docs/releases.md: what each release does, from the table of differences."""

from __future__ import annotations

from folioshell.model.policy import SharingQuestion
from folioshell.model.release import DIFFERENCES, RELEASES, Release

_HEAD = """# Releases

What the kernels of `set profile` do differently, from the table in `folioshell/model/release.py`. A release follows the
point release that is named here, and does what its version has, backports aside.

"""

_QUESTIONS = """
## Who answers

The scheme that answers each question whether another process maps a folio, and the one that is the kernel's own counts.
`set decide SCHEME` puts one scheme in the place of all.

"""


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def _answer(row: Release, question: SharingQuestion) -> str:
    return ", ".join(f"`{word}`" for word in row.policy.answers[question]) or "–"


def releases_page() -> str:
    """The page."""
    rows = RELEASES.values()
    text = _HEAD + _row("since", "what", "where", *RELEASES) + _row(*["---"] * (3 + len(rows)))
    for name, change in DIFFERENCES.items():
        since = f"v{change.since}" + (f", until v{change.until}" if change.until else "")
        where = f"`{change.where}`" + (f", {change.commit}" if change.commit else "")
        text += _row(since, change.about, where, *("yes" if getattr(row, name) else "–" for row in rows))
    text += _QUESTIONS + _row("question", "asked about", *RELEASES) + _row(*["---"] * (2 + len(rows)))
    for question in SharingQuestion:
        text += _row(f"`{question.function}()`", question.about, *(_answer(row, question) for row in rows))
    text += _row("", "point release", *(row.point for row in rows))
    return text + _row("", "the kernel's own counts", *(f"`{row.policy.books}`" for row in rows))
