"""The options and actions of the command line, and what they stand for: a session, limits, screens, runs of scripts."""

from __future__ import annotations

import os
import sys
from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NoReturn

from folioshell.model.release import RELEASES
from folioshell.records import NamedTuple
from folioshell.session.host import GENEROUS, LIMITS, MODES, STRICT, Limits, read_limits
from folioshell.units import parse_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from folioshell.script.runner import Runner
    from folioshell.script.script import ScriptEvent
    from folioshell.session.session import Session
    from folioshell.shell.replay import Replay
    from folioshell.views.screen import Screen

_EPILOG = """\
Without an action, folioshell opens the shell, or runs commands from standard input if that is no terminal.

examples:
  folioshell -c 'mmap buf 16 ; fault buf ; query shared? buf[0]'
  folioshell run mail/straddle
  folioshell run session.fs --until 3 -i

exit status: 0 success; 1 an expect or a command failed; 2 refused or unreadable; 3 internal error in folioshell"""


_LIVE_EPILOG = """\
examples:
  sudo folioshell live mail/straddle
  folioshell live mail/simple                              without root: VMAs, smaps and pagemap bits
  folioshell live --kernel /boot/vmlinuz-6.1.0-57-cloud-amd64 mail/straddle
  folioshell live --kernel arch/x86/boot/bzImage scenarios/**/*.fs
  sudo folioshell live --fuzz 500 --seed 7 -o found

exit status: 0 the same; 1 a step differs or an expect does not hold; 2 no script can run, or one is unreadable"""


class Until(NamedTuple):
    """Where a run stops: after a number of steps, after a line, or nowhere if both are None."""

    step: int | None = None
    line: int | None = None


class Options(Namespace):
    """The parsed command line. Imports are late: an action loads only what it needs."""

    #: open the shell after a run
    interactive = False
    #: where a run stops
    until = Until()
    #: the releases to run scripts under; none: the default one
    profiles: tuple[str, ...] = ()

    @cached_property
    def screen(self) -> Screen:
        """Standard output."""
        return self._screen(sys.stdout)

    @cached_property
    def errors(self) -> Screen:
        """Standard error."""
        return self._screen(sys.stderr)

    def _screen(self, stream: Any) -> Screen:
        from folioshell.views.screen import screen_for

        return screen_for(stream, mode=self._mode, width=self.width)

    @property
    def _mode(self) -> str:
        """The mode chosen on the command line; empty for none."""
        return "json" if self.json else self.mode or ("plain" if self.plain else "")

    def session(self, profile: str = "") -> Session:
        """A fresh session with all --scheme and --protocol files. At the prompt all count, else those in use.

        Args:
            profile: the release that it begins with, and keeps; empty for the default one.
        """
        from time import monotonic

        from folioshell.script import Session
        from folioshell.session.host import Host, mode_wanted

        at_prompt = self.interactive or (not self.action and self.commands is None and sys.stdin.isatty())
        session = Session(counting=None if at_prompt else (), host=Host(profile=profile))
        session.host.clock = monotonic
        session.host.limits = self.limits(scripts=False)
        session.host.output.mode = self._mode or mode_wanted(os.environ) or self.screen.mode
        session.host.output.fixed = bool(self._mode)
        session.settings.full = self.json == "full"
        for word, path in self.loaded:
            from folioshell.script.loading import load_into

            load_into(session, path, word)
        return session

    def limits(self, *, scripts: bool) -> Limits:
        """The limits of scripts, or of a user at the prompt."""
        return (STRICT if scripts else GENEROUS)._replace(**self._limits)

    def replay(self, *, whole: bool, quiet: bool = False) -> Replay:
        """What shows a run; ``whole`` for a script file, whose lines are echoed and summed up, unless ``quiet``."""
        from folioshell.shell.replay import Replay

        quiet = quiet or (self.quiet and not self.json)
        return Replay(self.screen, self.errors, echo=whole and not quiet, quiet=quiet, summary=whole or quiet)

    def run_settings(self, session: Session | None = None, *, script: bool = False) -> dict[str, Any]:
        """Arguments of ``run_file`` and ``run_text``; a script: strict limits, explicit permissions."""
        from folioshell.shell.replay import golden_lines

        return {
            "session": session or self.session(),
            "limits": self.limits(scripts=script),
            "render": golden_lines,
            "allow_files": self.allow_files or not script,
            "allow_code": self.allow_code or not script,
        }

    def runner(self, name: str, note: Callable[[ScriptEvent], None] | None = None, profile: str = "") -> Runner:
        """The run of a script file; ``note`` as in ``run_file``, ``profile`` as in ``session``."""
        from folioshell.script.files import path_of
        from folioshell.script.runner import run_file

        chosen = [f"{name}={'none' if most is None else most}" for name, most in self._limits.items()]
        repeated = [word for kind, path in self.loaded for word in (f"--{kind}", path)]
        return run_file(
            path_of(name),
            until=self.until.step,
            until_line=self.until.line,
            note=note,
            options=[
                *repeated,
                *(("--profiles", profile) if profile else ()),
                *(("--limit", ",".join(chosen)) if chosen else ()),
            ],
            **self.run_settings(self.session(profile), script=True),
        )

    @property
    def loaded(self) -> list[tuple[str, str]]:
        """``scheme`` or ``protocol``, and the file to load it from."""
        return [*self.loads, *self.more_loads]

    @property
    def _limits(self) -> dict[str, int | None]:
        return {name: most for chosen in (*self.limit, *self.more_limits) for name, most in chosen.items()}


