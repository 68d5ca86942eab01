"""help, and the reference: what the declarations say, as text and as docs/commands.md."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from folioshell.commands import glossary
from folioshell.commands.call import Call, done
from folioshell.commands.grammar import MODEL, OUTPUT, PROGRAM, SESSION, VIEW, Arg, Command, Form, command, registry
from folioshell.commands.operands import Word, nearest
from folioshell.commands.parse import HELP
from folioshell.commands.tables import scheme_lines
from folioshell.records import NamedTuple
from folioshell.report import Report, Table, Text
from folioshell.session.session import Session

TOPIC = "session"

#: general topics of help -> lines
TOPICS: dict[str, tuple[str, tuple[str, ...]]] = {
    "places": (
        "how pages and folios are written",
        (
            "buf             the whole region",
            "buf[3]          its page 3",
            "buf[3..7]       pages 3 to 7, both included",
            "buf[3+5]        five pages from page 3",
            "B:buf[3]        B's copy",
            "0x7f0000003000  one page by its address; with +5: five pages",
            "f1              a folio by its id; a place stands for the folio mapped there",
        ),
    ),
    "sizes": ("how sizes are written", ("16             pages", "64K 2M 1G      bytes, which must be whole pages")),
    "lines": (
        "what a line may contain",
        (
            "# text               a comment",
            "| text               prose for the reader of a script",
            "> text               output of the line above: a golden block, see `help scripts`",
            "a ; b                two commands",
            "race { …             continues on the next lines until the closing }; there a line break is a `;`",
            "B: verb …            run by process B, without switching to it",
            "B.t2: verb …         run by thread t2 of process B",
            "fails EINVAL verb …  the command must end with that errno or signal",
            "fails[6.1] EINVAL …  … under these profiles; under others it must succeed",
            "expect …             an assertion, see `help expect`",
        ),
    ),
    "keys": (
        "keys at the prompt",
        (
            "Tab            cycles through the completions; the line below shows what is expected",
            "Right          accepts the suggestion from the history; Alt-F accepts a word of it",
            "Up, Down       earlier lines; Ctrl-R searches them",
            "Enter          runs the line; while a { is open it starts a new one",
            "Esc Enter      runs it as it is",
            "Ctrl-C         discards the typed line, or aborts the running command: its state is restored",
            "Ctrl-D         on an empty line ends the shell",
            "",
            "Pasted lines wait for Enter, then run like a script, with prose, `fails` and `expect`.",
            "They stop at the first one refused; the up arrow brings back those that were not run.",
        ),
    ),
    "scripts": (
        "what a script may contain besides commands, and how to run it",
        (
            "#!folioshell 1     first line: what pytest collects begins with it",
            "for i in 1..8 {…}  runs the commands in braces once for each number, with it in the place of `$i`",
            "expect …           an assertion: a failure is reported with its step and the command to reproduce it",
            "show folios        a line whose output matters, and below it, as a golden block,",
            "> folios           its output: plain text of 100 columns, compared by `folioshell run`",
            "> ...              stands for any number of lines, and [..] for any text within a line",
            "",
            "folioshell run f.fs                runs it; --quiet shows failures only",
            "folioshell run f.fs --until 6 -i   opens the shell after step 6; line:9: after line 9",
            "folioshell run --update f.fs       rewrites its golden blocks, if all else passes",
        ),
    ),
}

#: columns of the forms of a command, beside which stands what they do
_USAGE_WIDTH = 22

_MORE = "`help WORD` says more, also about schemes and terms: `help mm-id`, `help folio`"

#: for Python -OO
_NO_DOCSTRINGS = "Explanations are docstrings, and this Python runs without them."

_KINDS = {
    MODEL: "changes state: a step, which undo reverts",
    VIEW: "asks or shows: no step",
    SESSION: "acts on the session: no step",
    OUTPUT: "redirects or formats output: no step",
    PROGRAM: "reads or writes files, or ends the program: no step",
}


class HelpSource(NamedTuple):
    """What `help` explains besides commands, topics, schemes and terms: added by the package that knows it.

    Args:
        offered: (word, what it is) of what may follow `help`.
        explained: what it means by a name; nothing for other names.
    """

    offered: Callable[[Session], Iterable[tuple[str, str]]]
    explained: Callable[[Session, str], Iterator[Text]]


sources: list[HelpSource] = []


def _offered(session: Session) -> Iterator[tuple[str, str]]:
    """What may follow ``help``, each once."""
    pairs = [
        *((found.verb, found.summary) for found in registry),
        *_topic_pairs(),
        *((name, scheme.version) for name, scheme in session.workspace.machine.schemes.items()),
        *((name.replace(" ", "-"), term.meaning) for term in glossary.terms() for name in term.names),
        *(pair for source in sources for pair in source.offered(session)),
    ]
    return iter(dict(reversed(pairs)).items())


def _topic_pairs() -> list[tuple[str, str]]:
    return [(topic, summary) for topic, (summary, _) in TOPICS.items()]


@command(
    "help",
    Form(
        args=(
            Arg(
                "WORD",
                Word("a command, topic, scheme or term", _offered),
                f"a command, a scheme, a term of the glossary, or one of {', '.join(TOPICS)}",
                optional=True,
                repeated=True,
            ),
        )
    ),
    kind=VIEW,
    topic=TOPIC,
)
def help_(call: Call) -> Report:
    """Explain a command, topic, scheme or term.

    Without a word it lists the commands. A term may have several words.

    Example:
        help
        help mmap
        help places
        help page table
        help mm-id
    """
    words = call.arguments.get("WORD", list, [])
    if not words:
        return done(call, sections=tuple(_overview()))
    name = " ".join(words)
    found = tuple(_explained(call, name))
    if found:
        return done(call, sections=found)
    names = [*registry.commands, *TOPICS, *call.workspace.machine.schemes, *_names_of_terms()]
    hint = related_terms(words) or nearest(name, names)
    raise call.refused_at("WORD", "no such command, topic, scheme or term", hint=f"{hint} {HELP}" if hint else HELP)


def _explained(call: Call, name: str) -> Iterator[Text]:
    """All that a name means: a command or topic, a scheme, a term."""
    command = registry.commands.get(name)
    if command is not None:
        yield Text(tuple(_explanation(command)), title=f"{command.verb}: {command.summary}")
    elif name in TOPICS:
        summary, lines = TOPICS[name]
        yield Text(lines, title=f"{name}: {summary}")
    scheme = call.workspace.machine.schemes.get(name)
    if scheme is not None:
        yield Text(tuple(scheme_lines(scheme, "")), title="scheme")
    if terms := glossary.lookup(name):
        yield Text(tuple(term.text for term in terms), title="glossary")
    for source in sources:
        yield from source.explained(call.session, name)


def related_terms(words: Sequence[str]) -> str:
    """A hint at the terms that have the last of some words in their names; empty if there are none."""
    found = [f"`help {term.names[0]}`" for term in glossary.with_word(words[-1])]
    return f"see {', '.join(found)};" if found else ""


def _names_of_terms() -> Iterator[str]:
    """Names of terms, each as one word."""
    return (name.replace(" ", "-") for term in glossary.terms() for name in term.names)


def _by_topic() -> dict[str, list[Command]]:
    topics: dict[str, list[Command]] = {}
    for found in registry:
        topics.setdefault(found.topic, []).append(found)
    return topics


def _overview() -> Iterator[Table]:
    for topic, commands in _by_topic().items():
        yield Table(topic, ("command", "what it does"), tuple((found.verb, found.summary) for found in commands))
    yield Table("topics", ("topic", "what it explains"), tuple(_topic_pairs()), _MORE)


def _explanation(found: Command) -> Iterator[str]:
    yield from _usages(found)
    yield ""
    for paragraph in found.explanation.text or (_NO_DOCSTRINGS,):
        yield paragraph
        yield ""
    yield f"{_kind_text(found)}."
    words = list(_words(found))
    if words:
        yield ""
        width = max(len(word) for word, _ in words)
        yield from (f"{word:<{width}}  {text}" for word, text in words)
    yield ""
    yield from (f"example:  {example}" for example in found.explanation.examples)


def _usages(found: Command) -> Iterator[str]:
    """Every form and what it does, that without a first word of its own first."""
    for form in sorted(found.forms, key=lambda form: bool(form.lead)):
        yield from _usage_lines(form.usage(found.verb), form.summary)


def _usage_lines(usage: str, summary: str) -> Iterator[str]:
    """A form and what it does; on the next line if the form is too long for both."""
    if not summary:
        yield usage
    elif len(usage) <= _USAGE_WIDTH:
        yield f"{usage:<{_USAGE_WIDTH}}  {summary}"
    else:
        yield usage
        yield f"{'':<{_USAGE_WIDTH}}  {summary}"


def _kind_text(found: Command) -> str:
    if any(form.kind not in ("", found.kind) for form in found.forms):
        return "Some forms are steps, some are not"
    if found.expand is not None:
        return "Stands for the commands in its braces: each of them that changes state is a step"
    return _KINDS[found.kind].capitalize()


def _words(found: Command) -> Iterator[tuple[str, str]]:
    """Every argument, flag and option with its meaning, each once; words that may stand for one are set in below it."""
    seen: set[str] = set()
    for form in found.forms:
        pairs: list[tuple[str, str]] = []
        for item in form.args:
            words = _words_of(form, item)
            # What a form is for is said beside its usage.
            name, text = (form.lead, "one of") if item.help == form.summary else (item.name, item.help)
            if words or text != "one of":
                pairs += [(name, text), *((f"  {word}", meaning) for word, meaning in words)]
        pairs += [(flag.word, flag.help) for flag in form.flags]
        pairs += [(f"{option.key}=", option.help) for option in form.options]
        for name, text in pairs:
            if name not in seen or name.startswith(" "):
                yield name, text
            seen.add(name)


def _words_of(form: Form, item: Arg) -> list[tuple[str, str]]:
    """The words that may stand for an argument with their meanings, unless the usage says it all."""
    words: dict[str, str] = dict(getattr(item.operand, "table", {}))
    told = getattr(item.operand, "show", False) and not form.lead
    return [] if told or words.keys() == {"on", "off"} else list(words.items())


def reference() -> str:
    """docs/commands.md: every command by topic, from the declarations."""
    lines = [
        "# Commands",
        "",
        "Generated from the declarations; `help VERB` shows the same text. A *step* is what undo reverts. Each",
        "line of an example is a session of its own.",
    ]
    for topic, commands in _by_topic().items():
        lines += ["", f"## {topic.capitalize()}"]
        for found in commands:
            lines += _section(found)
    return "\n".join(lines) + "\n"


def _section(found: Command) -> list[str]:
    lines = ["", f"### {found.verb}", "", f"{found.summary[:1].upper()}{found.summary[1:]}.", ""]
    lines += ["```text", *_usages(found), "```", ""]
    lines += [line for paragraph in found.explanation.text for line in (paragraph, "")]
    if words := list(_words(found)):
        lines += ["| word | meaning |", "| --- | --- |"]
        lines += [f"| `{word.strip()}` | {text.replace('|', chr(92) + '|')} |" for word, text in words] + [""]
    notes = [_kind_text(found)]
    if found.explanation.kernel:
        notes.append(f"stands for `{found.explanation.kernel}`")
    if found.host:
        notes.append("`folioshell live` can run it on a real kernel")
    lines += ["; ".join(notes) + ".", ""]
    return [*lines, "```fs", *found.explanation.examples, "```"]
