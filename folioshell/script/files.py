"""Files that commands write: whole or not at all, so that a full disk leaves what was there before."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path


def write_file(path: str, data: bytes) -> None:
    """Write a file; one that exists is replaced atomically and keeps its permissions.

    Symbolic links are followed. Only a regular file can be replaced: a FIFO or device is written to directly, and so is
    a file whose folder is not writable.

    Raises:
        OSError, ValueError: it cannot be written; a file that could be replaced is unchanged.
    """
    target = Path(os.path.realpath(path))
    if not target.exists():
        _replace(target, data, None)
    elif target.is_file() and os.access(target.parent, os.W_OK):
        # A file that is not writable must not be replaced either.
        with target.open("ab"):
            _replace(target, data, target.stat().st_mode & 0o7777)
    else:
        target.write_bytes(data)


def _replace(target: Path, data: bytes, mode: int | None) -> None:
    temporary, descriptor = _temporary(target)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            if mode is not None:
                temporary.chmod(mode)
            stream.write(data)
            stream.flush()
            # Some file systems report only now that the disk is full.
            os.fsync(descriptor)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _temporary(target: Path) -> tuple[Path, int]:
    """A new file beside another one, and its descriptor."""
    for number in count():
        path = target.with_name(f".{target.name[:64]}.{os.getpid()}.{number}")
        try:
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            continue
    raise AssertionError("numbers do not end")