class _Parser(ArgumentParser):
    """A parser that suggests the nearest allowed word for an unknown one."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and exit with status 2."""
        word, _, choices = message.partition("invalid choice: '")[2].partition("' (choose from ")
        if word.endswith(".fs"):
            message = f"{word!r} is not an action; did you mean `folioshell run {word}`?"
        elif word:
            from difflib import get_close_matches

            near = get_close_matches(word, [choice.strip("'") for choice in choices.rstrip(")").split(", ")], 1)
            message += "".join(f"; did you mean `{one}`?" for one in near)
        super().error(message)

    def print_help(self, file: Any = None) -> None:
        """Print the help; unlike argparse, pass on an error of writing."""
        (file or sys.stdout).write(self.format_help())


class _ActionParser(_Parser):
    """The parser of an action. It is made when it is first used: a run uses one of fifteen."""

    def __init__(self, **how: Any) -> None:
        self._how = how
        self._later: list[tuple[tuple[str, ...], dict[str, Any]]] | None = []

    def add_argument(self, *names: str, **how: Any) -> Any:
        """Note an argument; see ``ArgumentParser``."""
        return super().add_argument(*names, **how) if self._later is None else self._later.append((names, how))

    def __getattr__(self, name: str) -> Any:
        """What the parser does not have until it is made."""
        if self._later is None:
            raise AttributeError(name)
        later, self._later = self._later, None
        super().__init__(**self._how)
        for names, how in later:
            super().add_argument(*names, **how)
        return getattr(self, name)


