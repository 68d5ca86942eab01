"""The machine that records: its lock, its settings, its swap and its files, all as before when a recording ends.

Rules:
- What is to be changed stands in a state file before it is changed. If the recorder is killed, the next one, or
  ``restore()``, puts everything back.
- File systems are mounted nowhere: a detached mount is a descriptor, files have no name, and both end with their
  last process.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from folioshell.live import (
    DEBUGFS,
    PAGE,
    THP,
    CannotRecord,
    is_root,
    last_errno,
    libc,
    mapped,
    read_setting,
    write_setting,
)
from folioshell.live.files import FileMaker
from folioshell.live.format import ADVICES, READ_AHEAD

_PMD_KB = "2048"
ZRAM_CONTROL = Path("/sys/class/zram-control")
_FAULT_AROUND = "debugfs:fault_around_bytes"
_SWAP_BYTES = 512 << 20  # of the swap device that a recording makes
_SWAP_PRIORITY = 0x8000 | 0x7FFF
_SET_SUBREAPER, _GET_SUBREAPER = 36, 37
_PATIENCE = 5.0  # seconds for processes of a killed recorder to exit


class Setting(NamedTuple):
    """A setting of the machine: its file (``debugfs:NAME`` for one of debugfs), its value, and the one wanted."""

    name: str
    now: str
    wanted: str


# Settings.


def _sizes() -> list[str]:
    """The sizes of anonymous folios that have settings of their own, in kB."""
    return sorted(
        (one.parent.name[len("hugepages-") : -len("kB")] for one in THP.glob("hugepages-*kB/enabled")), key=int
    )


def folder_of(folder: str) -> str:
    """The folder for files on ext4: this one, or that of temporary files."""
    return folder or tempfile.gettempdir()


def possible_sizes(mthp: Mapping[str, str]) -> dict[str, str]:
    """The modes of sizes of anonymous folios, in kB, that this kernel has: until v6.8 only that of a PMD."""
    return {size: mode for size, mode in mthp.items() if size == _PMD_KB or _sizes()}


def _wanted(setup: Mapping[str, Any], folder: str) -> Iterator[tuple[str, str]]:
    sizes, mthp = _sizes(), setup.get("mthp") or {}
    # Before 6.8 the setting for all sizes is that for the only one, of a PMD.
    huge = "inherit" if sizes else mthp.get(_PMD_KB, "inherit")
    yield str(THP / "enabled"), "madvise" if huge == "inherit" else huge
    yield str(THP / "defrag"), "madvise"
    yield str(THP / "shmem_enabled"), "never"
    yield str(THP / "khugepaged/max_ptes_none"), "511"
    for size in sizes:
        yield str(THP / f"hugepages-{size}kB/enabled"), mthp.get(size, "inherit" if size == _PMD_KB else "never")
    for size in (size for size in mthp if sizes and size not in sizes):
        raise CannotRecord(f"this kernel has no anonymous folios of {size} kB")
    yield "/sys/kernel/mm/lru_gen/enabled", "0x0000"
    yield "/proc/sys/kernel/numa_balancing", "0"
    if any(spec["fs"] == "ext4" for spec in (setup.get("files") or {}).values()) and (queue := _queue(folder)):
        yield f"{queue}/read_ahead_kb", str(READ_AHEAD * PAGE >> 10)
    if "fault_around" in setup or Path(DEBUGFS, "fault_around_bytes").exists():
        yield _FAULT_AROUND, str(setup.get("fault_around", 16) * PAGE)


def _queue(folder: str) -> str:
    """The folder with the block-layer settings of the disk that ``folder`` is on; empty if there is none."""
    device = Path(folder).stat().st_dev
    block = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve()
    # A partition has the queue of its disk.
    return next((str(one / "queue") for one in (block, block.parent) if (one / "queue").exists()), "")


def settings_to_change(setup: Mapping[str, Any], folder: str) -> list[Setting]:
    """What a scenario with this setup needs to be changed on this machine.

    Args:
        folder: where its ext4 files go.
    Raises:
        CannotRecord: the machine does not have a setting that the setup names.
    """
    changes = []
    for name, wanted in _wanted(setup, folder):
        try:
            now = read_setting(name)
        except OSError as error:
            if name == _FAULT_AROUND and "fault_around" in setup:
                why = "is closed (kernel lockdown)" if error.errno == errno.EPERM else f"says {error.strerror}"
                raise CannotRecord(f"fault_around is set in debugfs, which {why}") from None
            continue
        if now != wanted:
            changes.append(Setting(name, now, wanted))
    return changes


# State, restored on any end.


def _run_folder() -> Path:
    return next(one for one in (Path("/run"), Path(tempfile.gettempdir())) if one.is_dir())


class _State:
    """What a recorder changed, in a file while it is changed."""

    def __init__(self) -> None:
        self._path = _run_folder() / "folioshell-live.state"
        self.settings: dict[str, str] = {}
        self.swap = ""
        #: the zram devices that were there before the recorder added one; None if it did not
        self.zram: list[str] | None = None

    def load(self) -> bool:
        """Read what a killed recorder left; False if there is nothing."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        self.settings, self.swap, self.zram = found["settings"], found["swap"], found["zram"]
        return True

    def save(self) -> None:
        """Write the file, or remove it if nothing is changed."""
        if not self.settings and not self.swap and self.zram is None:
            self._path.unlink(missing_ok=True)
            return
        new = self._path.with_suffix(".new")
        new.write_text(json.dumps({"settings": self.settings, "swap": self.swap, "zram": self.zram}), encoding="utf-8")
        new.replace(self._path)

    def change(self, name: str, now: str, wanted: str) -> None:
        """Change a setting; its first value is kept."""
        self.settings.setdefault(name, now)
        self.save()
        try:
            write_setting(name, wanted)
        except OSError as error:
            del self.settings[name]
            self.save()
            raise CannotRecord(f"cannot set {name} to {wanted}: {error.strerror}") from None

    def restore_settings(self) -> list[str]:
        """Put the settings back; returns what was done."""
        done = []
        for name, value in list(self.settings.items()):
            with contextlib.suppress(FileNotFoundError):
                write_setting(name, value)
            del self.settings[name]
            self.save()
            done.append(f"{name}: {value}")
        return done

    def restore_swap(self) -> list[str]:
        """End swapping to the device, and remove it if the recorder made it."""
        done = []
        if self.swap:
            # EINVAL: it was not on yet.
            if libc().swapoff(self.swap.encode()) and ctypes.get_errno() != errno.EINVAL:
                raise CannotRecord(f"swapoff {self.swap} fails with {last_errno()}")
            done.append(f"swapoff {self.swap}")
            self.swap = ""
            self.save()
        if self.zram is not None:
            for name in sorted(set(zram_devices()) - set(self.zram)):
                # A device of someone else would be in use.
                if read_setting(f"/sys/block/{name}/disksize") in ("0", str(_SWAP_BYTES)):
                    write_setting(str(ZRAM_CONTROL / "hot_remove"), name.removeprefix("zram"))
                    done.append(f"removed /dev/{name}")
            self.zram = None
            self.save()
        return done


