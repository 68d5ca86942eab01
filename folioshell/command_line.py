"""The options and actions of the command line, and what may stand behind them."""

from __future__ import annotations

import sys
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, HelpFormatter
from functools import partial
from typing import Any, NoReturn

from folioshell.session.limits import LIMITS, read_limits
from folioshell.units import parse_number


class Until:
    """Where a run stops: after a number of steps, behind a line, or nowhere if both are None."""

    def __init__(self, step: int | None = None, line: int | None = None) -> None:
        self.step = step
        self.line = line


class _Parser(ArgumentParser):
    """A parser that says what may have been meant by a word that is none of those allowed."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and end with status 2."""
        word, _, choices = message.partition("invalid choice: '")[2].partition("' (choose from ")
        if word.endswith(".fs"):
            message = f"{word!r} is no action; did you mean `folioshell run {word}`?"
        elif word:
            from difflib import get_close_matches

            near = get_close_matches(word, [choice.strip("'") for choice in choices.rstrip(")").split(", ")], 1)
            message += "".join(f"; did you mean `{one}`?" for one in near)
        super().error(message)

    def print_help(self, file: Any = None) -> None:
        """Print the help; an error of writing is one, which argparse would keep to itself."""
        (file or sys.stdout).write(self.format_help())


def parser() -> ArgumentParser:
    """The parser of the command line."""
    # A formatter that is told its width does not import what it would ask the terminal with: a tenth of a run's start.
    formatter = partial(HelpFormatter, width=90)
    made = _Parser(
        prog="folioshell",
        description="A shell in which definitions of the folio mapcount are tried on a model of Linux mm.",
        epilog="Without an action it opens the shell, or reads commands from a pipe. "
        "Status: 0 fine, 1 something failed, 2 refused or not readable, 3 a bug of folioshell.",
        allow_abbrev=False,
        formatter_class=formatter,
    )
    made.add_argument("--version", action="store_true", help="print the version and exit")
    made.add_argument("--resume", action="store_true", help="go on where a shell was that crashed or was killed")
    made.add_argument("-c", dest="commands", metavar="COMMANDS", help="run these commands and exit")
    verbs = "run | verify | convert | check-scheme | schema"
    actions = made.add_subparsers(dest="action", metavar=verbs, title="actions")
    run = actions.add_parser(
        "run", help="replay scripts and print each step", allow_abbrev=False, formatter_class=formatter
    )
    run.add_argument("files", nargs="+", metavar="FILE", help="a script; - is standard input")
    until = "stop when N steps were done and what follows them is one; line:N stops behind line N"
    run.add_argument("--until", type=_until, default=Until(), metavar="N", help=until)
    run.add_argument("--junit", metavar="OUT.xml", help="write what was asserted as JUnit XML, too")
    run.add_argument("--update", action="store_true", help="rewrite the golden blocks with what is shown")
    run.add_argument("--force", action="store_true", help="with --update: where CI is set, too")
    run.add_argument("-i", dest="interactive", action="store_true", help="then open the shell in that state")
    verify = actions.add_parser("verify", help="replay what a real kernel was recorded doing, and compare")
    verify.add_argument("files", nargs="+", metavar="RECORDING", help="a recording, .json or .json.gz")
    verify.add_argument("-v", dest="verbose", action="store_true", help="show the first difference as a table")
    verify.add_argument("--emit", action="store_true", help="print the model's own recordings instead, one a line")
    convert = actions.add_parser("convert", help="print a scenario as a script, or a script as a scenario")
    convert.add_argument("file", metavar="FILE", help="a recording or scenario (.json, .json.gz), or a script")
    check = actions.add_parser("check-scheme", help="check which laws the definitions of a Python file break")
    check.add_argument("files", nargs="+", metavar="FILE", help="a Python file that subclasses Scheme")
    actions.add_parser("schema", help="print the JSON schema of --json", allow_abbrev=False)
    # Options of output may stand before or behind the action; only the former have defaults, lest they undo the latter.
    for action in (run, verify, convert, check):
        _add_output_options(action, schemes="more_schemes", limits="more_limits")
    _add_output_options(made, schemes="scheme", limits="limit")
    _add_mode(run)
    _add_mode(made)
    made.set_defaults(plain=False, width=None, json=None, mode="", quiet=False, allow_files=False, allow_code=False)
    made.set_defaults(scheme=[], more_schemes=[], limit=[], more_limits=[])
    return made


def _add_mode(parser: ArgumentParser) -> None:
    """The option of those actions whose output has modes."""
    modes = ("table", "plain", "json", "csv", "markdown", "mail")
    parser.add_argument("--mode", choices=modes, default=SUPPRESS, help="print in this form, whatever scripts say")


def _add_output_options(parser: ArgumentParser, schemes: str, limits: str) -> None:
    """The options that all actions have; those that may stand several times are collected under the names given."""
    flag = partial(parser.add_argument, action="store_true", default=SUPPRESS)
    choose_json = partial(parser.add_argument, dest="json", action="store_const", default=SUPPRESS)
    flag("--plain", help="aligned text without boxes or colour, on a terminal too")
    parser.add_argument("--width", type=_columns, default=SUPPRESS, metavar="N", help="use N columns")
    choose_json("--json", const="steps", help="print JSON Lines, a document a command")
    choose_json("--json=full", const="full", help="the same, with the whole state after each step")
    flag("--quiet", help="print only failures, and a last line for each file")
    collect = partial(parser.add_argument, action="append", default=SUPPRESS)
    collect("--scheme", dest=schemes, metavar="FILE.py", help="count by the definitions of a file, too")
    limit = f"how much may be done: {', '.join(LIMITS)}; or none"
    collect("--limit", type=_limits, dest=limits, metavar="NAME=N,…", help=limit)
    flag("--allow-files", help="let scripts write files")
    flag("--allow-code", help="let scripts load Python code")


def _columns(text: str) -> int:
    number = parse_number(text)
    if number is None or not 1 <= number <= 10_000:
        raise ArgumentTypeError(f"{text!r} is no number of columns: 1 to 10,000 may be used")
    return number


def _limits(text: str) -> dict[str, int | None]:
    try:
        return read_limits(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _until(text: str) -> Until:
    place, colon, line = text.partition(":")
    number = parse_number(line if colon else text)
    if number is None or (colon and place != "line"):
        raise ArgumentTypeError(f"{text!r} is no place to stop: N is a number of steps, line:N a line")
    return Until(line=number) if colon else Until(step=number)
