"""The scenarios that are installed with the package."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from folioshell.script import files
from tests.command_line import folioshell

ROOT = Path(__file__).resolve().parents[2]


def test_they_are_package_data() -> None:
    """A wheel has the folder at the top as a folder of the package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]

    assert wheel["force-include"] == {"scenarios": "folioshell/scenarios"}
    assert files.scenario_folder() in (ROOT / "scenarios", ROOT / "folioshell" / "scenarios")


def test_list() -> None:
    """`scenarios` lists each by the name that `run` takes, with its title."""
    rows = [line.split(maxsplit=1) for line in folioshell("--plain", "scenarios").stdout.splitlines()]

    assert ["mail/straddle", "Example 2: a folio across two page tables"] in rows
    assert len(files.scenario_names()) == len(list((ROOT / "scenarios").rglob("*.fs")))


@pytest.mark.parametrize("name", ["mail/simple", "mail/simple.fs", "scenarios/mail/simple.fs"])
def test_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scenario runs by its name, wherever the user is; a file of that name comes first."""
    monkeypatch.chdir(tmp_path)
    assert folioshell("run", "--quiet", name).stdout == f"{name}: passed: 3 steps, 11 expects\n"

    (tmp_path / "scenarios/mail").mkdir(parents=True)
    (tmp_path / "mail").mkdir()
    Path(name).write_text("fork B\n")
    assert folioshell("run", "--quiet", name).stdout == f"{name}: passed: 1 step, 0 expects\n"


def test_no_such_scenario() -> None:
    """The message names what was typed."""
    done = folioshell("run", "mail/nothing")

    assert done.returncode == 2
    assert done.stderr == "mail/nothing: error: cannot read mail/nothing: No such file or directory\n"


def test_copy(tmp_path: Path) -> None:
    """All are copied into a new folder; one that exists is left alone."""
    target = tmp_path / "mine"
    assert folioshell("scenarios", "--copy", str(target)).returncode == 0
    copied = sorted(path.relative_to(target) for path in target.rglob("*.fs"))
    assert copied == sorted(path.relative_to(ROOT / "scenarios") for path in (ROOT / "scenarios").rglob("*.fs"))

    done = folioshell("scenarios", "--copy", str(target))
    assert done.returncode == 2
    assert "File exists" in done.stderr


def test_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package without them says so, and runs files as ever."""
    monkeypatch.setattr(files, "scenario_folder", lambda: None)

    assert folioshell("scenarios", "--copy", "x").stderr == "error: the scenarios were not installed\n"
    assert files.path_of("mail/simple") == "mail/simple"