def zram_devices() -> list[str]:
    """The names of all zram devices."""
    return [one.name for one in Path("/sys/block").glob("zram*")]


def _locked(patience: float) -> int:
    """The descriptor of the lock that a recorder holds.

    Raises:
        CannotRecord: another one holds it for more than ``patience`` seconds.
    """
    # A lock of this folder needs no file. Without root a recorder changes nothing, and others may do so, too.
    fd = os.open(THP, os.O_RDONLY)
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(fd, (fcntl.LOCK_EX if is_root() else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < until:
                time.sleep(0.05)
                continue
            os.close(fd)
            raise CannotRecord("another recorder is at work on this machine; they change its settings") from None
        return fd


def restore() -> list[str]:
    """Put back what a recorder that was killed has changed; returns what was done.

    Raises:
        CannotRecord: a recorder is at work, or something cannot be put back.
    """
    lock = _locked(_PATIENCE)
    try:
        state = _State()
        return [*state.restore_settings(), *state.restore_swap()] if state.load() else []
    except OSError as error:
        raise CannotRecord(f"cannot restore {error.filename or 'a setting'}: {error.strerror}") from None
    finally:
        os.close(lock)


class LiveHost:
    """A machine while it records: locked, on one CPU, with the settings that scenarios need.

    Args:
        folder: on ext4, for files of scenarios.
        swap_device: a prepared device for swap; empty: a zram device is made.
    Raises:
        CannotRecord: another recorder is at work, or one that was killed left what cannot be put back.
    """

    def __init__(self, folder: str = "", swap_device: str = "") -> None:
        self.folder = folder_of(folder)
        self._swap_device = swap_device
        self._state = _State()
        self.files = FileMaker(self.folder)
        self._undo = contextlib.ExitStack()

    def __enter__(self) -> LiveHost:
        try:
            self._enter()
        except BaseException:
            self._undo.close()
            raise
        return self

    def _enter(self) -> None:
        self._undo.callback(os.close, _locked(_PATIENCE))
        if is_root() and self._state.load():
            self._state.restore_settings()
            self._state.restore_swap()
        for number in (signal.SIGTERM, signal.SIGHUP):
            self._undo.callback(signal.signal, number, signal.signal(number, _exit))
        # Processes whose parent exits become the recorder's children, and none is waited for.
        self._undo.callback(signal.signal, signal.SIGCHLD, signal.signal(signal.SIGCHLD, signal.SIG_IGN))
        before = ctypes.c_int()
        libc().prctl(_GET_SUBREAPER, ctypes.addressof(before), 0, 0, 0)
        libc().prctl(_SET_SUBREAPER, 1, 0, 0, 0)
        self._undo.callback(libc().prctl, _SET_SUBREAPER, before.value, 0, 0, 0)
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {max(allowed)})
        self._undo.callback(os.sched_setaffinity, 0, allowed)
        self._scratch = mapped(PAGE, 3)
        self._undo.callback(libc().munmap, self._scratch, PAGE)

    def __exit__(self, *_: object) -> None:
        with _undisturbed():
            try:
                self.end_setup()
            except OSError as error:
                again = "`folioshell live --restore` tries again"
                raise CannotRecord(f"cannot restore {error.filename}: {error.strerror}; {again}") from None
            finally:
                self.files.close()
                self._undo.close()

    def drain(self) -> None:
        """Move folios from this CPU's batches to the LRU lists: MADV_COLD drains, and finds nothing on an empty page.

        Kernel: mm/madvise.c: madvise_cold() (v6.18)
        """
        libc().madvise(self._scratch, PAGE, ADVICES["cold"])

    def begin_setup(self, setup: Mapping[str, Any]) -> None:
        """Change the settings that a scenario needs, and switch swap on if it does.

        Raises:
            CannotRecord: this user may not, or the machine has no such setting.
        """
        for name, now, wanted in settings_to_change(setup, self.folder):
            self._state.change(name, now, wanted)
        if setup.get("swap"):
            self._swap_on()

    def end_setup(self) -> None:
        """Put back what ``begin_setup`` changed."""
        try:
            self._state.restore_settings()
        finally:
            self._state.restore_swap()

    def _swap_on(self) -> None:
        device = self._swap_device or self._new_zram()
        self._state.swap = device
        self._state.save()
        if libc().swapon(device.encode(), _SWAP_PRIORITY):
            failed = last_errno()
            self._state.swap = ""
            self._state.save()
            raise CannotRecord(f"swapon {device} fails with {failed}")

    def _new_zram(self) -> str:
        """A compressed device in memory, formatted for swap."""
        self._state.zram = zram_devices()
        self._state.save()
        number = int(read_setting(str(ZRAM_CONTROL / "hot_add")))
        write_setting(f"/sys/block/zram{number}/disksize", str(_SWAP_BYTES))
        device = f"/dev/zram{number}"
        header = bytearray(PAGE)
        # Kernel: include/linux/swap.h: union swap_header (v6.18): version, last page, number of bad pages; the magic.
        struct.pack_into("<3I", header, 1024, 1, _SWAP_BYTES // PAGE - 1, 0)
        header[-10:] = b"SWAPSPACE2"
        fd = os.open(device, os.O_WRONLY)
        try:
            os.write(fd, header)
            os.fsync(fd)
        finally:
            os.close(fd)
        return device


def _exit(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Block signals that would end the process, so that it puts everything back first."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
