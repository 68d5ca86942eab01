"""A virtual machine that records scenarios: both ends, and the serial line between them.

Rules:
- Standard library only: the guest runs this module too, as its init.
- All files of a guest are anonymous memory, and QEMU gets a SIGKILL when its parent ends: nothing is left, however this
  process ends.
- The line: the guest writes ``?`` when it can read a line of at most ``_LINE`` characters; a request is such lines, the
  last of which ends in a full stop. An answer is one line. Both are JSON, compressed, in base64.
"""

from __future__ import annotations

import base64
import ctypes
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import termios
import time
import tty
import zlib
from pathlib import Path
from typing import Any, NoReturn, Self

from folioshell.live import CannotRecord, RecorderOptions
from folioshell.live.format import BadScenario
from folioshell.live.image import MODULES_DIR, Payload, kernel_image, kernel_modules, payload
from folioshell.live.recorder import record

_LINE = 1000
_QEMU = "qemu-system-x86_64"
_DISK_SIZE = 1 << 30
_CONSOLE_TAIL = 8
#: options of the recorder that the guest is given
_OPTIONS = ("runs", "attempts", "pages", "processes")
#: a kernel that KVM runs has written to its console after so many seconds; this decides whether KVM works
_FIRST_WORDS = 5.0
#: parameters of the kernel. kcore wants addresses as linked; the rest makes a boot short and runs repeatable
_PARAMETERS = "console=ttyS0 panic=-1 nokaslr mitigations=off no5lvl numa_balancing=disable"


class GuestError(Exception):
    """A guest does not start, ended, or does not answer. The message is one sentence."""