def parser() -> _Parser:
    """The parser of the command line."""
    # A formatter with a given width does not import what it would ask the terminal with: a tenth of a run's start.
    formatter = partial(RawDescriptionHelpFormatter, width=100)
    made = _Parser(
        prog="folioshell",
        description="A shell to try folio mapcount schemes on a model of Linux memory management.",
        epilog=_EPILOG,
        allow_abbrev=False,
        formatter_class=formatter,
    )
    made.add_argument("--version", action="store_true", help="print the version and exit")
    made.add_argument("--resume", action="store_true", help="restore the last shell that crashed or was killed")
    made.add_argument("-c", dest="commands", metavar="COMMANDS", help="run these commands and exit")
    actions = made.add_subparsers(dest="action", title="actions", parser_class=_ActionParser)
    add_action = partial(actions.add_parser, allow_abbrev=False, formatter_class=formatter)
    run = add_action("run", help="run scripts and print each step")
    _add_scripts(run)
    until = "stop after step N and the queries that follow it; line:N: stop after line N"
    run.add_argument("--until", type=_until, default=Until(), metavar="N", help=until)
    run.add_argument("--junit", metavar="OUT.xml", help="also write the results of all assertions as JUnit XML")
    run.add_argument("--update", action="store_true", help="rewrite golden blocks with the actual output")
    run.add_argument("--force", action="store_true", help="with --update: also where CI is set")
    under = "run each script under these releases, and show where they part; all: every one"
    run.add_argument("--profiles", type=_profiles, default=(), metavar="PROFILE,…", help=under)
    run.add_argument("-i", dest="interactive", action="store_true", help="open the shell in the final state")
    export = _add_export_options(add_action("export", help="write scripts as a page for any browser"))
    scenarios = add_action("scenarios", help="list the scenarios that come with folioshell")
    scenarios.add_argument("--copy", metavar="DIR", help="copy them into this new folder instead")
    teaching = _add_lesson_actions(add_action)
    on_kernels = _add_kernel_actions(add_action)
    check = add_action("check-scheme", help="check which laws the schemes of a Python file violate")
    check.add_argument("files", nargs="+", metavar="FILE", help="a Python file that subclasses Scheme")
    _add_check_options(check)
    protocols = add_action("check-protocol", help="explore races under protocols of Python files, or of ours")
    _add_protocol_check_options(protocols)
    sweep = add_action("race-sweep", help="explore the races of all pairs of commands in small set-ups")
    _add_sweep_options(sweep)
    add_action("schema", help="print the JSON schema of --json")
    completion = add_action("completion", help="print a script that completes the command line in a shell")
    completion.add_argument("shell", choices=("bash", "zsh", "fish"), help="its shell")
    actions.metavar = " | ".join(actions.choices)
    # Output options are allowed before and after the action; only the former have defaults, lest they undo the latter.
    for action in (run, export, scenarios, *teaching, *on_kernels, check, protocols, sweep):
        _add_output_options(action, loads="more_loads", limits="more_limits")
        if action not in (protocols, sweep):
            _add_protocol_option(action, "more_loads")
    _add_output_options(made, loads="loads", limits="limit")
    _add_protocol_option(made, "loads")
    for action in (run, made):
        action.add_argument("--mode", choices=tuple(MODES), default=SUPPRESS, help="output format, instead of `mode`")
    made.set_defaults(plain=False, width=None, json=None, mode="", quiet=False, allow_files=False, allow_code=False)
    made.set_defaults(loads=[], more_loads=[], limit=[], more_limits=[])
    return made


def _add_scripts(parser: ArgumentParser, number: str = "+") -> None:
    what = "a script, or the name of a scenario; - for standard input"
    parser.add_argument("files", nargs=number, metavar="FILE", help=what)


def _add_live(add_action: Callable[..., ArgumentParser]) -> ArgumentParser:
    live = add_action("live", help="run scripts on a real kernel and compare each step", epilog=_LIVE_EPILOG)
    _add_scripts(live, "*")
    add = live.add_argument
    add("--kernel", metavar="IMAGE", help="boot this kernel in QEMU: a bzImage, or a vmlinux with PVH")
    add("--modules", metavar="DIR", help="its modules (default: lib/modules beside the image's folder)")
    add("--accel", choices=("kvm", "tcg"), default="", help="what runs it (default: KVM if it works)")
    for word, least, default, what in (
        ("--runs", 1, 2, "runs of each (default: 2)"),
        ("--fuzz", 1, 0, "run N random scenarios instead; a difference comes back as the shortest script"),
        ("--seed", 0, 1, "seed of the random scenarios (default: 1)"),
    ):
        add(word, type=partial(_number, least=least), default=default, metavar="N", help=what)
    where = "also write the recordings into this folder; with --fuzz those that differ, and their scripts"
    add("-o", dest="folder", default="", metavar="DIR", help=where)
    add("--profile", choices=tuple(RELEASES), default="", help="model this release instead of that of the kernel")
    add("--dry-run", action="store_true", help="only say what it would set on this machine, and what can run")
    add("--restore", action="store_true", help="only put back what a recorder that was killed has set")
    add("--allow-live", action="store_true", help="also run what is piped in, and scripts that a script includes")
    add("-v", dest="verbose", action="store_true", help="list the steps that are the same, too")
    return live


def _add_lesson_actions(add_action: Callable[..., ArgumentParser]) -> tuple[ArgumentParser, ...]:
    """Add the actions of those who learn, lecture, and write lessons."""
    what = "a script, or the name of a scenario"
    learn = add_action("learn", help="open the shell in a lesson; without LESSON, list them and continue")
    learn.add_argument("lesson", nargs="?", default="", metavar="LESSON", help="its number, or a script")
    learn.add_argument("--export", metavar="FILE", help="copy the progress file instead, to hand it in")
    present = add_action("present", help="open the shell to present a script, line by line")
    present.add_argument("file", metavar="FILE", help=what)
    present.add_argument("--ask", action="store_true", help="questions wait for an answer")
    lesson = add_action("lesson", help="check what an author must know of lessons")
    lesson.add_argument("check", choices=("check",), help="values, wrong answers, solutions, screens and words")
    lesson.add_argument("files", nargs="+", metavar="FILE", help=what)
    return learn, present, lesson


