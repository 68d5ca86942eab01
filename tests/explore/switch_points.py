"""How often each command stops where another thread may come between: fewer stops are interleavings that are lost.

    python -m tests.explore.switch_points > after.json
    cd OLD && PYTHONPATH=. python NEW/tests/explore/switch_points.py > before.json
    python -m tests.explore.switch_points before.json after.json

The first two lines count, in this version and in another one, the stops of every command of race-sweep in every set-up
when it runs to its end beside a second thread of its process that has not begun. The third prints both sums, and the
set-ups in which a command stops less often than before. The set-ups are those of this file's own version.
"""

from __future__ import annotations

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from folioshell.commands.parse import Grammar
from folioshell.errors import Refused
from folioshell.script import Session
from folioshell.session.race import Thread, race_of

#: set-up -> command -> number of stops; None if it cannot race there
Stops = dict[str, dict[str, int | None]]
#: stops after which a command counts as endless
_MOST = 10_000


def own_sweep() -> ModuleType:
    """The set-ups and commands of the version that this file belongs to, whichever version is imported."""
    path = Path(__file__).parents[2] / "folioshell" / "commands" / "sweep.py"
    spec = spec_from_file_location("own_sweep", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules["own_sweep"] = module
    spec.loader.exec_module(module)
    return module


def stops(script: str, process: str, command: str) -> int | None:
    """The stops of a command from a state on; None if it cannot race."""
    session = Session(counting=())
    session.execute(script)
    try:
        (statement,) = Grammar().parse(f"race {{ {process}.t1: {command} ; {process}.t2: read w[0] }}")
        texts = statement.arguments.get("THREADS", list)
        race = race_of(session.workspace, [Thread(one.process.text, one.name, tuple(one.commands)) for one in texts])
    except Refused:
        return None
    for nr in range(_MOST):
        if race.stop_of(0).kind == "broken":
            raise AssertionError(f"{script} ; {command}: {race.stop_of(0).flaw}")
        if race.stop_of(0).kind == "end":
            return nr
        race.do(0)
    raise AssertionError(f"{command} does not end")


def count() -> Stops:
    """The stops of all commands in all set-ups."""
    sweep = own_sweep()
    found: Stops = {}
    for setup in sweep.SETUPS:
        process = setup.threads[0].partition(".")[0]
        start = Session(counting=())
        start.execute(f"{sweep.GEOMETRY} ; {setup.script}")
        first = start.workspace.regions["w"].start
        found[setup.name] = {
            command.name: stops(f"{sweep.GEOMETRY} ; {setup.script}", process, setup.command(0, command, first))
            for command in setup.commands
        }
    return found


def compare(before: Stops, after: Stops) -> list[str]:
    """A Markdown table of the sums over the set-ups in which both have a number, and what became less."""
    names = dict.fromkeys(name for row in after.values() for name in row)
    lines = ["| command | set-ups | before | after |", "| --- | --- | --- | --- |"]
    fewer = []
    for name in names:
        pairs = [(setup, before.get(setup, {}).get(name), row.get(name)) for setup, row in after.items()]
        both = [(setup, old, new) for setup, old, new in pairs if old is not None and new is not None]
        alone = [new for _, old, new in pairs if old is None and new is not None]
        if both:
            sums = f"{sum(old for _, old, _ in both)} | {sum(new for _, _, new in both)}"
            lines.append(f"| {name} | {len(both)} | {sums} |")
        else:
            lines.append(f"| {name} | {len(alone)} | - | {sum(alone)} |")
        fewer += [f"{setup}: {name}: {old} before, {new} after" for setup, old, new in both if new < old]
    return [*lines, "", *(fewer or ["no command has fewer in any set-up"])]


def main() -> None:
    """Count, or compare two counts."""
    if len(sys.argv) == 3:
        before, after = (json.loads(Path(name).read_text(encoding="utf-8")) for name in sys.argv[1:])
        sys.stdout.write("\n".join([*compare(before, after), ""]))
    else:
        sys.stdout.write(json.dumps(count(), indent=1) + "\n")


if __name__ == "__main__":
    main()