class Guest:
    """A running guest, as a context manager.

    Args:
        path: the kernel: a bzImage, or a vmlinux with a PVH entry.
        modules: the folder of its modules; None to look for it.
        accel: ``kvm`` or ``tcg``; empty: KVM if it works.
        boot_limit, record_limit: seconds that a boot, and a scenario, may take.

    Attributes:
        path: the kernel.
        release: what ``uname -r`` prints in it.
        accel: what runs it.
        boot_seconds: from the start of QEMU until the guest could record.
        has_disk: does it have a disk with ext4?
    """

    def __init__(
        self,
        path: Path,
        *,
        modules: Path | None = None,
        accel: str = "",
        boot_limit: float = 120.0,
        record_limit: float = 600.0,
    ) -> None:
        self.path = path
        self.accel = accel
        self.release = ""
        self.boot_seconds = 0.0
        self.has_disk = False
        self._limit = boot_limit
        self._record_limit = record_limit
        self._modules = modules
        self._memory: list[int] = []
        self._payload = Payload(b"", (), "")
        self._process: subprocess.Popen[bytes] | None = None
        self._console = -1
        self._unread = b""

    def __enter__(self) -> Self:
        if shutil.which(_QEMU) is None:
            raise GuestError(f"{_QEMU} is not installed; on Debian it is in the package qemu-system-x86")
        if sys.platform != "linux" or os.uname().machine != "x86_64":
            raise GuestError("a guest runs this Python, so this must be Linux on x86-64")
        self._payload = payload(__name__, kernel_modules(kernel_image(self.path), self._modules))
        self._boot()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the guest. Nothing in it is worth a shutdown."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None
        for fd in self._memory:
            os.close(fd)
        self._memory = []

    def record(self, scenario: dict[str, Any], options: RecorderOptions | None = None) -> dict[str, Any]:
        """The recording that the guest makes of a scenario; one that has ended is booted again.

        Args:
            options: those that do not name files are heeded.

        Raises:
            CannotRecord: the recorder in the guest cannot record it.
            GuestError: the guest ended, does not answer in time, or the recorder failed.
        """
        chosen = {key: getattr(options or RecorderOptions(), key) for key in _OPTIONS}
        if self._process is None:
            self._boot()
        return self._answered(self._exchange({"scenario": scenario, "options": chosen}, self._record_limit))

    def described(self) -> str:
        """Where it runs, as a clause."""
        return f"in QEMU ({self.accel})"

    # Booting.

    def _boot(self) -> None:
        try:
            for accel in (self.accel,) if self.accel else ("kvm", "tcg"):
                if self.accel or accel != "kvm" or os.access("/dev/kvm", os.R_OK | os.W_OK):
                    began = time.monotonic()
                    self._start(accel)
                    if self.accel or accel != "kvm" or self._has_spoken(began + _FIRST_WORDS):
                        break
                    self.close()
            self.accel = accel
            hello = self._answered(self._line(began + self._limit, "boot"))
        except BaseException:
            self.close()
            raise
        self.boot_seconds = time.monotonic() - began
        self.release, self.has_disk = str(hello["release"]), bool(hello["disk"])

    def _start(self, accel: str) -> None:
        self._unread = b""
        archive = self._anonymous("initramfs")
        with os.fdopen(os.dup(archive), "wb") as file:
            file.write(self._payload.packed)
        self._console = self._anonymous("console")
        parameters = f"{_PARAMETERS} LD_LIBRARY_PATH={':'.join(self._payload.libraries)}"
        command = [
            *(_QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
            *("-accel", accel, "-cpu", "qemu64,+rdrand", "-smp", "1", "-m", "2048"),
            *("-kernel", str(self.path), "-initrd", _path(archive), "-append", parameters),
            *("-serial", f"file:{_path(self._console)}"),
            *("-chardev", "stdio,id=line,signal=off", "-serial", "chardev:line"),
            *self._disks(),
        ]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=self._memory,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - this process has one thread
        )

    def _disks(self) -> list[str]:
        """Disks with an empty ext4, one of each kind: the guest uses the first that its kernel has a driver for."""
        maker = shutil.which("mkfs.ext4", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        arguments: list[str] = []
        for device in ("nvme,serial=folioshell", "virtio-blk-pci", "ide-hd") if maker else ():
            fd = self._anonymous("disk")
            os.ftruncate(fd, _DISK_SIZE)
            # As on the machine of the published recordings: pages of 4K, and no journal.
            command = [str(maker), "-q", "-F", "-b", "4096", "-O", "^has_journal", _path(fd)]
            subprocess.run(command, check=True, capture_output=True, pass_fds=[fd])
            arguments += ["-drive", f"if=none,id=disk{fd},file={_path(fd)},format=raw,cache=unsafe"]
            arguments += ["-device", f"{device},drive=disk{fd}"]
        return arguments

    def _anonymous(self, name: str) -> int:
        fd = os.memfd_create(f"folioshell-{name}")
        self._memory.append(fd)
        return fd

    def _has_spoken(self, deadline: float) -> bool:
        """Does the console have text before the deadline?"""
        # Without `quiet` a kernel that runs writes there within a second.
        assert self._process is not None
        while time.monotonic() < deadline and self._process.poll() is None:
            if os.fstat(self._console).st_size:
                return True
            time.sleep(0.05)
        return False

    # The line.

    def _exchange(self, request: dict[str, Any], limit: float) -> bytes:
        deadline = time.monotonic() + limit
        text = _packed(request) + b"."
        assert self._process is not None
        assert self._process.stdin is not None
        for start in range(0, len(text), _LINE):
            if self._line(deadline, "read") != b"?":
                self._fail("does not follow the protocol of the line")
            try:
                self._process.stdin.write(text[start : start + _LINE] + b"\n")
                self._process.stdin.flush()
            except BrokenPipeError:
                self._fail("ended")
        return self._line(deadline, "record")

    def _line(self, deadline: float, what: str) -> bytes:
        """The next line of the guest.

        Raises:
            GuestError: there is none until the deadline.
        """
        assert self._process is not None
        assert self._process.stdout is not None
        out = self._process.stdout.fileno()
        parts = [self._unread]
        while b"\n" not in parts[-1]:
            ready, _, _ = select.select([out], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                self._fail(
                    f"did not {what} in time" if what != "boot" else f"did not boot in {self._limit:.0f} seconds"
                )
            part = os.read(out, 1 << 16)
            if not part:
                self._fail("did not boot" if what == "boot" else "ended")
            parts.append(part)
        line, _, self._unread = b"".join(parts).partition(b"\n")
        return line.rstrip(b"\r")

    def _answered(self, line: bytes) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(line, validate=True)))
        except (ValueError, zlib.error):
            self._fail("does not follow the protocol of the line")
        if "refused" in answer:
            raise CannotRecord(str(answer["refused"]))
        if "failed" in answer:
            raise GuestError(f"the recorder failed in the guest: {answer['failed']}")
        return answer

    def _fail(self, what: str) -> NoReturn:
        """End the guest, and raise an error with the last lines of its console, or with what QEMU complains about."""
        said = ""
        if self._process is not None:
            self._process.kill()
            said = self._process.communicate()[1].decode(errors="replace").strip()
        console = os.pread(self._console, os.fstat(self._console).st_size, 0).decode(errors="replace").splitlines()
        tail = [line for line in console if line.strip()][-_CONSOLE_TAIL:]
        self.close()
        if not tail:
            raise GuestError(f"{self.path} {what}{f'; QEMU says: {said}' if said else ', and its console is empty'}")
        raise GuestError("\n    ".join([f"{self.path} {what}; its console ends:", *tail]))


