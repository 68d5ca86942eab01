"""Files that a recording reads, and files that it makes: /proc, the page cache, files of scenarios."""

from __future__ import annotations

import ctypes
import gzip
import json
import mmap
import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from folioshell.live import MAP_SHARED, PAGE, CannotRecord, libc, mapped, mount_of
from folioshell.live.process import ARENA

#: bits of /proc/kpageflags (include/uapi/linux/kernel-page-flags.h)
_ANON, _ZERO = 1 << 12, 1 << 24
_HEAD, _TAIL = 1 << 15, 1 << 16
#: bits of /proc/kpageflags that a recording has, in this order (include/uapi/linux/kernel-page-flags.h)
_FLAGS = {
    "LOCKED": 0,
    "REFERENCED": 2,
    "UPTODATE": 3,
    "DIRTY": 4,
    "LRU": 5,
    "ACTIVE": 6,
    "WRITEBACK": 8,
    "MMAP": 11,
    "ANON": 12,
    "SWAPCACHE": 13,
    "SWAPBACKED": 14,
    "UNEVICTABLE": 18,
    "KSM": 21,
    "THP": 22,
    "MLOCKED": 33,
}
#: bits of an entry of /proc/PID/pagemap
PRESENT, PFN = 1 << 63, (1 << 55) - 1
#: soft-dirty is no matter of mappings
_FLAGS_IGNORED = {"sd"}

_EXT4_MAGIC = 0xEF53
HUGE = {"tmpfs": "never", "tmpfs_huge": "always", "tmpfs_within": "within_size"}

#: first pfn and order of a folio
Head = tuple[int, int]


class Disturbed(Exception):
    """Something outside the scenario touched its memory: the run is to be made again."""


def page_numbers(raw: bytes) -> tuple[int, ...]:
    """The 64-bit numbers in bytes from /proc."""
    return struct.unpack(f"<{len(raw) // 8}Q", raw)


class KernelPages:
    """/proc/kpageflags and /proc/kpagecount, in blocks of 512 pages, which are kept until ``forget``."""

    def __init__(self) -> None:
        self._fds = (os.open("/proc/kpageflags", os.O_RDONLY), os.open("/proc/kpagecount", os.O_RDONLY))
        self._blocks: dict[tuple[int, int], tuple[int, ...]] = {}
        self._heads: dict[int, Head] = {}

    def close(self) -> None:
        """Close the files."""
        for fd in self._fds:
            os.close(fd)

    def forget(self) -> None:
        """Read everything again from now on."""
        self._blocks.clear()
        self._heads.clear()

    def _block(self, which: int, number: int) -> tuple[int, ...]:
        block = self._blocks.get((which, number))
        if block is None:
            raw = os.pread(self._fds[which], PAGE, number * PAGE)
            block = self._blocks[which, number] = page_numbers(raw.ljust(PAGE, b"\0"))
        return block

    def flags(self, pfn: int) -> int:
        """The KPF_ bits of a page."""
        return self._block(0, pfn >> 9)[pfn & 511]

    def is_anon(self, pfn: int) -> bool:
        """Is it a page of anonymous memory?"""
        return bool(self.flags(pfn) & _ANON)

    def is_zero(self, pfn: int) -> bool:
        """Is it a zero page, small or huge?"""
        return bool(self.flags(pfn) & _ZERO)

    def words(self, pfn: int) -> str:
        """The names of the KPF_ bits of a page, as a recording has them."""
        flags = self.flags(pfn)
        return " ".join(word for word, bit in _FLAGS.items() if flags >> bit & 1)

    def count(self, pfn: int) -> int:
        """The number of entries that map a page."""
        return self._block(1, pfn >> 9)[pfn & 511]

    def folio(self, pfn: int) -> Head:
        """First pfn and order of the folio of a page."""
        known = self._heads.get(pfn)
        if known is not None:
            return known
        # No folio of user memory is larger than a block, and all are aligned to their size.
        block, at = self._block(0, pfn >> 9), pfn & 511
        if not block[at] & (_HEAD | _TAIL):
            found = self._heads[pfn] = pfn, 0
            return found
        first = next((place for place in range(at, -1, -1) if block[place] & _HEAD), None)
        if first is None:
            raise Disturbed("a tail page without a head")
        end = next((place for place in range(first + 1, 512) if not block[place] & _TAIL), 512)
        nr = end - first
        if nr & (nr - 1):
            raise Disturbed("a folio whose size is no power of two")
        found = pfn - at + first, nr.bit_length() - 1
        self._heads.update(dict.fromkeys(range(found[0], found[0] + nr), found))
        return found


