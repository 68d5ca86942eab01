"""Which pages PMDs map, without PAGEMAP_SCAN: from a page table and BTF that the test wrote."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from folioshell.live import CannotRecord, page_tables
from folioshell.live.page_tables import huge_and_zero
from folioshell.live.process import ARENA

_INIT_TASK, _DIRECT_MAP, _BASE = 0xFFFFFFFF82000000, 0xFFFF888000000000, 0xFFFFFFFF82001000
_TASKS, _TGID, _MM, _PGD = 0x40, 0x60, 0x58, 0x18


def btf() -> bytes:
    """BTF of task_struct, whose fields are in an unnamed structure, and mm_struct."""
    strings = b"\0task_struct\0mm_struct\0tasks\0tgid\0mm\0pgd\0other\0"

    def at(name: str) -> int:
        return strings.index(b"\0" + name.encode() + b"\0") + 1

    def kind(name: int, number: int, members: list[tuple[int, int, int]], extra: bytes = b"") -> bytes:
        rows = b"".join(struct.pack("<III", *member) for member in members)
        return struct.pack("<III", name, number << 24 | len(members), 8) + rows + extra

    types = kind(at("other"), 1, [], bytes(4))
    # A bit field without a name is padding, not a structure.
    types += kind(0, 4, [(at("tasks"), 1, 0), (0, 1, 8), (at("mm"), 1, 8 * (_MM - _TASKS))])
    types += kind(at("task_struct"), 4, [(0, 2, 8 * _TASKS), (at("tgid"), 1, 8 * _TGID)])
    types += kind(at("mm_struct"), 4, [(at("other"), 1, 0), (at("pgd"), 1, 8 * _PGD)])
    return struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(strings)) + types + strings


def kernel() -> Iterator[tuple[int, bytes]]:
    """(address, contents) of a kernel with a second process of pid 7, whose page tables have one PMD mapping."""
    task, mm, pgd = 0xFFFF888000005000, 0xFFFF888000006000, 0xFFFF888000001000

    def fields(*values: tuple[int, int]) -> bytes:
        data = bytearray(0x1000)
        for offset, value in values:
            struct.pack_into("<Q", data, offset, value)
        return bytes(data)

    yield _INIT_TASK, fields((_TASKS + 8, task + _TASKS), (_TGID, 0))
    yield _BASE, fields((0, _DIRECT_MAP))
    yield task, fields((_TASKS + 8, _INIT_TASK + _TASKS), (_TGID, 7), (_MM, mm))
    yield mm, fields((_PGD, pgd))
    yield pgd, fields(((ARENA >> 39) * 8, 0x2067))
    # The second slot of the arena; entry 3 of its PMD table maps a huge page, entry 4 a PTE table.
    yield _DIRECT_MAP + 0x2000, fields((8, 0x3067))
    yield _DIRECT_MAP + 0x3000, fields((3 * 8, 0x80000000000008E7), (4 * 8, 0x4067))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A kernel without PAGEMAP_SCAN, whose memory is a core file."""
    pieces = list(kernel())
    header = bytearray(64)
    struct.pack_into("<Q", header, 32, 64)
    struct.pack_into("<H", header, 56, len(pieces))
    start = 64 + 56 * len(pieces)
    table = [
        struct.pack("<IIQQQQQQ", 1, 0, start + 0x1000 * at, place, 0, 0x1000, 0x1000, 0)
        for at, (place, _) in enumerate(pieces)
    ]
    files = {
        "/proc/kcore": bytes(header) + b"".join(table) + b"".join(data for _, data in pieces),
        "/proc/kallsyms": f"{_INIT_TASK:x} D init_task\n{_BASE:x} D page_offset_base\n".encode(),
        "/sys/kernel/btf/vmlinux": btf(),
    }
    for name, data in files.items():
        (tmp_path / Path(name).name).write_bytes(data)
    for place in files:
        monkeypatch.setattr(page_tables, _NAMES[place], str(tmp_path / Path(place).name))
    page_tables._kernel_memory.cache_clear()
    yield
    page_tables._kernel_memory.cache_clear()


_NAMES = {"/proc/kcore": "_KCORE", "/proc/kallsyms": "_KALLSYMS", "/sys/kernel/btf/vmlinux": "_BTF"}


def test_pmds_are_read_from_page_tables(machine: None) -> None:
    """A file of pagemap that knows no PAGEMAP_SCAN: the entry with PSE is found through task, mm and three tables."""
    with Path("/dev/null").open("rb") as stream:
        huge, zero = huge_and_zero(stream.fileno(), 7, ARENA + (1 << 31))
    assert huge == set(range((1 << 18) + 3 * 512, (1 << 18) + 4 * 512))
    assert zero == set()


def test_without_the_memory_of_the_kernel(machine: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence says what an old kernel has to have."""
    monkeypatch.setattr(page_tables, "_BTF", "/nonexistent")
    with Path("/dev/null").open("rb") as stream, pytest.raises(CannotRecord, match=r"has no PAGEMAP_SCAN"):
        huge_and_zero(stream.fileno(), 7, ARENA + (1 << 31))
