"""help, and the reference: what the declarations say, as text and as docs/commands.md."""

from __future__ import annotations

from collections.abc import Iterator

from folioshell.commands.build import arg, command, done
from folioshell.commands.call import Call
from folioshell.commands.grammar import MODEL, OUTPUT, PROGRAM, SESSION, VIEW, Arg, Command, Form, registry
from folioshell.commands.operands import Word, nearest
from folioshell.commands.parse import HELP
from folioshell.report import Report, Table, Text

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
            "0x7f0000003000  one page by its address; +5 behind it: five",
            "f1              a folio by its id; a place stands for the folio that is mapped there",
        ),
    ),
    "sizes": (
        "how sizes are written",
        ("16             pages", "64K 2M 1G      bytes, which must be whole pages"),
    ),
    "lines": (
        "what a line may hold",
        (
            "# text               a comment",
            "| text               prose for the reader of a script",
            "> text               what the line above shows: a golden block, see `help scripts`",
            "a ; b                two commands",
            "race { …             goes on in the next lines until the } stands; there a line break is a `;`",
            "B: verb …            run by process B, without switching to it",
            "B.t2: verb …         run by thread t2 of process B",
            "fails EINVAL verb …  the command must end with that errno or signal",
            "expect …             an assertion, see `help expect`",
        ),
    ),
    "keys": (
        "what keys do at the prompt",
        (
            "Tab            goes through what may stand here; the line below says what is wanted",
            "Right          takes what is suggested from the history; Alt-F takes a word of it",
            "Up, Down       earlier lines; Ctrl-R finds one by what stands in it",
            "Enter          runs the line; while a { is open it goes on in a new one",
            "Esc Enter      runs it as it is",
            "Ctrl-C         gives up what is typed, or the command that runs: the state is that before it",
            "Ctrl-D         on an empty line ends the shell",
            "",
            "Lines that are pasted wait for Enter, then run as a script does: prose, `fails` and `expect` as well.",
            "The first one that is refused ends them, and the up arrow brings back what was not run.",
        ),
    ),
    "scripts": (
        "what a script may hold besides commands, and how it is run",
        (
            "#!folioshell 1     first line: what pytest collects begins with it",
            "expect …           an assertion: a failed one is told with its step and with the command that goes there",
            "show folios        a line whose text matters, and below it, as a golden block,",
            "> folios           what it shows: plain text of 100 columns, compared by `folioshell run`",
            "> ...              stands for any number of lines, and [..] for any text within a line",
            "",
            "folioshell run f.fs                runs it; --quiet shows failures only",
            "folioshell run f.fs --until 6 -i   opens the shell where step 6 was done; line:9 behind line 9",
            "folioshell run --update f.fs       rewrites its golden blocks, if all else passes",
        ),
    ),
}

#: columns of the forms of a command, beside which stands what they do
_USAGE_WIDTH = 22

_KINDS = {
    MODEL: "changes state: a step, which undo takes back",
    VIEW: "asks or shows: no step",
    SESSION: "acts on the session: no step",
    OUTPUT: "says where output goes, and how: no step",
    PROGRAM: "reads or writes files, or ends the program: no step",
}


@command(
    "help",
    Form(
        args=(
            arg(
                "WORD",
                Word("a command or topic", lambda _: [*((c.verb, c.summary) for c in registry), *_topic_pairs()]),
                f"a command, or one of {', '.join(TOPICS)}",
                optional=True,
            ),
        )
    ),
    kind=VIEW,
    topic=TOPIC,
    summary="explain a command or topic",
    explained="Without a word it lists the commands.",
    examples=("help", "help mmap", "help places"),
)
def help_(call: Call) -> Report:
    """Explain a command or topic."""
    word = call.word("WORD")
    if not word:
        return done(call, sections=tuple(_overview()))
    found = registry.commands.get(word)
    if found is not None:
        return done(call, sections=(Text(tuple(_explanation(found)), title=f"{found.verb}: {found.summary}"),))
    if word in TOPICS:
        summary, lines = TOPICS[word]
        return done(call, sections=(Text(lines, title=f"{word}: {summary}"),))
    if word in call.workspace.machine.schemes:
        hint = f"`show schemes` tells what {word} counts; {HELP}"
        raise call.refused_at("WORD", "that is a scheme, no command or topic", hint=hint)
    near = nearest(word, [*registry.commands, *TOPICS])
    raise call.refused_at("WORD", "no such command or topic", hint=f"{near} {HELP}" if near else HELP)


def _topic_pairs() -> list[tuple[str, str]]:
    return [(topic, summary) for topic, (summary, _) in TOPICS.items()]


def _by_topic() -> dict[str, list[Command]]:
    topics: dict[str, list[Command]] = {}
    for found in registry:
        topics.setdefault(found.topic, []).append(found)
    return topics


def _overview() -> Iterator[Table]:
    for topic, commands in _by_topic().items():
        yield Table(topic, ("command", "what it does"), tuple((found.verb, found.summary) for found in commands))
    yield Table("topics", ("topic", "what it explains"), tuple(_topic_pairs()), "`help WORD` says more")


def _explanation(found: Command) -> Iterator[str]:
    for form in sorted(found.forms, key=lambda form: bool(form.lead)):
        yield from _usage_lines(form.usage(found.verb), form.summary)
    yield ""
    yield found.help
    yield ""
    yield f"{_kind_text(found)}."
    words = list(_words(found))
    if words:
        yield ""
        width = max(len(word) for word, _ in words)
        yield from (f"{word:<{width}}  {text}" for word, text in words)
    yield ""
    yield from (f"example:  {example}" for example in found.examples)


def _usage_lines(usage: str, summary: str) -> Iterator[str]:
    """A form and what it does; that stands in the next line if the form is too long for a terminal to have both."""
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
        "Generated from the declarations; the same text is behind `help VERB`. A *step* is what undo takes back. Each",
        "line of an example is a session of its own.",
    ]
    for topic, commands in _by_topic().items():
        lines += ["", f"## {topic.capitalize()}"]
        for found in commands:
            lines += _section(found)
    return "\n".join(lines) + "\n"


def _section(found: Command) -> list[str]:
    lines = ["", f"### {found.verb}", "", f"{found.summary.capitalize()}.", ""]
    lines += ["```text", *(form.usage(found.verb) for form in found.forms), "```", ""]
    lines += [found.help, ""]
    if words := list(_words(found)):
        lines += ["| word | meaning |", "| --- | --- |"]
        lines += [f"| `{word.strip()}` | {text.replace('|', chr(92) + '|')} |" for word, text in words] + [""]
    events = [_kind_text(found)]
    if found.kernel:
        events.append(f"stands for `{found.kernel}`")
    if found.host:
        events.append("a real kernel can be asked to do the same")
    lines += ["; ".join(events) + ".", ""]
    return [*lines, "```fs", *found.examples, "```"]
