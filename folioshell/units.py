"""Page arithmetic: geometries, sizes as people type them, and ranges of pages.

Everything in the model is counted in pages. A *vpn* is a virtual page number (address >> 12), a *pfn* a physical one,
and every range is half-open: ``[start, end)``.
"""

from __future__ import annotations

import re

from folioshell.records import dataclass, field

PAGE_SHIFT = 12
PAGE_SIZE = 1 << PAGE_SHIFT

_UNITS = {"K": 10, "M": 20, "G": 30, "T": 40}
_SIZE = re.compile(r"(0|[1-9][0-9]*)([KMGT]?)\Z")


@dataclass(frozen=True, slots=True)
class Geometry:
    """The shape of the page tables.

    Args:
        name: the word typed after ``set geometry``.
        table_bits: log2 of the entries in one table; also the order of a PMD-mapped folio.
        base: virtual page of the first mapping without an address of its own.
        end: first virtual page beyond user space.

    Attributes:
        table_entries: entries in one page table of any level.
        pmd_order: order of a folio that one PMD entry maps.
        pmd_pages: pages that one PMD entry (one PTE table) covers.
    """

    name: str
    table_bits: int
    base: int
    end: int
    table_entries: int = field(init=False, repr=False)
    pmd_order: int = field(init=False, repr=False)
    pmd_pages: int = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # Plain attributes, because every fault reads them.
        object.__setattr__(self, "table_entries", 1 << self.table_bits)
        object.__setattr__(self, "pmd_order", self.table_bits)
        object.__setattr__(self, "pmd_pages", 1 << self.table_bits)

    @property
    def fault_around_pages(self) -> int:
        """Pages in the default fault-around window."""
        return min(16, self.table_entries)

    @property
    def thp_orders(self) -> tuple[int, ...]:
        """Orders that an anonymous folio above order 0 may have."""
        return tuple(range(2, self.pmd_order + 1))


#: 47 bits of address, and mmap_base near the top
X86_64 = Geometry("x86-64", 9, base=0x7F0000000, end=1 << 35)
#: four levels of 8 entries, and the lowest address that Linux allows (mmap_min_addr, 64K)
CLASSROOM = Geometry("classroom", 3, base=16, end=1 << 12)
GEOMETRIES = {geometry.name: geometry for geometry in (X86_64, CLASSROOM)}


#: most digits of a number that can be meant
_DIGITS = 18


def parse_number(text: str) -> int | None:
    """The number that ASCII digits write; None for anything else, and for more digits than are plausible."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def parse_pages(text: str) -> int:
    """Number of pages that a quantity names: a bare number counts pages, ``64K``, ``2M``, ``1G`` are bytes.

    Raises:
        ValueError: not a quantity, or bytes that are not whole pages; the message says which.
    """
    match = _SIZE.match(text)
    if match is None:
        raise ValueError("not a size: a number of pages, or bytes such as 64K, 2M, 1G")
    digits, unit = match.groups()
    if len(digits) > _DIGITS:
        raise ValueError("that number is too large")
    number = int(digits)
    if not unit:
        return number
    size = number << _UNITS[unit]
    if size % PAGE_SIZE:
        raise ValueError(f"{text} is not a whole number of {PAGE_SIZE // 1024}K pages")
    return size >> PAGE_SHIFT


def format_pages(nr_pages: int) -> str:
    """The size of ``nr_pages`` pages in bytes, in the largest unit that divides it: 16 -> '64K'."""
    size = nr_pages << PAGE_SHIFT
    for unit, shift in (("T", 40), ("G", 30), ("M", 20)):
        if size and not size & ((1 << shift) - 1):
            return f"{size >> shift}{unit}"
    return f"{size >> 10}K"


def format_address(vpn: int) -> str:
    """The address of a virtual page, as /proc/PID/maps would print it after 0x."""
    return f"{vpn << PAGE_SHIFT:#x}"


def align_down(number: int, alignment: int) -> int:
    """Largest multiple of ``alignment`` that is not above ``number``."""
    return number - number % alignment


def align_up(number: int, alignment: int) -> int:
    """Smallest multiple of ``alignment`` that is not below ``number``."""
    return -(-number // alignment) * alignment
