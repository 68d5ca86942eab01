"""Kernel images, initramfs archives and kernel modules."""

from __future__ import annotations

import gzip
import lzma
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from folioshell.live.image import MODULES_DIR, Archive, BadImage, KernelImage, kernel_image, kernel_modules, payload


class Entry(NamedTuple):
    name: str
    mode: int
    mtime: int
    device: tuple[int, int]
    data: bytes


def entries(packed: bytes) -> Iterator[Entry]:
    """The entries of a cpio archive, read by the kernel's rules (init/initramfs.c)."""
    data, at = gzip.decompress(packed), 0
    while True:
        assert data[at : at + 6] == b"070701"
        numbers = [int(data[at + 6 + 8 * field : at + 14 + 8 * field], 16) for field in range(13)]
        size, name_size = numbers[6], numbers[11]
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        assert data[at + 110 + name_size - 1] == 0
        start = at + 110 + name_size + -(110 + name_size) % 4
        if name == "TRAILER!!!":
            return
        yield Entry(name, numbers[1], numbers[5], (numbers[9], numbers[10]), data[start : start + size])
        at = start + size + -size % 4


def test_archive_has_folders_before_files_once() -> None:
    """Each entry is aligned to 4 bytes, whatever the lengths, and a folder comes once, before what is in it."""
    archive = Archive()
    archive.add("/a/b/c", b"12345", 0o644, mtime=7)
    archive.add("/a/b/d", b"", 0o755)
    archive.add("/a/b/c", b"again")
    archive.device("/dev/console", 5, 1)
    found = list(entries(archive.pack()))
    assert [one.name for one in found] == ["a", "a/b", "a/b/c", "a/b/d", "dev", "dev/console"]
    assert [stat.filemode(one.mode) for one in found] == [
        *("drwxr-xr-x", "drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x", "drwxr-xr-x", "crw-------")
    ]
    assert (found[2].data, found[2].mtime, found[5].device) == (b"12345", 7, (5, 1))


def test_archive_is_deterministic() -> None:
    """Equal contents make equal bytes."""

    def packed() -> bytes:
        archive = Archive()
        archive.add("/x", b"x" * 100)
        return archive.pack()

    assert packed() == packed()


def bzimage(release: str) -> bytes:
    image = bytearray(0x1000)
    image[0x202:0x206] = b"HdrS"
    image[0x20E:0x210] = (0x400).to_bytes(2, "little")
    image[0x600 : 0x600 + len(release)] = release.encode()
    return bytes(image)


def test_release_of_images(tmp_path: Path) -> None:
    """A bzImage names its release in the setup header, a vmlinux in its banner."""
    one, two = tmp_path / "bzImage", tmp_path / "vmlinux"
    one.write_bytes(bzimage("6.9.1-rc2+ (me@here) #1 SMP"))
    two.write_bytes(b"\x7fELF\2\1\1" + bytes(9) + b"\2\0\x3e\0" + bytes(99) + b"\0Linux version 7.1.0-x (me) #2\n\0")
    assert kernel_image(one).release == "6.9.1-rc2+"
    assert kernel_image(two).release == "7.1.0-x"


@pytest.mark.parametrize("data", [b"", b"no kernel", b"\x7fELF\1" + bytes(99), b"\x7fELF\2" + bytes(13) + b"\xb7\0"])
def test_other_files_are_no_images(tmp_path: Path, data: bytes) -> None:
    """What is neither a bzImage nor an x86-64 ELF file is refused in one sentence."""
    path = tmp_path / "Image"
    path.write_bytes(data)
    with pytest.raises(BadImage, match="is neither a bzImage nor an x86-64 vmlinux"):
        kernel_image(path)


def test_missing_image(tmp_path: Path) -> None:
    """An image that cannot be read is refused with the reason."""
    with pytest.raises(BadImage, match="No such file"):
        kernel_image(tmp_path / "none")


def module(name: str, depends: str = "") -> bytes:
    return b"\x7fELF" + name.encode() + b"\0depends=" + depends.encode() + b"\0name=" + name.encode() + b"\0"