def _add_export_options(parser: ArgumentParser) -> ArgumentParser:
    """Add the options of ``export``."""
    _add_scripts(parser)
    parser.add_argument("-o", dest="output", required=True, metavar="PAGE", help="the page; - for standard output")
    parser.add_argument("--index", action="store_true", help="from FILE, a folder, write a page each and an index")
    asked = "questions are forms (ask), have answers (show), or end what is shown, as in an exam (none)"
    parser.add_argument("--questions", choices=("ask", "show", "none"), default="ask", help=asked)
    parser.add_argument("--steps", default="", metavar="N..M", help="only these steps")
    parser.add_argument("--svg", default="", metavar="DIR", help="also write each figure into this folder, as SVG")
    return parser


def _add_check_options(parser: ArgumentParser) -> None:
    """Add the options of ``check-scheme``; defaults are those of ``SearchBounds``."""
    for name, default, least, text in (
        ("--histories", 240, 1, "random histories for each law, and a third as many of many address spaces"),
        ("--steps", 40, 1, "steps of the longest"),
        ("--mms", 300, 2, "address spaces in those that have many"),
        ("--seed", 20230206, 0, "seed of the random numbers"),
    ):
        number = partial(_number, least=least)
        parser.add_argument(name, type=number, default=default, metavar="N", help=f"{text} (default: {default})")


def _add_protocol_check_options(parser: ArgumentParser) -> None:
    """Add the options of ``check-protocol``; defaults are those of ``ProtocolChoice``."""
    parser.add_argument("names", nargs="*", metavar="FILE|NAME", help="a Python file, or a built-in protocol")
    parser.add_argument("--all", action="store_true", dest="every", help="all built-in protocols")
    race = "only races with this in their names; may be repeated"
    parser.add_argument("--race", action="append", default=[], dest="races", metavar="TEXT", help=race)
    for name, default, least, text in (
        ("--max-states", 20_000, 2, "states of a race, at most (default: 20000)"),
        ("--jobs", 1, 1, "processes; the output is the same for any number (default: 1)"),
    ):
        parser.add_argument(name, type=partial(_number, least=least), default=default, metavar="N", help=text)
    parser.add_argument("--threads", type=int, choices=(2, 3), default=2, help="threads of a race (default: 2)")


def _add_sweep_options(parser: ArgumentParser) -> None:
    """Add the options of ``race-sweep``; defaults are those of ``SweepChoice``."""
    collect = partial(parser.add_argument, action="append", default=[])
    collect("--setup", dest="setups", metavar="NAME", help="only this set-up; may be repeated")
    pair = "only pairs of these two commands, or all pairs with one; may be repeated"
    collect("--pair", dest="pairs", metavar="A[,B]", help=pair)
    for name, default, least, text in (
        ("--max-states", 50_000, 2, "states of a pair, at most (default: 50000)"),
        ("--sample", None, 1, "only so many pairs, chosen by the seed"),
        ("--seed", 1, 0, "seed of the sample (default: 1)"),
        ("--jobs", 1, 1, "processes; the output is the same for any number (default: 1)"),
    ):
        parser.add_argument(name, type=partial(_number, least=least), default=default, metavar="N", help=text)
    parser.add_argument("--protocol", default="", metavar="NAME", help="count VMAs by this protocol, as `set protocol`")
    parser.add_argument("--list", action="store_true", dest="listed", help="print the set-ups and commands instead")
    parser.add_argument("-v", dest="verbose", action="store_true", help="print each pair as soon as it is explored")


def _add_kernel_actions(add_action: Callable[..., ArgumentParser]) -> list[ArgumentParser]:
    """Add the actions that are about real kernels and their recordings."""
    live = _add_live(add_action)
    record = add_action("record", help="record what the kernel here does with scripts or scenarios")
    _add_record_options(record)
    verify = add_action("verify", help="replay recordings of real kernels on the model and compare")
    _add_verify_options(verify)
    convert = add_action("convert", help="print a scenario as a script, or a script as a scenario")
    convert.add_argument("file", metavar="FILE", help="a recording or scenario (.json, .json.gz), or a script")
    return [live, record, verify, convert]


