"""docs/history-of-mapcounts.md: what each release counts, and what its questions look at, from the tables."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from folioshell.model.decisions import decisions_of, span_text
from folioshell.model.policy import OWN_FIELDS, SharingQuestion
from folioshell.model.release import RELEASES, Release
from folioshell.schemes import all_schemes

_HEAD = """\
# History of mapcounts

For every folio the kernel needs two answers: is any page of it mapped, and, if this process maps it, does anyone
else? This page shows how Linux answered between 5.10 and 7.3, as the profiles of folioshell act on it. It is
generated from the tables that the simulated kernels run on (`folioshell/model/policy.py`,
`folioshell/model/release.py`); `show schemes` says the same for each scheme at the prompt, and `compare profiles`
shows what it changes for your own history.

## The short version

1. **Until 6.1 each page has a mapcount, and each caller picks a page.** A THP adds a count of its PMD entries and a
   flag, PageDoubleMap, for the time when both kinds of entries exist. Callers compare the mapcount of the page at
   hand, of page 0, or of the whole folio with 1, and so disagree about the same folio.
2. **6.2 simplifies the count, 6.10 makes it one number.** A folio counts its entries in one place. Whether it is
   shared is a guess from that number and from page 0 (`likely`): right in the usual cases, and wrong for two
   processes that map different pages.
3. **6.15 remembers owners.** Two slots for address spaces and a bit answer without a false negative. What is left is
   a false positive when a third process is the last one left.
4. **A write fault trusts no mapcount.** A mapcount cannot tell a mapping from a pin, so references decide since 5.9
   (of a PMD entry since 5.18), and since 5.19 a bit of each page, PageAnonExclusive, before them. Only 6.15 lets the
   owners of a large folio help.
5. **The mapcounts of single pages are still there.** Removing them (CONFIG_NO_PAGE_MAPCOUNT, the RFC of April 2026)
   is experimental or unmerged as of 7.3, November 2026.

"""

_COUNTS = """\
## What each release counts

The scheme that is the kernel's own: what `folio_mapcount()`, or `page_mapcount()` before it, returns. Bytes are kept
for a folio of order 0, 4 and 9.

"""

_QUESTIONS = """\
## What each question looks at

In this order; the first that says "exclusive" wins, except that a copy on write of a large folio needs both its
owners and its references, and that a fork copies what is exclusive and pinned. `–` is not asked. Releases that answer
alike share a column. Questions marked * stand here for the history alone: no path of the model asks them.

"""

_FIELDS = """\
Words that are no scheme's answer but a field of the kernel, which `set decide` does not replace:

- `references`: the reference count of the folio, compared with what entries, caches and the caller hold. A scheme of
  the same name counts those references.
- `anon-exclusive`: PageAnonExclusive of the page. A scheme of the same name follows the bit.
- `pins`: pins of the folio by a process that has ever pinned.
- `page-mapcount`: the mapcount of the page in the kernel's own counts; at swap-in the swap entries of the page are
  added.

"""

_DECIDED = """\
## Who decided what

"""

_NEVER = """\
Schemes that no release between 5.10 and 7.3 asked: mails, proposals, and what came and went between two of these
releases.

"""

_REST = """\

## Not on this page

- hugetlb counts the sharers of a page-table page (`pt_share_count`), DAX the users of a folio (`folio->share`), and
  device memory its own way. folioshell models none of them.
- Two ideas that were never released by themselves: a second count for PUD entries beside that of PMD entries (a topic
  of February 2026), and, on the way to 6.2, one counter for the sum of all pages' mapcounts.
- The commits of each difference between releases are in [releases.md](releases.md), the schemes with their laws
  in [schemes.md](schemes.md), worked examples in [definitions.md](definitions.md).
"""

_ORDERS = (0, 4, 9)


def history_page() -> str:
    """The page."""
    parts = [_HEAD, _COUNTS, *_counts(), "\n", _QUESTIONS, *_questions(), _FIELDS, _DECIDED, *_decided(), _REST]
    return "".join(parts)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def _counts() -> Iterator[str]:
    yield _row("release", "scheme", "counts", "order 0", "order 4", "order 9")
    yield _row(*["---"] * 6)
    for name, rows in groupby(RELEASES.values(), key=lambda row: row.policy.books):
        releases = [*rows]
        scheme = all_schemes()[name]()
        text = ", ".join(f"{row.version} ({row.point})" for row in releases)
        sizes = (str(scheme.bytes_of_state(order)) for order in _ORDERS)
        yield _row(text, f"[`{name}`](schemes.md#{name})", scheme.about[0], *sizes)


def _questions() -> Iterator[str]:
    for topic, found in groupby(SharingQuestion, key=lambda question: question.topic):
        questions = [*found]
        eras = [
            [*rows] for _, rows in groupby(RELEASES.values(), key=lambda row: [_answer(row, one) for one in questions])
        ]
        yield f"### {topic}\n\n"
        yield _row("asked by", "about", *(span_text(rows[0].version, rows[-1].version) for rows in eras))
        yield _row(*["---"] * (2 + len(eras)))
        for question in questions:
            answers = (_answer(rows[0], question) for rows in eras)
            yield _row(f"`{question.function}()`{'' if question.in_model else ' *'}", question.about, *answers)
        yield "\n"


def _answer(row: Release, question: SharingQuestion) -> str:
    return ", ".join(f"`{word}`" for word in row.policy.answers[question]) or "–"


def _decided() -> Iterator[str]:
    yield _row("scheme or field", "decided")
    yield _row("---", "---")
    idle = []
    for word in (*all_schemes(), *sorted(OWN_FIELDS - all_schemes().keys())):
        decided = decisions_of(word)
        if decided:
            yield _row(f"`{word}`", "; ".join(map(str, decided)))
        else:
            idle.append(word)
    yield f"\n{_NEVER}"
    for word in idle:
        yield f"- `{word}`: {all_schemes()[word].version}\n"
