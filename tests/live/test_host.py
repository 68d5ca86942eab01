"""Settings of the machine: what is changed stands in a file first, and is put back."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

import pytest

from folioshell.live import CannotRecord, read_setting
from folioshell.live.host import Setting, _State, possible_sizes, settings_to_change

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="settings of Linux")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with settings of THP, and one for state files."""
    thp = tmp_path / "thp"
    for name, text in {
        "enabled": "always [madvise] never",
        "defrag": "[always] madvise never",
        "shmem_enabled": "always [never]",
        "khugepaged/max_ptes_none": "511",
        "hugepages-64kB/enabled": "always inherit [never]",
        "hugepages-2048kB/enabled": "always [inherit] never",
    }.items():
        (thp / name).parent.mkdir(parents=True, exist_ok=True)
        (thp / name).write_text(text + "\n")
    monkeypatch.setattr("folioshell.live.host.THP", thp)
    monkeypatch.setattr("folioshell.live.host._run_folder", lambda: tmp_path)
    return thp


def test_settings_to_change(machine: Path) -> None:
    """Only what differs from what a scenario needs is to be changed; of several words the one in brackets counts."""
    found = [one for one in settings_to_change({"mthp": {"64": "always"}}, str(machine)) if str(machine) in one.name]

    assert found == [
        Setting(str(machine / "defrag"), "always", "madvise"),
        Setting(str(machine / "hugepages-64kB/enabled"), "never", "always"),
    ]


def test_a_kernel_without_sizes(machine: Path) -> None:
    """Before 6.8 the mode for 2048 kB is the only one, that of all; smaller sizes are left out of the setup."""
    for path in machine.glob("hugepages-*/enabled"):
        path.unlink()
    mthp = possible_sizes({"64": "always", "2048": "always"})

    assert mthp == {"2048": "always"}
    assert Setting(str(machine / "enabled"), "madvise", "always") in settings_to_change({"mthp": mthp}, str(machine))
    assert str(machine / "enabled") not in [
        one.name for one in settings_to_change({"mthp": {"2048": "inherit"}}, str(machine))
    ]


def test_a_size_that_the_kernel_lacks(machine: Path) -> None:
    """A size of folios that the kernel does not have is refused."""
    with pytest.raises(CannotRecord, match="no anonymous folios of 128 kB"):
        settings_to_change({"mthp": {"128": "always"}}, str(machine))


def test_what_is_changed_stands_in_a_file_first(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a setting is written its old value is in the state file; another recorder can put it back from there."""
    written = []

    def write(name: str, value: str) -> None:
        written.append((Path(name).name, value, (tmp_path / "folioshell-live.state").exists()))
        Path(name).write_text(value)

    monkeypatch.setattr("folioshell.live.host.write_setting", write)
    _State().change(str(machine / "defrag"), "always", "madvise")

    next_one = _State()
    assert next_one.load()
    next_one.restore_settings()
    assert written == [("defrag", "madvise", True), ("defrag", "always", True)]
    assert read_setting(str(machine / "defrag")) == "always"
    assert not (tmp_path / "folioshell-live.state").exists()


def test_a_setting_that_cannot_be_written(machine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused with the reason of the system, and leaves no state behind."""

    def refuse(*_: str) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("folioshell.live.host.write_setting", refuse)

    with pytest.raises(CannotRecord, match="to madvise: Read-only file system"):
        _State().change(str(machine / "defrag"), "always", "madvise")
    assert not (tmp_path / "folioshell-live.state").exists()


def test_a_damaged_state_file_is_no_state(tmp_path: Path, machine: Path) -> None:
    """What a recorder could not finish writing is ignored: it is written before anything is changed."""
    (tmp_path / "folioshell-live.state").write_text('{"settings":')

    assert not _State().load()
