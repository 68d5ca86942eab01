"""Recordings of the kernel that runs here; `pytest -m live` runs these, as root on Linux 6.18 or later."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from folioshell.live import CannotRecord, RecorderOptions
from folioshell.live.format import Recording, load, parse
from folioshell.live.host import LiveHost, restore
from folioshell.live.recorder import plan, record
from folioshell.recording.verify import verify
from tests.live.here import machine_state, processes_of, require_recorder
from tests.recording.samples import BEYOND, FOLDER, RECORDINGS, scenario

pytestmark = pytest.mark.live

#: every fourth recording of each kind that 6.18.44 made
_SAMPLE = [*RECORDINGS[::4], *BEYOND[::4]]
_POINTS = 10

#: sets sizes of folios, swaps, has files of all kinds, processes, and a pin
_EVERYTHING: dict[str, Any] = {
    "name": "everything",
    "doc": "",
    "setup": {
        "mthp": {"64": "always", "16": "madvise"},
        "swap": True,
        "files": {
            "e": {"pages": 64, "fs": "ext4", "cached": True, "chunk_pages": 16},
            "t": {"pages": 16, "fs": "tmpfs", "cached": True},
            "h": {"pages": 1024, "fs": "tmpfs_huge", "cached": False},
        },
    },
    "ops": [
        {"op": "mmap", "proc": "A", "region": "r", "kind": "anon", "pages": 64, "prot": "rw"},
        {"op": "touch", "proc": "A", "region": "r", "page": 0, "count": 64, "access": "write"},
        {"op": "mmap", "proc": "A", "region": "e", "kind": "file_shared", "pages": 64, "prot": "rw", "file": "e"},
        {"op": "touch", "proc": "A", "region": "e", "page": 0, "count": 64, "access": "read"},
        {"op": "mmap", "proc": "A", "region": "h", "kind": "shmem_file", "pages": 512, "prot": "rw", "file": "h"},
        {"op": "touch", "proc": "A", "region": "h", "page": 0, "count": 2, "access": "write"},
        {"op": "fork", "proc": "A", "child": "B"},
        {"op": "pin", "proc": "A", "region": "r", "page": 0, "count": 1},
        {"op": "madvise", "proc": "B", "region": "r", "page": 16, "count": 16, "advice": "pageout"},
        {"op": "touch", "proc": "B", "region": "r", "page": 0, "count": 32, "access": "write"},
        {"op": "exit", "proc": "A"},
    ],
}

#: runs the recorder, and sends it a signal at the N-th call of one of its functions; without N prints their number
_DRIVER = """
import json, os, sys
from folioshell.live import RecorderOptions
from folioshell.live.recorder import record
at, number, scenario = int(sys.argv[1]), int(sys.argv[2]), json.load(open(sys.argv[3]))
calls = 0
driver = os.getpid()
def profile(frame, event, argument):
    global calls
    if event == "call" and "folioshell/live" in frame.f_code.co_filename and os.getpid() == driver:
        calls += 1
        if calls == at:
            os.kill(driver, number)