def _add_verify_options(verify: ArgumentParser) -> None:
    verify.add_argument("files", nargs="+", metavar="RECORDING", help="a recording, .json or .json.gz")
    verify.add_argument("-v", dest="verbose", action="store_true", help="show the first difference as a table")
    verify.add_argument("--emit", action="store_true", help="print the model's own recordings instead, one per line")
    books = "compare, or print, the kernel's own books too: references, mapcounts, MM-IDs, entries of page tables"
    verify.add_argument("--books", action="store_true", help=books)
    profile = "model this release instead of that of each recording"
    verify.add_argument("--profile", choices=tuple(RELEASES), default="", help=profile)


def _add_record_options(record: ArgumentParser) -> None:
    record.add_argument("files", nargs="+", metavar="FILE", help="a script, a scenario or a recording")
    target = "the recording, .json or .json.gz; a folder if there are several"
    record.add_argument("-o", dest="target", required=True, metavar="OUT", help=target)
    runs = "undisturbed runs that are compared (default: 2)"
    record.add_argument("--runs", type=partial(_number, least=1), default=2, metavar="N", help=runs)
    folder = "a folder on ext4, for files on ext4 (default: that of temporary files)"
    record.add_argument("--folder", default="", metavar="DIR", help=folder)
    record.add_argument("--swap", default="", metavar="DEVICE", help="a prepared swap device (default: a zram device)")
    record.add_argument("--allow-live", action="store_true", help="also run what is piped in")


def _add_protocol_option(parser: ArgumentParser, loads: str) -> None:
    """Add the option that loads protocols; ``race-sweep --protocol`` picks one by its name."""
    protocol, text = partial(_load, "protocol"), "add the protocols of this file"
    parser.add_argument(
        "--protocol", action="append", type=protocol, dest=loads, default=SUPPRESS, metavar="FILE.py", help=text
    )


def _add_output_options(parser: ArgumentParser, loads: str, limits: str) -> None:
    """Add the options that all actions have; repeated ones are collected under the names given."""
    flag = partial(parser.add_argument, action="store_true", default=SUPPRESS)
    choose_json = partial(parser.add_argument, dest="json", action="store_const", default=SUPPRESS)
    flag("--plain", help="aligned text without boxes and color, even on a terminal")
    columns = partial(_number, least=1, most=10_000, what="number of columns")
    parser.add_argument("--width", type=columns, default=SUPPRESS, metavar="N", help="use N columns")
    choose_json("--json", const="steps", help="print JSON Lines, one document per command")
    choose_json("--json=full", const="full", help="the same, with the whole state after each step")
    flag("--quiet", help="print only failures, and a summary line for each file")
    collect = partial(parser.add_argument, action="append", default=SUPPRESS)
    scheme = partial(_load, "scheme")
    collect("--scheme", type=scheme, dest=loads, metavar="FILE.py", help="also count with the schemes of this file")
    limit = f"resource limits: {', '.join(LIMITS)}; N may be none"
    collect("--limit", type=_limits, dest=limits, metavar="NAME=N,…", help=limit)
    flag("--allow-files", help="let scripts write files")
    flag("--allow-code", help="let scripts load Python code")


def _load(word: str, path: str) -> tuple[str, str]:
    return word, path


def _number(text: str, least: int, most: int = 1_000_000_000, what: str = "number") -> int:
    number = parse_number(text)
    if number is None or not least <= number <= most:
        raise ArgumentTypeError(f"{text!r} is not a {what} from {least} to {most:,}")
    return number


def _limits(text: str) -> dict[str, int | None]:
    try:
        return read_limits(text)
    except ValueError as error:
        raise ArgumentTypeError(str(error)) from None


def _profiles(text: str) -> tuple[str, ...]:
    chosen = [*RELEASES] if text == "all" else text.split(",")
    for name in chosen:
        if name not in RELEASES:
            raise ArgumentTypeError(f"no such profile: {name!r}; allowed: {', '.join(RELEASES)}, all")
    return tuple(version for version in RELEASES if version in chosen)


def _until(text: str) -> Until:
    place, colon, line = text.partition(":")
    number = parse_number(line if colon else text)
    if number is None or (colon and place != "line"):
        raise ArgumentTypeError(f"{text!r} is neither a number of steps nor line:N")
    return Until(line=number) if colon else Until(step=number)
