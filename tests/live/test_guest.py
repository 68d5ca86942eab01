"""The guest and the line to it, with a program in the place of QEMU; ``test_live.py`` boots real kernels."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from folioshell.live import CannotRecord, RecorderOptions
from folioshell.live import guest as guest_module
from folioshell.live.guest import Guest, GuestError
from folioshell.live.image import BadImage, Payload

#: what a program in the place of QEMU begins with: it answers requests on its standard streams
ANSWERING = f"""#!{sys.executable} -SB
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from folioshell.live import guest
class Line:
    def read(fd, size): return sys.stdin.buffer.readline()
    def write(fd, data): return sys.stdout.buffer.write(data) + (sys.stdout.buffer.flush() or 0)
guest.os = Line
serve = lambda answer: guest._answer(1, answer(guest._request(1)))
guest._answer(1, {{"release": "6.0-fake", "disk": False}})
"""


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kernel image, and an initramfs and disks that cost nothing."""
    path = tmp_path / "vmlinuz"
    path.write_bytes(bytes(0x202) + b"HdrS" + bytes(0x1000))
    monkeypatch.setattr(guest_module, "payload", lambda init, modules: Payload(b"packed", ("/lib",), "python"))
    monkeypatch.setattr(Guest, "_disks", lambda self: [])
    return path


@pytest.fixture
def qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a program in the place of QEMU is written to."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder / "qemu-system-x86_64"


def install(qemu: Path, text: str) -> None:
    qemu.write_text(text)
    qemu.chmod(0o755)


def test_requests_of_any_length_are_answered(image: Path, qemu: Path) -> None:
    """A scenario longer than a line of the terminal arrives whole, and so does a longer recording."""
    install(qemu, f"{ANSWERING}\nwhile True: serve(lambda request: {{'got': request, 'more': 'y' * 100}})\n")
    # Random enough to be long when compressed.
    text = "".join(str(number * number % 9973) for number in range(3000))
    with Guest(image, accel="tcg") as guest:
        assert (guest.release, guest.has_disk, guest.accel) == ("6.0-fake", False, "tcg")
        for scenario in ({"name": text}, {"name": ""}):
            got = guest.record(scenario, RecorderOptions(runs=3))["got"]
            assert (got["scenario"], got["options"]["runs"]) == (scenario, 3)


def test_what_the_recorder_says_is_passed_on(image: Path, qemu: Path) -> None:
    """A refusal of the recorder is one here; a failure of it is one of the guest, which goes on."""
    answers = "[{'refused': 'no swap'}, {'failed': 'OSError: x'}, {'steps': []}]"
    install(qemu, f"{ANSWERING}\nfor answer in {answers}: serve(lambda request: answer)\n")
    with Guest(image, accel="tcg") as guest:
        with pytest.raises(CannotRecord, match=r"^no swap$"):
            guest.record({})
        with pytest.raises(GuestError, match=r"^the recorder failed in the guest: OSError: x$"):
            guest.record({})
        assert guest.record({}) == {"steps": []}


def test_a_guest_that_ends_is_reported_with_its_console(image: Path, qemu: Path) -> None:
    """A kernel that panics while it records ends the run, and the message has the end of its console."""
    console = "open(sys.argv[sys.argv.index('-serial') + 1].removeprefix('file:'), 'w')"
    panic = f"guest._request(1)\n{console}.write('BUG: x\\n\\nKernel panic\\n')"
    install(qemu, f"{ANSWERING}\n{panic}\n")
    with Guest(image, accel="tcg") as guest:
        # It is booted again each time.
        for _ in range(2):
            with pytest.raises(GuestError) as caught:
                guest.record({})
            assert str(caught.value) == f"{image} ended; its console ends:\n    BUG: x\n    Kernel panic"


def test_an_image_that_does_not_boot(image: Path, qemu: Path) -> None:
    """The message has what QEMU complains about, or that it took too long; KVM that is silent is given up."""
    install(qemu, "#!/bin/sh\necho no such accelerator >&2\n")
    with pytest.raises(GuestError, match=r"did not boot; QEMU says: no such accelerator$"), Guest(image, accel="tcg"):
        pass
    install(qemu, "#!/bin/sh\nexec /bin/sleep 60\n")
    silent = "did not boot in 0 seconds, and its console is empty"
    with pytest.raises(GuestError, match=silent), Guest(image, accel="kvm", boot_limit=0.2):
        pass


def test_silent_kvm_gives_way_to_tcg(image: Path, qemu: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that writes nothing to its console under KVM is started again without it."""
    monkeypatch.setattr(guest_module, "_FIRST_WORDS", 0.2)
    monkeypatch.setattr(os, "access", lambda path, mode, access=os.access: path == "/dev/kvm" or access(path, mode))
    install(qemu, ANSWERING.replace("import sys", "import sys, time\nif 'kvm' in sys.argv: time.sleep(60)", 1))
    with Guest(image) as guest:
        assert guest.accel == "tcg"


def test_no_qemu(image: Path, qemu: Path) -> None:
    """Without QEMU one sentence names the package."""
    with pytest.raises(GuestError, match=r"^qemu-system-x86_64 is not installed; on Debian"), Guest(image):
        pass


def test_no_image(tmp_path: Path, qemu: Path) -> None:
    """The image is looked at before anything is started."""
    install(qemu, "#!/bin/sh\n")
    with pytest.raises(BadImage), Guest(tmp_path / "none"):
        pass


def descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


@pytest.mark.skipif(sys.platform != "linux", reason="a guest needs Linux")
def test_nothing_is_left_of_a_guest(image: Path, qemu: Path) -> None:
    """No descriptor and no process is left, whether the guest answered or not."""
    before = descriptors()
    install(qemu, f"{ANSWERING}\nserve(lambda request: {{}})\n")
    with Guest(image, accel="tcg") as guest:
        process = guest._process
        guest.record({})
    assert process is not None
    assert process.poll() is not None
    assert descriptors() == before


@pytest.mark.skipif(sys.platform != "linux", reason="a guest needs Linux")
def test_a_guest_ends_with_a_killed_parent(image: Path, qemu: Path, tmp_path: Path) -> None:
    """A SIGKILL of the process that started it ends QEMU too; its files have no names."""
    install(
        qemu,
        f"#!/bin/sh\necho $$ > {tmp_path}/pid.new\n/bin/mv {tmp_path}/pid.new {tmp_path}/pid\nexec /bin/sleep 60\n",
    )
    script = f"""
import sys
from pathlib import Path
from folioshell.live import guest
guest.payload = lambda init, modules: guest.Payload(b"packed", (), "python")
guest.Guest._disks = lambda self: []
with guest.Guest(Path({str(image)!r}), accel="tcg"): pass
"""
    root = Path(__file__).parents[2]
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=root, env={**os.environ, "PYTHONPATH": str(root)})
    until = time.monotonic() + 20
    while not (tmp_path / "pid").exists() and time.monotonic() < until:
        time.sleep(0.01)
    pid = int((tmp_path / "pid").read_text())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except FileNotFoundError:
            return
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    pytest.fail("QEMU is still running")