sys.setprofile(profile)
record(scenario, RecorderOptions(runs=1))
sys.setprofile(None)
print(calls)
"""


@pytest.fixture(autouse=True)
def _machine() -> None:
    require_recorder()


def _recorded(found: dict[str, Any], options: RecorderOptions | None = None) -> Recording:
    return parse(json.dumps(record(found, options)).encode())


@pytest.mark.parametrize("path", _SAMPLE, ids=lambda path: f"{path.parent.name}-{path.name.split('.')[0]}")
def test_recorder_sees_what_was_recorded(path: Path) -> None:
    """A recording that 6.18.44 made is made again, equal in regions, files and steps."""
    known = load(str(path))

    made = _recorded(known.scenario)

    assert (made.regions, made.files, made.steps) == (known.regions, known.files, known.steps)


def test_model_matches_everything_at_once() -> None:
    """Swap, pins, files of three kinds and set sizes of folios in one scenario: the model does the same."""
    assert verify(_recorded(_EVERYTHING)).difference is None


def test_recording_leaves_nothing(tmp_path: Path) -> None:
    """After a recording all settings, mounts, swap devices and files are as before, signals and CPUs too."""
    before = machine_state(tmp_path), os.sched_getaffinity(0), signal.getsignal(signal.SIGTERM)

    record(_EVERYTHING, RecorderOptions(runs=1, folder=str(tmp_path)))

    assert (machine_state(tmp_path), os.sched_getaffinity(0), signal.getsignal(signal.SIGTERM)) == before


def _driver(tmp_path: Path, at: int, number: int) -> subprocess.CompletedProcess[str]:
    """Run the driver in a session of its own; ``at`` 0 sends no signal."""
    wanted = tmp_path / "scenario.json"
    wanted.write_text(json.dumps(_EVERYTHING))
    files = tmp_path / "files"
    files.mkdir(exist_ok=True)
    command = [sys.executable, "-c", _DRIVER, str(at), str(number), str(wanted)]
    with subprocess.Popen(
        command,
        text=True,
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(files)},
    ) as running:
        out, errors = running.communicate(timeout=60)
        until = time.monotonic() + 10
        while processes_of(running.pid) and time.monotonic() < until:
            time.sleep(0.02)
        assert processes_of(running.pid) == []
    return subprocess.CompletedProcess(command, running.returncode, out, errors)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda one: one.name)
def test_recorder_that_ends_early_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """At ten points of a recording its driver is killed, or ended: no process, mount, setting or file is left.

    What one that was killed has changed is restored by ``restore()``; one that is ended restores it itself.
    """
    calls = int(_driver(tmp_path, 0, 0).stdout)
    before = machine_state(tmp_path / "files")
    changed = 0
    for point in range(1, _POINTS + 1):
        ended = _driver(tmp_path, calls * point // (_POINTS + 1), number)
        # Python ignores a KeyboardInterrupt in a finalizer.
        assert ended.returncode != 0 or "Exception ignored" in ended.stderr, "the signal came too late"
        if number == signal.SIGKILL:
            changed += machine_state(tmp_path / "files") != before
            restore()
        assert machine_state(tmp_path / "files") == before, f"point {point} of {_POINTS}: {ended.stderr}"
    # What is restored was changed.
    assert number != signal.SIGKILL or changed > _POINTS // 2


def test_next_recorder_restores(tmp_path: Path) -> None:
    """What a recorder that was killed has changed is restored by the next one, too."""
    before = machine_state(tmp_path)
    calls = int(_driver(tmp_path, 0, 0).stdout)
    _driver(tmp_path, calls // 2, signal.SIGKILL)

    record(scenario(), RecorderOptions(runs=1))

    after = machine_state(tmp_path)
    assert {key: after[key] for key in before if key != "files"} == {
        key: before[key] for key in before if key != "files"
    }


def test_one_recorder_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second recorder says so in one sentence, and changes nothing."""
    monkeypatch.setattr("folioshell.live.host._PATIENCE", 0.1)
    with LiveHost(), pytest.raises(CannotRecord, match="another recorder is at work"):
        record(scenario())


def test_plan_changes_nothing(tmp_path: Path) -> None:
    """A plan names the settings that a recording changes, what it mounts, and where it swaps to."""
    before = machine_state(tmp_path)

    planned = plan(_EVERYTHING)

    assert {one.name.rpartition("hugepages-")[2] for one in planned.settings} >= {"64kB/enabled", "16kB/enabled"}
    assert planned.mounts == ["tmpfs, huge=never", "tmpfs, huge=always"]
    assert planned.swap == "a zram device"
    assert (planned.obstacles, planned.unseen) == ([], [])
    assert machine_state(tmp_path) == before


