"""Which pages PMDs map: as PAGEMAP_SCAN says or, in kernels before 6.7, the page tables in the kernel's memory."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Collection, Iterator, Mapping
from functools import cache

from folioshell.live import PAGE, CannotRecord
from folioshell.live.files import Disturbed, page_numbers
from folioshell.live.process import ARENA

_PAGEMAP_SCAN = 0xC0606610  # _IOWR('f', 16, struct pm_scan_arg), 96 bytes
_PAGE_IS_PRESENT, _PAGE_IS_PFNZERO, _PAGE_IS_HUGE = 1 << 3, 1 << 5, 1 << 6
_RANGES = 1024
_KCORE, _KALLSYMS, _BTF = "/proc/kcore", "/proc/kallsyms", "/sys/kernel/btf/vmlinux"


def huge_and_zero(pagemap: int, pid: int, end: int) -> tuple[set[int], set[int]]:
    """The pages in the arena that PMDs map, and, if only PAGEMAP_SCAN tells, those that are the zero page.

    Raises:
        CannotRecord: the kernel has neither PAGEMAP_SCAN nor what stands in for it.
    """
    try:
        return _scanned(pagemap, end, _PAGE_IS_HUGE), _scanned(pagemap, end, _PAGE_IS_PFNZERO)
    except OSError as error:
        if error.errno != errno.ENOTTY:
            raise
    try:
        return _kernel_memory().huge_pages(pid), set()
    except (OSError, KeyError):
        needs = "root, /proc/kcore and CONFIG_DEBUG_INFO_BTF"
        raise CannotRecord(
            f"this kernel has no PAGEMAP_SCAN (it came in 6.7); without it a recording needs {needs}"
        ) from None


def _scanned(pagemap: int, end: int, category: int) -> set[int]:
    """The pages in the arena below address ``end`` that PAGEMAP_SCAN puts into a category."""
    vector = (ctypes.c_uint64 * (3 * _RANGES))()
    found: set[int] = set()
    start = ARENA
    while start < end:
        address = ctypes.addressof(vector)
        fields = (96, 0, start, end, 0, address, _RANGES, 0, 0, category, 0, category | _PAGE_IS_PRESENT)
        scan = bytearray(struct.pack("<12Q", *fields))
        nr = fcntl.ioctl(pagemap, _PAGEMAP_SCAN, scan, True)
        for at in range(nr):
            found.update(range((vector[3 * at] - ARENA) // PAGE, (vector[3 * at + 1] - ARENA) // PAGE))
        # The kernel says where it stopped, as the vector may be full.
        start = struct.unpack_from("<Q", scan, 32)[0]
    return found


# Kernels before 6.7.

_PAGE_PRESENT, _PAGE_PSE, _PHYSICAL = 1, 1 << 7, (1 << 52) - PAGE
#: kind of a BTF type -> bytes after its header, for each member and besides
_BTF_EXTRA = {1: (0, 4), 3: (0, 12), 4: (12, 0), 5: (12, 0), 6: (8, 0), 13: (8, 0), 14: (0, 4), 15: (12, 0), 17: (0, 4)}
_BTF_EXTRA[19] = (12, 0)
_STRUCT, _UNION = 4, 5


@cache
def _kernel_memory() -> _KernelMemory:
    """The memory of the kernel that runs here.

    Raises:
        OSError, KeyError: it cannot be read, or lacks a symbol or field.
    """
    return _KernelMemory()


class _KernelMemory:
    """/proc/kcore, and from it which pages PMDs map: what a kernel without PAGEMAP_SCAN tells no other way.

    Kernel: fs/proc/kcore.c: read_kcore_iter() (v6.12); include/uapi/linux/btf.h: struct btf_type (v6.12)
    """

    def __init__(self) -> None:
        self._kcore = os.open(_KCORE, os.O_RDONLY)
        at, entries = struct.unpack("<32xQ16xH", os.pread(self._kcore, 58, 0))
        segments = struct.iter_unpack("<I4xQQ8xQ16x", os.pread(self._kcore, 56 * entries, at))
        #: file offset, first address, size
        self._segments = [(offset, start, size) for kind, offset, start, size in segments if kind == 1]
        symbols = {}
        with open(_KALLSYMS, encoding="ascii") as lines:  # noqa: PTH123 - hot
            for line in lines:
                if line.endswith((" init_task\n", " page_offset_base\n")):
                    symbols[line.split()[2]] = int(line.split()[0], 16)
        self._init_task, self._direct_map = symbols["init_task"], self._number(symbols["page_offset_base"])
        fields = _btf_offsets({"task_struct": ("tasks", "tgid", "mm"), "mm_struct": ("pgd",)})
        self._tasks, self._tgid, self._mm, self._pgd = (fields[key] for key in ("tasks", "tgid", "mm", "pgd"))

    def _read(self, address: int, size: int) -> bytes:
        for offset, start, length in self._segments:
            if start <= address < start + length:
                return os.pread(self._kcore, size, offset + address - start)
        raise OSError(errno.EFAULT, f"{address:#x} is not in /proc/kcore")

    def _number(self, address: int) -> int:
        return page_numbers(self._read(address, 8))[0]

    def _table(self, entry: int) -> tuple[int, ...]:
        """The entries of the table that an entry points to."""
        return page_numbers(self._read(self._direct_map + (entry & _PHYSICAL), PAGE))

    def huge_pages(self, pid: int) -> set[int]:
        """The pages in the arena that PMDs of a process map."""
        mm = self._number(self._task(pid) + self._mm)
        # The arena is aligned to what one entry of the top table maps.
        top = self._number(self._number(mm + self._pgd) + (ARENA >> 39) * 8)
        found: set[int] = set()
        for slot, pud in enumerate(self._table(top) if top & _PAGE_PRESENT else ()):
            for index, pmd in enumerate(self._table(pud) if pud & _PAGE_PRESENT else ()):
                if pmd & _PAGE_PSE:
                    first = slot << 18 | index << 9
                    found.update(range(first, first + 512))
        return found

    def _task(self, pid: int) -> int:
        """The address of the task_struct of a process; new ones are at the end of the list."""
        task = self._init_task
        while True:
            task = self._number(task + self._tasks + 8) - self._tasks
            if int.from_bytes(self._read(task + self._tgid, 4), "little") == pid:
                return task
            if task == self._init_task:
                raise Disturbed(f"process {pid} has no task")


def _btf_offsets(wanted: Mapping[str, Collection[str]]) -> dict[str, int]:
    """The offsets in bytes of fields of kernel structures; ``wanted``: structure -> its fields.

    Raises:
        OSError: the kernel has no BTF.
    """
    with open(_BTF, "rb") as stream:  # noqa: PTH123 - hot
        data = stream.read()
    _, _, _, header, types, size, strings, _ = struct.unpack_from("<HBBIIIII", data)

    def name_at(offset: int) -> str:
        start = header + strings + offset
        return data[start : data.index(b"\0", start)].decode()

    starts, named, at = [0], {}, header + types
    while at < header + types + size:
        starts.append(at)
        name, info, _ = struct.unpack_from("<III", data, at)
        kind, nr = info >> 24 & 31, info & 0xFFFF
        if kind == _STRUCT and name and (text := name_at(name)) in wanted:
            named[text] = at
        each, more = _BTF_EXTRA.get(kind, (0, 0))
        at += 12 + nr * each + more

    def members(start: int, base: int) -> Iterator[tuple[str, int]]:
        (info,) = struct.unpack_from("<I", data, start + 4)
        for name, kind, bits in struct.iter_unpack("<III", data[start + 12 : start + 12 + 12 * (info & 0xFFFF)]):
            # With the kind flag, a part of the number is the size of a bit field.
            offset = base + ((bits & 0xFFFFFF if info >> 31 else bits) >> 3)
            if name:
                yield name_at(name), offset
            elif data[starts[kind] + 7] & 31 in (_STRUCT, _UNION):
                yield from members(starts[kind], offset)

    return {name: offset for text, start in named.items() for name, offset in members(start, 0) if name in wanted[text]}
