"""The command line: what ``folioshell`` was asked to do, and the exit status.

Rules:
- Imports are late: ``--version`` needs none, ``run`` neither prompt_toolkit nor pydantic.
- Statuses: 0 fine, 1 an expect or a command failed, 2 refused or not readable, 3 a bug of folioshell.
"""

from __future__ import annotations

import os
import sys

from folioshell import __version__
from folioshell.streams import abandon, complain, open_closed

# typing.TYPE_CHECKING without importing typing, which would be a quarter of what --version takes.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Any, TextIO

    from folioshell.report import Report
    from folioshell.scenario.played import Played
    from folioshell.scenario.runner import Runner
    from folioshell.session.limits import Limits
    from folioshell.session.session import Session
    from folioshell.shell.notes import Notes
    from folioshell.shell.replay import Replay
    from folioshell.views.screen import Screen

    Begin = Callable[[Session, Path | None], tuple[Notes, list[str]]]

REFUSED = 2
BUG = 3
INTERRUPTED = 130
CLOSED_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run folioshell with these arguments (by default the process's own) and return its exit status."""
    arguments = sys.argv[1:] if argv is None else list(argv)
    if not open_closed():
        return REFUSED
    try:
        try:
            status = _version() if arguments == ["--version"] else _main(arguments)
        except SystemExit as done:
            # --help, and words that are no options: what was written may not have arrived yet.
            status = int(done.code or 0)
        sys.stdout.flush()
    except BrokenPipeError:
        abandon(sys.stdout)
        return CLOSED_PIPE
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except OSError as error:
        abandon(sys.stdout)
        complain(f"{error.filename or 'standard output'}: {error.strerror or error}")
        return REFUSED
    return status


def _version() -> int:
    sys.stdout.write(f"folioshell {__version__}\n")
    return 0


def _main(arguments: list[str]) -> int:
    from folioshell.command_line import parser

    options = parser().parse_args(arguments)
    if options.version:
        return _version()
    for stream in (sys.stdout, sys.stderr):
        # A lone surrogate, from a file name or a script, must not end in a traceback.
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
    from folioshell.errors import Refused

    try:
        return _act(options)
    except Refused as error:
        sys.stdout.flush()
        _screen(sys.stderr, options).refusal(error)
        return REFUSED
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - a bug is shown, not thrown at whoever typed
        sys.stdout.flush()
        _screen(sys.stderr, options).bug(error)
        return BUG


def _check_scheme(options: Namespace) -> int:
    from folioshell.shell.definition_check import check_files

    return check_files(options.files, _screen(sys.stdout, options), _screen(sys.stderr, options), quiet=options.quiet)


def _act(options: Namespace) -> int:
    if options.resume:
        return _resume(options)
    if options.action == "schema":
        return _schema(options)
    if options.action == "run":
        return _run(options)
    if options.action in ("verify", "convert"):
        return _recordings(options)
    if options.action == "check-scheme":
        return _check_scheme(options)
    if options.commands is not None:
        return _play_commands(options)
    if not sys.stdin.isatty():
        return _play_stdin(options, _session(options))
    return _open_shell(options, _session(options))


def _resume(options: Namespace) -> int:
    if options.action or options.commands is not None or not sys.stdin.isatty():
        sys.stderr.write(
            "folioshell: --resume opens the shell: it goes with a terminal, and with neither -c nor action\n"
        )
        return REFUSED
    from folioshell.shell.resume import resume

    return _open_shell(options, _session(options), resume)


def _run(options: Namespace) -> int:
    if options.interactive and (len(options.files) > 1 or options.json or options.quiet):
        sys.stderr.write("folioshell run: -i takes one FILE, and neither --json nor --quiet\n")
        return REFUSED
    if options.update:
        return _update(options)
    if options.junit is not None:
        return _run_for_junit(options)
    replay = _replay(options, whole=True)
    status = 0
    for name in options.files:
        runner = _runner(options, name)
        status = max(status, replay.run(runner, name))
        if options.interactive and runner.status != REFUSED:
            interact = _open_shell if sys.stdin.isatty() else _play_stdin
            return max(status, interact(options, runner.session))
    return status


def _run_for_junit(options: Namespace) -> int:
    """Run scripts, and write what was asserted as XML whatever comes of them."""
    if options.interactive:
        sys.stderr.write("folioshell run: --junit does not go with -i\n")
        return REFUSED
    from folioshell.shell.junit import JUnit

    junit, replay = JUnit(), _replay(options, whole=True)
    status = 0
    try:
        for name in options.files:
            junit.begin(name)
            status = max(status, replay.run(_runner(options, name, junit.note), name))
    except Exception as error:
        junit.crashed(error)
        raise
    finally:
        junit.write(options.junit)
    return status


def _runner(options: Namespace, name: str, note: Callable[[Played], None] | None = None) -> Runner:
    from folioshell.scenario.runner import run_file

    return run_file(
        name,
        session=_session(options),
        until=options.until.step,
        until_line=options.until.line,
        limits=_limits(options, scripts=True),
        render=_golden_lines,
        note=note,
        options=_repeated(options),
        **_allowed(options),
    )


def _golden_lines(reports: Sequence[Report]) -> list[str]:
    from folioshell.shell.failures import golden_lines

    return golden_lines(reports)


def _update(options: Namespace) -> int:
    """Run scripts and rewrite their golden blocks."""
    if options.json or options.interactive or "-" in options.files:
        sys.stderr.write("folioshell run: --update takes files, and neither -i nor --json\n")
        return REFUSED
    from folioshell.shell.replay import Replay
    from folioshell.shell.update import Update, check_permitted

    check_permitted(os.environ, forced=options.force)
    update, screen = Update(), _screen(sys.stdout, options)
    errors = _screen(sys.stderr, options)
    replay = Replay(screen, errors, echo=False, quiet=True, summary=False, updating=True)
    for name in options.files:
        replay.run(_runner(options, name, update.note), name)
    screen.write(update.write())
    return 0


def _recordings(options: Namespace) -> int:
    from folioshell.shell.recordings import Verification, convert_file, emit_files

    errors = _screen(sys.stderr, options)
    if options.action == "convert":
        return convert_file(options.file, sys.stdout, errors, _session(options).language)
    if options.emit:
        return emit_files(options.files, sys.stdout, errors)
    screen = _screen(sys.stdout, options)
    return Verification(screen, errors, verbose=options.verbose, quiet=options.quiet).run(options.files)


def _play_commands(options: Namespace) -> int:
    from folioshell.scenario.runner import run_text

    # Whoever writes the command line could write the file just as well.
    session = _session(options)
    allowed = {"allow_files": True, "allow_code": True}
    limits = _limits(options, scripts=False)
    runner = run_text(options.commands, name="-c", session=session, limits=limits, render=_golden_lines, **allowed)
    return _replay(options, whole=False).run(runner, "-c")


def _play_stdin(options: Namespace, session: Session) -> int:
    from folioshell.scenario.runner import run_file

    limits = _limits(options, scripts=True)
    runner = run_file("-", session=session, limits=limits, render=_golden_lines, **_allowed(options))
    return _replay(options, whole=False).run(runner, "-")


def _allowed(options: Namespace) -> dict[str, Any]:
    return {"allow_files": options.allow_files, "allow_code": options.allow_code}


def _repeated(options: Namespace) -> list[str]:
    """The words that whoever runs a script in the same way again has to type."""
    schemes = [word for path in (*options.scheme, *options.more_schemes) for word in ("--scheme", path)]
    chosen = [f"{name}={'none' if most is None else most}" for name, most in _chosen_limits(options).items()]
    return [*schemes, *(("--limit", ",".join(chosen)) if chosen else ())]


def _chosen_limits(options: Namespace) -> dict[str, int | None]:
    return {name: most for chosen in (*options.limit, *options.more_limits) for name, most in chosen.items()}


def _limits(options: Namespace, *, scripts: bool) -> Limits:
    """How much may be done, by scripts or by who types."""
    from folioshell.session.limits import GENEROUS, STRICT

    return (STRICT if scripts else GENEROUS)._replace(**_chosen_limits(options))


def _session(options: Namespace) -> Session:
    from time import monotonic

    from folioshell.scenario import Session

    session = Session()
    session.clock = monotonic
    session.limits = _limits(options, scripts=False)
    session.output.mode = _mode(options) or _screen(sys.stdout, options).mode
    session.output.fixed = bool(_mode(options))
    session.settings.full = options.json == "full"
    for path in (*options.scheme, *options.more_schemes):
        from folioshell.scenario.definitions import define

        define(session, path)
    return session


def _screen(stream: TextIO, options: Namespace) -> Screen:
    from folioshell.views.screen import screen_for

    return screen_for(stream, plain_wanted=options.plain, width=options.width)


def _mode(options: Namespace) -> str:
    """The mode that the command line asks for; empty if it asks for none."""
    mode: str = "json" if options.json else options.mode
    return mode or ("plain" if options.plain else "")


def _replay(options: Namespace, *, whole: bool) -> Replay:
    """What shows a run; ``whole`` for a script file, whose lines are shown and summed up."""
    from folioshell.shell.replay import Replay

    quiet = options.quiet and not options.json
    return Replay(
        _screen(sys.stdout, options),
        _screen(sys.stderr, options),
        echo=whole and not quiet,
        quiet=quiet,
        summary=whole or quiet,
    )


def _open_shell(options: Namespace, session: Session, begin: Begin | None = None) -> int:
    """Talk to whoever sits at the terminal; ``begin`` as in ``shell.resume``, by default its own."""
    from folioshell.shell import resume
    from folioshell.shell.notes import NotedReader
    from folioshell.shell.pager import Pager
    from folioshell.shell.reader import DumbReader, Reader
    from folioshell.shell.repl import Repl
    from folioshell.shell.state_folder import state_folder
    from folioshell.shell.waiting import waited_for
    from folioshell.views.blocks import line
    from folioshell.views.signs import visible

    screen = _screen(sys.stdout, options)
    reader: Reader = DumbReader()
    if screen.rich:
        from folioshell.shell.prompt import PromptReader

        reader = PromptReader(session, when_idle=_warm_up)
    session.output.pager, session.output.fixed = screen.rich, False
    pager = Pager(os.environ, sys.stdout) if sys.stdout.isatty() else None
    state = state_folder(os.environ)
    folder = state / resume.FOLDER if state else None
    [(notes, told)] = waited_for((start(session, folder) for start in (begin or resume.begin,)), session, screen)
    screen.write([line(visible(text)) for text in told])
    status = Repl(session, screen, NotedReader(reader, notes), errors=_screen(sys.stderr, options), pager=pager).run()
    notes.remove()
    return status


def _warm_up() -> None:
    from threading import Thread

    from folioshell.views.screen import warm_up

    Thread(target=warm_up).start()


def _schema(options: Namespace) -> int:
    from folioshell.export.schema import schema_text

    sys.stdout.write(schema_text(ascii_only=not _screen(sys.stdout, options).signs))
    return 0
