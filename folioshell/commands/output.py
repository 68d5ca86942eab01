"""mode: the form in which reports are shown. `once`, which writes a file, is declared where files are."""

from __future__ import annotations

from folioshell.commands.build import arg, choice, command, done
from folioshell.commands.call import Call
from folioshell.commands.grammar import OUTPUT, Form
from folioshell.report import Report
from folioshell.session.output import MODES

TOPIC = "settings"
MODE = choice(MODES, "mode")


@command(
    "mode",
    Form(args=(arg("MODE", MODE, "the form of what is shown; without it, which one is set", optional=True),)),
    kind=OUTPUT,
    topic=TOPIC,
    summary="choose the form of what is shown",
    explained="json writes a document a command. csv writes tables alone, an empty line between two; sentences go to "
    "standard error, and so do errors in json, csv and markdown. mail puts the script that leads there, and the "
    "question itself, under each answer. `--mode` on the command line wins over a script's own.",
    examples=("mode", "mmap buf 16 ; fault buf ; mode csv ; query shared? buf[0]"),
)
def mode(call: Call) -> Report:
    """Choose the form of what is shown."""
    output = call.session.output
    if "MODE" not in call.arguments:
        return done(call, f"The mode is {output.mode}: {MODES[output.mode]}.")
    # Nothing is said: it would stand in what is to be taken elsewhere.
    if not output.fixed:
        output.mode = call.word("MODE")
        if call.session.note is not None:
            call.session.note(call.statement.text)
    return done(call)
