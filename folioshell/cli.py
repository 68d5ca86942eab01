"""The command line: what each action does, and the exit status.

Rules:
- Imports are late: ``--version`` needs none, ``run`` neither prompt_toolkit nor pydantic.
- Statuses: 0 success, 1 an expect or a command failed, 2 refused or unreadable, 3 an internal error.
- A standard stream that is closed, full or unread gives a message and a status, never a traceback.
"""

from __future__ import annotations

import gc
import os
import sys

from folioshell import __version__

# typing.TYPE_CHECKING without importing typing, which would be a quarter of what --version takes.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TextIO

    from folioshell.command_line import Options
    from folioshell.live import RecorderOptions
    from folioshell.session.session import Session
    from folioshell.shell.run_outputs import JUnit

FAILED = 1
REFUSED = 2
INTERNAL_ERROR = 3
INTERRUPTED = 130
CLOSED_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run folioshell with these arguments (default: the process's own) and return its exit status."""
    if argv is None:
        # This is the program: what it allocates lives on, above all at the start, and is not worth a search.
        gc.set_threshold(50_000)
    arguments = sys.argv[1:] if argv is None else list(argv)
    if not _open_closed_streams():
        return REFUSED
    try:
        try:
            status = _version() if arguments == ["--version"] else _main(arguments)
        except SystemExit as done:
            # argparse exits after --help and after an error; what it wrote may still be buffered.
            status = int(done.code or 0)
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon(sys.stdout)
        return CLOSED_PIPE
    except KeyboardInterrupt:
        _complain("interrupted")
        return INTERRUPTED
    except OSError as error:
        _abandon(sys.stdout)
        return _complain(f"{error.filename or 'standard output'}: {error.strerror or error}")
    return status


def _version() -> int:
    sys.stdout.write(f"folioshell {__version__}\n")
    return 0


def _main(arguments: list[str]) -> int:
    from folioshell.command_line import Options, parser

    options = parser().parse_args(arguments, Options())
    if options.version:
        return _version()
    for stream in (sys.stdout, sys.stderr):
        # A lone surrogate, from a file name or a script, must not end in a traceback.
        if reconfigure := getattr(stream, "reconfigure", None):
            reconfigure(errors="backslashreplace")
    from folioshell.errors import LoadedCodeError, Refused

    try:
        return _act(options)
    except Refused as error:
        sys.stdout.flush()
        options.errors.refusal(error)
        return REFUSED
    except LoadedCodeError as error:
        sys.stdout.flush()
        options.errors.bug(error)
        return FAILED
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - an internal error is shown, not thrown at the user
        sys.stdout.flush()
        options.errors.bug(error)
        return INTERNAL_ERROR


def _act(options: Options) -> int:
    if options.resume:
        return _resume(options)
    if options.action and options.commands is not None:
        return _complain(f"-c cannot be combined with {options.action}")
    if options.action is not None:
        return _ACTIONS[options.action](options)
    if options.commands is not None:
        from folioshell.script.runner import run_text

        # The author of the command line could write the file as well.
        return options.replay(whole=False).run(run_text(options.commands, name="-c", **options.run_settings()), "-c")
    return _open(options, options.session())


def _resume(options: Options) -> int:
    if options.action or options.commands is not None or not sys.stdin.isatty():
        return _complain("--resume opens the shell: it needs a terminal, and takes neither -c nor an action")
    from folioshell.shell.crash_log import resume
    from folioshell.shell.repl import interact

    return interact(options.session(), options.screen, options.errors, resume)


def _open(options: Options, session: Session) -> int:
    """Open the shell at a terminal; run standard input as a script without one."""
    if sys.stdin.isatty():
        from folioshell.shell.repl import interact

        return interact(session, options.screen, options.errors)
    from folioshell.script.runner import run_file

    return options.replay(whole=False).run(run_file("-", **options.run_settings(session, script=True)), "-")


def _run(options: Options) -> int:
    if options.interactive and (len(options.files) > 1 or len(options.profiles) > 1 or options.json or options.quiet):
        return _complain("run: -i takes one FILE and one profile, and neither --json nor --quiet")
    if len(options.profiles) > 1 and options.update:
        return _complain("run: --update takes one profile: a golden block holds the output of one kernel")
    if len(options.profiles) > 1 and "-" in options.files:
        return _complain("run: --profiles takes files: standard input can be read only once")
    if options.update:
        return _update(options)
    if options.junit is not None:
        return _run_for_junit(options)
    if len(options.profiles) > 1:
        return _run_under_profiles(options)
    replay, status = options.replay(whole=True), 0
    for name in options.files:
        runner = options.runner(name, profile="".join(options.profiles))
        status = max(status, replay.run(runner, name))
        if options.interactive and runner.status != REFUSED:
            return max(status, _open(options, runner.session))
    return status


def _run_under_profiles(options: Options, junit: JUnit | None = None) -> int:
    """Run each script under several releases, and show where they part."""
    replay, status = options.replay(whole=True, quiet=True), 0
    for name in options.files:
        sessions = []
        for profile in options.profiles:
            if junit is not None:
                junit.begin(name, profile)
            runner = options.runner(name, junit.note if junit is not None else None, profile)
            status = max(status, replay.run(runner, f"{profile}: {name}"))
            sessions.append(runner.session)
        if not options.quiet:
            # A script may have been stopped under some of them.
            replay.compare(max(sessions, key=lambda session: session.step), options.profiles)
    return status


def _run_for_junit(options: Options) -> int:
    """Run scripts, and write the results of their assertions as XML however the run ends."""
    if options.interactive:
        return _complain("run: --junit cannot be combined with -i")
    from folioshell.shell import run_outputs

    junit = run_outputs.JUnit()
    status = 0
    try:
        if len(options.profiles) > 1:
            status = _run_under_profiles(options, junit)
        else:
            replay, profile = options.replay(whole=True), "".join(options.profiles)
            for name in options.files:
                junit.begin(name, profile)
                status = max(status, replay.run(options.runner(name, junit.note, profile), name))
    except Exception as error:
        junit.crashed(error)
        raise
    finally:
        assert options.junit is not None
        junit.write(options.junit)
    return status


def _update(options: Options) -> int:
    """Run scripts and rewrite their golden blocks."""
    if options.json or options.interactive or "-" in options.files:
        return _complain("run: --update takes files, and neither -i nor --json")
    from folioshell.shell.replay import Replay
    from folioshell.shell.run_outputs import Update, check_permitted

    check_permitted(os.environ, forced=options.force)
    update = Update()
    replay = Replay(options.screen, options.errors, echo=False, quiet=True, summary=False, updating=True)
    for name in options.files:
        replay.run(options.runner(name, update.note, "".join(options.profiles)), name)
    options.screen.write(update.write())
    return 0


def _export(options: Options) -> int:
    from folioshell.shell.run_outputs import export_pages, steps_in

    settings = {
        "made_by": f"Made by folioshell {__version__}.",
        "steps": steps_in(options.steps),
        "questions": options.questions,
    }
    told = export_pages(options.files, options.output, options.runner, settings, options.index, options.svg)
    options.screen.write([] if options.quiet else told)
    return 0


def _verify(options: Options) -> int:
    from folioshell.shell.recordings import Verification, emit_files

    limits = options.limits(scripts=True)
    if options.emit:
        return emit_files(options.files, sys.stdout, options.errors, options.profile, limits, books=options.books)
    verification = Verification(
        options.screen,
        options.errors,
        verbose=options.verbose,
        quiet=options.quiet,
        profile=options.profile,
        books=options.books,
        limits=limits,
    )
    return verification.run(options.files)


def _live(options: Options) -> int:
    from pathlib import Path

    from folioshell.live.guest import Guest
    from folioshell.shell.live import LiveChoice, LiveComparison, ThisKernel
    from folioshell.shell.live_fuzz import LiveFuzz

    if not options.restore and bool(options.files) == bool(options.fuzz):
        return _complain("live: expected scripts or --fuzz N, and not both")
    if options.restore or options.dry_run:
        return _live_plan(options)
    choice = LiveChoice(
        *(options.profile, options.folder),
        allow_live=options.allow_live,
        verbose=options.verbose,
        quiet=options.quiet,
        as_json=bool(options.json),
        options=_recorder_options(options),
    )
    if options.kernel is None and (options.modules or options.accel):
        return _complain("live: --modules and --accel go with --kernel")
    modules = None if options.modules is None else Path(options.modules)
    kernel = Guest(Path(options.kernel), modules=modules, accel=options.accel) if options.kernel else ThisKernel()
    if options.fuzz:
        return LiveFuzz(kernel, options.screen, options.errors, choice, options.fuzz, options.seed).run()
    return LiveComparison(kernel, options.session().language, options.screen, options.errors, choice).run(options.files)


def _recorder_options(options: Options, folder: str = "", swap: str = "") -> RecorderOptions:
    """How to record: ``--runs``, and ``--limit`` of pages and processes."""
    from folioshell.live import RecorderOptions

    limits = options.limits(scripts=True)
    bounds = {name: most for name in ("pages", "processes") if (most := getattr(limits, name)) is not None}
    return RecorderOptions(runs=options.runs, folder=folder, swap_device=swap, **bounds)


def _live_plan(options: Options) -> int:
    """Say what a live run would change, or restore what one that was killed has changed."""
    from folioshell.live import CannotRecord
    from folioshell.live.host import restore
    from folioshell.shell.recordings import show_plans

    if options.kernel is not None or options.fuzz or (options.restore and (options.files or options.dry_run)):
        return _complain("live: --restore stands alone; --dry-run takes files, and neither --kernel nor --fuzz")
    if options.restore:
        try:
            sys.stdout.write("\n".join([*restore()] or ["Nothing to restore."]) + "\n")
        except CannotRecord as reason:
            return _complain(str(reason))
        return 0
    language, chosen = options.session().language, _recorder_options(options)
    return show_plans(options.files, options.screen, options.errors, language, chosen, verbose=options.verbose)


def _convert(options: Options) -> int:
    from folioshell.shell.recordings import bounded, convert_file

    language, errors = options.session().language, options.errors
    limits = options.limits(scripts=True)
    return bounded(options.file, lambda: convert_file(options.file, sys.stdout, errors, language), limits, errors)


def _record(options: Options) -> int:
    from folioshell.shell.recordings import record_files

    if "-" in options.files and not options.allow_live:
        return _complain("record: what is piped in runs on a real kernel only with --allow-live")
    language, chosen = options.session().language, _recorder_options(options, options.folder, options.swap)
    return record_files(options.files, options.target, options.screen, options.errors, language, chosen)


def _check_scheme(options: Options) -> int:
    from folioshell.contract.histories import SearchBounds
    from folioshell.shell.checks import check_files

    bounds = SearchBounds(options.histories, options.steps, options.mms, options.seed)
    return check_files(options.files, options.screen, options.errors, quiet=options.quiet, bounds=bounds)


def _race_sweep(options: Options) -> int:
    from folioshell.shell.race_sweep import SweepChoice, list_sweep, run_sweep

    if options.listed:
        return list_sweep(options.screen)
    names = ("setups", "pairs", "sample", "seed", "protocol", "jobs")
    choice = SweepChoice(most=options.max_states, **{name: getattr(options, name) for name in names})
    settings = {"verbose": options.verbose, "quiet": options.quiet, "as_json": bool(options.json)}
    return run_sweep(choice, options.screen, **settings)


def _check_protocol(options: Options) -> int:
    from folioshell.shell.checks import ProtocolChoice, check_protocols

    schemes = tuple(path for _, path in options.loaded)
    choice = ProtocolChoice(
        options.names, options.every, options.races, options.max_states, options.jobs, schemes, options.threads
    )
    return check_protocols(choice, options.screen, quiet=options.quiet, as_json=bool(options.json))


def _schema(options: Options) -> int:
    from folioshell.export.schema import schema_text

    sys.stdout.write(schema_text(ascii_only=not options.screen.signs))
    return 0


def _scenarios(options: Options) -> int:
    from folioshell.script import files
    from folioshell.views.blocks import Column, Grid, Span, line
    from folioshell.views.glyphs import visible

    if options.copy is not None:
        nr = files.copy_scenarios(options.copy)
        options.screen.write([line(f"{nr} scenarios copied to {visible(options.copy)}")])
        return 0
    rows = tuple((Span(name), Span(title)) for name, title in files.scenario_titles())
    note = "`folioshell run NAME` runs one, `folioshell scenarios --copy DIR` copies all"
    options.screen.write([Grid((Column("scenario"), Column("title")), rows, note=note)])
    return 0


def _learn(options: Options) -> int:
    from folioshell.shell.lessons import learn

    options.interactive = True
    return learn(options.session(), options.screen, options.errors, options.lesson, options.export)


def _present(options: Options) -> int:
    from folioshell.shell.lessons import present

    options.interactive = True
    return present(options.session(), options.screen, options.errors, options.file, asking=options.ask)


def _lesson(options: Options) -> int:
    from folioshell.shell.lessons import check_lessons

    return check_lessons(options.files, options.screen, options.errors)


def _completion(options: Options) -> int:
    from folioshell.command_line import parser
    from folioshell.script.files import scenario_titles
    from folioshell.shell.completion import Offer, offers, script_for

    choices = offers(parser())
    for action in ("run", "live"):
        choices[action] += [Offer(name, title) for name, title in scenario_titles()]
    sys.stdout.write(script_for(options.shell, choices))
    return 0


_ACTIONS = {
    "run": _run,
    "export": _export,
    "scenarios": _scenarios,
    "learn": _learn,
    "present": _present,
    "lesson": _lesson,
    "live": _live,
    "verify": _verify,
    "convert": _convert,
    "record": _record,
    "check-scheme": _check_scheme,
    "check-protocol": _check_protocol,
    "race-sweep": _race_sweep,
    "schema": _schema,
    "completion": _completion,
}


# Standard streams.


def _open_closed_streams() -> bool:
    """Replace streams that the process was started without; False if that is standard output, after a message."""
    if sys.stdin is None:
        sys.stdin = _null("r")
    if sys.stderr is None:
        sys.stderr = _null("w")
    if sys.stdout is None:
        _complain("standard output is closed")
        return False
    return True


def _complain(text: str) -> int:
    """Write an error message, if standard error can still be written; returns the status of a refusal."""
    try:
        sys.stderr.write(f"folioshell: {text}\n")
        sys.stderr.flush()
    except OSError:
        _abandon(sys.stderr)
    return REFUSED


def _abandon(stream: TextIO) -> None:
    """Discard what is still buffered for a stream that cannot be written, so that the interpreter exits quietly."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _null(mode: str) -> TextIO:
    # pathlib is not worth its import for so rare a case.
    stream: TextIO = open(os.devnull, mode, encoding="utf-8")  # type: ignore[assignment]  # noqa: PTH123, SIM115
    return stream
