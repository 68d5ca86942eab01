"""Files are made."""

from __future__ import annotations

from folioshell.model.kernel import Kernel
from folioshell.model.mapping import AddressSpace
from folioshell.paths import rmap
from folioshell.paths.step import Path


def do_create_file(
    k: Kernel, name: str, size: int, order: int, fs: str, cached: bool, chunk: int = 0
) -> Path[AddressSpace]:
    """Make a file of ``size`` pages, written whole and, if ``cached``, still in the page cache.

    Args:
        order: order of the folios that hold it.
        fs: ``ext4``, ``tmpfs``, ``tmpfs-huge`` (folios of PMD order whatever ``order`` says) or ``tmpfs-within``.
        chunk: pages that were written at a time, where that is not ``1 << order``.
        cached: else an ext4 file must be read first, and a tmpfs file is one hole.
    """
    if fs == "tmpfs-huge":
        order, chunk = max(order, k.geometry.pmd_order), 0
    file = k.create_file(name, size, order, fs, cached, chunk)
    for folio in file.folios:
        yield rmap.folio_new(folio)
    return file
