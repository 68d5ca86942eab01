"""What a guest boots from: a kernel image, and an initramfs with this Python, the recorder and kernel modules."""

from __future__ import annotations

import gzip
import json
import lzma
import os
import re
import stat
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

#: the folder of a guest that holds its kernel modules, in the order in which they are loaded
MODULES_DIR = "/modules"
#: kernel modules that a guest uses if the kernel has them as modules: disks, ext4, swap on zram
WANTED = ("virtio_pci", "virtio_blk", "nvme", "ata_piix", "sd_mod", "ext4", "lzo_rle", "lzo", "zram")
#: the folder that holds the package
_ROOT = Path(__file__).parents[2]
_SETUP_MAGIC, _ELF_MAGIC = b"HdrS", b"\x7fELF"
#: largest image that is read, in bytes: a vmlinux with debugging information
_IMAGE_SIZE = 4 << 30


class BadImage(Exception):
    """A file that is no kernel image that a guest could boot, or modules that cannot be used."""


class KernelImage(NamedTuple):
    """A bootable kernel.

    Args:
        path: the file: a bzImage, or an ELF vmlinux with a PVH entry.
        release: as ``uname -r`` prints it.
    """

    path: Path
    release: str


def kernel_image(path: Path) -> KernelImage:
    """Look into a kernel image.

    Kernel: arch/x86/include/uapi/asm/bootparam.h: struct setup_header (v6.6)

    Raises:
        BadImage: it cannot be read, or is neither a bzImage nor a vmlinux of x86-64.
    """
    try:
        with path.open("rb") as file:
            head = file.read(1 << 16)
            if head[:4] == _ELF_MAGIC and head[4:5] == b"\2" and head[18:20] == b"\x3e\0":
                file.seek(0)
                return KernelImage(path, _release_of_elf(file.read(_IMAGE_SIZE)))
    except OSError as error:
        raise BadImage(f"{path}: {error.strerror or error}") from None
    if head[0x202:0x206] != _SETUP_MAGIC:
        raise BadImage(f"{path} is neither a bzImage nor an x86-64 vmlinux")
    at = 0x200 + int.from_bytes(head[0x20E:0x210], "little")
    return KernelImage(path, head[at : at + 256].split(b"\0")[0].split(b" ")[0].decode("ascii", "replace"))


def _release_of_elf(data: bytes) -> str:
    found = re.search(rb"Linux version (\S+) ", data)
    return found[1].decode("ascii", "replace") if found else ""


# The archive.


class Archive:
    """A cpio archive in the format that the kernel unpacks into its root file system.

    Kernel: init/initramfs.c: parse_header(), do_header() (v6.18)
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._made: set[str] = set()

    def add(self, path: str, data: bytes, mode: int = 0o755, mtime: int = 0) -> None:
        """Add a file with the folders above it; a path that is there already is left out."""
        if path.strip("/") not in self._made:
            self.folder(str(Path(path).parent))
            self._entry(path, stat.S_IFREG | mode, data, mtime)

    def folder(self, path: str) -> None:
        """Add a folder and those above it."""
        parts = path.strip("/").split("/") if path.strip("/") else []
        for nr in range(1, len(parts) + 1):
            above = "/".join(parts[:nr])
            if above not in self._made:
                self._entry(above, stat.S_IFDIR | 0o755, b"")

    def device(self, path: str, major: int, minor: int) -> None:
        """Add a character device."""
        self.folder(str(Path(path).parent))
        self._entry(path, stat.S_IFCHR | 0o600, b"", device=(major, minor))

    def pack(self) -> bytes:
        """The archive, gzipped."""
        self._entry("TRAILER!!!", 0, b"")
        return gzip.compress(b"".join(self._parts), 1, mtime=0)

    def _entry(self, path: str, mode: int, data: bytes, mtime: int = 0, device: tuple[int, int] = (0, 0)) -> None:
        path = path.strip("/")
        self._made.add(path)
        name = path.encode() + b"\0"
        numbers = (len(self._made), mode, 0, 0, 1, mtime, len(data), 0, 0, *device, len(name), 0)
        header = b"070701" + b"".join(b"%08X" % number for number in numbers) + name
        for part in (header, data):
            self._parts += (part, b"\0" * (-len(part) % 4))


# What is in it.


class Payload(NamedTuple):
    """The initramfs of a guest.

    Args:
        packed: the archive.
        libraries: folders of shared libraries that the loader must search.
        python: the interpreter.
    """

    packed: bytes
    libraries: tuple[str, ...]
    python: str


#: lists the files of all modules that are loaded, and the names by which the loader found its libraries
_LISTING = """
import sys
sys.path.insert(0, sys.argv[1])
import ctypes, importlib, json
importlib.import_module(sys.argv[2])
import encodings.ascii, encodings.latin_1, encodings.idna
loaded = [one for one in list(sys.modules.values()) if getattr(one, "__file__", "")]
modules = [(one.__file__, getattr(one, "__cached__", "")) for one in loaded]
class Info(ctypes.Structure):
    _fields_ = [("addr", ctypes.c_size_t), ("name", ctypes.c_char_p)]