def test_modules_come_after_what_they_depend_on(tmp_path: Path) -> None:
    """Modules are found beside the image, by either spelling of a name, unpacked, dependencies first and once."""
    folder = tmp_path / "lib" / "modules" / "6.1-x" / "kernel"
    (folder / "drivers").mkdir(parents=True)
    (folder / "drivers" / "virtio_blk.ko").write_bytes(module("virtio_blk", "virtio,virtio-ring"))
    (folder / "drivers" / "virtio_pci.ko.xz").write_bytes(lzma.compress(module("virtio_pci", "virtio_ring,virtio")))
    (folder / "virtio-ring.ko.gz").write_bytes(gzip.compress(module("virtio_ring", "virtio")))
    (folder / "virtio.ko").write_bytes(module("virtio"))
    (folder / "other.ko").write_bytes(module("other"))
    image = KernelImage(tmp_path / "boot" / "vmlinuz", "6.1-x")
    names = [data.rpartition(b"name=")[2].rstrip(b"\0").decode() for data in kernel_modules(image)]
    assert names == ["virtio", "virtio_ring", "virtio_pci", "virtio_blk"]


def test_modules_of_a_build_tree(tmp_path: Path) -> None:
    """An image in the tree that it was built in has its modules there."""
    for name in ("Kconfig", "modules.order"):
        (tmp_path / name).touch()
    (tmp_path / "drivers").mkdir()
    (tmp_path / "drivers" / "zram.ko").write_bytes(module("zram"))
    image = KernelImage(tmp_path / "arch" / "x86" / "boot" / "bzImage", "no such release")
    assert list(kernel_modules(image)) == [module("zram")]


def test_chosen_folder_of_modules_must_exist(tmp_path: Path) -> None:
    """``--modules`` names a folder; none need exist if it is not given."""
    image = KernelImage(tmp_path / "vmlinuz", "no such release")
    assert list(kernel_modules(image)) == []
    with pytest.raises(BadImage, match="is not a folder of kernel modules"):
        list(kernel_modules(image, tmp_path / "none"))


def test_payload_runs_this_python() -> None:
    """The archive has what the recorder imports, and nothing of the model; init runs it by this Python."""
    packed = payload("folioshell.live.guest", [b"one", b"two"])
    found = {one.name: one for one in entries(packed.packed)}
    python = os.path.realpath(sys.executable)
    assert found["init"].data.decode().startswith(f"#!{python} -ISB\n")
    assert found[python.strip("/")].data == Path(python).read_bytes()
    assert [found[f"{MODULES_DIR}/{nr:02}.ko".strip("/")].data for nr in range(2)] == [b"one", b"two"]
    ours = {name.partition("/folioshell/")[2] for name in found if "/folioshell/" in name and name.endswith(".py")}
    assert {"__init__.py", "live/guest.py", "live/recorder.py"} <= ours
    assert {name.partition("/")[0] for name in ours} <= {"__init__.py", "errors.py", "units.py", "live"}


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="chroot needs root")
def test_payload_is_complete(tmp_path: Path) -> None:
    """With nothing but the archive for a root file system, Python imports the recorder."""
    packed = payload("folioshell.live.guest")
    for one in entries(packed.packed):
        path = tmp_path / one.name
        if stat.S_ISDIR(one.mode):
            path.mkdir()
        elif stat.S_ISREG(one.mode):
            path.write_bytes(one.data)
            path.chmod(one.mode & 0o777)
            os.utime(path, (one.mtime, one.mtime))
    first, *_, main = (tmp_path / "init").read_text().splitlines()
    assert main == "main()"
    script = (tmp_path / "init").read_text().removesuffix("main()\n") + "print(main.__module__)"
    command = [packed.python, *first.split()[1:], "-c", script]
    environment = {"LD_LIBRARY_PATH": ":".join(packed.libraries)}
    ran = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, preexec_fn=lambda: os.chroot(tmp_path)
    )
    assert (ran.stdout, ran.stderr) == ("folioshell.live.guest\n", "")
