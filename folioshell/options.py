"""What the options of the command line stand for: a session, limits, screens, and runs of scripts.

Rules:
- Imports are late, as in cli.
"""

from __future__ import annotations

import sys

# typing.TYPE_CHECKING without importing typing, as in cli.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Sequence
    from typing import Any, TextIO

    from folioshell.report import Report
    from folioshell.script.runner import Runner
    from folioshell.script.script_event import ScriptEvent
    from folioshell.session.limits import Limits
    from folioshell.session.session import Session
    from folioshell.shell.replay import Replay
    from folioshell.views.screen import Screen


def session_of(options: Namespace) -> Session:
    """A session, with the definitions that count in it."""
    from time import monotonic

    from folioshell.script import Session

    session = Session()
    session.clock = monotonic
    session.limits = limits_of(options, scripts=False)
    session.output.mode = _mode(options) or screen_of(sys.stdout, options).mode
    session.output.fixed = bool(_mode(options))
    session.settings.full = options.json == "full"
    for path in (*options.scheme, *options.more_schemes):
        from folioshell.script.definitions import define

        define(session, path)
    return session


def _chosen_limits(options: Namespace) -> dict[str, int | None]:
    return {name: most for chosen in (*options.limit, *options.more_limits) for name, most in chosen.items()}


def limits_of(options: Namespace, *, scripts: bool) -> Limits:
    """How much may be done, by scripts or by who types."""
    from folioshell.session.limits import GENEROUS, STRICT

    return (STRICT if scripts else GENEROUS)._replace(**_chosen_limits(options))


def screen_of(stream: TextIO, options: Namespace) -> Screen:
    """How a stream is written on."""
    from folioshell.views.screen import screen_for

    return screen_for(stream, plain_wanted=options.plain, width=options.width)


def _mode(options: Namespace) -> str:
    """The mode that the command line asks for; empty if it asks for none."""
    mode: str = "json" if options.json else options.mode
    return mode or ("plain" if options.plain else "")


def replay_of(options: Namespace, *, whole: bool) -> Replay:
    """What shows a run; ``whole`` for a script file, whose lines are shown and summed up."""
    from folioshell.shell.replay import Replay

    quiet = options.quiet and not options.json
    return Replay(
        screen_of(sys.stdout, options),
        screen_of(sys.stderr, options),
        echo=whole and not quiet,
        quiet=quiet,
        summary=whole or quiet,
    )


def runner_of(options: Namespace, name: str, note: Callable[[ScriptEvent], None] | None = None) -> Runner:
    """The run of a script file; ``note`` as in ``run_file``."""
    from folioshell.script.runner import run_file

    return run_file(
        name,
        session=session_of(options),
        until=options.until.step,
        until_line=options.until.line,
        limits=limits_of(options, scripts=True),
        render=golden_lines,
        note=note,
        options=_repeated(options),
        **allowed_of(options),
    )


def golden_lines(reports: Sequence[Report]) -> list[str]:
    """The text of reports as golden blocks hold it; imported when there is one."""
    from folioshell.shell import failures

    return failures.golden_lines(reports)


def allowed_of(options: Namespace) -> dict[str, Any]:
    """What scripts may do with files."""
    return {"allow_files": options.allow_files, "allow_code": options.allow_code}


def _repeated(options: Namespace) -> list[str]:
    """The words that whoever runs a script in the same way again has to type."""
    schemes = [word for path in (*options.scheme, *options.more_schemes) for word in ("--scheme", path)]
    chosen = [f"{name}={'none' if most is None else most}" for name, most in _chosen_limits(options).items()]
    return [*schemes, *(("--limit", ",".join(chosen)) if chosen else ())]