def _path(fd: int) -> str:
    return f"/proc/self/fd/{fd}"


def _packed(message: dict[str, Any]) -> bytes:
    return base64.b64encode(zlib.compress(json.dumps(message, separators=(",", ":")).encode(), 9))


def _end_with_parent() -> None:
    """In a child: die with the parent (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


# In the guest.

_MOUNTS = (
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("debugfs", "/sys/kernel/debug"),
    ("tmpfs", "/tmp"),
)
#: settings that the recorder leaves alone on a machine that is in use. khugepaged sleeps for 49 days, and there is no
#: writeback by age: a slow run would see pages of files become clean. What a kernel does not have is left out
_SETTINGS = {
    "/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs": "4294967295",
    "/proc/sys/vm/compaction_proactiveness": "0",
    "/proc/sys/vm/dirty_writeback_centisecs": "0",
}
#: seconds that a disk may take to appear
_DISK_WAIT = 3.0


def main() -> None:
    """Be the init of a guest: set it up, and record what the host asks for until it ends the guest."""
    libc = ctypes.CDLL(None, use_errno=True)
    for fs, place in _MOUNTS:
        libc.mount(b"none", place.encode(), fs.encode(), 0, None)
    for path in sorted(Path(MODULES_DIR).glob("*.ko")):
        data = path.read_bytes()
        libc.syscall(175, data, len(data), b"")  # init_module
    for place, value in _SETTINGS.items():
        if Path(place).exists():
            _set(place, value)
    disk = _mount_disk(libc)
    line = os.open("/dev/ttyS1", os.O_RDWR | os.O_NOCTTY)
    tty.setraw(line, termios.TCSANOW)
    # Orphans of the recorder become children of process 1.
    if os.fork():
        while True:
            os.wait()
    _answer(line, {"release": os.uname().release, "disk": disk})
    while True:
        _answer(line, _served(_request(line)))


def _set(place: str, value: str) -> None:
    try:
        Path(place).write_text(value)
    except OSError as error:
        sys.stderr.write(f"{place}: {error.strerror}\n")


def _mount_disk(libc: ctypes.CDLL) -> bool:
    deadline = time.monotonic() + _DISK_WAIT
    while time.monotonic() < deadline:
        for name in ("nvme0n1", "vda", "sda"):
            if Path("/dev", name).exists():
                _set(f"/sys/block/{name}/queue/read_ahead_kb", "8192")
                if libc.mount(f"/dev/{name}".encode(), b"/mnt", b"ext4", 0, None) == 0:
                    os.environ["TMPDIR"] = "/mnt"
                    return True
        time.sleep(0.05)
    return False


def _request(line: int) -> dict[str, Any]:
    text = b""
    while not text.endswith(b"."):
        os.write(line, b"?\n")
        part = b""
        while not part.endswith(b"\n"):
            part += os.read(line, 4096)
        text += part.strip()
    request: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(text[:-1])))
    return request


def _served(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return record(request["scenario"], RecorderOptions(**request["options"]))
    except (BadScenario, CannotRecord) as error:
        return {"refused": str(error)}
    except Exception as error:  # noqa: BLE001 - the host shows it
        return {"failed": f"{type(error).__name__}: {error}"}


def _answer(line: int, answer: dict[str, Any]) -> None:
    text = _packed(answer) + b"\n"
    while text:
        text = text[os.write(line, text) :]
