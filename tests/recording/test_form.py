"""The form of scenarios: what is wrong is named with its place."""

from __future__ import annotations

from typing import Any

import pytest

from folioshell.recording.form import BadScenario, check_scenario
from tests.recording.samples import scenario


def test_a_good_scenario_comes_back() -> None:
    """A scenario with nothing wrong is returned as it is."""
    assert check_scenario(scenario()) == scenario()


def _changed(number: int, **keys: Any) -> dict[str, Any]:
    found = scenario()
    found["ops"][number].update(keys)
    return found


def _without(number: int, key: str) -> dict[str, Any]:
    found = scenario()
    del found["ops"][number][key]
    return found


def _setup(**parts: Any) -> dict[str, Any]:
    return {**scenario(), "setup": {**scenario()["setup"], **parts}}


_SECOND = {"op": "mmap", "proc": "A", "region": "s", "kind": "anon", "pages": 8, "prot": "rw"}


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "no scenario"),
        ({"ops": 3}, "no scenario"),
        ({"ops": [3]}, "operation 0: an object"),
        (_changed(1, op="tuch"), "operation 1: no operation 'tuch'; did you mean 'touch'"),
        (_changed(1, op=["touch"]), "operation 1: no operation"),
        (_changed(1, access="wrote"), "operation 1, touch: `access` is 'wrote'; did you mean 'write'"),
        (_changed(1, count=-1), "operation 1, touch: `count` is -1; a number"),
        (_changed(1, count=True), "operation 1, touch: `count` is True"),
        (_changed(1, count=1 << 60), "operation 1, touch: `count`"),
        (_without(1, "page"), "operation 1, touch: `page` is missing"),
        (_changed(1, region="q"), "operation 1, touch: no region 'q'"),
        (_changed(2, child=""), "operation 2, fork: `child`"),
        (_changed(3, region="r"), "operation 3, mmap: region 'r' exists"),
        (_changed(3, file="g"), "operation 3, mmap: no file 'g'"),
        (_changed(3, align_pages=3), "operation 3, mmap: `align_pages` is 3; a power of two"),
        (_changed(3, kind="hugetlb"), "operation 3, mmap: `kind`"),
        (_changed(3, pages=262144), "region 'm' does not fit its slot"),
        (_changed(3, after="q"), "operation 3, mmap: no region 'q'"),
        (_setup(files={"f": {"pages": 0, "fs": "ext4"}}), "file f: `pages` is 0"),
        (_setup(files={"f": {"pages": 4, "fs": "xfs"}}), "file f: `fs` is 'xfs'"),
        (_setup(files=3), "setup: objects `files` and `mthp`"),
        (_setup(mthp={"48": "always"}), "setup: no anonymous folios of 48 kB"),
        (_setup(mthp={"64": "allways"}), "did you mean 'always'"),
    ],
)
def test_bad_scenario(found: Any, message: str) -> None:
    """What a scenario cannot have is refused, with the operation and the word."""
    with pytest.raises(BadScenario, match=message):
        check_scenario(found)


def test_regions_that_overlap() -> None:
    """Two regions behind the same one would lie over each other."""
    found = scenario()
    found["ops"] = [found["ops"][0], {**_SECOND, "after": "r"}, {**_SECOND, "region": "u", "after": "r"}]
    with pytest.raises(BadScenario, match="overlap"):
        check_scenario(found)


def test_unknown_keys_are_left_alone() -> None:
    """Keys that no operation has are ignored, as the recorder does."""
    assert check_scenario(_changed(1, note="the first write"))["ops"][1]["note"] == "the first write"
