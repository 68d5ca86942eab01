"""Random scenarios: the same for a seed everywhere, of all that can be recorded."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256

from hypothesis import given, settings
from hypothesis import strategies as st

from folioshell.live.format import ADVICES, KINDS, OPERATIONS
from folioshell.recording.observe import Observer, emit
from folioshell.recording.random_scenario import random_scenario
from folioshell.recording.scenario import ScenarioRun
from folioshell.recording.to_script import script_of


def test_a_seed_and_a_number_make_one_scenario() -> None:
    """Equal ones each time, on every machine; others for another seed or number."""
    texts = [json.dumps(random_scenario(seed, number)) for seed in (7, 8) for number in range(20)]

    assert texts[:20] == [json.dumps(random_scenario(7, number)) for number in range(20)]
    assert len(set(texts)) == 40
    # As of the results in docs/results: another generator needs new ones.
    assert sha256("".join(texts).encode()).hexdigest()[:16] == "886e70a2adf1275c"


def test_scenarios_have_everything_that_can_be_recorded() -> None:
    """All operations, advices and kinds of mappings occur, and most operations succeed."""
    scenarios = [random_scenario(1, number) for number in range(300)]
    ops = [op for scenario in scenarios for op in scenario["ops"]]
    setup = Counter(key for scenario in scenarios for key in scenario["setup"])

    assert {op["op"] for op in ops} == set(OPERATIONS)
    assert {op["advice"] for op in ops if op["op"] == "madvise"} == set(ADVICES)
    assert {op["kind"] for op in ops if op["op"] == "mmap"} == set(KINDS)
    assert set(setup) == {"mthp", "files", "swap", "fault_around"}
    assert max(sum(op["op"] == "fork" for op in scenario["ops"]) for scenario in scenarios) > 6


def test_most_operations_succeed() -> None:
    """Errors are wanted, but not in every step."""
    results = Counter(
        next(iter(step["result"])) for number in range(8) for step in emit(random_scenario(2, number))["steps"]
    )

    assert results["ok"] > 2 * (results["errno"] + results["signals"]) > 0


@given(st.integers(0, 10_000), st.sampled_from(("6.18", "6.12", "6.1")))
@settings(max_examples=30)
def test_observations_on_the_one_before(number: int, profile: str) -> None:
    """Observations that build on the one before are those of an observer that builds on none, with the books."""
    scenario = random_scenario(9, number)
    replay = ScenarioRun(scenario, profile)
    observers = Observer(replay, books=True), Observer(replay, books=True)
    for op in scenario["ops"]:
        replay.run(op)
        observers[1]._last = None

        assert observers[0].observe(op) == observers[1].observe(op)


def test_scenarios_can_be_scripts() -> None:
    """The language can express each."""
    for number in range(10):
        assert script_of(random_scenario(3, number)).startswith("#!folioshell")
