"""Tests of folioshell.session.workspace."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from folioshell.session.workspace import Region, Regions, next_free
from folioshell.units import CLASSROOM, X86_64

BASE_VPN, END_VPN = X86_64.base, X86_64.end


def test_first_region_goes_to_the_base() -> None:
    """The base is 0x7f0000000000."""
    assert next_free(Regions(), X86_64, 16, 512) == BASE_VPN == 0x7F0000000000 >> 12


def test_classroom_addresses_begin_low() -> None:
    """At 64K, the lowest address that Linux allows; they end where the tables of 8 entries do."""
    assert next_free(Regions(), CLASSROOM, 16, 8) == 16
    assert next_free(Regions(), CLASSROOM, CLASSROOM.end - 16, 8) == 16
    assert next_free(Regions(), CLASSROOM, CLASSROOM.end - 15, 8) is None


def test_a_full_block_keeps_its_distance() -> None:
    """A region that ends at a boundary pushes the next one to the boundary after."""
    assert next_free(Regions([Region("a", BASE_VPN, 16)]), X86_64, 16, 512) == BASE_VPN + 512
    assert next_free(Regions([Region("a", BASE_VPN, 512)]), X86_64, 16, 512) == BASE_VPN + 1024


def test_skew() -> None:
    """The skew is counted from the boundary, which is free: behind all regions."""
    regions = [Region("a", BASE_VPN, 16), Region("b", BASE_VPN + 512, 16)]

    assert next_free(Regions(), X86_64, 16, 512, 504) == BASE_VPN + 504
    assert next_free(Regions(regions), X86_64, 16, 512, 504) == BASE_VPN + 1024 + 504


def test_no_room() -> None:
    """A range that does not fit below the end of user space has no place."""
    assert next_free(Regions(), X86_64, END_VPN, 512) is None


_REGIONS = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 40)), max_size=8)


@given(_REGIONS, st.integers(1, 60), st.integers(1, 16), st.integers(0, 20))
def test_the_next_place_lies_behind_all_regions(
    spots: list[tuple[int, int]], nr: int, boundary: int, skew: int
) -> None:
    """The boundary found is the first that lies behind every region and adjoins none."""
    regions = [Region(str(number), BASE_VPN + start, size) for number, (start, size) in enumerate(spots)]
    start = -(-BASE_VPN // boundary) * boundary
    while any(start <= region.end for region in regions):
        start += boundary

    assert next_free(Regions(regions), X86_64, nr, boundary, skew) == start + skew


def test_holes_are_used_when_the_top_is_reached() -> None:
    """A region at the end of user space does not make the rest unusable."""
    top = Region("top", END_VPN - 4, 4)

    assert next_free(Regions([top]), X86_64, 16, 512) == BASE_VPN
    assert next_free(Regions([top, Region("a", BASE_VPN, 16)]), X86_64, 16, 512) == BASE_VPN + 512