libraries = []
@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(Info), ctypes.c_size_t, ctypes.c_void_p)
def visit(info, size, data):
    libraries.append((info.contents.name or b"").decode())
    return 0
ctypes.CDLL(None).dl_iterate_phdr(visit, None)
json.dump({"modules": modules, "libraries": libraries}, sys.stdout)
"""


def payload(init: str, modules: Iterable[bytes] = ()) -> Payload:
    """An initramfs: this Python with what a module imports, and ``/init``, which calls its ``main()``.

    Args:
        init: the dotted name of that module.
        modules: kernel modules, in the order in which they are loaded.

    Raises:
        BadImage: this Python cannot list what it needs.
    """
    python = os.path.realpath(sys.executable)
    command = [python, "-I", "-S", "-c", _LISTING, str(_ROOT), init]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise BadImage(f"{python} cannot list what it imports: {ran.stderr.strip().rpartition(chr(10))[2]}")
    listing = json.loads(ran.stdout)
    archive = Archive()
    for path in ("/proc", "/sys", "/dev", "/tmp", "/run", "/mnt"):
        archive.folder(path)
    archive.device("/dev/console", 5, 1)
    archive.add(python, Path(python).read_bytes())
    for source, cached in listing["modules"]:
        for name in (source, cached):
            if name and Path(name).is_file():
                # Compiled code is used only if it names the time of its source.
                archive.add(name, Path(name).read_bytes(), 0o644, int(Path(name).stat().st_mtime))
    libraries = [name for name in listing["libraries"] if name.startswith("/")]
    for name in libraries:
        archive.add(name, Path(name).read_bytes())
    for number, module in enumerate(modules):
        archive.add(f"{MODULES_DIR}/{number:02}.ko", module, 0o644)
    start = f"import sys\nsys.path.insert(0, {str(_ROOT)!r})\nfrom {init} import main\nmain()\n"
    archive.add("/init", f"#!{python} -ISB\n{start}".encode())
    folders = tuple(dict.fromkeys(str(Path(name).parent) for name in libraries))
    return Payload(archive.pack(), folders, python)


# Kernel modules.


def kernel_modules(image: KernelImage, chosen: Path | None = None) -> Iterator[bytes]:
    """The modules of ``WANTED`` that a kernel has as files, unpacked, each after those that it depends on.

    Args:
        chosen: the folder of its modules; by default ``lib/modules/RELEASE`` beside the image's folder, that of this
            machine, or the tree that the image was built in.

    Raises:
        BadImage: there is no such folder, or a module is packed in a way that this Python cannot unpack.
    """
    folder = chosen or next((one for one in _candidates(image) if one.is_dir()), None)
    if folder is None:
        return
    if not folder.is_dir():
        raise BadImage(f"{folder} is not a folder of kernel modules")
    files = {
        name.partition(".ko")[0].replace("-", "_"): Path(place, name)
        for place, _, names in os.walk(folder)
        for name in names
        if re.search(r"\.ko(\.\w+)?$", name)
    }
    done: set[str] = set()

    def load(name: str) -> Iterator[bytes]:
        if name in done or name not in files:
            return
        done.add(name)
        data = _unpacked(files[name])
        depends = re.search(rb"\0depends=([^\0]*)\0", data)
        for other in depends[1].decode().split(",") if depends else ():
            yield from load(other.replace("-", "_"))
        yield data

    for name in WANTED:
        yield from load(name)


def _candidates(image: KernelImage) -> Iterator[Path]:
    path = image.path.resolve()
    for root in (path.parent.parent, Path("/")):
        yield root / "lib" / "modules" / image.release
    # A build tree: vmlinux is in its root, a bzImage in arch/x86/boot.
    yield from (root for root in path.parents if (root / "modules.order").is_file() and (root / "Kconfig").is_file())


def _unpacked(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".xz":
        return lzma.decompress(data)
    if path.suffix == ".gz":
        return gzip.decompress(data)
    if path.suffix == ".ko":
        return data
    try:
        ran = subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        raise BadImage(f"{path}: cannot be unpacked without the zstd command") from None
    return ran.stdout