#: sizes of smaps that a recording has
SMAPS = (
    *("Rss", "Pss", "Shared_Clean", "Shared_Dirty", "Private_Clean", "Private_Dirty", "Anonymous", "AnonHugePages"),
    *("ShmemPmdMapped", "FilePmdMapped", "LazyFree", "Swap", "Locked"),
)


class LiveVma(NamedTuple):
    """A VMA in the arena, as smaps has it; addresses in pages from the arena's base, ``name`` of its file or object."""

    start: int
    nr: int
    perm: str
    offset: int
    inode: tuple[int, int]
    sizes: dict[str, int]
    flags: str

    def row(self, region: str, page: int, file: str) -> dict[str, Any]:
        """This VMA in a recording; it begins in a page of a region, and maps a file or shared memory of a name."""
        row: dict[str, Any] = {
            "region": region,
            "page": page,
            "count": self.nr,
            "perm": self.perm,
            "flags": self.flags,
            "smaps": {key: size for key in SMAPS if (size := self.sizes.get(key, 0))},
        }
        return row | {"object": file, "off": self.offset} if file else row


def live_vmas(pid: int, end: int) -> Iterator[LiveVma]:
    """The VMAs in the arena, which are the lowest after the program's."""
    with open(f"/proc/{pid}/smaps", encoding="utf-8", errors="replace") as stream:  # noqa: PTH123 - hot
        fields: list[str] = []
        sizes: dict[str, int] = {}
        for line in stream:
            word = line.partition(" ")[0]
            if not word.endswith(":"):
                start, stop = (int(part, 16) for part in word.split("-"))
                if start >= end:
                    return
                fields = line.split() if stop > ARENA else []
                sizes = {}
            elif not fields:
                continue
            elif word == "VmFlags:":
                # The last line of a VMA.
                start, stop = (int(part, 16) for part in fields[0].split("-"))
                major, minor = (int(part, 16) for part in fields[3].split(":"))
                flags = " ".join(flag for flag in line.split()[1:] if flag not in _FLAGS_IGNORED)
                inode = os.makedev(major, minor), int(fields[4])
                at, nr = (start - ARENA) // PAGE, (stop - start) // PAGE
                yield LiveVma(at, nr, fields[1], int(fields[2], 16) // PAGE, inode, sizes, flags)
            else:
                sizes[word[:-1]] = int(line.split()[1])


def shared_memory_name(region: str, taken: Iterable[str]) -> str:
    """The name of shared anonymous memory that is first seen in a region: ``shm:R``, of a second one ``shm:R.2``."""
    name, used = f"shm:{region}", set(taken)
    number = 1
    while name in used:
        number += 1
        name = f"shm:{region}.{number}"
    return name


def resident_pages(fd: int, offsets: Iterable[int]) -> set[int]:
    """Those of some pages of a file that are in the page cache, by mincore() of a mapping without entries.

    Kernel: mm/mincore.c: mincore_page() (v6.18)
    """
    wanted = list(offsets)
    size = min(max(wanted, default=-1) + 1, -(-os.fstat(fd).st_size // PAGE))
    if size <= 0:
        return set()
    address = mapped(size * PAGE, mmap.PROT_READ, MAP_SHARED, fd)
    try:
        found = ctypes.create_string_buffer(size)
        if libc().mincore(address, size * PAGE, found):
            return set()
        return {offset for offset in wanted if offset < size and found.raw[offset] & 1}
    finally:
        libc().munmap(address, size * PAGE)


def file_layout(kernel: KernelPages, fd: int, nr: int) -> list[list[int]]:
    """[first page, order, number of folios] of the runs of folios in the page cache of a file."""
    resident = resident_pages(fd, range(nr))
    rows: list[list[int]] = []
    if not resident:
        return rows
    address = mapped(nr * PAGE, mmap.PROT_READ, MAP_SHARED, fd)
    pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)
    try:
        for page in sorted(resident):
            _ = ctypes.c_char.from_address(address + page * PAGE).value
        entries = page_numbers(os.pread(pagemap, nr * 8, address // PAGE * 8))
        kernel.forget()
        page = 0
        while page < nr:
            if not entries[page] & PRESENT:
                page += 1
                continue
            first, order = kernel.folio(entries[page] & PFN)
            page -= (entries[page] & PFN) - first
            if rows and rows[-1][1] == order and rows[-1][0] + (rows[-1][2] << order) == page:
                rows[-1][2] += 1
            else:
                rows.append([page, order, 1])
            page += 1 << order
        return rows
    finally:
        os.close(pagemap)
        libc().munmap(address, nr * PAGE)


# Files of scenarios.


class FileMaker:
    """Makes the files of scenarios, which have no names, and end with their last process.

    Args:
        folder: on ext4, for files on ext4.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        #: file system -> its mount, in no mount namespace
        self._mounts: dict[str, int] = {}

    def close(self) -> None:
        """Drop the mounts."""
        for mount in self._mounts.values():
            os.close(mount)
        self._mounts.clear()

    def make(self, spec: Mapping[str, Any]) -> int:
        """The descriptor of a new file. It is written chunk by chunk, as that decides the folios of its page cache.

        Raises:
            CannotRecord: there is no such file system, or this user may not mount it.
            Disturbed: a file that is not to be cached is.
        """
        fd = self._opened(spec["fs"])
        nr, cached = spec["pages"], spec.get("cached", True)
        on_disk = spec["fs"] == "ext4"
        if not on_disk and not cached:
            os.ftruncate(fd, nr * PAGE)
        else:
            chunk = spec.get("chunk_pages", 1)
            for first in range(0, nr, chunk):
                data = bytes([1 + first % 251]) * (min(chunk, nr - first) * PAGE)
                if os.pwrite(fd, data, first * PAGE) != len(data):
                    raise CannotRecord(f"no space left for files on {spec['fs']}")
        if on_disk:
            os.fsync(fd)
            if not cached:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
                if resident_pages(fd, range(nr)):
                    raise Disturbed("a file is still cached")
        return fd

    def _opened(self, fs: str) -> int:
        flags = os.O_TMPFILE | os.O_RDWR
        try:
            if fs != "ext4":
                if fs not in self._mounts:
                    self._mounts[fs] = mount_of("tmpfs", huge=HUGE[fs], size="2g", mode="1777")
                return os.open(".", flags, 0o600, dir_fd=self._mounts[fs])
            found = ctypes.create_string_buffer(256)
            libc().statfs(self._folder.encode(), found)
            if struct.unpack_from("<q", found)[0] != _EXT4_MAGIC:
                raise CannotRecord(f"files on ext4 need a folder on ext4, and {self._folder} is not: set TMPDIR")
            return os.open(self._folder, flags, 0o600)
        except OSError as error:
            raise CannotRecord(f"cannot make a file on {fs}: {error.strerror}") from None


def write_recording(document: Mapping[str, Any], path: str) -> None:
    """Write a recording, gzipped if its name ends so, one line per step: differences of two stay readable.

    Raises:
        OSError: it cannot be written.
    """
    parts = []
    for key, value in document.items():
        if key == "steps":
            parts.append(f'"steps":{_lines_of(value)}')
        elif key == "soft":
            soft = [f'"{name}":{_lines_of(one) if name == "steps" else _compact(one)}' for name, one in value.items()]
            parts.append('"soft":{' + ",\n".join(soft) + "}")
        else:
            parts.append(f'"{key}":{_compact(value)}')
    data = ("{\n" + ",\n".join(parts) + "\n}\n").encode()
    Path(path).write_bytes(gzip.compress(data, 9, mtime=0) if path.endswith(".gz") else data)


def _lines_of(rows: Sequence[Any]) -> str:
    return "[\n  " + ",\n  ".join(map(_compact, rows)) + "\n]" if rows else "[]"


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
