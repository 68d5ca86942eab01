"""The scenarios that come with folioshell: what they hold. That they pass, the plugin for pytest tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from folioshell import Session
from folioshell.model.release import RELEASES
from folioshell.schemes import all_schemes
from folioshell.script.runner import PASSED, run_file
from folioshell.script.script import MAGIC
from folioshell.session.host import Host

ROOT = Path(__file__).parents[2] / "scenarios"
SCRIPTS = sorted(ROOT.rglob("*.fs"))
HISTORY = sorted((ROOT / "history").glob("*.fs"))
NUMBERED = [path for path in SCRIPTS if path.parent.name == "schemes" and re.match(r"\d\d-", path.name)]


def named(path: Path) -> str:
    """The name of a script within the folder."""
    return str(path.relative_to(ROOT))


def test_there_are_scenarios() -> None:
    """The folder holds the examples of the mails, and the worked examples 1 to 25 and 27."""
    assert len(NUMBERED) == 26
    assert {named(path).split("/")[0] for path in SCRIPTS} >= {"mail", "schemes"}
    assert len(HISTORY) >= 8


@pytest.mark.parametrize("path", SCRIPTS, ids=named)
def test_it_is_collected(path: Path) -> None:
    """It asserts something, and begins with the line that pytest looks for."""
    text = path.read_text(encoding="utf-8")

    assert text.startswith(MAGIC)
    assert re.search(r"^(expect[ \[]|\? .* == )", text, re.MULTILINE)


@pytest.mark.parametrize("path", NUMBERED, ids=named)
def test_every_scheme_is_asserted(path: Path) -> None:
    """Each step that asserts the truth asserts the number of every scheme that the worked examples are about."""
    texts = {one: one.read_text(encoding="utf-8") for one in NUMBERED}
    named_in = {one: re.findall(r"^expect mapcount (\S+) ", text, re.MULTILINE) for one, text in texts.items()}
    schemes = all_schemes().keys() & {name for names in named_in.values() for name in names}
    steps = texts[path].count("expect truth vmas")

    assert steps
    assert len(schemes) > 10
    assert {name for name in schemes if named_in[path].count(name) < steps} == set()


def findings(path: Path) -> list[str]:
    """Schemes that findings of a script were blamed on, in order."""
    reports = [played.report for played in run_file(path) if played.report is not None]
    return [finding.split(" called ")[0] for report in reports for finding in report.findings]


def test_leaks_are_findings() -> None:
    """Each scheme that lets a write be seen is named; no scheme that does not is."""
    assert findings(ROOT / "schemes" / "cow-leak.fs") == [
        "likely",
        "likely-v6.9",
        "estimated-gt1",
        "tuples-naive",
        "vmas-hookless",
        "zero-one-two-many",
    ]
    assert findings(ROOT / "schemes" / "07-parent-writes.fs") == []


@pytest.mark.parametrize("path", HISTORY, ids=named)
def test_stories_of_history(path: Path) -> None:
    """Each passes under every profile, asserts something of each, and tells profiles apart in two ways or more."""
    skipped = []
    for profile in RELEASES:
        session = Session(counting=(), host=Host(profile=profile))
        runner = run_file(path, session=session)
        for _ in runner:
            pass
        assert (profile, runner.status) == (profile, PASSED)
        assert runner.expects > 0
        skipped.append(runner.skipped)
    named_profiles = re.findall(r"^expect\[(.*?)\]", path.read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(version for names in named_profiles for version in names.split(",")) == sorted(RELEASES)
    assert len(named_profiles) > 1
    assert set(skipped) == {len(named_profiles) - 1}
