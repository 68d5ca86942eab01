"""Words that folioshell does not use, with what it says instead: one table for documents, scenarios and code.

Quotations of the two mails keep their words.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

#: a pattern, matched as whole words in any case -> what to write
RETIRED = {
    # terms
    r"embrac\w+": "ABBA deadlock",
    r"self-deadlock\w*": "recursive locking",
    r"(?<!expect )drift\w*": "miscount",
    r"lost exclusions?": "unlocked update",
    r"false[ -](?:yes|no)(?:e?s)?": "false positive, false negative",
    r"part(?:ly|s) (?:un)?mapped": "partially mapped",
    r"leaf[ -]tables?": "PTE table",
    r"mapped whole": "PMD-mapped, PTE-mapped, fully mapped",
    r"the own \w+": "its own",
    r"(?:is|are|was|were|be|been|being|VMAs?|a|the) cut|cuts? (?:the|a|its) VMA|cut, map|cutting": "split",
    r"lines? of (?:the )?history": "branch",
    r"hooks?": "callback",
    r"mends?|mended|mending": "fix",
    r"(?<!trace )facts": "events",
    r"(?:loaded|deciding) definitions?|definitions? of (?:your|one's) own": "scheme",
    r"keeps? what it must": "all claimed laws hold",
    r"beyond checking|(?:goes|go|gone|went|going) astray": "internal error",
    r"knows no such \w+": "has no",
    # phrases that sound translated
    r"anew": "again",
    r"(?<!queue )(?<!queues )(?<!queued )behind": "after, beyond, for",
    r"(?:let|lets|letting)(?: \w+){0,3} go(?: of)?(?! on)": "drop, release",
    r"(?:goes|go|going|gone|went) by": "acts on, uses, follows",
    r"(?:goes|go|going|went) on": "continue",
    r"for ever": "forever",
    r'somebody(?! else")': "someone, a process",
    r"nobody": "no one, no process",
    r"whoever": "the caller, a process that",
    r"unless (?:said|told|it (?:is|was) (?:said|told))": "default:",
    r"(?:is|are|was|were|be|been|being) told(?! apart)": "is notified, gets",
    r"so it is with": "likewise",
    # American spelling
    r"colour\w*": "color",
    r"neighbours?|neighbouring": "neighbor",
    r"behaviours?": "behavior",
    r"modell(?:ed|ing)": "modeled",
    r"grey": "gray",
}

_PATTERN = re.compile("|".join(rf"(\b(?:{pattern})\b)" for pattern in RETIRED), re.IGNORECASE)
_INSTEAD = tuple(RETIRED.values())
#: output in documents comes from the code, which is searched itself
_OUTPUT = re.compile(r"^```(?:folioshell|console)$.*?^```$", re.MULTILINE | re.DOTALL)


class Use(NamedTuple):
    """A retired word in a file.

    Args:
        line: where it is, from 1.
        word: as it is written there.
        instead: what to write.
    """

    line: int
    word: str
    instead: str


def retired(text: str, line: int = 1) -> Iterator[Use]:
    """The retired words of a text that starts at a line."""
    for match in _PATTERN.finditer(text):
        assert match.lastindex is not None
        yield Use(line + text.count("\n", 0, match.start()), match[0], _INSTEAD[match.lastindex - 1])


def in_document(path: Path) -> Iterator[Use]:
    """The retired words of a document, without those in recorded output."""
    text = path.read_text(encoding="utf-8")
    yield from retired(_OUTPUT.sub(lambda match: "\n" * match[0].count("\n"), text))


def in_code(path: Path) -> Iterator[Use]:
    """The retired words in the strings, docstrings and comments of a module."""
    source = path.read_text(encoding="utf-8")
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in _WRITTEN:
            yield from retired(token.string, token.start[0])


_WRITTEN = {
    tokenize.STRING,
    tokenize.COMMENT,
    getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING),  # since Python 3.12
}
