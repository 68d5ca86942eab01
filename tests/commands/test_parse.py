"""Tests of folioshell.commands.parse."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import folioshell
import folioshell.script  # (declares save, load and source)
from folioshell.commands.grammar import registry
from folioshell.commands.lex import Token
from folioshell.commands.parse import FAILURES, Grammar, ParsedStatement
from folioshell.commands.places import PlaceRef, read_place
from folioshell.commands.reading import RETIRED
from folioshell.errors import Refused

parse = Grammar().parse


def one(line: str) -> ParsedStatement:
    (statement,) = parse(line)
    assert isinstance(statement, ParsedStatement)
    return statement


def refusal(line: str) -> Refused:
    with pytest.raises(Refused) as error:
        parse(line)
    return error.value


@pytest.mark.parametrize(
    ("line", "message", "allowed"),
    [
        ("set after", "a part is missing", ("mapcounts", "walks", "locks", "all", "none")),
        ("set swap", "a word is missing", ("on", "sync", "off")),
        ("set schemes", "a list of schemes is missing", ()),
        ("set decide", "a scheme is missing", ()),
    ],
)
def test_what_is_missing_has_an_article(line: str, message: str, allowed: tuple[str, ...]) -> None:
    """What is missing is called the same way everywhere; words that may stand there are listed one by one."""
    error = refusal(line)

    assert (error.message, error.allowed) == (message, allowed)


def test_units_are_capitals() -> None:
    """A size that would be one in capitals is not taken for it, but named."""
    assert refusal("mmap buf 64k").hint == "did you mean `64K`?"
    assert refusal("mmap buf sixteen").hint == ""


def test_arguments_flags_and_options() -> None:
    """Positional arguments come in order, flags and options anywhere behind the required ones."""
    arguments = one("mmap win 64K populate file=lib shared offset=2 at=0x7f0000003000").arguments

    assert arguments.get("NAME", str) == "win"
    assert arguments.get("SIZE", int) == 16
    assert arguments.get("kind", str) == "shared"
    assert arguments.get("offset", int) == 2
    assert arguments.get("at", int) == 0x7F0000003
    assert "populate" in arguments
    assert "fixed" not in arguments


def test_options_may_stand_before_arguments() -> None:
    """A key that the command has is an option wherever it stands."""
    arguments = one("mremap new=b buf[0] 4").arguments

    assert arguments.get("PLACE", PlaceRef).region == "buf"
    assert arguments.get("SIZE", int) == 4


@pytest.mark.parametrize(
    ("line", "process", "expected", "text"),
    [
        ("B: fault win", "B", "", "fault win"),
        ("B:fault win", "B", "", "fault win"),
        ("fails ENOMEM  mprotect win  r", "", "ENOMEM", "fails ENOMEM mprotect win r"),
        ("B: fails SIGBUS read win", "B", "SIGBUS", "fails SIGBUS read win"),
        ("fails SIGBUS B: read win", "B", "SIGBUS", "fails SIGBUS read win"),
    ],
)
def test_what_stands_before_a_command(line: str, process: str, expected: str, text: str) -> None:
    """A process and an expected failure may stand before a command, in either order."""
    statement = one(line)

    assert (statement.process, statement.expected, statement.text) == (process, expected, text)


def test_optional_argument_before_a_required_one() -> None:
    """Expect mapped? takes a scheme only if a folio follows it."""
    assert "SCHEME" not in one("expect mapped? f1 == yes").arguments
    assert one("expect mapped? vmas f1 == yes").arguments.get("SCHEME", str) == "vmas"


@pytest.mark.parametrize(
    ("line", "place", "message", "hint"),
    [
        ("fautl win", (0, 5), "unknown command", "did you mean `fault`?"),
        ("mmap buf 16 ; fautl win", (14, 19), "unknown command", "did you mean `fault`?"),
        ("madvise clod buf", (8, 12), "no such advice", "did you mean `cold`?"),
        ("mmap buf 3K", (9, 11), "3K is not a whole number of 4K pages", ""),
        ("mmap buf 0", (9, 10), "0 is out of range", "allowed: 1 to 17,179,869,184 pages"),
        ("mmap buf", (8, 9), "a size is missing", "usage: mmap NAME SIZE"),
        ("mremap buf new=b 0", (17, 18), "0 is out of range", "allowed: 1 to"),
        ("mmap f1 4", (5, 7), "f1 is an id, not a name", "f1, v1, pt1"),
        ("mmap b@d 4", (5, 8), "not a name", "a name is a letter"),
        ("mmap buf 4 flie=x", (11, 17), "mmap has no option flie=", "did you mean `file=`?"),
        ("mmap buf 4 shared anon", (18, 22), "anon does not go with shared", ""),
        ("mmap buf 4 shared shared", (18, 24), "shared is given twice", ""),
        ("mmap buf 4 at=0x1000 after=x", (21, 28), "after= does not go with at=", ""),
        ("mmap buf 4 prot=", (16, 17), "a value for prot= is missing", ""),
        ("mmap buf 4 at=0x1001", (14, 20), "not at a page boundary (pages are 4K)", "0x1000 is the one below"),
        ("mmap buf 4 at=0x800000000000", (14, 28), "beyond user space", "user addresses end"),
        ("fault buf[3", (9, 11), "the closing ] is missing", "pages are written"),
        ("fault buf[7..3]", (9, 15), "the last page is before the first", "pages are written"),
        ("fault buf[x]", (9, 12), "not pages of a region", "pages are written"),
        ("fault buf read write", (15, 20), "write does not go with read", ""),
        ("fault f1", (6, 8), "f1 is a folio; a place is expected", "a place is buf"),
        ("query shard? f1", (6, 12), "`query` has no question `shard?`", "did you mean `shared?`?"),
        ("query", (5, 6), "query needs a word", ""),
        ("expect order f1 4", (16, 17), "nothing more may follow here", "usage: expect order"),
        ("expect order f1 =! 4", (16, 18), "nothing more may follow here", "usage: expect order"),
        ("expect order f1", (15, 16), "an operator is missing", ""),
        ("expect order f1 ==", (18, 19), "a number is missing", ""),
        ("expect order f1 == four", (19, 23), "not a number", ""),
        ("expect shared? vmas f1 == maybee", (26, 32), "no such answer", "did you mean `maybe`?"),
        ("expect shared? vmas f1 < yes", (23, 24), "only numbers have an order", ""),
        ("set decide vma!", (11, 15), "not the name of a scheme", "`show schemes` lists them"),
        ("set after locks,walk", (16, 20), "no such part", "did you mean `walks`?"),
        ("fails EINVLA munmap buf", (6, 12), "no such errno or signal", "did you mean `EINVAL`?"),
        ("fails EINVAL", (12, 13), "a command is missing", ""),
        ("fails", (5, 6), "an errno or signal is missing", ""),
        ("fails EINVAL query shared? f1", (13, 18), "query cannot fail in the kernel", ""),
        ("B.: fault win", (2, 3), "not a name", ""),
        ("undo x", (5, 6), "not a number", ""),
        ("undo 0", (5, 6), "0 is out of range", "allowed: at least 1"),
        ("race { a }", (7, 8), "a thread is missing before its command", ""),
        ("fau", (0, 3), "unknown command", ""),
    ],
)
def test_refusals_point_at_the_word(line: str, place: tuple[int, int], message: str, hint: str) -> None:
    """A refusal says what is wrong, where, and what would be right."""
    error = refusal(line)

    assert ((error.start, error.end), error.message) == (place, message)
    assert error.hint.startswith(hint)
    assert error.text == line


def test_refusals_list_what_is_allowed() -> None:
    """What may stand there is listed in full."""
    assert "cold" in refusal("madvise clod buf").allowed
    assert refusal("fault buf red").allowed == ("read", "write")
    assert refusal("fault buf red").hint == "did you mean `read`?"
    assert refusal("mprotect buf").allowed == ("r", "rw", "none")


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("mmpa", "did you mean `mmap`? `help` lists the commands"),
        ("MMAP", "did you mean `mmap`? `help` lists the commands"),
        ("qu", "did you mean `query` or `quit`? `help` lists the commands"),
        ("xyzzy", "`help` lists the commands"),
        ("B:", "`help` lists the commands"),
        ("{ mmap buf 4 }", "`race { A.t1: … ; A.t2: … }`"),
        ("mmap buf 4 po", "did you mean `populate`?"),
        ("mmap buf 4 prot = r", "prot=r|rw|none, without a blank"),
        ("mmap buf 4 prot= r", "prot=r|rw|none, without a blank"),
        ("madvise win cold", ""),
        ("expect mapcount vmas f1 = 1", "did you mean `==`?"),
        ("expect mapcount f1 == 1", "`show schemes` lists them"),
        ("munmap buf+3", "pages are written [3], [3..7] (both included) or [3+5] (five from page 3)"),
        ("mmap buf", "usage: mmap NAME SIZE "),
    ],
)
def test_hints(line: str, hint: str) -> None:
    """What is said to somebody who is nearly right; nothing, rather than what is far away, and never a flood."""
    error = refusal(line)

    assert error.hint.startswith(hint) if hint else not error.hint
    assert len(error.allowed) < 20


_WORD = st.sampled_from(
    [
        *registry.commands,
        "buf",
        "f1",
        "0x1000",
        "==",
        "16",
        "file=x",
        "B:",
        "fails",
        "EINVAL",
        "r",
        "{",
        "all",
        "shared?",
    ]
)


@given(st.lists(_WORD, max_size=8).map(" ".join))
def test_every_line_parses_or_is_refused_within_it(line: str) -> None:
    """Whatever is typed, the parser gives statements or points into the line, one column behind it at the most."""
    try:
        parse(line)
    except Refused as error:
        assert error.message
        assert error.start is not None and error.end is not None
        assert 0 <= error.start < error.end <= len(line) + 1


def test_every_errno_of_the_kernel_can_be_foretold() -> None:
    """What a path may end with stands behind `fails`; a script that `save` wrote says it, too."""
    folder = Path(folioshell.__file__).parent / "paths"
    errors = {name for path in folder.glob("*.py") for name in re.findall(r'"(E[A-Z]{3,})"', path.read_text("utf-8"))}

    assert len(errors) > 5
    assert errors <= set(FAILURES)


@pytest.mark.parametrize(("old", "new"), list(RETIRED.items()))
def test_retired_words_name_the_new_one(old: str, new: str) -> None:
    """A word of an earlier version is refused with the one that stands for it now, which exists."""
    with pytest.raises(Refused) as error:
        Grammar().parse(f"{old} == 0" if old.startswith("expect") else old)

    verb, word = old.split(" ")
    assert error.value.message == f"`{old}` is now `{new}`"
    assert (error.value.start, error.value.end) == (len(verb) + 1, len(verb) + 1 + len(word))
    Grammar().parse(f"{new} == 0" if new.startswith("expect") else new)


def test_a_view_that_show_has_not() -> None:
    """What show cannot show is named, with the views that there are."""
    with pytest.raises(Refused) as error:
        Grammar().parse("show folio")

    assert error.value.message == "`show` has no view `folio`"
    assert error.value.hint == "did you mean `folios`?"
    assert "smaps" in error.value.allowed


def test_profiles_in_brackets() -> None:
    """They stand at the verb, each once; the text keeps them."""
    statement = one("expect[6.1,5.10,6.1]  order f1 == 0")

    assert (statement.profiles, statement.text) == (("6.1", "5.10"), "expect[6.1,5.10] order f1 == 0")
    assert one("expect order f1 == 0").profiles == ()


def test_a_failure_under_some_profiles() -> None:
    """Under others the command must not fail."""
    statement = one("B: fails[5.10,6.1]  EINVAL madvise  collapse win")

    assert (statement.process, statement.expected, statement.failing_under) == ("B", "EINVAL", ("5.10", "6.1"))
    assert statement.text == "fails[5.10,6.1] EINVAL madvise collapse win"
    assert [statement.expected_under(version) for version in ("5.10", "6.18")] == ["EINVAL", ""]
    assert one("fails EINVAL munmap win").expected_under("6.18") == "EINVAL"


@pytest.mark.parametrize(
    ("line", "message", "column"),
    [
        ("expect[6.1,6.2] order f1 == 0", "no such profile", 11),
        ("expect[] order f1 == 0", "no such profile", 7),
        ("expect[6.1, 5.10] order f1 == 0", "the closing ] is missing", 11),
        ("expect[6.1]", "a command is missing", 11),
        ("fork[6.1] B", "fork takes no profiles in brackets", 5),
        ("fails[6.2] EINVAL munmap buf", "no such profile", 6),
        ("fails[6.1", "the closing ] is missing", 9),
        ("fails[6.1 EINVAL munmap buf", "the closing ] is missing", 9),
        ("fails[6.1]", "an errno or signal is missing", 10),
    ],
)
def test_brackets_that_are_wrong(line: str, message: str, column: int) -> None:
    """The column is that of the word that is wrong."""
    error = refusal(line)

    assert (error.message, error.start) == (message, column)


@given(st.from_regex(r"(f|v|pt|av|buf|_a-b|B:win)[0-9]{0,3}(\[[0-9]{1,3}\]?)?", fullmatch=True))
def test_a_page_is_read_as_any_other_place(text: str) -> None:
    """The short way to read a region, or one page of it, finds the same as that for places of all kinds."""

    def read(text: str) -> object:
        try:
            return read_place(Token(text, 0, len(text)))[1:5]
        except Refused as error:
            return error.message, error.hint

    # Blanks within the brackets, and a process before the region, lead another way.
    assert read(text) == read(text.replace("[", "[ ")) == read(text if ":" in text else f"B:{text}")
