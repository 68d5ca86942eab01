"""Physical memory: which folio a pfn belongs to, and the next free pfn. Deterministic; a pfn is never used again."""

from __future__ import annotations

from folioshell.model.folio import Folio

_SECTION_BITS = 9
_SECTION = 1 << _SECTION_BITS


class PhysicalMemory:
    """The memmap in sections of 512 pages: a list of folios a section, or one folio that covers whole sections."""

    def __init__(self) -> None:
        self._sections: dict[int, list[Folio | None] | Folio] = {}
        # Section 0 holds the zero pages.
        self._next_section = 1
        self._small_pfn = 0
        self._small_end = 0

    def allocate_page(self) -> int:
        """The next free page."""
        pfn = self._small_pfn
        if pfn == self._small_end:
            return self.allocate_pfn(0)
        self._small_pfn = pfn + 1
        return pfn

    def allocate_pfn(self, order: int) -> int:
        """The first pfn of a free naturally aligned block of ``1 << order`` pages."""
        nr = 1 << order
        if order >= _SECTION_BITS:
            sections = nr >> _SECTION_BITS
            first = -(-self._next_section // sections) * sections
            self._next_section = first + sections
            return first << _SECTION_BITS
        pfn = -(-self._small_pfn // nr) * nr
        if pfn + nr > self._small_end:
            pfn = self._next_section << _SECTION_BITS
            self._next_section += 1
            self._small_end = pfn + _SECTION
        self._small_pfn = pfn + nr
        return pfn

    def place(self, folio: Folio) -> None:
        """Let ``folio.pfn`` and the pages behind it belong to the folio."""
        pfn, order = folio.pfn, folio.order
        pages = self._sections.get(pfn >> _SECTION_BITS)
        if not order and pages.__class__ is list:
            pages[pfn & (_SECTION - 1)] = folio
            return
        section = pfn >> _SECTION_BITS
        if order >= _SECTION_BITS:
            for number in range(section, section + (folio.nr_pages >> _SECTION_BITS)):
                self._sections[number] = folio
            return
        if not isinstance(pages, list):
            pages = self._sections[section] = [None] * _SECTION
        offset = pfn & (_SECTION - 1)
        pages[offset : offset + folio.nr_pages] = [folio] * folio.nr_pages

    def remove(self, folio: Folio) -> None:
        """Let the pages of the folio belong to nobody."""
        section = folio.pfn >> _SECTION_BITS
        if folio.order >= _SECTION_BITS:
            for number in range(section, section + (folio.nr_pages >> _SECTION_BITS)):
                del self._sections[number]
            return
        pages = self._sections[section]
        assert isinstance(pages, list)
        offset = folio.pfn & (_SECTION - 1)
        pages[offset : offset + folio.nr_pages] = [None] * folio.nr_pages

    def folio(self, pfn: int) -> Folio:
        """The folio that page ``pfn`` belongs to.

        Raises:
            KeyError: it belongs to none.
        """
        pages = self._sections[pfn >> _SECTION_BITS]
        if pages.__class__ is list:
            folio = pages[pfn & (_SECTION - 1)]
            if folio is None:
                raise KeyError(pfn)
            return folio
        return pages  # type: ignore[return-value]
