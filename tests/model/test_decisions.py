"""What each scheme decided, from which release to which."""

from __future__ import annotations

from folioshell.model.decisions import OWN_COUNTS, decisions_of
from folioshell.model.policy import SharingQuestion
from folioshell.model.release import RELEASES


def test_releases_in_a_row_are_one_span() -> None:
    """Oldest first; a topic counts from its first question that looks at the scheme to its last."""
    assert [str(one) for one in decisions_of("estimated-ne1")] == ["6.1: MADV_FREE, mbind, move_pages"]
    assert [str(one) for one in decisions_of("max-page")] == ["5.10: copy on write"]
    assert [str(one) for one in decisions_of("anon-exclusive")] == ["6.1 to 7.3: copy on write, swap-in, fork"]
    assert [str(one) for one in decisions_of("page-mapcount")] == [
        "5.10 to 7.3: smaps, pagemap, kpagecount",
        "5.10: swap-in",
    ]
    assert decisions_of("vmas") == []


def test_the_books_are_decisions_too() -> None:
    """Each release has one scheme for its own counts."""
    books = {row.policy.books for row in RELEASES.values()}
    kept = [(one.first, one.last) for word in books for one in decisions_of(word) if OWN_COUNTS in one.topics]

    assert sorted(kept, key=lambda span: [*RELEASES].index(span[0])) == [
        ("5.10", "6.1"),
        ("6.12", "6.12"),
        ("6.16", "7.3"),
    ]


def test_nothing_is_lost() -> None:
    """A scheme decided a topic in a release exactly if one of the topic's questions looks at it there."""
    versions = [*RELEASES]
    words = {word for row in RELEASES.values() for words in row.policy.answers.values() for word in words}
    for word in words:
        told = {
            (version, topic)
            for one in decisions_of(word)
            for version in versions[versions.index(one.first) : versions.index(one.last) + 1]
            for topic in one.topics
        }
        assert {pair for pair in told if pair[1] != OWN_COUNTS} == {
            (version, question.topic)
            for version, row in RELEASES.items()
            for question in SharingQuestion
            if word in row.policy.answers[question]
        }
