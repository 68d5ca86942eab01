"""Recording what the kernel at hand does with a scenario: real processes, and what /proc shows of them.

``folioshell.live.recorder.record`` is all that others call. The package needs the standard library alone, as a virtual
machine runs it without the rest of folioshell. Here are options and errors, and what the modules need of the system.
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import platform
import socket
import struct
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

PAGE = 4096
MAP_SHARED, MAP_PRIVATE, MAP_ANONYMOUS = 1, 2, 0x20
_FSCONFIG_SET_STRING, _FSCONFIG_CREATE = 1, 6
_SYS_FSOPEN, _SYS_FSCONFIG, _SYS_FSMOUNT = 430, 431, 432
THP = Path("/sys/kernel/mm/transparent_hugepage")
DEBUGFS = "/sys/kernel/debug"
_KPF_ZERO_PAGE = 1 << 24
#: settings of debugfs begin with this, as debugfs need not be mounted
_DEBUG = "debugfs:"
#: counters that move when something else changes memory; pswpout only where a scenario does not swap
_COUNTERS = ("pgmigrate_success", "pgmigrate_fail", "pgscan_kswapd", "pgscan_direct", "thp_underused_split_page")
_CLONE_NEWUSER, _CLONE_NEWNS = 0x10000000, 0x20000
MAP_FAILED = ctypes.c_void_p(-1).value


class CannotRecord(Exception):
    """A scenario cannot be recorded here: the message is one sentence for the user."""


@dataclass(frozen=True, slots=True)
class RecorderOptions:
    """How to record.

    Args:
        runs: undisturbed runs that are compared.
        attempts: runs at most, the disturbed ones included.
        pages: pages that a scenario may need, at most, those of its files included.
        processes: processes that may live at once, at most.
        folder: a folder on ext4, for ext4 files of scenarios; empty: that of temporary files.
        swap_device: a prepared swap device; empty: a zram device is made.
        log: called with each disturbed run.
    """

    runs: int = 2
    attempts: int = 12
    pages: int = 1 << 19
    processes: int = 64
    folder: str = ""
    swap_device: str = ""
    log: Callable[[str], None] | None = None

    def once(self) -> RecorderOptions:
        """The same for a single run."""
        return replace(self, runs=1)


@cache
def libc() -> Any:
    """The C library, with the types of what is called in it."""
    lib = ctypes.CDLL(None, use_errno=True)
    pointer, size, number = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int
    lib.syscall.restype = ctypes.c_long
    lib.mmap.restype = lib.mremap.restype = pointer
    lib.mmap.argtypes = [pointer, size, number, number, number, ctypes.c_long]
    lib.mremap.argtypes = [pointer, size, size, number, pointer]
    for name in ("mprotect", "madvise"):
        getattr(lib, name).argtypes = [pointer, size, number]
    for name in ("munmap", "mlock", "munlock"):
        getattr(lib, name).argtypes = [pointer, size]
    lib.mincore.argtypes = [pointer, size, ctypes.c_char_p]
    lib.prctl.argtypes = [number] + [ctypes.c_ulong] * 4
    lib.swapon.argtypes = [ctypes.c_char_p, number]
    lib.swapoff.argtypes = [ctypes.c_char_p]
    return lib


def mapped(length: int, prot: int, flags: int = MAP_PRIVATE | MAP_ANONYMOUS, fd: int = -1) -> int:
    """The address of a new mapping of ``length`` bytes, anywhere.

    Raises:
        CannotRecord: there is no memory for it.
    """
    address: int | None = libc().mmap(None, length, prot, flags, fd, 0)
    if address is None or address == MAP_FAILED:
        raise CannotRecord(f"mmap of {length} bytes fails with {last_errno()}")
    return address


def last_errno() -> str:
    """The name of the last error of a C function."""
    number = ctypes.get_errno()
    return errno.errorcode.get(number, str(number))


def is_root() -> bool:
    """May this process change settings, and see page frame numbers?"""
    return os.geteuid() == 0


def detached_mount(fs: str, **options: str) -> int:
    """The descriptor of a new mount that is in no mount namespace.

    Raises:
        CannotRecord: this user may not mount it.
    """
    call = libc().syscall
    context = call(_SYS_FSOPEN, fs.encode(), 0)
    if context < 0:
        raise CannotRecord(f"mounting {fs} fails with {last_errno()}{'' if is_root() else ' (it needs root)'}")
    try:
        for key, value in options.items():
            call(_SYS_FSCONFIG, context, _FSCONFIG_SET_STRING, key.encode(), value.encode(), 0)
        if call(_SYS_FSCONFIG, context, _FSCONFIG_CREATE, None, None, 0):
            raise CannotRecord(f"mounting {fs} fails with {last_errno()}")
        mount: int = call(_SYS_FSMOUNT, context, 0, 0)
        if mount < 0:
            raise CannotRecord(f"mounting {fs} fails with {last_errno()}")
        return mount
    finally:
        os.close(context)


def mount_of(fs: str, **options: str) -> int:
    """A detached mount, made without root by a process in user and mount namespaces of its own.

    Raises:
        CannotRecord: this user may not mount it there either.
    """
    if is_root():
        return detached_mount(fs, **options)
    own, other = socket.socketpair()
    user, group = os.geteuid(), os.getegid()
    with own, other:
        if not os.fork():
            try:
                if libc().unshare(_CLONE_NEWUSER | _CLONE_NEWNS):
                    raise CannotRecord(f"a user namespace fails with {last_errno()}")
                for name, text in (
                    ("setgroups", "deny"),
                    ("uid_map", f"{user} {user} 1"),
                    ("gid_map", f"{group} {group} 1"),
                ):
                    Path("/proc/self", name).write_text(text, encoding="utf-8")
                socket.send_fds(other, [b"mounted"], [detached_mount(fs, **options)])
            except (CannotRecord, OSError) as error:
                other.send(str(error).encode())
            finally:
                os._exit(0)
        other.close()
        message, mounts, _, _ = socket.recv_fds(own, 1 << 12, 1)
    if not mounts:
        raise CannotRecord(f"{fs} with these options needs root here: {message.decode()}")
    return mounts[0]


def _opened(name: str, flags: int) -> int:
    if not name.startswith(_DEBUG):
        return os.open(name, flags)
    word = name.removeprefix(_DEBUG)
    if Path(DEBUGFS, word).exists():
        return os.open(f"{DEBUGFS}/{word}", flags)
    folder = detached_mount("debugfs")
    try:
        return os.open(word, flags, dir_fd=folder)
    finally:
        os.close(folder)


def read_setting(name: str) -> str:
    """The value of a setting of the machine, a file or ``debugfs:NAME``; of several words that in brackets.

    Raises:
        OSError: it cannot be read.
    """
    with open(_opened(name, os.O_RDONLY), encoding="utf-8") as stream:
        text = stream.read().strip()
    return text.partition("[")[2].partition("]")[0] if "[" in text else text


def write_setting(name: str, value: str) -> None:
    """Change a setting.

    Raises:
        OSError: it cannot be written.
    """
    fd = _opened(name, os.O_WRONLY)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def check_machine() -> None:
    """Check that this machine can record at all.

    Raises:
        CannotRecord: it cannot; the message says why.
    """
    if sys.platform != "linux":
        raise CannotRecord(f"a recording needs Linux, and this is {platform.system()}")
    if platform.machine() not in ("x86_64", "AMD64"):
        raise CannotRecord(f"a recording needs an x86-64 processor, and this is {platform.machine()}")
    if mmap.PAGESIZE != PAGE:
        raise CannotRecord(f"a recording needs pages of 4K, and this kernel has {mmap.PAGESIZE >> 10}K")
    if not Path("/proc/self/pagemap").exists():
        raise CannotRecord("/proc/self/pagemap is missing: is /proc mounted, and CONFIG_PROC_PAGE_MONITOR set?")
    if not Path("/proc/meminfo").exists():
        raise CannotRecord("/proc/meminfo is missing: is /proc mounted with subset=pid?")
    if not (THP / "enabled").exists():
        raise CannotRecord("this kernel has no transparent huge pages (CONFIG_TRANSPARENT_HUGEPAGE)")


def available_pages() -> int:
    """Pages of memory that are free, or can be freed without swap."""
    for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("MemAvailable:"):
            return (int(line.split()[1]) << 10) // PAGE
    return 0


def sees_folios() -> bool:
    """Can this user see page frame numbers, and what they are: CAP_SYS_ADMIN, and no container that hides them?"""
    if not os.access("/proc/kpageflags", os.R_OK) or not os.access("/proc/kpagecount", os.R_OK):
        return False
    address = mapped(PAGE, mmap.PROT_READ)
    try:
        _ = ctypes.c_char.from_address(address).value
        with Path("/proc/self/pagemap").open("rb", buffering=0) as stream:
            stream.seek(address // PAGE * 8)
            (pfn,) = struct.unpack("<Q", stream.read(8))
        with Path("/proc/kpageflags").open("rb", buffering=0) as stream:
            stream.seek((pfn & ((1 << 55) - 1)) * 8)
            # A file that a container puts over it has no flags; a hidden number is 0, which is no zero page.
            flags = stream.read(8)
            return len(flags) == 8 and bool(struct.unpack("<Q", flags)[0] & _KPF_ZERO_PAGE)
    finally:
        libc().munmap(address, PAGE)


def background_counters(setup: Mapping[str, Any]) -> dict[str, int]:
    """Counters that do not move in an undisturbed run."""
    wanted = _COUNTERS if setup.get("swap") else (*_COUNTERS, "pswpout")
    found = dict(line.split() for line in Path("/proc/vmstat").read_text(encoding="utf-8").splitlines())
    counters = {key: int(found.get(key, 0)) for key in wanted}
    return counters | {"khugepaged": int(read_setting(str(THP / "khugepaged/pages_collapsed")))}


def environment() -> dict[str, Any]:
    """The kernel and the settings of this machine that recordings depend on."""
    here = os.uname()
    settings = {
        "thp_enabled": "enabled",
        "thp_defrag": "defrag",
        "thp_2048kB": "hugepages-2048kB/enabled",
        "shmem_enabled": "shmem_enabled",
    }
    found: dict[str, str | None] = {}
    for key, name in settings.items():
        try:
            found[key] = read_setting(str(THP / name))
        except OSError:
            found[key] = None
    swaps = Path("/proc/swaps")
    return {
        "kernel": here.release.split("-")[0],
        "release": here.release,
        "machine": here.machine,
        "page_size": PAGE,
        "pmd_pages": 512,
        **found,
        "swap": swaps.exists() and len(swaps.read_text(encoding="utf-8").splitlines()) > 1,
    }
