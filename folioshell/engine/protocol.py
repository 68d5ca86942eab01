"""The answer of a kernel that counts VMAs by a protocol."""

from __future__ import annotations

from folioshell.model.kernel import Counting, Kernel
from folioshell.schemes.base import Sharing


class ProtocolDecider:
    """Answers as the scheme ``vmas`` does, from the number that a protocol counted.

    Args:
        kernel: for the mapcount of order-0 folios, which no protocol needs to count.
        protocol: the protocol.
    """

    name = "vmas"

    def __init__(self, kernel: Kernel, protocol: Counting) -> None:
        self._kernel = kernel
        self._protocol = protocol

    def page_shared(self, folio: int, page: int, mm: int) -> Sharing:
        """The same for all pages."""
        return self.shared(folio, mm)

    def shared(self, folio: int, mm: int) -> Sharing:
        """Is the number above 1?"""
        number = self._protocol.counts.get(folio)
        if number is None:
            number = self._kernel.counts.mapcount(folio)
        return Sharing.YES if number > 1 else Sharing.NO
