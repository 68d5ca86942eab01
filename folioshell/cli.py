"""The command line: what ``folioshell`` was asked to do, and the exit status.

Rules:
- Imports are late: ``--version`` needs none, ``run`` neither prompt_toolkit nor pydantic.
- Statuses: 0 fine, 1 an expect or a command failed, 2 refused or not readable, 3 a bug of folioshell.
"""

from __future__ import annotations

import os
import sys

from folioshell import __version__
from folioshell.options import (
    allowed_of,
    golden_lines,
    limits_of,
    replay_of,
    runner_of,
    screen_of,
    session_of,
)
from folioshell.streams import abandon, complain, open_closed

# typing.TYPE_CHECKING without importing typing, which would be a quarter of what --version takes.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence

    from folioshell.session.session import Session

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
        screen_of(sys.stderr, options).refusal(error)
        return REFUSED
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - a bug is shown, not thrown at whoever typed
        sys.stdout.flush()
        screen_of(sys.stderr, options).bug(error)
        return BUG


def _check_scheme(options: Namespace) -> int:
    from folioshell.shell.definition_check import check_files

    return check_files(
        options.files, screen_of(sys.stdout, options), screen_of(sys.stderr, options), quiet=options.quiet
    )


def _act(options: Namespace) -> int:
    if options.resume:
        return _resume(options)
    if options.action and options.commands is not None:
        complain(f"-c runs commands instead of an action: it does not go with {options.action}")
        return REFUSED
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
        return _play_stdin(options, session_of(options))
    return _open_shell(options, session_of(options))


def _resume(options: Namespace) -> int:
    if options.action or options.commands is not None or not sys.stdin.isatty():
        sys.stderr.write(
            "folioshell: --resume opens the shell: it goes with a terminal, and with neither -c nor action\n"
        )
        return REFUSED
    from folioshell.shell.interact import interact
    from folioshell.shell.resume import resume

    return interact(session_of(options), screen_of(sys.stdout, options), screen_of(sys.stderr, options), resume)


def _run(options: Namespace) -> int:
    if options.interactive and (len(options.files) > 1 or options.json or options.quiet):
        sys.stderr.write("folioshell run: -i takes one FILE, and neither --json nor --quiet\n")
        return REFUSED
    if options.update:
        return _update(options)
    if options.junit is not None:
        return _run_for_junit(options)
    replay = replay_of(options, whole=True)
    status = 0
    for name in options.files:
        runner = runner_of(options, name)
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

    junit, replay = JUnit(), replay_of(options, whole=True)
    status = 0
    try:
        for name in options.files:
            junit.begin(name)
            status = max(status, replay.run(runner_of(options, name, junit.note), name))
    except Exception as error:
        junit.crashed(error)
        raise
    finally:
        junit.write(options.junit)
    return status


def _update(options: Namespace) -> int:
    """Run scripts and rewrite their golden blocks."""
    if options.json or options.interactive or "-" in options.files:
        sys.stderr.write("folioshell run: --update takes files, and neither -i nor --json\n")
        return REFUSED
    from folioshell.shell.replay import Replay
    from folioshell.shell.update import Update, check_permitted

    check_permitted(os.environ, forced=options.force)
    update, screen = Update(), screen_of(sys.stdout, options)
    errors = screen_of(sys.stderr, options)
    replay = Replay(screen, errors, echo=False, quiet=True, summary=False, updating=True)
    for name in options.files:
        replay.run(runner_of(options, name, update.note), name)
    screen.write(update.write())
    return 0


def _recordings(options: Namespace) -> int:
    from folioshell.shell.recordings import Verification, convert_file, emit_files

    errors = screen_of(sys.stderr, options)
    if options.action == "convert":
        return convert_file(options.file, sys.stdout, errors, session_of(options).language)
    if options.emit:
        return emit_files(options.files, sys.stdout, errors)
    screen = screen_of(sys.stdout, options)
    return Verification(screen, errors, verbose=options.verbose, quiet=options.quiet).run(options.files)


def _play_commands(options: Namespace) -> int:
    from folioshell.script.runner import run_text

    # Whoever writes the command line could write the file just as well.
    session = session_of(options)
    allowed = {"allow_files": True, "allow_code": True}
    limits = limits_of(options, scripts=False)
    runner = run_text(options.commands, name="-c", session=session, limits=limits, render=golden_lines, **allowed)
    return replay_of(options, whole=False).run(runner, "-c")


def _play_stdin(options: Namespace, session: Session) -> int:
    from folioshell.script.runner import run_file

    limits = limits_of(options, scripts=True)
    runner = run_file("-", session=session, limits=limits, render=golden_lines, **allowed_of(options))
    return replay_of(options, whole=False).run(runner, "-")


def _open_shell(options: Namespace, session: Session) -> int:
    from folioshell.shell.interact import interact

    return interact(session, screen_of(sys.stdout, options), screen_of(sys.stderr, options))


def _schema(options: Namespace) -> int:
    from folioshell.export.schema import schema_text

    sys.stdout.write(schema_text(ascii_only=not screen_of(sys.stdout, options).signs))
    return 0
