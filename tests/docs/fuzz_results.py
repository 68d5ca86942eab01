"""The results of ``live --fuzz`` in docs/fidelity.md: ``python -m tests.docs.fuzz_results FILE…``.

Each file is what ``folioshell live --json --fuzz N --seed S`` printed, with ``--kernel IMAGE`` for another kernel. They
become docs/results/fuzz.json, from which the tables of the page are generated.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from folioshell.wording import counted
from tests.repo.tree import ROOT

RESULTS = ROOT / "docs" / "results" / "fuzz.json"
_TABLES = re.compile(r"(?<=<!-- fuzz -->\n).*?(?=<!-- end of fuzz -->)", re.DOTALL)
_ADDED = ("drawn", "scenarios", "steps", "differ", "noise", "not_comparable", "left_out", "ended")
_SHOWN = ("scenarios", "steps", "differ", "noise", "not_comparable", "left_out")


def with_fuzz_results(page: str) -> str:
    """The page, with its tables regenerated."""
    return _TABLES.sub(lambda _: "".join(_tables(json.loads(RESULTS.read_text(encoding="utf-8")))), page)


def merged(texts: Sequence[str]) -> list[dict[str, Any]]:
    """One result per kernel, from what runs with several seeds printed."""
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        *differences, last = map(json.loads, text.splitlines())
        one = last["summary"]
        run = found.setdefault(
            one["release"],
            {key: one[key] for key in ("release", "where", "profile")}
            | {"seeds": [], "each": one["drawn"], **dict.fromkeys(_ADDED, 0), "reasons": {}, "kinds": []},
        )
        run["seeds"].append(one["seed"])
        for key in _ADDED:
            run[key] += one[key]
        for why, nr in one["reasons"].items():
            run["reasons"][why] = run["reasons"].get(why, 0) + nr
        scripts = {row["scenario"]: row for row in differences}
        run["kinds"] += [{**kind, **scripts[kind["scenario"]]} for kind in one["kinds"]]
    return list(found.values())


def _tables(runs: Sequence[dict[str, Any]]) -> Iterator[str]:
    head = ("`uname -r`", "profile", "seeds", "scenarios", "steps", "differ", "differed once", "steps not comparable")
    yield f"| {' | '.join(head)} | cannot run | command |\n|{' --- |' * (len(head) + 2)}\n"
    for run in runs:
        first, last = min(run["seeds"]), max(run["seeds"])
        image = "" if run["where"] == "this machine" else f" --kernel vmlinuz-{run['release']}"
        cells = [
            run["release"],
            run["profile"],
            str(first) if first == last else f"{first}–{last}",
            *(f"{run[key]:,}" for key in _SHOWN),
            f"`folioshell live{image} --json --runs 1 --fuzz {run['each']} --seed S`",
        ]
        yield f"| {' | '.join(cells)} |\n"
    for run in runs:
        for why, nr in run["reasons"].items():
            yield f"\n{counted(nr, 'scenario')} cannot run on {run['release']}: {why}.\n"
    if kinds := [(run, kind) for run in runs for kind in run["kinds"]]:
        yield "\n| kernel | scenario | differs in | shortest script |\n| --- | --- | --- | --- |\n"
        for run, kind in kinds:
            script = " ; ".join(kind["script"].splitlines()[1:])
            more = f", and {len(kind['like'])} like it" if kind["like"] else ""
            yield f"| {run['profile']} | {kind['scenario']}{more} | {kind['kind']} | `{script}` |\n"


def main(files: Sequence[str]) -> None:
    """Write the results."""
    runs = merged([Path(name).read_text(encoding="utf-8") for name in files])
    RESULTS.write_text(json.dumps(runs, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