def _as_nobody(found: dict[str, Any]) -> Any:
    """What becomes of a recording that a process without root makes: the recording, or a sentence."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        with contextlib.suppress(BaseException):
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            # Files of /proc belong to root after setuid, unless the process is dumpable.
            from folioshell.live import libc

            libc().prctl(4, 1, 0, 0, 0)
            try:
                answer: Any = record(found, RecorderOptions(runs=1, folder="/tmp"))
            except CannotRecord as reason:
                answer = str(reason)
            with os.fdopen(writer, "w") as stream:
                json.dump(answer, stream)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as stream:
        answer = json.load(stream)
    os.waitpid(pid, 0)
    return answer


@pytest.mark.parametrize("name", ["a05", "b02", "c08", "d05", "g02", "h05", "i04"])
def test_recording_without_root(name: str) -> None:
    """Without root VMAs, smaps and the bits of pagemap are recorded, and match the model; no folio is."""
    (path,) = FOLDER.glob(f"{name}_*.json.gz")

    made = _as_nobody(load(str(path)).scenario)

    assert made["partial"] is True
    recording = parse(json.dumps(made).encode())
    assert all(not step["folios"] for step in recording.steps or ())
    assert verify(recording).difference is None


def test_what_needs_root_says_so() -> None:
    """A scenario that needs settings changed is refused without root, in one sentence that names them."""
    setup = {"mthp": {"64": "always"}}

    assert "only root can set" in _as_nobody({**_EVERYTHING, "setup": setup, "ops": _EVERYTHING["ops"][:2]})
    assert _as_nobody({**_EVERYTHING, "setup": {"swap": True}, "ops": _EVERYTHING["ops"][:2]}) == "swap needs root"


@pytest.mark.parametrize(
    ("before", "sentence"),
    [
        ("mount -t tmpfs none /sys/kernel/mm/transparent_hugepage", "no transparent huge pages"),
        ("mount --bind -o ro /sys/kernel/mm /sys/kernel/mm && mount -o remount,bind,ro /sys/kernel/mm", "cannot set"),
        ("mount -t tmpfs none /proc", "is /proc mounted"),
        ("mount -t proc -o subset=pid proc /proc", "subset=pid"),
        ("mount -t proc -o hidepid=2 proc /proc", "2 steps"),
        ("mount --bind /dev/null /proc/kpageflags", "without folios"),
    ],
    ids=["no THP", "settings read-only", "no /proc", "only processes in /proc", "hidepid", "no kpageflags"],
)
def test_bad_luck(tmp_path: Path, before: str, sentence: str) -> None:
    """What a machine lacks is said in one sentence, or recorded without; never a traceback."""
    target = tmp_path / "s.json"
    scenario_file = tmp_path / "in.json"
    scenario_file.write_text(
        json.dumps({**_EVERYTHING, "setup": {"mthp": {"64": "always"}}, "ops": _EVERYTHING["ops"][:2]})
    )
    command = f"{before} && exec {sys.executable} -m folioshell record --width 1000 {scenario_file} -o {target}"
    state = machine_state(tmp_path)

    ended = subprocess.run(
        ["unshare", "-m", "sh", "-c", command], capture_output=True, text=True, check=False, timeout=60
    )

    assert "Traceback" not in ended.stderr + ended.stdout
    assert "INTERNAL" not in ended.stderr
    said = ended.stdout + ended.stderr
    assert sentence in said, said
    assert ended.returncode == (0 if target.exists() else 2)
    assert len(said.splitlines()) == 1
    target.unlink(missing_ok=True)
    assert machine_state(tmp_path) == state


def test_restore_by_the_command_line(tmp_path: Path) -> None:
    """After a SIGKILL ``live --restore`` puts everything back, and says what; again there is nothing to restore."""
    calls = int(_driver(tmp_path, 0, 0).stdout)
    before = machine_state(tmp_path)
    _driver(tmp_path, calls // 2, signal.SIGKILL)
    command = [sys.executable, "-m", "folioshell", "live", "--restore"]

    first, second = (subprocess.run(command, capture_output=True, text=True, check=True) for _ in range(2))

    assert "hugepages-64kB/enabled: never" in first.stdout
    assert second.stdout == "Nothing to restore.\n"
    assert machine_state(tmp_path) == before
