"""The results of ``live`` in docs/fidelity.md: ``python -m tests.docs.live_results [IMAGE…]`` runs all scenarios again.

They run on the kernel here (as root), then on each image in QEMU. The tables of the page are generated from what was
found, docs/results/live.json.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.command_line import folioshell
from tests.docs.fuzz_results import with_fuzz_results
from tests.repo.tree import ROOT

PAGE = ROOT / "docs" / "fidelity.md"
RESULTS = ROOT / "docs" / "results" / "live.json"
_TABLES = re.compile(r"(?<=<!-- live -->\n).*?(?=<!-- end of live -->)", re.DOTALL)


def scenarios() -> list[Path]:
    """All shipped scripts."""
    return sorted((ROOT / "scenarios").rglob("*.fs"))


def results(images: Sequence[str]) -> Iterator[dict[str, Any]]:
    """What ``live --json`` prints on the kernel here and on each image, with the command.

    A path of a machine is no part of it: the command has the name of the image, scripts are named from scenarios/.
    """
    for image in ("", *images):
        kernel = ("--kernel", image) if image else ()
        done = folioshell("live", *kernel, "--json", *map(str, scenarios()))
        assert done.returncode in (0, 1), done.stderr
        *documents, last = map(json.loads, done.stdout.splitlines())
        command = f"folioshell live {f'--kernel {Path(image).name} ' if image else ''}--json scenarios/*/*.fs"
        scripts = [one | {"script": str(Path(one["script"]).relative_to(ROOT / "scenarios"))} for one in documents]
        yield {"command": command, **last["summary"], "results": scripts}


def fidelity_page() -> str:
    """The current page, with its tables regenerated."""
    page = with_fuzz_results(PAGE.read_text(encoding="utf-8"))
    return _TABLES.sub(lambda _: tables(json.loads(RESULTS.read_text(encoding="utf-8"))), page)


def tables(runs: Sequence[dict[str, Any]]) -> str:
    """A row per kernel, then one per script that a kernel cannot run, or not whole."""
    return f"{''.join(_kernels(runs))}\n{''.join(_left_out(runs))}"


def _kernels(runs: Sequence[dict[str, Any]]) -> Iterator[str]:
    head = (
        "`uname -r`",
        "where",
        "profile",
        "scripts",
        "steps",
        "same",
        "differ",
        "not comparable",
        "expects",
        "command",
    )
    yield f"| {' | '.join(head)} |\n| {' | '.join('---' for _ in head)} |\n"
    for run in runs:
        other = f", {run['not_in_release']} not in this release" if run["not_in_release"] else ""
        cells = [
            run["release"],
            run["where"],
            run["profile"],
            *(f"{run[key]:,}" for key in ("scripts", "steps", "same", "differ", "not_comparable")),
            f"{run['held']} of {run['expects']} hold{other}",
            f"`{run['command']}`",
        ]
        yield f"| {' | '.join(cells)} |\n"


def _left_out(runs: Sequence[dict[str, Any]]) -> Iterator[str]:
    yield "| script | what no kernel, or not this one, can run |\n"
    yield "| --- | --- |\n"
    reasons: dict[tuple[str, str], list[str]] = {}
    for run in runs:
        for one in run["results"]:
            whole = [f"all of it: {one['cannot_run']}"] if "cannot_run" in one else []
            parts = [f"what depends on {why}" for why in one.get("left_out", ())]
            for why in (*whole, *parts):
                reasons.setdefault((one["script"], why), []).append(run["profile"])
    for (script, why), profiles in sorted(reasons.items()):
        where = "" if len(profiles) == len(runs) else f" (on {', '.join(profiles)})"
        yield f"| {script} | {why}{where} |\n"


def main(images: Sequence[str]) -> None:
    """Run all, and write the results."""
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(list(results(images)), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
