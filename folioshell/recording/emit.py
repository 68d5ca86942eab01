"""The model's own recording of a scenario, in the format of those of real kernels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from folioshell.model.release import DEFAULT
from folioshell.recording.load import FORMAT
from folioshell.recording.observe import Observer
from folioshell.recording.scenario import Replay


def regions_of(replay: Replay) -> dict[str, dict[str, int]]:
    """The regions of a recording: where each lies, in pages from the arena's base."""
    return {name: {"vpn": vpn, "pages": nr} for name, (vpn, nr) in replay.regions.items()}


def files_of(replay: Replay, scenario: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The files of a recording: their specification, and the folios of their page cache before the first step."""
    files = scenario.get("setup", {}).get("files") or {}
    return {name: {**spec, "layout": replay.layout(name)} for name, spec in files.items()}


def steps_of(replay: Replay, scenario: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The steps of a recording, each made when it is asked for: the machine then is in the state that it describes."""
    observer = Observer(replay)
    for number, op in enumerate(scenario["ops"]):
        result = replay.run(op)
        yield {"i": number, "result": result, **observer.observe(op)}


def emit(scenario: dict[str, Any], profile: str = DEFAULT.version) -> dict[str, Any]:
    """Run a checked scenario on a fresh machine and describe every step.

    Args:
        profile: which kernel the model is to behave like.
    """
    replay = Replay(scenario, profile)
    regions, files = regions_of(replay), files_of(replay, scenario)
    return {
        "format": FORMAT,
        "name": scenario.get("name", ""),
        "doc": scenario.get("doc", ""),
        "scenario": scenario,
        "regions": regions,
        "files": files,
        "steps": list(steps_of(replay, scenario)),
    }
